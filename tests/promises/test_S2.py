"""What users of goagents know: typed chunks and events, the OpenAI wire, the loop of tools."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

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
from headrace.errors import ProviderUnavailable, StreamingUnsupported
from headrace.events import (
    Answer,
    Cancelled,
    Complete,
    Error,
    Event,
    Thought,
    Token,
    ToolEnd,
    ToolStart,
    encode,
    type_of,
)
from headrace.models.model import BaseModel, Model
from headrace.models.stream import Attempt
from headrace.providers.openai_chat.client import OpenAIChat
from headrace.testing import Gate, ScriptedModel, Step, check_events
from tests.promises.story import (
    AWAITED,
    NEWS,
    PATIENCE,
    PIECES,
    QUESTION,
    VIEWS,
    View,
    by_run_stream,
    held,
    researcher,
)
from tests.providers.chat_bodies import DONE, STOP, call, calls, chunk, event, finish
from tests.support.loopback import STALL, Loopback, reply, stream

KEY = "sk-test"  # no key of anyone
ENDS = ["answer", "complete"]
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 1},
}


def at(server: Loopback) -> OpenAIChat:
    return OpenAIChat("gpt-4", base_url=server.url, api_key=KEY)


async def events_of(agent: Agent) -> list[Event]:
    async with agent.start(QUESTION) as run:
        events = [e async for e in run.events()]
    check_events(events)
    return events


def failing() -> Agent:
    error = ProviderUnavailable("scripted: 503", retryable=False)
    return Agent("bot", ScriptedModel([Step(text=["Half ", "an ans"], error=error)]))


def test_S2_1_a_chunk_can_be_made_by_hand() -> None:
    now = time.time()
    made = StreamChunk("Hello", index=0, metadata={"model": "gpt-4"}, timestamp=now)
    assert (made.content, made.delta, made.index, made.timestamp) == ("Hello", "Hello", 0, now)
    assert (made.finish_reason, made.is_final) == (None, False)
    assert made.metadata == {"model": "gpt-4"}


async def test_S2_1_every_chunk_of_a_stream_has_its_index_and_timestamp() -> None:
    before = time.time()
    chunks = [c async for c in researcher().run_stream(QUESTION)]
    assert [c.index for c in chunks] == list(range(len(PIECES) + 2))
    stamps = [before, *(c.timestamp for c in chunks), time.time()]
    assert stamps == sorted(stamps)


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter"])
async def test_S2_2_finish_reasons_of_the_wire_reach_the_caller(reason: str) -> None:
    async with Loopback(stream(chunk("Hi"), finish(reason), DONE)) as server:
        last = [c async for c in Agent("bot", at(server)).run_stream("Hi")][-1]
        assert (last.is_final, last.finish_reason) == (True, reason)
        assert (await at(server).complete(ModelRequest.of("Hi"))).finish_reason == reason


async def test_S2_2_tool_calls_is_a_finish_reason_of_a_model_call() -> None:
    asked = calls(call(0, "c1", "search", '{"query": "x"}'))
    async with Loopback(stream(asked, finish("tool_calls"), DONE)) as server:
        *_, last = [c async for c in at(server).chat_stream("Hi")]
        assert last.finish_reason == "tool_calls"


async def test_S2_3_an_event_has_type_content_data_error_and_timestamp() -> None:
    before = time.time()
    events = await events_of(researcher())
    said = [e.content for e in events if isinstance(e, Token | Thought)]
    assert said == ["I should ", "search.", *PIECES]
    data = [e.input for e in events if isinstance(e, ToolStart)]
    assert data == [{"query": "AI news"}]
    error = (await events_of(failing()))[-1]
    assert isinstance(error, Error)
    assert (error.code, error.message) == ("provider_unavailable", "scripted: 503")
    stamps = [before, *(e.at for e in events), time.time()]
    assert stamps == sorted(stamps)
    assert [json.loads(encode(e))["type"] for e in events] == [type_of(e) for e in events]


async def test_S2_4_token_thought_tool_start_tool_end_answer_complete_and_error() -> None:
    types = [type_of(e) for e in await events_of(researcher())]
    named = ["thought", "token", "tool_start", "tool_end", "answer", "complete"]
    assert [t for t in dict.fromkeys(types) if t in named] == named
    assert types[-2:] == ["answer", "complete"]
    assert [type_of(e) for e in await events_of(failing())][-1] == "error"


async def test_S2_5_a_streaming_model_has_chat_stream_and_complete_stream() -> None:
    model = ScriptedModel([Step(text=["Hel", "lo"], usage=Usage(3, 2)), Step(text="Hi")])
    assert isinstance(model, Model)
    conversation = [Message.system("Be brief."), Message.user("Hello")]
    answer = model.chat_stream(conversation, temperature=0.5)
    assert isinstance(answer, AsyncIterator)
    chunks = [c async for c in answer]
    assert [c.content for c in chunks] == ["Hel", "lo", ""]
    assert [c.is_final for c in chunks] == [False, False, True]
    last = chunks[-1]
    assert (last.finish_reason, last.metadata and last.metadata["tokens"]) == ("stop", 5)
    assert "".join([c.content async for c in model.complete_stream("Hello")]) == "Hi"
    assert list(model.requests[0].messages) == conversation
    assert model.requests[0].options.temperature == 0.5
    assert list(model.requests[1].messages) == [Message.user("Hello")]


async def test_S2_5_what_is_no_streaming_model_is_told_apart() -> None:
    class Blocking:
        name = provider = "blocking"

        async def complete(self, request: ModelRequest) -> str:
            return "whole"

    assert not isinstance(Blocking(), Model)


async def test_S2_6_an_agent_streams_its_events_in_real_time() -> None:
    model, gate = held("Once")
    async with asyncio.timeout(PATIENCE), Agent("bot", model).start("A story") as run:
        seen: list[str] = []
        async for e in run.events():
            seen.append(type_of(e))
            if isinstance(e, Token) and e.content == "Once":
                assert not gate.opened.is_set()
                assert not run.ended
                gate.open()
        assert seen == ["run_start", "step_start", "token", "token", "step_end", *ENDS]


async def test_S2_9_the_openai_wire_over_a_real_socket() -> None:
    body = chunk("Hello") + b": keep-alive\n\n" + chunk(" world") + chunk("!", "stop") + DONE
    pieces = [body[i : i + 7] for i in range(0, len(body), 7)]
    async with Loopback(stream(*pieces)) as server:
        model = at(server)
        chunks = [c async for c in model.chat_stream([Message.user("Hello")], temperature=0.2)]
        (request,) = server.requests
    assert [c.content for c in chunks] == ["Hello", " world", "!", ""]
    assert (request.method, request.target) == ("POST", "/v1/chat/completions")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.json["stream"] is True
    assert request.json["model"] == "gpt-4"
    assert request.json["messages"] == [{"role": "user", "content": "Hello"}]
    assert request.json["temperature"] == 0.2


async def test_S2_10_the_wire_types_of_a_chunk() -> None:
    def wire(delta: dict[str, str], reason: str | None = None, index: int = 0) -> bytes:
        choice = {"index": index, "delta": delta, "finish_reason": reason, "logprobs": None}
        envelope = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000}
        return event({**envelope, "model": "gpt-4", "choices": [choice], "new_field": [1]})

    body = [
        wire({"role": "assistant", "content": ""}),
        wire({"content": "Hello"}),
        wire({"content": "not this one"}, index=1),
        wire({}, "stop"),
        event({"id": "chatcmpl-1", "choices": [], "usage": USAGE}),
        DONE,
    ]
    async with Loopback(stream(*body)) as server:
        turn = await at(server).complete(ModelRequest.of("Hi"))
    assert (turn.text, turn.finish_reason) == ("Hello", "stop")
    assert turn.usage == Usage(9, 4, cached=3, reasoning=1)


async def test_S2_12_indices_count_and_an_error_can_come_as_a_chunk() -> None:
    chunks = [c async for c in failing().run_stream("Go", on_error="chunk")]
    assert [c.content for c in chunks] == ["Half ", "an ans", ""]
    assert [c.index for c in chunks] == [0, 1, 2]
    assert [c.timestamp > 0 for c in chunks] == [True] * 3
    last = chunks[-1]
    assert (last.is_final, last.finish_reason) == (True, "error")
    assert last.metadata
    assert last.metadata["error"] == {
        "code": "provider_unavailable",
        "message": "scripted: 503",
        "retryable": False,
    }


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

        started = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(show(), 0.1)
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
    assert types == ["run_start", *step, *tools, *second, *ENDS]
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
