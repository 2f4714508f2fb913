"""Ollama's client on real sockets: what is sent, read, refused, retried and closed."""

from __future__ import annotations

import asyncio
import json
from statistics import median
from typing import Any

import pytest

from headrace.errors import (
    AuthenticationFailed,
    ConfigurationError,
    DeadlineExceeded,
    InvalidResponse,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRejected,
    StreamingUnsupported,
    StreamTruncated,
    UsageError,
)
from headrace.messages import Message
from headrace.models.assembler import Turn
from headrace.models.deadlines import Deadlines
from headrace.models.deltas import Note, TextDelta
from headrace.models.request import ModelRequest, ToolSpec
from headrace.models.retry import NO_RETRY, RetryPolicy
from headrace.providers.ollama.client import Ollama
from headrace.usage import Usage
from tests.providers.ollama.ollama_lines import STOP, call, calls, done, generated, line, say
from tests.support.loopback import FIN, RESET, STALL, Loopback, Script, reply, stream

KEY = "canary-0123456789abcdef"
ASK = ModelRequest.of("Hi")
NDJSON = "application/x-ndjson"


def lines(*items: object, end: object = None) -> Script:
    return stream(*items, end=end, content_type=NDJSON)


def model(server: Loopback, **settings: Any) -> Ollama:
    return Ollama("m", **{"retry": NO_RETRY, "base_url": server.origin, "api_key": KEY, **settings})


async def failed(server: Loopback, **settings: Any) -> tuple[ProviderError, Turn]:
    with pytest.raises(ProviderError) as caught:
        await model(server, **settings).complete(ASK)
    assert KEY not in f"{caught.value} {caught.value!r}"
    turn = caught.value.turn
    assert isinstance(turn, Turn)
    return caught.value, turn


async def test_an_answer_streams_with_reasoning_parallel_calls_and_usage() -> None:
    body = [say("", thinking="hm"), say("Hel"), 0.001, say("lo")]
    body += [calls(call("f", {"x": 1}), call("g", {})), STOP]
    async with Loopback(lines(*body)) as server:
        turn = await model(server).complete(ASK)
    assert (turn.text, turn.reasoning, turn.finish_reason) == ("Hello", "hm", "tool_calls")
    assert [(c.name, json.loads(c.arguments)) for c in turn.tool_calls] == [
        ("f", {"x": 1}),
        ("g", {}),
    ]
    assert turn.usage == Usage(9, 3)


async def test_made_up_ids_differ_from_turn_to_turn() -> None:
    async with Loopback(lines(calls(call("f", {})), STOP)) as server:
        turns = [await model(server).complete(ASK) for _ in range(2)]
    assert turns[0].tool_calls[0].id != turns[1].tool_calls[0].id


async def test_what_the_server_is_sent() -> None:
    async with Loopback(lines(STOP)) as server:
        await model(server, base_url=f"{server.origin}/v1/").complete(ASK)
        await model(server, api_key=None, headers={"X-Mine": "1"}).complete(ASK)
    first, second = server.requests
    assert (first.method, first.target) == ("POST", "/api/chat")
    assert first.headers["authorization"] == f"Bearer {KEY}"
    assert first.headers["accept"] == NDJSON
    assert first.json["messages"] == [{"role": "user", "content": "Hi"}]
    assert "authorization" not in second.headers
    assert second.headers["x-mine"] == "1"


async def test_generate_is_another_endpoint() -> None:
    script = lines(generated("Hel"), generated("lo"), line(response="", done=True, eval_count=2))
    async with Loopback(script) as server:
        turn = await model(server, endpoint="generate").complete(ASK)
        pieces = [c.content async for c in model(server, endpoint="generate").complete_stream("Hi")]
    assert (turn.text, turn.usage) == ("Hello", Usage(0, 2))
    assert pieces == ["Hel", "lo", ""]
    assert server.requests[0].target == "/api/generate"
    assert server.requests[0].json["prompt"] == "Hi"


def test_another_endpoint_is_refused() -> None:
    with pytest.raises(UsageError, match="embed"):
        Ollama("m", endpoint="embed")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError):
        Ollama("m", base_url="nowhere")


async def test_what_it_lacks_is_refused_before_any_request() -> None:
    tool = ToolSpec("f", "", {"type": "object"})
    async with Loopback(lines(STOP)) as server:
        with pytest.raises(UsageError, match="tool_choice"):
            await model(server).complete(ModelRequest.of("Hi", tools=[tool], tool_choice="f"))
        talk = [Message.user("a"), Message.assistant("b"), Message.user("c")]
        with pytest.raises(UsageError, match="one prompt"):
            await model(server, endpoint="generate").complete(ModelRequest.of(talk))
    assert server.requests == []


async def test_length() -> None:
    async with Loopback(lines(say("a"), done("length"))) as server:
        assert (await model(server).complete(ASK)).finish_reason == "length"


@pytest.mark.parametrize(
    ("script", "kind", "words"),
    [
        (reply(404, {"error": "model 'm' not found"}), RequestRejected, "model 'm' not found"),
        (reply(400, {"error": f"m does not support tools {KEY}"}), RequestRejected, "support"),
        (reply(401, {"error": "unauthorized"}), AuthenticationFailed, "OLLAMA_API_KEY"),
        (reply(500, {"error": "runner has stopped"}), ProviderUnavailable, "runner has stopped"),
        (reply(429, {"error": "slow"}, headers={"retry-after": "7"}), RateLimited, "slow"),
        (reply(200, {"error": "no"}), ProviderUnavailable, "no"),
        (reply(200, "<html><title>Sign in</title>", "text/html"), InvalidResponse, "Sign in"),
        (lines(b"Ollama is running"), InvalidResponse, "Ollama is running"),
        (lines(line(error=f"{KEY} is wrong")), ProviderUnavailable, "**** is wrong"),
    ],
)
async def test_an_error_before_the_stream(
    script: Script, kind: type[ProviderError], words: str
) -> None:
    async with Loopback(script) as server:
        error, turn = await failed(server)
    assert type(error) is kind
    assert words in str(error)
    assert turn.text == ""


async def test_an_answer_that_is_not_streamed() -> None:
    whole = {"message": {"role": "assistant", "content": "Hello"}, "done": True}
    async with Loopback(reply(200, whole)) as server:
        with pytest.raises(StreamingUnsupported, match="answered whole"):
            await model(server).complete(ASK)


async def test_an_error_within_the_stream_keeps_the_text() -> None:
    script = lines(say("a"), line(error="an unexpected error"), end=STALL)
    async with Loopback(script) as server:
        error, turn = await failed(server)
        await server.closed(0)
    assert "an unexpected error" in str(error)
    assert (turn.text, turn.finish_reason) == ("a", "error")


@pytest.mark.parametrize("end", [None, FIN, RESET])
async def test_a_stream_that_breaks_is_an_error_and_keeps_the_text(end: object) -> None:
    async with Loopback(lines(say("a"), 0.01, b'{"mess', 0.01, end=end)) as server:
        error, turn = await failed(server)
    assert isinstance(error, StreamTruncated)
    assert turn.text == "a"


async def test_leaving_a_stream_closes_its_socket() -> None:
    late = []
    async with Loopback(lines(say("a"), end=STALL)) as server:
        for turn in range(5):
            async with model(server).stream(ASK) as batches:
                assert await anext(batches) == [TextDelta("a")]
                left = asyncio.get_running_loop().time()
            late.append(await server.closed(turn) - left)
    assert median(late) < 0.25  # one of them may fall into a pause of the machine


@pytest.mark.parametrize("script", [[STALL], lines(b"\n", say(""), end=STALL)])
async def test_a_stall_before_the_first_content_is_a_deadline(script: Script) -> None:
    async with Loopback(script) as server:
        with pytest.raises(DeadlineExceeded, match="ollama: no first content"):
            await model(server, deadlines=Deadlines(first_content=0.05)).complete(ASK)
        await server.all_closed()


async def test_a_gap_is_a_deadline_and_keeps_the_text() -> None:
    async with Loopback(lines(say("a"), end=STALL)) as server:
        error, turn = await failed(server, deadlines=Deadlines(gap=0.05))
        await server.closed(0)
    assert isinstance(error, DeadlineExceeded)
    assert (error.wait, turn.text) == ("gap", "a")


@pytest.mark.parametrize("status", [429, 503])
async def test_it_is_asked_again_after_the_wait_that_was_told(status: int) -> None:
    busy = reply(status, {"error": "busy"}, headers={"retry-after-ms": "50"})
    async with Loopback(busy, lines(say("a"), STOP)) as server:
        begin = asyncio.get_running_loop().time()
        async with model(server, retry=RetryPolicy(retries=1)).stream(ASK) as batches:
            deltas = [delta async for batch in batches for delta in batch]
        took = asyncio.get_running_loop().time() - begin
    assert isinstance(deltas[0], Note)
    assert deltas[1] == TextDelta("a")
    assert took >= 0.05
    assert len(server.requests) == 2


async def test_a_connection_is_used_again_after_a_whole_answer() -> None:
    async with Loopback(lines(say("a"), STOP)) as server:
        one = model(server)
        for _ in range(3):
            assert (await one.complete(ASK)).text == "a"
        assert len(server.connections) == 1
