"""What users of Cogent know: `run_stream` and its chunks."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from headrace import Agent, Response, RunContext, RunFailed, StreamChunk, Usage, resolve_model, tool
from headrace.events import FinishReason
from headrace.providers.openai_chat.client import OpenAIChat
from headrace.testing import Gate, ScriptedModel, Step
from tests.cli.shell import Served, headrace, start
from tests.docs.pages import ROOT
from tests.promises.story import NEWS, PATIENCE, PIECES, QUESTION, held, research, researcher
from tests.promises.story import search as search_tool
from tests.providers.chat_bodies import STOP, chunk
from tests.support.loopback import STALL, Loopback, stream


async def test_S1_1_feedback_comes_while_the_model_still_works() -> None:
    model, gate = held("Roses", " are", more=" red.")
    chunks = Agent("writer", model).run_stream("Write a poem about AI")
    async with asyncio.timeout(PATIENCE), aclosing(chunks):
        assert [(await anext(chunks)).content for _ in range(2)] == ["Roses", " are"]
        assert not gate.opened.is_set()
        gate.open()
        assert "".join([c.content async for c in chunks]) == " red."


async def test_S1_2_a_stream_in_flight_can_be_left_and_its_model_stops() -> None:
    async with Loopback(stream(chunk("Roses"), chunk(" are"), end=STALL)) as server:
        agent = Agent("writer", OpenAIChat("m", base_url=server.url))
        async with aclosing(agent.run_stream("A poem")) as chunks:
            async for piece in chunks:
                if piece.content == " are":
                    break
        await server.closed(0)


async def test_S1_2_a_stream_in_flight_can_be_cancelled_from_elsewhere() -> None:
    async with Loopback(stream(chunk("Roses"), end=STALL)) as server:
        agent = Agent("writer", OpenAIChat("m", base_url=server.url))
        got = asyncio.Event()

        async def read() -> None:
            async for _ in agent.run_stream("A poem"):
                got.set()

        reading = asyncio.create_task(read())
        async with asyncio.timeout(PATIENCE):
            await got.wait()
            reading.cancel()
            await server.closed(0)
        with pytest.raises(asyncio.CancelledError):
            await reading


async def test_S1_3_streaming_is_switched_on_where_the_agent_is_made() -> None:
    agent = Agent(name="writer", model=research(), stream=True, tools=[search_tool])
    assert agent.stream
    assert [c.content async for c in agent.run_stream(QUESTION) if c.content] == PIECES


def test_S1_3_a_model_is_given_by_its_bare_name_and_asks_for_nothing_yet() -> None:
    agent = Agent(name="writer", model="gpt-4o", stream=True)
    assert "gpt-4o" in repr(agent)
    assert resolve_model("gpt-4o", env={"OPENAI_API_KEY": "sk-test"}).name == "openai:gpt-4o"


async def test_S1_4_run_still_works_with_stream_on() -> None:
    agent = Agent(name="writer", model=research(), stream=True, tools=[search_tool])
    assert (await agent.run(QUESTION)).content == NEWS


@pytest.mark.parametrize("options", [{}, {"stream": False}])
async def test_S1_5_any_agent_streams_on_demand(options: dict[str, Any]) -> None:
    model, gate = held("Roses")
    chunks = Agent("writer", model, **options).run_stream("A poem")
    async with asyncio.timeout(PATIENCE), aclosing(chunks):
        assert (await anext(chunks)).content == "Roses"
        assert not gate.opened.is_set()


async def test_S1_6_run_stream_takes_a_message_and_a_context() -> None:
    seen: list[object] = []

    @tool
    def who(context: RunContext) -> str:
        """Tell who asks."""
        seen.append(context.context["user"])
        return "you"

    def agent() -> Agent:
        steps = [Step(tool_calls=[("who", {})]), Step(text="You.")]
        return Agent("assistant", ScriptedModel(steps), tools=[who])

    iterator = agent().run_stream("Who am I?", context={"user": "K-17"})
    assert isinstance(iterator, AsyncIterator)
    assert {type(piece) async for piece in iterator} == {StreamChunk}
    assert seen == ["K-17"]
    [c async for c in agent().run_stream(message="Who am I?", context={"user": "K-18"})]
    assert seen == ["K-17", "K-18"]
    context = inspect.signature(Agent.run_stream).parameters["context"]
    assert (context.kind, context.default) == (context.KEYWORD_ONLY, None)


async def test_S1_7_run_gives_a_response() -> None:
    response = await researcher().run(QUESTION)
    assert isinstance(response, Response)
    assert (response.content, response.output, str(response)) == (NEWS, NEWS, NEWS)
    assert response.finish_reason == "stop"
    assert response.usage == Usage(60, 14)
    assert response.metrics.chunks == len(PIECES)
    assert [m.role for m in response.messages] == ["user", "assistant", "tool", "assistant"]


async def test_S1_8_a_chunk_has_content_delta_is_final_finish_reason_and_metadata() -> None:
    chunks = [c async for c in researcher().run_stream(QUESTION)]
    *pieces, last = chunks
    assert [c.delta for c in chunks] == [c.content for c in chunks]
    assert "".join(c.delta for c in chunks) == NEWS
    assert [c.is_final for c in pieces] == [False] * len(pieces)
    assert {c.finish_reason for c in pieces} == {None, "tool_calls"}
    assert {c.metadata is None for c in pieces if c.content} == {True}
    assert (last.is_final, last.finish_reason) == (True, "stop")
    assert last.metadata is not None


@pytest.mark.parametrize("reason", ["stop", "length"])
async def test_S1_9_the_final_chunk_says_why_it_ended(reason: FinishReason) -> None:
    model = ScriptedModel([Step(text="Half", finish_reason=reason)])
    chunks = [c async for c in Agent("writer", model).run_stream("A story")]
    assert [c.finish_reason for c in chunks] == [None, reason]


async def test_S1_9_tool_calls_is_said_where_tools_are_called() -> None:
    reasons = [c.finish_reason async for c in researcher().run_stream(QUESTION)]
    assert [r for r in reasons if r] == ["tool_calls", "stop"]


async def test_S1_10_the_final_chunk_tells_model_and_tokens() -> None:
    *pieces, last = [c async for c in researcher().run_stream(QUESTION)]
    assert last.metadata
    assert last.metadata.get("model") == "scripted:scripted"
    assert last.metadata.get("tokens") == 74
    assert last.metadata["usage"] == Usage(60, 14)
    assert not [c for c in pieces if c.metadata and "tokens" in c.metadata]


@pytest.mark.parametrize(
    "steps",
    [
        [Step(text=["One ", "two"])],
        [Step()],
        [Step(text="Half", finish_reason="length")],
        [Step(text="So ", tool_calls=[("search", {"query": "x"})]), Step(text="it is.")],
        [Step(text="Half an ans", finish_reason=None)],
    ],
)
async def test_S1_11_is_final_only_on_the_last(steps: list[Step]) -> None:
    agent = Agent("writer", ScriptedModel(steps), tools=[search_tool])
    finals = [c.is_final async for c in agent.run_stream("Go", on_error="chunk")]
    assert finals == [False] * (len(finals) - 1) + [True]


async def test_S1_12_basic_pattern(capsys: pytest.CaptureFixture[str]) -> None:
    async for piece in researcher().run_stream(QUESTION):
        print(piece.content, end="", flush=True)
    print()
    assert capsys.readouterr().out == NEWS + "\n"


async def test_S1_12_collect_pattern() -> None:
    full_response = []
    async for piece in researcher().run_stream(QUESTION):
        full_response.append(piece.content)
    assert "".join(full_response) == (await researcher().run(QUESTION)).content


async def test_S1_12_complete_pattern(capsys: pytest.CaptureFixture[str]) -> None:
    async for piece in researcher().run_stream(QUESTION):
        print(piece.content, end="", flush=True)
        if piece.is_final:
            print("\nComplete!")
    assert capsys.readouterr().out == f"{NEWS}\nComplete!\n"


async def test_S1_12_truncation_pattern(capsys: pytest.CaptureFixture[str]) -> None:
    agent = Agent("writer", ScriptedModel([Step(text="Half", finish_reason="length")]))
    async for piece in agent.run_stream("A story"):
        print(piece.content, end="", flush=True)
        if piece.finish_reason == "length":
            print("\ncut: max tokens reached")
    assert capsys.readouterr().out == "Half\ncut: max tokens reached\n"


async def test_S1_13_an_error_comes_out_of_the_iteration_after_the_text() -> None:
    agent = Agent("writer", ScriptedModel([Step(text=["Once ", "upon"], finish_reason=None)]))
    got: list[str] = []

    async def read() -> None:
        async for piece in agent.run_stream("A story"):
            got.append(piece.content)

    with pytest.raises(RunFailed, match="ended before the answer") as failed:
        await read()
    assert got == ["Once ", "upon"]
    assert (failed.value.code, failed.value.partial) == ("stream_truncated", "Once upon")


async def test_S1_14_a_tool_is_a_function_with_a_docstring() -> None:
    @tool
    def find(query: str, limit: int = 3) -> str:
        """Search for information.

        Args:
            query: What to look for.
            limit: How many at most.
        """
        return f"Results for: {query}" * limit

    model = ScriptedModel([Step(text="Hi.")])
    await Agent("researcher", model, tools=[find]).run("Hi")
    (spec,) = model.requests[0].tools
    assert (spec.name, spec.description) == ("find", "Search for information.")
    assert spec.parameters["properties"]["query"]["type"] == "string"
    assert spec.parameters["properties"]["query"]["description"] == "What to look for."
    assert spec.parameters["properties"]["limit"]["type"] == "integer"
    assert spec.parameters["required"] == ["query"]
    assert find("news", 1) == "Results for: news"  # and it is still the function


async def test_S1_15_the_stream_pauses_while_tools_run_and_a_chunk_marks_it() -> None:
    began, may_end = asyncio.Event(), asyncio.Event()

    @tool
    async def search(query: str) -> str:
        """Search."""
        began.set()
        await may_end.wait()
        return f"Results for: {query}"

    chunks = Agent("researcher", research(), tools=[search]).run_stream(QUESTION)
    async with asyncio.timeout(PATIENCE), aclosing(chunks):
        before = [await anext(chunks) for _ in range(3)]
        assert [c.content for c in before] == [*PIECES[:2], ""]
        assert before[-1].finish_reason == "tool_calls"
        assert before[-1].metadata is not None
        assert [call.name for call in before[-1].metadata["tool_calls"]] == ["search"]
        pending = asyncio.ensure_future(anext(chunks))
        await began.wait()
        assert not pending.done()
        may_end.set()
        assert (await pending).content == PIECES[2]
        assert "".join([c.content async for c in chunks]) == "".join(PIECES[3:])


def test_S1_19_in_a_cli() -> None:
    with Served(stream(*map(chunk, PIECES), STOP)) as server:
        assert headrace("run", QUESTION, *server.at).stdout == NEWS + "\n"


async def test_S1_19_in_a_web_ui() -> None:
    model, gate = held("Once", more=" upon")
    agent = Agent("writer", model)

    async def generate(message: str) -> AsyncGenerator[bytes]:
        async for piece in agent.run_stream(message):
            yield piece.content.encode()

    async def chat(request: web.Request) -> web.Response:
        return web.Response(body=generate(await request.text()), content_type="text/plain")

    app = web.Application()
    app.router.add_post("/chat/stream", chat)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as browser:
            address = f"http://{host}:{port}/chat/stream"
            async with browser.post(address, data="A story") as answer:
                assert await answer.content.readany() == b"Once"
                assert not gate.opened.is_set()
                gate.open()
                assert await answer.content.read() == b" upon"
    finally:
        await runner.cleanup()
    assert model.requests[0].messages[-1].text == "A story"


async def test_S1_19_in_a_chatbot() -> None:
    model = ScriptedModel([Step(text="Hello Ada."), Step(text="You are Ada.")])
    agent = Agent("bot", model)
    first = await agent.run("I am Ada")
    said = [c.content async for c in agent.run_stream("Who am I?", history=first.messages)]
    assert "".join(said) == "You are Ada."
    asked = [message.text for message in model.requests[1].messages]
    assert asked == ["I am Ada", "Hello Ada.", "Who am I?"]


async def test_S1_19_run_is_for_batches() -> None:
    gates = [Gate() for _ in range(5)]
    answers = [Step(text=[gate, f"Answer {i}"]) for i, gate in enumerate(gates)]
    agent = Agent("bot", ScriptedModel(answers))
    batch = asyncio.gather(*(agent.run(f"Question {i}") for i in range(5)))
    async with asyncio.timeout(PATIENCE):
        for gate in reversed(gates):
            await gate.reached.wait()  # they run side by side
            gate.open()
        assert [r.content for r in await batch] == [f"Answer {i}" for i in range(5)]


def test_S1_20_practice_1_text_is_flushed_piece_by_piece() -> None:
    more = asyncio.Event()
    with (
        Served(stream(chunk("Once"), more, chunk(" upon"), STOP)) as server,
        start("run", "A story", *server.at) as process,
    ):
        assert process.stdout
        assert process.stderr
        assert process.stdout.read(4) == "Once"  # while the model is held
        server.set(more)
        assert process.stdout.read() == " upon\n"
        assert process.wait(20) == 0
        process.stderr.close()


async def test_S1_20_all_five_practices_in_one_loop(capsys: pytest.CaptureFixture[str]) -> None:
    async def show(agent: Agent) -> str:
        parts: list[str] = []
        try:
            async for piece in agent.run_stream(QUESTION):
                parts.append(piece.content)
                print(piece.content, end="", flush=True)
                if piece.finish_reason == "tool_calls":
                    print("[tools] ", end="")
                if piece.finish_reason == "length":
                    print(" [cut]", end="")
                if piece.is_final:
                    print()
        except RunFailed as error:
            print(f" [{error.code}]")
        return "".join(parts)

    assert await show(researcher()) == NEWS
    assert capsys.readouterr().out == "Let me look. [tools] Here is the news.\n"
    assert await show(Agent(model=ScriptedModel([Step(text="A", finish_reason="length")]))) == "A"
    assert capsys.readouterr().out == "A [cut]\n"
    assert await show(Agent(model=ScriptedModel([Step(text="A", finish_reason=None)]))) == "A"
    assert capsys.readouterr().out == "A [stream_truncated]\n"


def test_S1_20_the_documentation_lists_the_five() -> None:
    page = (ROOT / "docs" / "streaming.md").read_text("utf-8")
    section = page.partition("## Five good habits")[2]
    items = [line for line in section.splitlines() if line[:1].isdigit()]
    assert [line[0] for line in items] == list("12345")
    for item, word in zip(
        items, ["flush=True", "is_final", "finish_reason", "Collect", "try"], strict=True
    ):
        assert word in item
