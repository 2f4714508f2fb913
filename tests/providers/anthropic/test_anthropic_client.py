"""The Messages client against real sockets: what is sent, read, asked again and closed."""

from __future__ import annotations

import asyncio
from statistics import median
from typing import Any

import pytest

from headrace.errors import (
    AuthenticationFailed,
    ConfigurationError,
    DeadlineExceeded,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRejected,
    StreamingUnsupported,
    StreamTruncated,
    UsageError,
)
from headrace.models.assembler import Turn
from headrace.models.deadlines import Deadlines
from headrace.models.deltas import Note
from headrace.models.request import ModelRequest, ToolSpec
from headrace.models.retry import NO_RETRY, RetryPolicy
from headrace.providers.anthropic.client import Anthropic
from headrace.providers.table import resolve_model
from headrace.usage import Usage
from tests.providers.anthropic.messages_events import (
    CALLED,
    END,
    PING,
    STOP,
    call,
    ending,
    error,
    start,
    thought,
    words,
)
from tests.support.loopback import FIN, RESET, STALL, Loopback, reply, stream

KEY = "canary-0123456789abcdef"
ASK = ModelRequest.of("Hi")
START_END = start() + END


def model(server: Loopback, **settings: Any) -> Anthropic:
    settings = {"retry": NO_RETRY, "base_url": server.origin, **settings}
    return Anthropic("m", api_key=KEY, **settings)


async def answer(server: Loopback, **settings: Any) -> Turn:
    return await model(server, **settings).complete(ASK)


async def failed(server: Loopback, **settings: Any) -> tuple[ProviderError, Turn]:
    with pytest.raises(ProviderError) as caught:
        await answer(server, **settings)
    assert isinstance(caught.value.turn, Turn)
    return caught.value, caught.value.turn


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/gateway/v1"])
async def test_what_the_server_is_sent(path: str) -> None:
    async with Loopback(stream(START_END)) as server:
        await answer(server, base_url=server.origin + path, headers={"anthropic-beta": "x"})
    (request,) = server.requests
    gateway = "/gateway" if "gateway" in path else ""
    assert (request.method, request.target) == ("POST", f"{gateway}/v1/messages")
    assert request.headers["x-api-key"] == KEY
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert request.headers["anthropic-beta"] == "x"
    assert request.headers["content-type"] == "application/json"
    assert "authorization" not in request.headers
    assert request.json["messages"] == [{"role": "user", "content": "Hi"}]
    assert request.json["stream"] is True
    assert KEY.encode() not in request.body


async def test_without_a_key_none_is_sent() -> None:
    async with Loopback(stream(START_END)) as server:
        await Anthropic("m", base_url=server.origin).complete(ASK)
    assert "x-api-key" not in server.requests[0].headers


async def test_a_query_in_the_base_url_is_kept() -> None:
    async with Loopback(stream(START_END)) as server:
        await answer(server, base_url=f"{server.origin}/v1?beta=true")
    assert server.requests[0].target == "/v1/messages?beta=true"


async def test_text_thinking_parallel_calls_and_usage() -> None:
    told = {"input_tokens": 9, "cache_read_input_tokens": 3, "output_tokens": 1}
    body = (
        start(told),
        PING,
        thought(0, "h", "m"),
        words(1, "Hel", "lo"),
        call(2, "a", "f", '{"x":1}'),
        call(3, "b", "g"),
        CALLED,
    )
    async with Loopback(stream(*body)) as server:
        turn = await answer(server)
    assert (turn.reasoning, turn.text, turn.finish_reason) == ("hm", "Hello", "tool_calls")
    assert [(c.id, c.arguments) for c in turn.tool_calls] == [("a", '{"x":1}'), ("b", "{}")]
    assert turn.usage == Usage(12, 5, 3)


@pytest.mark.parametrize(
    ("reason", "made"), [("max_tokens", "length"), ("refusal", "content_filter")]
)
async def test_length_and_content_filter(reason: str, made: str) -> None:
    async with Loopback(stream(start(), words(0, "a"), ending(reason), STOP)) as server:
        turn = await answer(server)
    assert (turn.text, turn.finish_reason) == ("a", made)


@pytest.mark.parametrize(
    ("status", "kind", "made", "retryable"),
    [
        (400, "invalid_request_error", RequestRejected, False),
        (401, "authentication_error", AuthenticationFailed, False),
        (403, "permission_error", AuthenticationFailed, False),
        (404, "not_found_error", RequestRejected, False),
        (413, "request_too_large", RequestRejected, False),
        (429, "rate_limit_error", RateLimited, True),
        (500, "api_error", ProviderUnavailable, True),
        (529, "overloaded_error", ProviderUnavailable, True),
    ],
)
async def test_an_error_before_the_stream(
    status: int, kind: str, made: type[ProviderError], retryable: bool
) -> None:
    told = {"type": "error", "error": {"type": kind, "message": f"no {KEY}"}, "request_id": "r"}
    async with Loopback(reply(status, told)) as server:
        found, _ = await failed(server)
    assert type(found) is made
    assert (found.status, found.retryable) == (status, retryable)
    assert "no ****" in found.message
    assert KEY not in f"{found!r} {found} {vars(found)}"


async def test_a_wrong_key_says_where_it_is_set() -> None:
    async with Loopback(reply(401, {"error": {"message": "invalid x-api-key"}})) as server:
        found, _ = await failed(server)
    assert "ANTHROPIC_API_KEY" in found.hint


async def test_an_error_in_the_middle_of_the_stream_keeps_the_text() -> None:
    async with Loopback(stream(start(), words(0, "a"), error("api_error", KEY))) as server:
        found, turn = await failed(server, retry=RetryPolicy(retries=2, base=0.0))
        assert len(server.requests) == 1
    assert isinstance(found, ProviderUnavailable)
    assert (turn.text, turn.finish_reason) == ("a", "error")
    assert KEY not in f"{found!r} {found} {turn}"


async def test_an_overload_before_the_first_content_is_asked_again() -> None:
    async with Loopback(stream(start(), error()), stream(words(0, "b"), END)) as server:
        turn = await answer(server, retry=RetryPolicy(retries=1, base=0.0))
    assert turn.text == "b"


@pytest.mark.parametrize("end", [None, FIN, RESET])
async def test_a_stream_that_breaks_off_is_an_error_and_keeps_the_text(end: object) -> None:
    async with Loopback(stream(start(), words(0, "a"), 0.01, end=end)) as server:
        found, turn = await failed(server)
    assert isinstance(found, StreamTruncated)
    assert turn.text == "a"


@pytest.mark.parametrize("status", [429, 503, 529])
async def test_a_busy_server_is_asked_again_after_the_wait_that_it_told(status: int) -> None:
    busy = reply(status, {"error": {"message": "slow down"}}, headers={"retry-after-ms": "50"})
    async with Loopback(busy, stream(words(0, "a"), END)) as server:
        begun = asyncio.get_running_loop().time()
        async with model(server, retry=RetryPolicy(retries=1)).stream(ASK) as batches:
            deltas = [delta async for batch in batches for delta in batch]
        took = asyncio.get_running_loop().time() - begun
    assert isinstance(deltas[0], Note)
    assert took >= 0.05
    assert len(server.requests) == 2


async def test_leaving_a_stream_closes_its_socket_at_once() -> None:
    late = []
    async with Loopback(stream(start(), words(0, "a"), end=STALL)) as server:
        for turn in range(5):
            async with model(server).stream(ASK) as batches:
                await anext(batches)
                left = asyncio.get_running_loop().time()
            late.append(await server.closed(turn) - left)
    assert median(late) < 0.25  # one of them may fall into a pause of the machine


async def test_a_silence_before_the_first_content_is_a_deadline() -> None:
    async with Loopback(stream(start(), PING, end=STALL)) as server:
        found, _ = await failed(server, deadlines=Deadlines(first_content=0.05))
        await server.all_closed()
    assert isinstance(found, DeadlineExceeded)
    assert found.wait == "first_content"


async def test_a_gap_is_a_deadline_that_pings_do_not_put_off() -> None:
    pings = [item for _ in range(200) for item in (PING, 0.005)]
    async with Loopback(stream(start(), words(0, "a"), *pings, end=STALL)) as server:
        found, turn = await failed(server, deadlines=Deadlines(gap=0.05))
        await server.closed(0)
    assert isinstance(found, DeadlineExceeded)
    assert (found.wait, turn.text) == ("gap", "a")


async def test_a_whole_answer_says_that_it_cannot_stream() -> None:
    whole = {"type": "message", "content": [{"type": "text", "text": "a"}], "stop_reason": "x"}
    async with Loopback(reply(200, whole)) as server:
        with pytest.raises(StreamingUnsupported):
            await answer(server)


@pytest.mark.parametrize("options", [{"seed": 1}, {"response_format": "json_object"}])
async def test_what_the_api_lacks_is_refused_before_any_request(options: dict[str, Any]) -> None:
    async with Loopback(stream(START_END)) as server:
        with pytest.raises(UsageError, match="anthropic"):
            await model(server).complete(ModelRequest.of("Hi", **options))
        assert server.requests == []


async def test_forced_tools_are_sent() -> None:
    tool = ToolSpec("f", "F.", {"type": "object"})
    async with Loopback(stream(call(0, "a", "f"), CALLED)) as server:
        request = ModelRequest.of("Hi", tools=[tool], tool_choice="required")
        turn = await model(server).complete(request)
    assert turn.finish_reason == "tool_calls"
    assert server.requests[0].json["tool_choice"] == {"type": "any"}


# --- the table ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("anthropic", "anthropic:claude-haiku-5-5"),
        ("claude", "anthropic:claude-haiku-5-5"),
        ("claude-sonnet-5", "anthropic:claude-sonnet-5"),
        ("anthropic:claude-opus-5", "anthropic:claude-opus-5"),
    ],
)
def test_names_in_the_table(name: str, made: str) -> None:
    found = resolve_model(name, env={"ANTHROPIC_API_KEY": KEY})
    assert isinstance(found, Anthropic)
    assert found.name == made
    assert KEY not in f"{found!r} {vars(found)}"


def test_the_environment_may_name_the_model() -> None:
    env = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_MODEL": "claude-x"}
    assert resolve_model(env=env).name == "anthropic:claude-x"


def test_a_missing_key_names_its_variable() -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolve_model("anthropic", env={})
    assert "ANTHROPIC_API_KEY" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "continues"), [("claude-haiku-5-5", False), ("claude-sonnet-4-5", True)]
)
def test_only_older_models_go_on_with_an_answer(name: str, continues: bool) -> None:
    assert Anthropic(name).continues is continues
