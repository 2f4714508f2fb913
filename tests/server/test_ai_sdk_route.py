"""`/api/chat` with real pages: the `Chat` of @ai-sdk/react on the transport of npm `ai`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from headrace import Agent
from headrace import events as e
from headrace.events import Event
from headrace.testing import Gate, ScriptedModel, Step
from tests.promises.story import NEWS, research, search
from tests.server.node_process import NodeProcess, node_process
from tests.server.serving import PATIENCE, Served, no_viewers, serving, until
from tests.support.cutting_proxy import CuttingProxy

CHAT = "chat_1"
WRONG = "invalid_request"


class Page:
    """A page in the Node process.

    Args:
        program: The process.
        name: Of the page; one is enough for each test, as they come one after the other.
    """

    def __init__(self, program: NodeProcess, name: str) -> None:
        self._program = program
        self._name = name

    async def begin(self, method: str, *args: object) -> None:
        """Call a method of the chat, and do not wait for it."""
        await self._program("begin", name=self._name, method=method, args=args)

    async def says(self, words: str) -> None:
        """Wait until the answer has these words."""
        await self._program("says", name=self._name, words=words)

    async def stop(self) -> None:
        """Stop the stream, as a button of a page does."""
        await self._program("stop", name=self._name)

    async def settled(self) -> Any:
        """What the page has once nothing goes on there."""
        return await self._program("settled", name=self._name)

    async def sends(self, text: str, **more: object) -> Any:
        """Send a message; what the page has after the answer."""
        await self.begin("sendMessage", {"text": text, **more})
        return await self.settled()

    async def resumes(self) -> Any:
        """Ask for the answer that goes on; what the page has after it."""
        await self.begin("resumeStream")
        return await self.settled()


class Browser:
    """Opens pages."""

    def __init__(self, program: NodeProcess) -> None:
        self._program = program
        self._count = 0

    async def open(self, url: str, query: str = "", **options: Any) -> Page:
        """A page of a chat; options are `messages`, `id`, and `token`."""
        self._count += 1
        name = f"page {self._count}"
        token = options.pop("token", None)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        options = {"id": CHAT, "headers": headers, **options}
        await self._program("open", name=name, url=f"{url}/api/chat{query}", **options)
        return Page(self._program, name)


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncGenerator[Browser]:
    """One process for all tests."""
    async with node_process("every_page.mjs") as program:
        yield Browser(program)


def bot(*steps: Any, name: str = "bot") -> Agent:
    return Agent(name, ScriptedModel(steps))


def heard(agent: Agent, request: int) -> list[tuple[str, str]]:
    """What the model was asked, role by role."""
    assert isinstance(agent.model, ScriptedModel)
    return [(message.role, message.text) for message in agent.model.requests[request].messages]


async def end_of(server: Served, run_id: str) -> Event:
    async with asyncio.timeout(PATIENCE):
        return await server.runtime.wait(run_id)


async def live_run(server: Served) -> str:
    """The one run that goes on."""
    await until(lambda: len(server.runtime.live) == 1)
    (run_id,) = server.runtime.live
    return run_id


async def test_a_message_is_answered_with_text_tools_and_usage(browser: Browser) -> None:
    """The page's own loop does not ask again when all tools have their results."""
    model = research()
    async with serving([Agent("researcher", model, tools=[search])]) as server:
        page = await browser.open(server.url)
        seen = await page.sends("News?")
        (record,) = await server.runtime.store.runs()
    assert (seen["status"], seen["error"]) == ("ready", None)
    assert seen["said"] == [["user", "News?"], ["assistant", NEWS]]
    assert seen["finishes"][0]["finishReason"] == "stop"
    answer = seen["messages"][1]
    assert answer["id"] == record.id
    assert (answer["metadata"]["runId"], answer["metadata"]["usage"]["input"]) == (record.id, 60)
    (call,) = [part for part in answer["parts"] if part["type"] == "dynamic-tool"]
    assert (call["toolName"], call["input"]) == ("search", {"query": "AI news"})
    assert (call["state"], call["output"]) == ("output-available", "Results for: AI news")
    assert (record.session, len(model.requests)) == (CHAT, 2)
    assert seen["asked"] == [["POST", "/api/chat", 200]]


async def test_a_chat_goes_on_with_what_the_page_has(browser: Browser) -> None:
    agent = bot(Step(text="Ada."), Step(text="Yes."), Step(text="Who knows."))
    async with serving([agent]) as server:
        page = await browser.open(server.url)
        await page.sends("Who?")
        seen = await page.sends("Sure?")
        assert [text for _, text in seen["said"]] == ["Who?", "Ada.", "Sure?", "Yes."]
        assert heard(agent, 1) == [("user", "Who?"), ("assistant", "Ada."), ("user", "Sure?")]
        session = await server.runtime.store.session(CHAT)
        assert [message.text for message in session.messages] == ["Who?", "Ada.", "Sure?", "Yes."]
        # Another page of this chat, which has thrown its first question away.
        other = await browser.open(server.url, messages=seen["messages"][2:])
        await other.sends("Really?")
        assert heard(agent, 2) == [("user", "Sure?"), ("assistant", "Yes."), ("user", "Really?")]


@pytest.mark.parametrize("kept", ["the question", "half of the answer"])
async def test_a_page_that_is_loaded_again_goes_on_in_mid_answer(
    browser: Browser, kept: str
) -> None:
    gate = Gate()
    agent = bot(Step(text="Hello."), Step(text=["One ", "two ", gate, "three."]))
    async with serving([agent]) as server:
        first = await browser.open(server.url)
        before = (await first.sends("Hi"))["messages"]
        await first.begin("sendMessage", {"text": "Count"})
        await first.says("two ")
        run_id = await live_run(server)
        half = {"id": run_id, "role": "assistant", "parts": [{"type": "text", "text": "One "}]}
        asked = {"id": "q2", "role": "user", "parts": [{"type": "text", "text": "Count"}]}
        messages = [*before, asked, *([half] if kept == "half of the answer" else [])]
        second = await browser.open(server.url, messages=messages)
        await second.begin("resumeStream")
        await second.says("two ")
        gate.open()
        pages = [await page.settled() for page in (first, second)]
    for seen in pages:
        assert (seen["status"], seen["error"]) == ("ready", None)
        assert [text for _, text in seen["said"]] == ["Hi", "Hello.", "Count", "One two three."]
    assert pages[1]["asked"] == [["GET", f"/api/chat/{CHAT}/stream", 200]]
    assert pages[1]["messages"][-1]["id"] == run_id


async def test_a_page_whose_connection_is_cut_resumes(browser: Browser) -> None:
    gate = Gate()
    agent = bot(Step(text=["One ", "two ", gate, "three."]))
    async with serving([agent]) as server, CuttingProxy(server.url) as proxy:
        page = await browser.open(proxy.url)
        await page.begin("sendMessage", {"text": "Count"})
        await page.says("two ")
        assert proxy.cut() == 1
        seen = await page.settled()
        assert (seen["status"], seen["said"][-1][1]) == ("error", "One two ")
        await no_viewers(server)
        await page.begin("resumeStream")
        await until(lambda: server.app.service.watchers == 1)
        gate.open()
        seen = await page.settled()
    assert (seen["status"], seen["error"]) == ("ready", None)
    assert seen["said"] == [["user", "Count"], ["assistant", "One two three."]]


async def test_where_nothing_goes_on_the_page_stays_as_it_is(browser: Browser) -> None:
    async with serving([bot(Step(text="Hello."))]) as server:
        page = await browser.open(server.url)
        before = await page.sends("Hi")
        after = await page.resumes()
        assert after["asked"][1] == ["GET", f"/api/chat/{CHAT}/stream", 204]
        assert after["messages"] == before["messages"]
        assert (after["status"], after["error"]) == ("ready", None)
        for odd in ("never seen", " no name ", "a/b", "無理", "x" * 300):
            seen = await (await browser.open(server.url, id=odd)).resumes()
            assert (seen["status"], seen["messages"]) == ("ready", [])
            assert seen["asked"][0][2] == 204


async def test_an_answer_is_asked_for_again(browser: Browser) -> None:
    agent = bot(Step(text="Hello."), Step(text="Bad."), Step(text="Good."))
    async with serving([agent]) as server:
        page = await browser.open(server.url)
        await page.sends("Hi")
        await page.sends("How?")
        await page.begin("regenerate")
        seen = await page.settled()
    assert [text for _, text in seen["said"]] == ["Hi", "Hello.", "How?", "Good."]
    assert heard(agent, 2) == [("user", "Hi"), ("assistant", "Hello."), ("user", "How?")]


async def test_a_question_is_changed(browser: Browser) -> None:
    agent = bot(Step(text="Four."), Step(text="Well."), Step(text="Six."))
    async with serving([agent]) as server:
        page = await browser.open(server.url)
        first = await page.sends("2+2?")
        await page.sends("Sure?")
        seen = await page.sends("3+3?", messageId=first["messages"][0]["id"])
    assert seen["said"] == [["user", "3+3?"], ["assistant", "Six."]]
    assert heard(agent, 2) == [("user", "3+3?")]


async def test_a_new_message_ends_the_answer_that_goes_on(browser: Browser) -> None:
    gate = Gate()
    agent = bot(Step(text=["One ", gate]), Step(text="Other."))
    async with serving([agent]) as server:
        first = await browser.open(server.url)
        await first.begin("sendMessage", {"text": "Count"})
        await first.says("One ")
        run_id = await live_run(server)
        second = await browser.open(server.url)
        seen = await second.sends("Something else")
        assert seen["said"][-1] == ["assistant", "Other."]
        end = await end_of(server, run_id)
        assert isinstance(end, e.Cancelled)
        assert end.reason == "replaced"
        ended = await first.settled()
    assert (ended["status"], ended["error"]) == ("ready", None)
    assert ended["messages"][-1]["metadata"]["finishReason"] == "cancelled"
    assert ended["said"][-1] == ["assistant", "One "]


async def test_stop_leaves_the_run_alive(browser: Browser) -> None:
    """It goes on for whoever comes back (law 7)."""
    gate = Gate()
    async with serving([bot(Step(text=["One ", gate, "two."]))]) as server:
        page = await browser.open(server.url)
        await page.begin("sendMessage", {"text": "Count"})
        await page.says("One ")
        run_id = await live_run(server)
        await page.stop()
        assert (await page.settled())["finishes"][-1]["isAbort"]
        await no_viewers(server)
        assert run_id in server.runtime.live
        await page.begin("resumeStream")
        await until(lambda: server.app.service.watchers == 1)
        gate.open()
        seen = await page.settled()
        assert isinstance(await end_of(server, run_id), e.Complete)
    assert seen["said"] == [["user", "Count"], ["assistant", "One two."]]


async def test_stop_ends_the_run_where_the_page_asks_for_that(browser: Browser) -> None:
    gate = Gate()
    async with serving([bot(Step(text=["One ", gate]))]) as server:
        page = await browser.open(server.url, "?on_leave=cancel")
        await page.begin("sendMessage", {"text": "Count"})
        await page.says("One ")
        run_id = await live_run(server)
        await page.stop()
        end = await end_of(server, run_id)
        seen = await page.settled()
    assert isinstance(end, e.Cancelled)
    assert end.reason == "its reader left"
    assert (seen["status"], seen["said"][-1][1]) == ("ready", "One ")


async def test_another_users_chat_is_another_chat(browser: Browser) -> None:
    """Though both are called the same: it is neither resumed nor replaced."""
    gate = Gate()
    tokens = {"ann": "anns-token-0123456789", "bob": "bobs-token-0123456789"}
    agent = bot(Step(text=["One ", gate, "two."]), Step(text="Hi, Bob."))
    async with serving([agent], tokens=tokens) as server:
        ann = await browser.open(server.url, token=tokens["ann"])
        await ann.begin("sendMessage", {"text": "Count"})
        await ann.says("One ")
        bob = await browser.open(server.url, token=tokens["bob"])
        seen = await bob.resumes()
        assert (seen["messages"], seen["asked"][0][2]) == ([], 204)
        assert (await bob.sends("Hello?"))["said"][-1] == ["assistant", "Hi, Bob."]
        assert heard(agent, 1) == [("user", "Hello?")]
        gate.open()
        assert (await ann.settled())["said"][-1] == ["assistant", "One two."]


async def test_what_is_refused_is_the_pages_error(browser: Browser) -> None:
    token = "a-token-that-is-long-enough"
    async with serving([bot(Step(text="Hello."))], tokens={"ann": token}, new_runs=1) as server:
        for page, text, status, code in (
            (await browser.open(server.url), "Hi", 401, "unauthorized"),
            (await browser.open(server.url, token=token), "", 400, "usage"),
            (await browser.open(server.url, "?agent=no", token=token), "Hi", 400, "agent_unknown"),
            (await browser.open(server.url, token=token, id="\n"), "Hi", 400, "invalid_id"),
            (await browser.open(server.url, "?on_leave=x", token=token), "Hi", 400, WRONG),
        ):
            seen = await page.sends(text)
            assert (seen["status"], seen["asked"][-1][2]) == ("error", status), seen
            told = json.loads(seen["error"])
            assert (told["code"], bool(told["message"])) == (code, True)
        page = await browser.open(server.url, token=token)
        assert (await page.sends("Hi"))["said"][-1] == ["assistant", "Hello."]
        seen = await page.sends("Again")
        assert (seen["status"], seen["asked"][-1][2]) == ("error", 429)
        assert json.loads(seen["error"])["code"] == "too_many_new_runs"


async def test_a_run_that_fails_is_the_pages_error_and_can_be_asked_again(browser: Browser) -> None:
    agent = bot(Step(text=["Half"], finish_reason=None), Step(text="Whole."))
    async with serving([agent]) as server:
        page = await browser.open(server.url)
        seen = await page.sends("Go")
        assert (seen["status"], seen["said"][-1]) == ("error", ["assistant", "Half"])
        assert "ended" in seen["error"]
        assert seen["messages"][-1]["metadata"]["error"]["code"] == "stream_truncated"
        assert (await page.resumes())["asked"][-1][2] == 204
        await page.begin("regenerate")
        seen = await page.settled()
    assert seen["said"] == [["user", "Go"], ["assistant", "Whole."]]
    assert heard(agent, 1) == [("user", "Go")]


async def test_a_page_that_can_take_text_back_says_so(browser: Browser) -> None:
    gate = Gate()
    broken = Step(text=["Half", gate], finish_reason=None)
    agent = bot(broken, Step(text="Whole."), Step(text="Yes."))
    async with serving([agent]) as server:
        page = await browser.open(server.url, "?retract=1")
        await page.begin("sendMessage", {"text": "Go"})
        await page.says("Half")
        gate.open()
        seen = await page.settled()
        assert (seen["status"], seen["error"]) == ("ready", None)
        parts = seen["messages"][-1]["parts"]
        kinds = [part["type"] for part in parts if part["type"] != "step-start"]
        assert kinds == ["text", "data-retract", "text"]
        await page.sends("Sure?")
    assert heard(agent, 2) == [("user", "Go"), ("assistant", "Whole."), ("user", "Sure?")]


async def test_a_page_may_name_its_agent(browser: Browser) -> None:
    agents = [bot(Step(text="First.")), bot(Step(text="Second."), name="other")]
    async with serving(agents) as server:
        page = await browser.open(server.url, "?agent=other")
        assert (await page.sends("Hi"))["said"][-1] == ["assistant", "Second."]
