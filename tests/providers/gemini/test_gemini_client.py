"""Gemini's client against real sockets: what is sent, how it ends, and the key stays secret."""

from __future__ import annotations

import asyncio
import json
import traceback
from statistics import median
from typing import Any

import pytest

from headrace.agents.agent import Agent
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
from headrace.messages import Message, ToolResult
from headrace.models.assembler import Turn
from headrace.models.deadlines import Deadlines
from headrace.models.deltas import Finish, Note, TextDelta
from headrace.models.request import ModelRequest
from headrace.models.retry import NO_RETRY, RetryPolicy
from headrace.providers.gemini.client import Gemini
from headrace.providers.table import choose_model, find_row, resolve_model
from headrace.usage import Usage
from tests.providers.gemini.gemini_bodies import STOP, call, chunk, counts, event, finish, thought
from tests.support.loopback import FIN, RESET, STALL, Loopback, reply, stream

KEY = "canary-0123456789abcdef"
ASK = ModelRequest.of("Hi")
HOT = {"error": {"code": 503, "message": f"Too hot for {KEY}", "status": "UNAVAILABLE"}}
WAIT = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.05s"}


def model(server: Loopback, **settings: Any) -> Gemini:
    settings = {"retry": NO_RETRY, "base_url": f"{server.origin}/v1beta", **settings}
    return Gemini("gemini-3.8-flash", api_key=KEY, **settings)


async def answer(server: Loopback, **settings: Any) -> Turn:
    return await model(server, **settings).complete(ASK)


async def failed(server: Loopback, **settings: Any) -> tuple[ProviderError, Turn]:
    with pytest.raises(ProviderError) as caught:
        await answer(server, **settings)
    turn = caught.value.turn
    assert isinstance(turn, Turn)
    assert KEY not in everything_of(caught.value)
    return caught.value, turn


def everything_of(error: BaseException) -> str:
    """All that a log or a crash reporter could show of an error and its frames."""
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "\n".join([repr(error), repr(vars(error)), *report.format()])


async def test_an_answer_streams_and_ends() -> None:
    wire = stream(
        chunk(thought("hm"), **counts(5, thoughtsTokenCount=3)),
        0.001,
        chunk("Hel"),
        chunk("lo"),
        finish(**counts(5, 2, thoughtsTokenCount=3)),
    )
    async with Loopback(wire) as server:
        turn = await answer(server)
    assert (turn.reasoning, turn.text, turn.finish_reason) == ("hm", "Hello", "stop")
    assert turn.usage == Usage(5, 5, 0, 3)


async def test_what_the_server_is_sent() -> None:
    async with Loopback(stream(STOP)) as server:
        await answer(server, headers={"X-Mine": "1"})
    (request,) = server.requests
    assert request.method == "POST"
    assert request.target == "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse"
    assert request.headers["x-goog-api-key"] == KEY
    assert "authorization" not in request.headers
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["x-mine"] == "1"
    assert request.json["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]
    assert KEY.encode() not in request.body


async def test_a_query_in_the_base_url_is_kept_and_a_tuned_models_name_is_a_path() -> None:
    async with Loopback(stream(STOP)) as server:
        one = Gemini("tunedModels/mine", base_url=f"{server.url}/?x=1")
        await one.complete(ASK)
    target = server.requests[0].target
    assert target == "/v1/tunedModels/mine:streamGenerateContent?x=1&alt=sse"
    assert "x-goog-api-key" not in server.requests[0].headers


async def test_parallel_calls_and_their_results_go_back_with_the_signature() -> None:
    signed = call("f", {"a": 1}, thoughtSignature="CiQB+/8=")
    wire = stream(chunk("Let me see."), chunk(signed, call("g", {"b": 2})), STOP)
    async with Loopback(wire, stream(chunk("Done."), STOP)) as server:
        one = model(server)
        turn = await one.complete(ASK)
        assert turn.finish_reason == "tool_calls"
        results = [ToolResult(made.id, made.name, "1") for made in reversed(turn.tool_calls)]
        messages = [*ASK.messages, turn.message, Message.tool(*results)]
        assert (await one.complete(ModelRequest.of(messages))).text == "Done."
    _, asked, answered = server.requests[1].json["contents"]
    assert asked["parts"] == [{"text": "Let me see."}, signed, call("g", {"b": 2})]
    assert [part["functionResponse"]["name"] for part in answered["parts"]] == ["f", "g"]
    assert not any("id" in part["functionResponse"] for part in answered["parts"])


async def test_an_agents_next_step_brings_the_signature_back() -> None:
    def double(number: int) -> int:
        """Double a number.

        Args:
            number: Which.
        """
        return 2 * number

    signed = call("double", {"number": 21}, thoughtSignature="CiQB+/8=")
    wires = stream(chunk(thought("hm")), chunk(signed), STOP), stream(chunk("It is 42."), STOP)
    async with Loopback(*wires) as server:
        response = await Agent(model=model(server), tools=[double]).run("21?")
    assert response.content == "It is 42."
    asked, answered = server.requests[1].json["contents"][1:]
    assert asked["parts"] == [signed]
    result = {"name": "double", "response": {"output": "42"}}
    assert answered["parts"] == [{"functionResponse": result}]


async def test_length_and_filters() -> None:
    blocked = event({"promptFeedback": {"blockReason": "SAFETY"}})
    scripts = [stream(chunk("a"), finish(word)) for word in ("MAX_TOKENS", "SAFETY")]
    async with Loopback(*scripts, stream(blocked)) as server:
        reasons = [(await answer(server)).finish_reason for _ in range(3)]
    assert reasons == ["length", "content_filter", "content_filter"]


async def test_a_connection_is_used_again_after_a_whole_answer() -> None:
    async with Loopback(stream(chunk("a"), STOP)) as server:
        one = model(server)
        for _ in range(3):
            assert (await one.complete(ASK)).text == "a"
        assert len(server.connections) == 1


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error", "kind", "words"),
    [
        (
            400,
            {
                "code": 400,
                "message": f"API key not valid: {KEY}.",
                "status": "INVALID_ARGUMENT",
                "details": [{"reason": "API_KEY_INVALID"}],
            },
            AuthenticationFailed,
            "GEMINI_API_KEY",
        ),
        (400, {"code": 400, "message": f"Bad {KEY}"}, RequestRejected, "Bad ****"),
        (403, {"code": 403, "message": f"Not {KEY}"}, AuthenticationFailed, "GEMINI_API_KEY"),
        (404, {"code": 404, "message": f"No model {KEY}"}, RequestRejected, "model's name"),
        (429, {"code": 429, "message": KEY, "details": [WAIT]}, RateLimited, "429"),
        (500, {"code": 500, "message": f"Internal {KEY}"}, ProviderUnavailable, "Internal ****"),
    ],
)
@pytest.mark.parametrize("listed", [False, True])
async def test_an_error_before_the_stream(
    status: int, error: object, kind: type[ProviderError], words: str, listed: bool
) -> None:
    value = {"error": error}
    async with Loopback(reply(status, [value] if listed else value)) as server:
        found, turn = await failed(server)
    assert type(found) is kind
    assert words in str(found)
    assert turn.text == ""


@pytest.mark.parametrize("body", [HOT, [HOT]])
async def test_an_error_with_200(body: object) -> None:
    async with Loopback(reply(200, body)) as server:
        error, _ = await failed(server)
    assert isinstance(error, ProviderUnavailable)
    assert "Too hot for ****" in error.message


@pytest.mark.parametrize(
    "wire",
    [event(HOT), json.dumps(HOT, indent=2).encode(), json.dumps([HOT]).encode(), chunk("", **HOT)],
)
async def test_an_error_in_mid_stream_keeps_the_text(wire: bytes) -> None:
    async with Loopback(stream(chunk("a"), wire)) as server:
        error, turn = await failed(server)
    assert isinstance(error, ProviderUnavailable)
    assert "Too hot for ****" in error.message
    assert (turn.text, turn.finish_reason) == ("a", "error")


async def test_a_malformed_call_is_an_error_and_runs_nothing() -> None:
    candidate = {"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": f"f({KEY}"}
    async with Loopback(stream(chunk("a"), event({"candidates": [candidate]}))) as server:
        error, turn = await failed(server)
    assert "MALFORMED_FUNCTION_CALL”: f(****" in error.message
    assert (turn.text, turn.tool_calls) == ("a", ())


async def test_an_answer_that_is_not_streamed_says_so() -> None:
    whole = {"candidates": [{"content": {"parts": [{"text": "a"}]}}]}
    for body in (whole, [whole]):
        async with Loopback(reply(200, body)) as server:
            with pytest.raises(StreamingUnsupported, match="answered whole"):
                await answer(server)


async def test_a_page_is_not_the_protocol() -> None:
    async with Loopback(reply(200, f"<html><title>{KEY}</title></html>", "text/html")) as server:
        error, _ = await failed(server)
    assert isinstance(error, InvalidResponse)


@pytest.mark.parametrize("end", [FIN, RESET, None])
async def test_a_cut_stream_is_an_error_and_keeps_the_text(end: object) -> None:
    async with Loopback(stream(chunk("a"), 0.01, chunk("b"), 0.01, end=end)) as server:
        error, turn = await failed(server)
    assert isinstance(error, StreamTruncated)
    assert (turn.text, turn.finish_reason) == ("ab", "error")


@pytest.mark.parametrize("end", [FIN, RESET])
async def test_after_the_finish_reason_a_broken_connection_is_a_whole_answer(end: object) -> None:
    async with Loopback(stream(chunk("a", finish="STOP"), 0.01, end=end)) as server:
        turn = await answer(server)
    assert (turn.text, turn.finish_reason) == ("a", "stop")


# --- leaving and waiting ------------------------------------------------------------------------


async def test_leaving_a_stream_closes_its_socket_at_once() -> None:
    late = []
    async with Loopback(stream(chunk("a"), end=STALL)) as server:
        for turn in range(5):
            async with model(server).stream(ASK) as batches:
                assert await anext(batches) == [TextDelta("a")]
                left = asyncio.get_running_loop().time()
            late.append(await server.closed(turn) - left)
    assert median(late) < 0.25  # one of them may fall into a pause of the machine


async def test_a_cancel_before_the_answer_closes_the_socket() -> None:
    async with Loopback([STALL]) as server:
        task = asyncio.create_task(answer(server))
        await server.asked(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        await server.closed(0)
    assert KEY not in everything_of(caught.value)


@pytest.mark.parametrize(
    "script", [[STALL], stream(b": still here\n\n", event(counts(5)), end=STALL)]
)
async def test_no_first_content_is_a_deadline(script: list[object]) -> None:
    async with Loopback(script) as server:
        error, _ = await failed(server, deadlines=Deadlines(first_content=0.1))
        await server.all_closed()
    assert isinstance(error, DeadlineExceeded)
    assert error.wait == "first_content"


async def test_a_gap_is_a_deadline_and_keeps_the_text() -> None:
    async with Loopback(stream(chunk("a"), end=STALL)) as server:
        error, turn = await failed(server, deadlines=Deadlines(gap=0.05))
        await server.closed(0)
    assert isinstance(error, DeadlineExceeded)
    assert (error.wait, turn.text) == ("gap", "a")


@pytest.mark.parametrize(
    "busy",
    [
        reply(429, {"error": {"code": 429, "message": "slow", "details": [WAIT]}}),
        reply(503, HOT, headers={"retry-after-ms": "50"}),
        stream(event({"error": {"code": 429, "message": "slow", "details": [WAIT]}})),
    ],
)
async def test_a_busy_server_is_asked_again_after_the_wait_that_it_told(busy: list[object]) -> None:
    async with Loopback(busy, stream(chunk("a"), STOP)) as server:
        begin = asyncio.get_running_loop().time()
        async with model(server, retry=RetryPolicy(retries=1)).stream(ASK) as batches:
            deltas = [delta async for batch in batches for delta in batch]
        took = asyncio.get_running_loop().time() - begin
    assert [type(delta) for delta in deltas] == [Note, TextDelta, Finish]
    assert took >= 0.05
    assert KEY not in repr(deltas)


async def test_nothing_is_shown_twice() -> None:
    async with Loopback(stream(chunk("a"), end=FIN), stream(chunk("b"), STOP)) as server:
        _, turn = await failed(server, retry=RetryPolicy(retries=2, base=0.0))
        assert len(server.requests) == 1
    assert turn.text == "a"


# --- asking for what there is not, and the table ------------------------------------------------


async def test_what_the_model_lacks_is_an_error_before_any_request() -> None:
    async with Loopback(stream(STOP)) as server:
        wishes: list[dict[str, Any]] = [{"reasoning_effort": "none"}, {"response_format": "xml"}]
        for wrong in wishes:
            with pytest.raises(UsageError, match="no re"):
                await model(server).complete(ModelRequest.of("Hi", **wrong))
        assert server.requests == []


@pytest.mark.parametrize("key", ["GEMINI_API_KEY", "GOOGLE_API_KEY"])
def test_either_variable_holds_the_key(key: str) -> None:
    choice = choose_model(env={key: KEY})
    assert isinstance(choice.model, Gemini)
    assert choice.why == f"{key} is set"
    assert choice.model.name == f"gemini:{find_row('gemini')[0].model}"
    assert KEY not in repr(choice)


async def test_geminis_own_variable_comes_first_and_its_model_is_taken() -> None:
    async with Loopback(stream(chunk("a"), STOP)) as server:
        env = {"GEMINI_API_KEY": KEY, "GOOGLE_API_KEY": "other-0123456789", "GEMINI_MODEL": "mine"}
        one = resolve_model("gemini", env={**env, "GEMINI_BASE_URL": f"{server.origin}/v1beta"})
        assert isinstance(one, Gemini)
        await one.complete(ASK)
    assert server.requests[0].headers["x-goog-api-key"] == KEY
    assert server.requests[0].target.startswith("/v1beta/models/mine:")


def test_a_bare_models_name_is_known_and_a_missing_key_names_its_variable() -> None:
    assert find_row("gemini-2.5-pro")[0].name == "gemini"
    with pytest.raises(ConfigurationError, match="GEMINI_API_KEY"):
        resolve_model("gemini-2.5-pro", env={})


def test_a_key_that_cannot_be_one_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Gemini(api_key="two words")
    assert "two words" not in str(caught.value)
