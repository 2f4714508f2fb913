"""What users of goagents know: typed chunks and events, the OpenAI wire, the loop of tools."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest

from headrace import (
    Agent,
    Message,
    ModelRequest,
    StreamChunk,
    Usage,
)
from headrace.errors import ProviderUnavailable
from headrace.events import (
    Error,
    Thought,
    Token,
    ToolStart,
    encode,
    type_of,
)
from headrace.models.model import Model
from headrace.models.streaming import StreamingModel
from headrace.providers.openai_chat.client import OpenAIChat
from headrace.testing import ScriptedModel, Step
from tests.promises.story import PATIENCE, PIECES, QUESTION, at, events_of, held, researcher
from tests.providers.chat_bodies import DONE, call, calls, chunk, event, finish
from tests.support.loopback import Loopback, stream

KEY = "sk-test"  # no key of anyone
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 4,
    "total_tokens": 13,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 1},
}


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
    assert isinstance(model, StreamingModel)
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
    assert not isinstance(Blocking(), StreamingModel)


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
        step = ["step_start", "token", "token", "step_end"]
        assert seen == ["run_start", *step, "answer", "complete"]


async def test_S2_9_the_openai_wire_over_a_real_socket() -> None:
    body = chunk("Hello") + b": keep-alive\n\n" + chunk(" world") + chunk("!", "stop") + DONE
    pieces = [body[i : i + 7] for i in range(0, len(body), 7)]
    async with Loopback(stream(*pieces)) as server:
        model = OpenAIChat("gpt-4", base_url=server.url, api_key=KEY)
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
