"""The Responses client against real sockets."""

from __future__ import annotations

import asyncio
import traceback
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
    StreamingUnsupported,
    StreamTruncated,
    UsageError,
)
from headrace.messages import ToolCall
from headrace.models.assembler import Turn
from headrace.models.deadlines import Deadlines
from headrace.models.deltas import Finish, Note, TextDelta
from headrace.models.request import ModelRequest
from headrace.models.retry import NO_RETRY, RetryPolicy
from headrace.providers.openai_responses.client import OpenAIResponses
from headrace.providers.table import choose_model, resolve_model
from headrace.usage import Usage
from tests.providers.openai_responses.responses_bodies import (
    END,
    RESPONSE,
    added,
    arguments,
    call,
    called,
    completed,
    created,
    event,
    failed,
    incomplete,
    message,
    summary,
    text,
    usage,
)
from tests.support.loopback import FIN, RESET, STALL, Loopback, reply, stream

KEY = "canary-0123456789abcdef"
ASK = ModelRequest.of("Hi")


def model(server: Loopback, **settings: Any) -> OpenAIResponses:
    settings = {"retry": NO_RETRY, "base_url": server.url, **settings}
    return OpenAIResponses("m", provider="acme", api_key=KEY, **settings)


async def answer(server: Loopback, **settings: Any) -> Turn:
    return await model(server, **settings).complete(ASK)


async def failure(server: Loopback, **settings: Any) -> tuple[ProviderError, Turn]:
    with pytest.raises(ProviderError) as caught:
        await answer(server, **settings)
    turn = caught.value.turn
    assert isinstance(turn, Turn)
    return caught.value, turn


async def test_an_answer_streams_and_ends() -> None:
    body = (created(), summary("hm"), 0.001, text("Hel", 1), text("lo", 1))
    end = completed(usage=usage(9, 8, 4, 5))
    async with Loopback(stream(*body, end)) as server:
        turn = await answer(server)
    assert (turn.reasoning, turn.text, turn.finish_reason) == ("hm", "Hello", "stop")
    assert turn.usage == Usage(9, 8, 4, 5)


async def test_what_the_server_is_sent() -> None:
    async with Loopback(stream(END)) as server:
        await answer(server, headers={"X-Mine": "1"})
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", "/v1/responses")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["accept"] == "text/event-stream"
    assert request.headers["x-mine"] == "1"
    assert request.json["input"] == [{"role": "user", "content": "Hi"}]
    assert KEY.encode() not in request.body


async def test_parallel_tools() -> None:
    body = called("a", "f", '{"x":1}', 0) + called("b", "g", "{}", 1) + END
    async with Loopback(stream(body)) as server:
        turn = await answer(server)
    assert turn.finish_reason == "tool_calls"
    assert turn.tool_calls == (ToolCall("a", "f", '{"x":1}'), ToolCall("b", "g", "{}"))


@pytest.mark.parametrize(
    ("reason", "word"), [("max_output_tokens", "length"), ("content_filter", "content_filter")]
)
async def test_an_incomplete_answer_says_why(reason: str, word: str) -> None:
    async with Loopback(stream(text("a"), incomplete(reason))) as server:
        turn = await answer(server)
    assert (turn.text, turn.finish_reason) == ("a", word)


async def test_what_the_wire_lacks_is_refused_before_any_request() -> None:
    async with Loopback(stream(END)) as server:
        for options in ({"stop": ["x"]}, {"seed": 1}):
            with pytest.raises(UsageError):
                await model(server).complete(ModelRequest.of("Hi", **options))
    assert server.requests == []


# --- failures ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, AuthenticationFailed), (429, RateLimited), (503, ProviderUnavailable)],
)
async def test_a_refusal_before_the_stream(status: int, kind: type[ProviderError]) -> None:
    told = {"error": {"message": f"no, {KEY}", "type": "x"}}
    async with Loopback(reply(status, told)) as server:
        error, turn = await failure(server)
    assert type(error) is kind
    assert (error.status, turn.text) == (status, "")
    assert "no, ****" in error.message


@pytest.mark.parametrize(
    "body",
    [event("error", message="Too hot"), failed({"code": "server_error", "message": "Too hot"})],
)
async def test_an_error_in_the_middle_keeps_the_text(body: bytes) -> None:
    async with Loopback(stream(text("a"), body)) as server:
        error, turn = await failure(server)
    assert "Too hot" in error.message
    assert (turn.text, turn.finish_reason) == ("a", "error")


@pytest.mark.parametrize("end", [FIN, RESET, None])
async def test_a_connection_that_ends_early_is_an_error(end: object) -> None:
    begun = added(call("a", "f"), 1) + arguments("{", 1)
    async with Loopback(stream(text("a"), begun, 0.01, end=end)) as server:
        error, turn = await failure(server)
    assert isinstance(error, StreamTruncated)
    assert (turn.text, turn.finish_reason) == ("a", "error")


async def test_an_answer_that_comes_whole_is_no_stream() -> None:
    whole = {**RESPONSE, "status": "completed", "output": [message("a")]}
    async with Loopback(reply(200, whole)) as server:
        with pytest.raises(StreamingUnsupported, match="acme"):
            await answer(server)


async def test_the_key_appears_nowhere() -> None:
    told = {"error": {"message": f"the key {KEY} is wrong", "code": KEY}}
    scripts = (
        reply(400, told, headers={"x-key": KEY}),
        reply(500, f"<h1>{KEY}</h1>", "text/html"),
        stream(text("a"), failed({"message": f"{KEY}", "code": KEY})),
        stream(text("a"), event("error", message=KEY, code=KEY)),
        stream(f"data: {KEY}\n\n".encode()),
        reply(302, b"", headers={"location": f"http://x.example/?key={KEY}"}),
    )
    for script in scripts:
        async with Loopback(script) as server:
            one = model(server)
            with pytest.raises(ProviderError) as caught:
                await one.complete(ASK)
        error = caught.value
        shown = "".join(traceback.format_exception(error))
        assert KEY not in shown + repr(error) + repr(vars(error)) + repr(one)


async def test_a_429_is_asked_again_after_the_wait_that_was_told() -> None:
    busy = reply(429, {"error": {"message": "slow down"}}, headers={"retry-after-ms": "50"})
    async with Loopback(busy, reply(502, b""), stream(text("a"), END)) as server:
        begin = asyncio.get_running_loop().time()
        async with model(server, retry=RetryPolicy(2, base=0.0)).stream(ASK) as batches:
            deltas = [delta async for batch in batches for delta in batch]
        took = asyncio.get_running_loop().time() - begin
    assert [type(delta) for delta in deltas] == [Note, Note, TextDelta, Finish]
    assert took >= 0.05
    assert len(server.requests) == 3


# --- leaving ----------------------------------------------------------------------------------


async def test_leaving_a_stream_closes_its_socket_at_once_and_asks_nothing_more() -> None:
    late = []
    async with Loopback(stream(created(), text("a"), end=STALL)) as server:
        for turn in range(5):
            async with model(server).stream(ASK) as batches:
                async for batch in batches:
                    assert batch == [TextDelta("a")]
                    break
                left = asyncio.get_running_loop().time()
            late.append(await server.closed(turn) - left)
        assert len(server.requests) == 5
    assert median(late) < 0.25  # one of them may fall into a pause of the machine


@pytest.mark.parametrize(
    ("body", "wait"),
    [
        ((created(), b": still here\n\n"), "first_content"),
        ((created(), event("in_progress", response={})), "first_content"),
        ((created(), text("a")), "gap"),
    ],
)
async def test_a_stall_is_a_deadline_and_closes_the_socket(
    body: tuple[bytes, ...], wait: str
) -> None:
    async with Loopback(stream(*body, end=STALL)) as server:
        error, turn = await failure(server, deadlines=Deadlines(**{wait: 0.05}))
        await server.all_closed()
    assert isinstance(error, DeadlineExceeded)
    assert (error.wait, turn.text) == (wait, "a" if wait == "gap" else "")


# --- by name ----------------------------------------------------------------------------------


def test_it_is_found_by_its_name_and_never_chosen_before_openai() -> None:
    env = {
        "OPENAI_API_KEY": KEY,
        "OPENAI_MODEL": "gpt-9",
        "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
    }
    one = resolve_model("openai-responses", env=env)
    assert isinstance(one, OpenAIResponses)
    assert one.name == "openai-responses:gpt-9"
    named = resolve_model("openai-responses:gpt-5-mini", env=env, background=True)
    assert isinstance(named, OpenAIResponses)
    assert (named.name, named.background) == ("openai-responses:gpt-5-mini", True)
    chosen = choose_model(env={"OPENAI_API_KEY": KEY}).model
    assert (chosen.provider, chosen.name) == ("openai", "openai:gpt-5.4-mini")


def test_a_missing_key_names_its_variable() -> None:
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        resolve_model("openai-responses:gpt-5-mini", env={})
