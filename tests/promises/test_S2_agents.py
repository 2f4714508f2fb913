"""What users of goagents know: agents, their errors, and how they are stopped."""

from __future__ import annotations

import asyncio

import pytest

from headrace import (
    Agent,
    EventDispatcher,
    Message,
    ModelRequest,
    RunFailed,
    StreamChunk,
    Usage,
    fold,
    tool,
)
from headrace.errors import StreamingUnsupported
from headrace.events import (
    Answer,
    Cancelled,
    Complete,
    Error,
    Token,
    ToolEnd,
    type_of,
)
from headrace.models.model import BaseModel
from headrace.models.stream import Attempt
from headrace.testing import Gate, ScriptedModel, Step, check_events
from tests.promises.story import (
    AWAITED,
    NEWS,
    PATIENCE,
    VIEWS,
    View,
    at,
    by_run_stream,
    events_of,
    held,
    researcher,
)
from tests.providers.chat_bodies import DONE, STOP, chunk
from tests.support.loopback import STALL, Loopback, reply, stream


class CannotStream(BaseModel):
    """Its endpoint only answers whole."""

    def __init__(self) -> None:
        super().__init__("old", "one")

    async def open(self, request: ModelRequest) -> Attempt:
        raise StreamingUnsupported("The LLM old:one does not support streaming.")


@pytest.mark.parametrize("view", VIEWS)
async def test_S2_13_a_model_that_cannot_stream_is_a_clear_error_in_every_view(view: View) -> None:
    with pytest.raises(RunFailed, match="old:one does not support streaming") as failed:
        await view(Agent("bot", CannotStream()))
    assert failed.value.code == "streaming_unsupported"
    assert isinstance(failed.value.__cause__, StreamingUnsupported)
    assert (failed.value.partial, failed.value.retryable) == ("", False)


async def test_S2_13_the_models_own_views_say_it_too() -> None:
    model, ask = CannotStream(), ModelRequest.of("Hi")
    got: list[str] = []
    with pytest.raises(StreamingUnsupported, match="does not support streaming"):
        await model.stream(ask, got.append)
    with pytest.raises(StreamingUnsupported):
        await model.complete(ask)
    for chunks in (model.chat_stream("Hi"), model.complete_stream("Hi")):
        with pytest.raises(StreamingUnsupported):
            await anext(chunks)
    with pytest.raises(StreamingUnsupported):
        async with model.stream(ask) as batches:
            await anext(batches)
    assert got == []


async def test_S2_13_the_log_and_a_dispatcher_end_with_that_error() -> None:
    dispatcher = EventDispatcher()
    receiver = dispatcher.subscribe()
    agent = Agent("bot", CannotStream(), dispatcher=dispatcher)
    last = (await events_of(agent))[-1]
    assert isinstance(last, Error)
    assert last.code == "streaming_unsupported"
    await dispatcher.drain()
    dispatcher.close()
    assert [e async for e in receiver][-1] == last


async def test_S2_13_a_server_that_answers_whole_is_found_out() -> None:
    whole = {"object": "chat.completion", "choices": [{"message": {"content": "all at once"}}]}
    async with Loopback(reply(200, whole)) as server:
        with pytest.raises(RunFailed, match="answered whole") as failed:
            await by_run_stream(Agent("bot", at(server)))
    assert failed.value.code == "streaming_unsupported"


async def test_S2_14_system_message_and_tools_go_out_tokens_tools_and_the_whole_come_back() -> None:
    agent = researcher()
    agent.instructions = "Be brief."
    events = await events_of(agent)
    model = agent.model
    assert isinstance(model, ScriptedModel)
    first, second = model.requests
    assert first.messages[0] == Message.system("Be brief.")
    assert [spec.name for spec in first.tools] == ["search"]
    assert first.tools[0].description == "Search for information."
    assert [m.role for m in second.messages] == ["system", "user", "assistant", "tool"]
    ends = [(e.name, e.output) for e in events if isinstance(e, ToolEnd)]
    assert ends == [("search", "Results for: AI news")]
    assert "".join(e.content for e in events if isinstance(e, Token)) == NEWS
    assert [e.content for e in events if isinstance(e, Answer)] == [NEWS]
    assert isinstance(events[-1], Complete)
    assert events[-1].usage == Usage(60, 14)


async def test_S2_16_hello_world_in_three_chunks() -> None:
    pieces = [chunk(piece, "") for piece in ("Hello", " world", "!")]  # an empty finish reason
    async with Loopback(stream(*pieces, DONE)) as server:
        content = ""
        async for piece in at(server).chat_stream([Message.user("Hello")]):
            content += piece.delta
    assert content == "Hello world!"


@pytest.mark.parametrize("who", ["model", "agent"])
async def test_S2_16_cancel_at_100_ms_stops_a_stream_of_five_seconds(who: str) -> None:
    pace = [part for _ in range(100) for part in (chunk("test"), 0.05)]
    async with Loopback(stream(*pace, STOP)) as server:
        agent = Agent("bot", at(server))
        chunks = at(server).chat_stream("test") if who == "model" else agent.run_stream("test")
        read: list[StreamChunk] = []

        async def show() -> None:
            async for piece in chunks:
                read.append(piece)

        showing = asyncio.create_task(show())
        await server.asked(1)  # a busy machine may need its 100 ms before it has asked
        started = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(showing, 0.1)
        closed = await server.closed(0)
    assert len(read) < 100
    assert closed - started < 2.5  # half the stream's time: a busy machine is slow


async def test_S2_19_every_event_of_a_run_is_of_its_type_and_in_its_place() -> None:
    @tool(name="search")
    def broken(query: str) -> str:
        """Search."""
        raise ValueError("no index")

    types = [type_of(e) for e in await events_of(researcher())]
    step = ["step_start", "thought", "thought", "token", "token", "tool_args", "step_end"]
    tools = ["tool_start", "tool_end"]
    second = ["step_start", "token", "token", "token", "step_end"]
    assert types == ["run_start", *step, *tools, *second, "answer", "complete"]
    agent = researcher()
    agent.tools = Agent(tools=[broken]).tools
    events = await events_of(agent)
    assert [type_of(e) for e in events] == types
    assert ["no index" in (e.error or "") for e in events if isinstance(e, ToolEnd)] == [True]


@pytest.mark.parametrize("where", ["before the first token", "in the text", "in a tool"])
async def test_S2_19_a_run_can_be_cancelled_everywhere(where: str) -> None:
    gate = Gate()

    @tool(name="search")
    async def slow(query: str) -> str:
        """Search."""
        await gate.pass_through()
        return query

    steps = {
        "before the first token": [Step(text=[gate, "never"])],
        "in the text": [Step(text=["Half ", gate, "never"])],
        "in a tool": [Step(text="Half ", tool_calls=[("search", {"query": "x"})])],
    }
    model = ScriptedModel(steps[where])
    async with asyncio.timeout(PATIENCE), Agent("bot", model, tools=[slow]).start("Go") as run:
        await gate.reached.wait()
        end = await run.cancel("user pressed stop")
        events = [e async for e in run.events()]
    check_events(events)
    assert isinstance(end, Cancelled)
    assert events[-1] == end
    assert end.reason == "user pressed stop"
    assert end.receipt.content == fold(events).text
    assert end.receipt.content == ("" if where == "before the first token" else "Half ")
    assert model.open_streams == 0


@pytest.mark.parametrize("view", AWAITED)
async def test_S2_19_whoever_waits_for_a_view_can_be_cancelled(view: View) -> None:
    model, gate = held("Once")
    waiting = asyncio.ensure_future(view(Agent("bot", model)))
    async with asyncio.timeout(PATIENCE):
        await gate.reached.wait()
        assert model.open_streams == 1
        waiting.cancel()
        await asyncio.wait([waiting])
    assert waiting.cancelled()
    assert model.open_streams == 0


async def test_S2_19_a_synchronous_stream_that_is_left_stops_its_model() -> None:
    async with Loopback(stream(chunk("Once"), end=STALL)) as server:

        def first() -> str:
            chunks = Agent("bot", at(server)).stream_sync("A story")
            piece = next(chunks).content
            chunks.close()
            return piece

        assert await asyncio.to_thread(first) == "Once"
        await server.closed(0)


@pytest.mark.parametrize("how", ["stream", "complete", "chat_stream"])
async def test_S2_19_a_model_call_can_be_cancelled(how: str) -> None:
    model, gate = held("Once")

    async def work() -> None:
        if how == "stream":
            await model.stream(ModelRequest.of("A story"), lambda _: None)
        elif how == "complete":
            await model.complete(ModelRequest.of("A story"))
        else:
            async for _ in model.chat_stream("A story"):
                pass

    working = asyncio.create_task(work())
    async with asyncio.timeout(PATIENCE):
        await gate.reached.wait()
        working.cancel()
        await asyncio.wait([working])
    assert working.cancelled()
    assert model.open_streams == 0
