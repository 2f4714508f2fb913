"""`/ag-ui` with the client that pages have: `HttpAgent` of @ag-ui/client, its verifier on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from headrace import Agent
from headrace import events as e
from headrace.events import Event
from headrace.testing import Gate, ScriptedModel, Step
from tests.promises.story import NEWS, research, search
from tests.server.node_process import NodeProcess, node_process
from tests.server.reading import asked
from tests.server.serving import PATIENCE, Served, no_viewers, serving, until

THREAD = "thread_1"
TOKEN = "a-token-that-is-long-enough"


class Talk:
    """A conversation in the Node process."""

    def __init__(self, program: NodeProcess, name: str) -> None:
        self._program = program
        self._name = name
        self._runs = 0

    async def begin(self, say: str | None = None) -> None:
        """Say something and run; waits for nothing."""
        self._runs += 1
        more = {} if say is None else {"say": say}
        await self._program("begin", name=self._name, run=f"run {self._runs}", **more)

    async def says(self, words: str) -> None:
        """Wait until the answer has these words."""
        await self._program("says", name=self._name, words=words)

    async def abort(self) -> None:
        """`abortRun`."""
        await self._program("abort", name=self._name)

    async def settled(self) -> Any:
        """What the client has once nothing goes on."""
        return await self._program("settled", name=self._name)

    async def runs(self, say: str) -> Any:
        """Say something; what there is after the answer."""
        await self.begin(say)
        return await self.settled()


class Talks:
    """Opens conversations."""

    def __init__(self, program: NodeProcess) -> None:
        self._program = program
        self._count = 0

    async def open(self, url: str, query: str = "", **options: Any) -> Talk:
        """A conversation; options are `thread`, `messages`, and `token`."""
        self._count += 1
        name = f"talk {self._count}"
        token = options.pop("token", None)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        options = {"thread": THREAD, "headers": headers, **options}
        await self._program("open", name=name, url=f"{url}/ag-ui{query}", **options)
        return Talk(self._program, name)


@pytest.fixture(scope="module")
async def talks(anyio_backend: str) -> AsyncGenerator[Talks]:
    """One process for all tests."""
    async with node_process("every_agent.mjs") as program:
        yield Talks(program)


def bot(*steps: Any, name: str = "bot") -> Agent:
    return Agent(name, ScriptedModel(steps))


def heard(agent: Agent, request: int) -> list[tuple[str, str]]:
    """What the model was asked, role by role."""
    assert isinstance(agent.model, ScriptedModel)
    return [(message.role, message.text) for message in agent.model.requests[request].messages]


async def live_run(server: Served) -> str:
    """The one run that goes on."""
    await until(lambda: len(server.runtime.live) == 1)
    (run_id,) = server.runtime.live
    return run_id


async def end_of(server: Served, run_id: str) -> Event:
    async with asyncio.timeout(PATIENCE):
        return await server.runtime.wait(run_id)


async def test_a_run_has_text_reasoning_tools_and_usage(talks: Talks) -> None:
    async with serving([Agent("researcher", research(), tools=[search])]) as server:
        talk = await talks.open(server.url)
        seen = await talk.runs("News?")
        (record,) = await server.runtime.store.runs()
    assert (seen["failure"], seen["error"], seen["warnings"]) == (None, None, [])
    assert seen["answer"] == NEWS
    assert (seen["finished"]["outcome"], seen["finished"]["pending"]) == ("success", [])
    event = seen["finished"]["event"]
    assert (event["threadId"], event["runId"]) == (THREAD, "run 1")
    (usage,) = event["usage"]
    assert (usage["inputTokens"], usage["outputTokens"]) == (60, 14)
    assert seen["result"]["finish_reason"] == "stop"
    roles = [message["role"] for message in seen["messages"]]
    assert roles == ["user", "reasoning", "assistant", "tool", "assistant"]
    reasoning, asks, result = seen["messages"][1:4]
    assert reasoning["content"] == "I should search."
    (call,) = asks["toolCalls"]
    assert (call["function"]["name"], result["toolCallId"]) == ("search", call["id"])
    assert result["content"] == "Results for: AI news"
    assert (record.session, record.status) == (THREAD, "complete")


async def test_a_thread_goes_on_with_what_the_client_has(talks: Talks) -> None:
    """Calls and their results too, each under an id that is its own in the thread."""
    steps = [
        Step(tool_calls=[("search", {"query": "Ada"})]),
        Step(text="Ada."),
        Step(tool_calls=[("search", {"query": "Bob"})]),
        Step(text="Bob."),
    ]
    model = ScriptedModel(steps)
    async with serving([Agent("bot", model, tools=[search])]) as server:
        talk = await talks.open(server.url)
        await talk.runs("Who?")
        seen = await talk.runs("And then?")
    assert (seen["failure"], seen["warnings"], seen["answer"]) == (None, [], "Bob.")
    past = model.requests[2].messages
    assert [message.role for message in past] == ["user", "assistant", "tool", "assistant", "user"]
    assert past[1].tool_calls[0].arguments == '{"query": "Ada"}'
    assert [message.text for message in past[3:]] == ["Ada.", "And then?"]
    ids = [call["id"] for message in seen["messages"] for call in message.get("toolCalls", ())]
    assert len(set(ids)) == len(ids) == 2
    assert len({message["id"] for message in seen["messages"]}) == len(seen["messages"]) == 8


async def test_abort_leaves_the_run_alive(talks: Talks) -> None:
    """It goes on without a reader (law 7), and what it says is there for whoever asks."""
    gate = Gate()
    async with serving([bot(Step(text=["One ", gate, "two."]))]) as server:
        talk = await talks.open(server.url)
        await talk.begin("Count")
        await talk.says("One ")
        run_id = await live_run(server)
        await talk.abort()
        seen = await talk.settled()
        assert (seen["finished"], seen["failure"]) == (None, None)
        assert seen["error"]["code"] == "abort"  # the client's own word
        await no_viewers(server)
        assert run_id in server.runtime.live
        gate.open()
        assert isinstance(await end_of(server, run_id), e.Complete)
        _, told = await asked(f"{server.url}/v1/runs/{run_id}")
    assert (told["status"], told["text"]) == ("complete", "One two.")


async def test_abort_ends_the_run_where_the_client_asks_for_that(talks: Talks) -> None:
    gate = Gate()
    async with serving([bot(Step(text=["One ", gate]))]) as server:
        talk = await talks.open(server.url, "?on_leave=cancel")
        await talk.begin("Count")
        await talk.says("One ")
        run_id = await live_run(server)
        await talk.abort()
        end = await end_of(server, run_id)
        await talk.settled()
    assert isinstance(end, e.Cancelled)
    assert end.reason == "its reader left"


async def test_a_new_run_ends_the_one_that_goes_on_in_the_thread(talks: Talks) -> None:
    gate = Gate()
    agent = bot(Step(text=["One ", gate]), Step(text="Other."))
    async with serving([agent]) as server:
        first = await talks.open(server.url)
        await first.begin("Count")
        await first.says("One ")
        run_id = await live_run(server)
        second = await talks.open(server.url)
        assert (await second.runs("Something else"))["answer"] == "Other."
        end = await end_of(server, run_id)
        seen = await first.settled()
    assert isinstance(end, e.Cancelled)
    assert end.reason == "replaced"
    assert (seen["failure"], seen["error"]) == (None, None)
    assert (seen["finished"]["outcome"], seen["answer"]) == ("cancelled", "One ")


async def test_after_an_abort_the_thread_goes_on(talks: Talks) -> None:
    """The answer that was left is ended by the next message; the client has half of it."""
    gate = Gate()
    agent = bot(Step(text=["One ", gate]), Step(text="Other."))
    async with serving([agent]) as server:
        talk = await talks.open(server.url)
        await talk.begin("Count")
        await talk.says("One ")
        run_id = await live_run(server)
        await talk.abort()
        await talk.settled()
        seen = await talk.runs("Something else")
        assert isinstance(await end_of(server, run_id), e.Cancelled)
    assert (seen["failure"], seen["answer"]) == (None, "Other.")
    assert heard(agent, 1) == [
        ("user", "Count"),
        ("assistant", "One "),
        ("user", "Something else"),
    ]


async def test_another_users_thread_is_another_thread(talks: Talks) -> None:
    gate = Gate()
    tokens = {"ann": "anns-token-0123456789", "bob": "bobs-token-0123456789"}
    agent = bot(Step(text=["One ", gate, "two."]), Step(text="Hi, Bob."))
    async with serving([agent], tokens=tokens) as server:
        ann = await talks.open(server.url, token=tokens["ann"])
        await ann.begin("Count")
        await ann.says("One ")
        bob = await talks.open(server.url, token=tokens["bob"])
        assert (await bob.runs("Hello?"))["answer"] == "Hi, Bob."
        assert heard(agent, 1) == [("user", "Hello?")]
        gate.open()
        seen = await ann.settled()
    assert (seen["answer"], seen["finished"]["outcome"]) == ("One two.", "success")


async def test_what_is_refused_is_the_clients_error(talks: Talks) -> None:
    async with serving([bot(Step(text="Hello."))], tokens={"ann": TOKEN}, new_runs=1) as server:
        for options, say, status, code in (
            ({}, "Hi", 401, "unauthorized"),
            ({"token": TOKEN}, "", 400, "usage"),
            ({"token": TOKEN, "query": "?agent=no"}, "Hi", 400, "agent_unknown"),
            ({"token": TOKEN, "thread": " "}, "Hi", 400, "invalid_id"),
            ({"token": TOKEN, "query": "?on_leave=x"}, "Hi", 400, "invalid_request"),
            ({"token": TOKEN}, "Hi", 200, None),
            ({"token": TOKEN}, "Again", 429, "too_many_new_runs"),
        ):
            talk = await talks.open(server.url, **options)
            seen = await talk.runs(say)
            assert seen["asked"][0]["status"] == status
            if code is not None:
                assert seen["failure"]["status"] == status, seen
                assert (seen["failure"]["payload"]["code"], seen["answer"]) == (code, "")


async def test_a_run_that_fails_is_an_error_and_the_thread_goes_on(talks: Talks) -> None:
    agent = bot(*[Step(text=["Half"], finish_reason=None)] * 2, Step(text="Whole."))
    async with serving([agent]) as server:
        talk = await talks.open(server.url)
        seen = await talk.runs("Go")
        assert (seen["error"]["code"], seen["answer"]) == ("stream_truncated", "Half")
        assert seen["finished"] is None
        seen = await talk.runs("Again")
    assert (seen["failure"], seen["answer"]) == (None, "Whole.")


async def test_text_that_was_withdrawn_is_gone_from_the_thread(talks: Talks) -> None:
    gate = Gate()
    broken = Step(text=["Half", gate], finish_reason=None)
    agent = bot(broken, Step(text="Whole."), Step(text="Yes."))
    async with serving([agent]) as server:
        talk = await talks.open(server.url)
        await talk.begin("Go")
        await talk.says("Half")
        gate.open()
        seen = await talk.settled()
        assert (seen["failure"], seen["warnings"], seen["answer"]) == (None, [], "Whole.")
        assert [message["role"] for message in seen["messages"]] == [
            "user",
            "activity",
            "assistant",
        ]
        await talk.runs("Sure?")
    assert heard(agent, 2) == [("user", "Go"), ("assistant", "Whole."), ("user", "Sure?")]


async def test_a_client_may_name_its_agent(talks: Talks) -> None:
    agents = [bot(Step(text="First.")), bot(Step(text="Second."), name="other")]
    async with serving(agents) as server:
        talk = await talks.open(server.url, "?agent=other")
        assert (await talk.runs("Hi"))["answer"] == "Second."
