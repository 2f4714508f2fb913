"""Runs of a server from another program: over real sockets, cut and refused in every way."""

from __future__ import annotations

import asyncio
import traceback
from contextlib import aclosing
from typing import Any

import pytest

from headrace.errors import (
    ConfigurationError,
    ConnectionFailed,
    HeadraceError,
    InvalidResponse,
    ServerRefused,
)
from headrace.events import Cancelled, Event, encode
from headrace.frontends.remote import Remote, RemoteRun
from headrace.frontends.remote_http import Body, Server
from headrace.messages import Message
from headrace.models.retry import NO_RETRY, RetryPolicy
from headrace.providers.secret import Secret
from headrace.usage import Metrics, Receipt, Usage
from headrace.wire.sse_encoder import encode_event
from tests.frontends.remote_server import (
    RUN,
    STARTED,
    at,
    cut,
    frame,
    refuses,
    shown,
    story,
)
from tests.support.loopback import FIN, RESET, STALL, Loopback, reply, stream

LOG = story("Hel", "lo", ".")
TOKEN = "token-abc123"


async def follow(run: RemoteRun, got: list[Event], after: int = 0) -> None:
    async for batch in run.batches(after):
        got += batch


async def followed(run: RemoteRun, after: int = 0) -> list[Event]:
    got: list[Event] = []
    await follow(run, got, after)
    return got


async def test_a_run_is_started_and_followed_to_its_end() -> None:
    async with Loopback(STARTED, shown(LOG)) as server:
        run = await at(server, TOKEN).start("Hi", agent="a", session="s", model="m")
        assert (run.id, run.created) == (RUN, True)
        assert await followed(run) == LOG
    start, look = server.requests
    assert (start.method, start.target) == ("POST", "/v1/runs")
    key = start.json.pop("idempotency_key")
    assert len(key) > 20
    assert start.json | {"idempotency_key": key} == {
        **{"input": "Hi", "agent": "a", "session": "s", "model": "m", "idempotency_key": key},
    }
    assert (look.method, look.target) == ("GET", f"/v1/runs/{RUN}/events")
    assert look.headers["accept"] == "text/event-stream"
    assert "last-event-id" not in look.headers
    assert {r.headers["authorization"] for r in server.requests} == {f"Bearer {TOKEN}"}


async def test_only_what_was_said_is_sent_and_messages_are() -> None:
    async with Loopback(STARTED) as server:
        await at(server).start([Message.user("Hi")], idempotency_key="k")
    (request,) = server.requests
    assert request.json.keys() == {"input", "idempotency_key"}
    assert request.json["input"][0]["role"] == "user"
    assert "authorization" not in request.headers


async def test_a_server_may_be_mounted_deeper() -> None:
    async with Loopback(STARTED, shown(LOG)) as server:
        run = await Remote(f"{server.origin}/ai/").start("Hi")
        assert await followed(run) == LOG
        assert run.events_url == f"{server.origin}/ai/v1/runs/{RUN}/events"
    assert [r.target for r in server.requests] == ["/ai/v1/runs", f"/ai/v1/runs/{RUN}/events"]


@pytest.mark.parametrize("end", [FIN, RESET])
@pytest.mark.parametrize("rest", [b"", frame(LOG[2])[:-9]])
async def test_a_cut_stream_goes_on_where_it_was(end: object, rest: bytes) -> None:
    scripts = [cut(LOG[:2], rest, end), cut([], end=end), shown(LOG[2:])]
    async with Loopback(*scripts) as server:
        assert await followed(at(server).run(RUN)) == LOG
    assert [r.headers.get("last-event-id") for r in server.requests] == [None, "2", "2"]


async def test_a_body_that_ends_in_good_order_before_the_run_is_a_cut_too() -> None:
    async with Loopback(shown(LOG[:3]), shown(LOG[3:])) as server:
        assert await followed(at(server).run(RUN)) == LOG


async def test_a_look_may_begin_anywhere() -> None:
    async with Loopback(shown(LOG[2:])) as server:
        assert await followed(at(server).run(RUN), after=2) == LOG[2:]
    assert server.requests[0].headers["last-event-id"] == "2"


async def test_nothing_follows_the_end() -> None:
    async with Loopback(reply(204)) as server:
        assert await followed(at(server).run(RUN), after=5) == []


async def test_tries_without_progress_are_bounded_and_progress_counts_anew() -> None:
    lost = cut([])
    async with Loopback(*[lost] * 7, cut(LOG[:2]), lost) as server:
        got: list[Event] = []
        with pytest.raises(ConnectionFailed, match="8 tries brought nothing") as caught:
            await follow(at(server).run(RUN), got)
        assert got == LOG[:2]
        # Seven, then the one that brought something and counts as the first, and seven more.
        assert len(server.requests) == 15
    assert "ended the stream before the run's end" in caught.value.message


async def test_a_server_that_is_gone_is_told_with_its_reason() -> None:
    async with Loopback(reply(204)) as server:
        run = at(server).run(RUN)
    with pytest.raises(ConnectionFailed, match=r"8 tries brought nothing.*Connect call failed|ref"):
        await followed(run)


async def test_a_proxys_bad_gateway_is_waited_out() -> None:
    page = reply(502, "<html><title>502 Bad Gateway</title></html>", "text/html")
    busy = refuses(503, "draining", "The server is about to stop.", retry_after="0")
    async with Loopback(page, STARTED, cut(LOG[:1]), page, busy, shown(LOG[1:])) as server:
        assert await followed(await at(server).start("Hi")) == LOG


async def test_silence_counts_as_a_lost_connection() -> None:
    async with Loopback(stream(frame(LOG[0]), end=STALL)) as server:
        for gap in (0.05, 0.5, 5.0):  # a busy machine may be silent for the first one before it
            answer = await Server(server.origin).open("GET", "/x", gap=gap)
            if isinstance(answer, HeadraceError):
                continue
            body = Body(answer)
            shown = await body.read()
            assert not shown or await body.read() == b""
            assert body.broken
            body.close()
            if shown:
                break
        assert shown == frame(LOG[0])


async def test_a_lost_answer_never_starts_two_runs() -> None:
    found = reply(200, {"run_id": RUN, "created": False})
    async with Loopback([RESET], [FIN], found) as server:
        run = await at(server).start("Hi")
    assert run.created  # under this key nobody else can have begun it
    keys = [request.json["idempotency_key"] for request in server.requests]
    assert len(keys) == 3
    assert len(set(keys)) == 1


async def test_a_key_that_was_used_before_finds_the_run_of_then() -> None:
    async with Loopback(reply(200, {"run_id": RUN, "created": False})) as server:
        run = await at(server).start("Hi", idempotency_key="mine")
        assert not run.created
    assert server.requests[0].json["idempotency_key"] == "mine"


async def test_two_starts_have_two_keys() -> None:
    async with Loopback(STARTED) as server:
        remote = at(server)
        await remote.start("Hi")
        await remote.start("Hi")
    first, second = (request.json["idempotency_key"] for request in server.requests)
    assert first != second


async def test_a_refusal_comes_out_in_the_servers_words_and_is_not_repeated() -> None:
    answer = refuses(404, "run_not_found", "There is no run 'x'.", "headrace runs lists them.")
    async with Loopback(answer) as server:
        run = at(server).run("x")
        for call in (lambda: at(server).start("Hi"), lambda: followed(run), run.cancel):
            with pytest.raises(ServerRefused) as caught:
                await call()
            error = caught.value
            assert (error.code, error.status) == ("run_not_found", 404)
            assert str(error) == "There is no run 'x'. headrace runs lists them."
        assert len(server.requests) == 3


async def test_too_many_requests_waits_as_long_as_it_is_told_to() -> None:
    busy = refuses(429, "rate_limited", "Slowly.", retry_after="3600")
    async with Loopback(busy) as server:
        with pytest.raises(ServerRefused, match="Slowly") as caught:
            await at(server).start("Hi")
        assert len(server.requests) == 1  # an hour is not waited
    assert (caught.value.retry_after, caught.value.retryable) == (3600.0, True)


async def test_a_failure_in_the_stream_is_raised_after_what_came_before_it() -> None:
    told = '{"code":"replay_gap","message":"Gone.","retryable":false}'
    failing = shown(LOG[:2], encode_event(told, event="failure"))
    async with Loopback(failing) as server:
        got: list[Event] = []
        with pytest.raises(ServerRefused, match="Gone"):
            await follow(at(server).run(RUN), got)
        assert got == LOG[:2]
        assert len(server.requests) == 1


async def test_a_failure_that_may_pass_is_tried_again() -> None:
    told = '{"code":"store_unavailable","message":"Locked.","retryable":true}'
    failing = shown(LOG[:2], encode_event(told, event="failure"))
    async with Loopback(failing, shown(LOG[2:])) as server:
        assert await followed(at(server).run(RUN)) == LOG


async def test_cancel_gives_the_terminal_event() -> None:
    end = Cancelled(9, 1.0, "", "why", Usage(), Metrics(), Receipt())
    async with Loopback([RESET], reply(200, encode(end))) as server:
        assert await at(server).run(RUN).cancel("why") == end
    assert server.requests[1].target == f"/v1/runs/{RUN}/cancel"
    assert server.requests[1].json == {"reason": "why"}


async def test_leaving_closes_the_connection_at_once() -> None:
    async with Loopback(shown(LOG[:2], end=STALL)) as server:
        async with aclosing(at(server).run(RUN).batches()) as batches:
            async for _ in batches:
                break
        await server.closed(0)


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, "<html><title>Welcome</title></html>", "text/html"),
        reply(200, {"hello": "world"}),
        reply(200, "[" * 5000),
        reply(200, b"x" * 1_100_000),
        [b"SSH-2.0-OpenSSH_9.2\r\n", FIN],
    ],
)
async def test_whoever_is_no_headrace_server_is_called_so(answer: list[object]) -> None:
    async with Loopback(answer) as server:
        remote = Remote(server.origin, resume=NO_RETRY, ask=NO_RETRY)
        for call in (lambda: remote.start("Hi"), lambda: followed(remote.run(RUN))):
            with pytest.raises(InvalidResponse) as caught:
                await call()
            assert "127.0.0.1" in caught.value.message


async def test_a_redirect_is_not_followed_and_the_token_stays_here() -> None:
    async with Loopback(reply(200)) as other:
        there = {"location": f"http://me:pw@127.0.0.1:{other.port}/v1/runs"}
        async with Loopback(reply(308, headers=there)) as server:
            with pytest.raises(InvalidResponse, match="a redirect to http://127") as caught:
                await at(server, TOKEN).start("Hi")
        assert other.requests == []
    assert "pw" not in str(caught.value)


def told_by(error: BaseException) -> str:
    """All that a report of this error could show of Headrace's own frames."""
    assert error.__traceback__ is not None
    frames = error.__traceback__.tb_next  # without the test's own
    return "".join(
        traceback.TracebackException(type(error), error, frames, capture_locals=True).format()
    )


@pytest.mark.parametrize(
    "script",
    [
        refuses(401, "unauthorized", f"Not with {TOKEN}.", f"Bearer {TOKEN} is unknown."),
        reply(502, f"<html>{TOKEN}</html>", "text/html"),
        reply(200, {}),
        [RESET],
        [b"garbage\r\n", FIN],
    ],
)
async def test_the_token_is_in_no_error_and_no_traceback(script: list[object]) -> None:
    async with Loopback(script) as server:
        remote = Remote(server.origin, token=Secret(TOKEN), resume=NO_RETRY, ask=NO_RETRY)
        with pytest.raises(HeadraceError) as started:
            await remote.start("Hi")
        with pytest.raises(HeadraceError) as seen:
            await followed(remote.run(RUN))
    for error in (started.value, seen.value):
        assert "remote.py" in told_by(error)
        assert TOKEN not in told_by(error)
        assert error.__cause__ is error.__context__ is None
    assert TOKEN not in repr(remote) + repr(remote.server) + repr(remote.run(RUN))


def test_a_token_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ConfigurationError, match="plain http"):
        Remote("http://192.0.2.1", token=Secret(TOKEN))


async def test_the_servers_own_wait_is_kept_up_to_a_bound() -> None:
    slow = RetryPolicy(retries=7, base=0.001, longest=0.02)
    patient = [*stream(b"retry: 3600000\n\n", frame(LOG[0]))]
    async with Loopback(patient, shown(LOG[1:])) as server:
        assert await followed(at(server, resume=slow).run(RUN)) == LOG


@pytest.mark.parametrize("status", ["200 OK", "503 Service Unavailable"])
async def test_a_question_that_is_given_up_leaves_no_connection(status: str) -> None:
    """As where the run's end comes while its cancel is still being answered."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
    async with Loopback((head.encode(), STALL)) as server:
        asking = asyncio.create_task(at(server).run(RUN).cancel())
        await server.asked(1)
        await until_reading(asking)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await server.all_closed()


async def until_reading(asking: asyncio.Task[Event]) -> None:
    """Wait until the answer's head is there, and its body is waited for."""
    async with asyncio.timeout(30):
        while not any("read" in name for name in waits_in(asking)):  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def waits_in(task: asyncio.Task[Event]) -> list[str]:
    """The functions that a task waits in, outermost first."""
    names = []
    waits: Any = task.get_coro()
    while waits is not None:
        names.append(getattr(waits, "__name__", ""))
        waits = getattr(waits, "cr_await", None)
    return names
