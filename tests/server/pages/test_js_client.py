"""headrace.js under Node: whole under cuts, started once, refused, retried, left."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
import pytest

from headrace import Agent
from headrace import events as e
from headrace.events import Event
from headrace.messages import Message
from headrace.runs.fold import fold
from headrace.testing import ScriptedModel, Step
from headrace.usage import Metrics, Timing, Usage
from headrace.wire.sse_encoder import encode_comment, encode_event
from tests.promises.story import search
from tests.server.serving import serving as real_server
from tests.strategies import Scribe
from tests.support.cutting_proxy import CuttingProxy
from tests.support.loopback import (
    FIN,
    RESET,
    STALL,
    Loopback,
    Request,
    Script,
    head,
    http_chunk,
    reply,
    stream,
)
from tests.support.node import run_node

RUN = {"x-headrace-run": "run_x"}
SOON = b"retry: 1\n\n"
"""What a server says first: how long to wait before a reconnect, here a millisecond."""


def story(tokens: int = 5) -> list[Event]:
    """A run with a withdrawn try, a tool, and so many tokens."""
    scribe = Scribe()
    scribe.put(e.RunStart, "run_x", "assistant", "scripted:one")
    lost = scribe.put(e.StepStart, 1, "scripted:one")
    scribe.put(e.Token, "withdrawn", 0)
    scribe.put(e.Retract, lost.seq + 1, "stream_truncated")
    scribe.put(e.ToolStart, "call_1", "look", {"at": "\n無"})
    scribe.put(e.ToolEnd, "call_1", "look", "found", 1.5, None)
    scribe.put(e.Thought, "Hm.\r\n")
    for i in range(tokens):
        scribe.put(e.Token, f" {i}無\u2028\n", i)
    scribe.put(e.StepEnd, 1, "stop", Usage(3, 4), Timing(1.0), Message("assistant"))
    scribe.put(e.Complete, "stop", Usage(3, 4), Metrics())
    return scribe.events


def frames(events: Sequence[Event]) -> bytes:
    return b"".join(encode_event(e.encode(x).decode(), id=str(x.seq)) for x in events)


def values(events: Sequence[Event]) -> list[Any]:
    return [json.loads(e.encode(event)) for event in events]


def call(*args: object, name: str = "stream", **more: Any) -> dict[str, Any]:
    return {"name": name, "args": list(args), **more}


async def made(*calls: dict[str, Any]) -> list[dict[str, Any]]:
    out = await run_node("headrace_calls.mjs", stdin=json.dumps(calls).encode())
    results: list[dict[str, Any]] = json.loads(out)
    return results


async def one(*args: object, **more: Any) -> dict[str, Any]:
    (result,) = await made(call(*args, **more))
    return result


@asynccontextmanager
async def serving(*scripts: list[Script]) -> AsyncGenerator[list[Loopback]]:
    """A server for each list of scripts, so that one process can meet them all at once."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Loopback(*answers)) for answers in scripts]


class Cutting(Loopback):
    """Serves a log from the cursor on, and cuts the connection at a random byte, so many times."""

    def __init__(self, log: list[Event], cuts: int, seed: int) -> None:
        super().__init__()
        self.log, self.cuts = log, cuts
        self.chance = random.Random(seed)  # noqa: S311 - a repeatable choice of cuts, no secret

    def take(self, request: Request) -> Script:
        self.requests.append(request)
        after = int(request.headers.get("last-event-id", "0"))
        if after == self.log[-1].seq:
            return [b"HTTP/1.1 204 No Content\r\n\r\n"]
        body = SOON + encode_comment() + frames(self.log[after:])
        # Not too far from the start, or the run is over before it has been cut so often.
        cut = self.chance.randint(0, min(400, len(body) - 1))
        if self.cuts <= 0:
            return [head(headers=RUN), http_chunk(body), http_chunk(b"")]
        self.cuts -= 1
        end = self.chance.choice([(FIN,), (RESET,), (http_chunk(b""),)])
        if self.chance.random() < 0.1:
            return [head(headers=RUN)[: self.chance.randint(0, 40)], FIN]
        return [head(headers=RUN), http_chunk(body[:cut]) if cut else b"", *end]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_hundred_cuts_lose_double_and_reorder_nothing(method: str) -> None:
    log = story(400)
    server = Cutting(log, 100, seed=7)
    async with server:
        options = {"body": {"input": "Hi"}} if method == "POST" else {}
        path = "/v1/runs" if method == "POST" else "/v1/runs/run_x/events"
        result = await one(server.origin + path, options)
    assert server.cuts == 0
    assert result["error"] is None
    assert result["events"] == values(log)
    state = fold(log)
    assert (result["result"]["text"], result["result"]["status"]) == (state.text, "complete")
    assert result["text"] == state.text
    started = [request for request in server.requests if request.method == "POST"]
    keys = {request.json["idempotency_key"] for request in started}
    assert len(keys) == (method == "POST")
    # Once a single byte of the answer's head told the run, it is only ever resumed.
    last = max(i for i, r in enumerate(server.requests) if r.method == "POST") if started else -1
    assert all(r.target == "/v1/runs/run_x/events" for r in server.requests[last + 1 :])
    assert [*map(int, cursors(server.requests))] == sorted(map(int, cursors(server.requests)))


def cursors(requests: list[Request]) -> list[str]:
    return [request.headers.get("last-event-id", "0") for request in requests]


async def test_a_real_server_cut_a_hundred_times() -> None:
    """A live run, and then a finished one: equal to its log, and to the server's own fold."""
    words = [f" {i}無\u2028\n" for i in range(600)]
    steps = [
        Step(
            text=words, delay=0.002, tool_calls=[("search", {"query": "news"})], usage=Usage(5, 6)
        ),
        Step(reasoning=["Hm."], text=["Done."], usage=Usage(7, 8)),
    ]
    agent = Agent(name="words", model=ScriptedModel(steps), tools=[search])
    chance = random.Random(11)  # noqa: S311 - a repeatable choice of cuts, no secret
    async with real_server([agent], retry_ms=1) as server:
        async with CuttingProxy(server.url, [chance.randint(0, 700) for _ in range(100)]) as proxy:
            result = await one(f"{proxy.url}/v1/runs", {"body": {"input": "Hi"}})
        assert proxy.cuts == []
        (run,) = await server.runtime.store.runs()
        batches = await server.runtime.attach(run.id)
        log = [event async for batch in batches for event in batch]
        assert result["error"] is None
        assert result["events"] == values(log)
        state = msgspec.to_builtins(await server.runtime.snapshot(run.id))
    del state["messages"]
    assert result["result"] == state
    assert state["text"] == "".join(words) + "Done."


async def test_many_calls_at_once_do_not_meet() -> None:
    log = story(40)
    async with Cutting(log, 60, seed=3) as server:
        url = f"{server.origin}/v1/runs/run_x/events"
        results = await made(*[call(url, {}) for _ in range(10)])
    assert all(result["events"] == values(log) for result in results)


async def test_what_a_server_sends_twice_is_taken_once() -> None:
    """As one that cannot seek would, after a reconnect."""
    log = story()
    first = stream(SOON + frames(log[:4]), end=RESET)
    async with Loopback(first, stream(frames(log))) as server:
        result = await one(f"{server.origin}/v1/runs/run_x/events", {})
    assert result["events"] == values(log)


async def test_it_begins_after_a_given_seq() -> None:
    log = story()
    async with Loopback(stream(frames(log[5:]))) as server:
        result = await one(f"{server.origin}/v1/runs/run_x/events", {"after": 5})
    assert cursors(server.requests) == ["5"]
    assert result["events"] == values(log[5:])


async def test_a_joined_delta_counts_up_to_its_id() -> None:
    log = [event for event in story() if event.seq not in (8, 9, 10)]
    async with Loopback(
        stream(SOON + frames(log[:8]), end=RESET), stream(frames(log[8:]))
    ) as server:
        result = await one(f"{server.origin}/v1/runs/run_x/events", {})
    assert cursors(server.requests) == ["0", str(log[7].seq)]
    assert result["events"] == values(log)


async def test_204_means_that_it_is_over() -> None:
    log = story()
    # The body is cut right behind the last event: the client has it, and does not ask again.
    async with Loopback(stream(SOON + frames(log), end=RESET)) as server:
        result = await one(f"{server.origin}/v1/runs/run_x/events", {})
    assert (len(server.requests), result["result"]["status"]) == (1, "complete")
    async with Loopback([b"HTTP/1.1 204 No Content\r\n\r\n"]) as server:
        result = await one(f"{server.origin}/v1/runs/run_x/events", {"after": 14})
    assert (result["error"], result["events"], result["result"]["status"]) == (None, [], "running")


async def test_a_run_that_ended_in_an_error_is_a_state() -> None:
    scribe = Scribe()
    scribe.put(e.RunStart, "run_x", "assistant", "scripted:one")
    scribe.put(e.Error, "rate_limited", "Too many.", True, Metrics())
    async with Loopback(stream(frames(scribe.events))) as server:
        result = await one(f"{server.origin}/v1/runs/run_x/events", {})
    assert result["error"] is None
    assert result["result"]["error_code"] == "rate_limited"


# Starting: once, whatever is lost.


async def test_a_post_starts_and_tells_the_run() -> None:
    log = story()
    async with Loopback([head(headers=RUN), http_chunk(frames(log)), http_chunk(b"")]) as server:
        options = {"body": {"input": "Hi"}, "token": "s3cret", "headers": {"x-more": "1"}}
        result = await one(f"{server.origin}/v1/runs", options)
    (request,) = server.requests
    assert request.method == "POST"
    assert (request.json["input"], len(request.json["idempotency_key"])) == ("Hi", 36)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept"] == "text/event-stream"
    assert (request.headers["authorization"], request.headers["x-more"]) == ("Bearer s3cret", "1")
    assert result["opened"] == [{"runId": "run_x", "resumed": False}]


@pytest.mark.parametrize("known_by", ["header", "first event"])
async def test_a_started_run_is_resumed_and_not_started_again(known_by: str) -> None:
    log = story()
    headers = RUN if known_by == "header" else {}
    first = [head(headers=headers), http_chunk(SOON + frames(log[:1])), RESET]
    async with Loopback(first, stream(frames(log[1:]))) as server:
        options = {"body": {"input": "Hi"}, "token": "s3cret"}
        result = await one(f"{server.origin}/app/v1/runs?on_leave=cancel", options)
    assert result["events"] == values(log)
    assert [(r.method, r.target) for r in server.requests] == [
        ("POST", "/app/v1/runs?on_leave=cancel"),
        ("GET", "/app/v1/runs/run_x/events?on_leave=cancel"),
    ]
    assert server.requests[1].headers["authorization"] == "Bearer s3cret"
    assert server.requests[1].body == b""
    assert "content-type" not in server.requests[1].headers
    assert result["opened"][1] == {"runId": "run_x", "resumed": True}


async def test_a_lost_answer_is_asked_for_again_with_the_same_key() -> None:
    log = story()
    answer = [head(headers=RUN), http_chunk(frames(log)), http_chunk(b"")]
    async with Loopback([RESET], [head()[:20], FIN], answer) as server:
        result = await one(f"{server.origin}/v1/runs", {"body": {"input": "Hi"}, "maxWait": 1})
        assert result["events"] == values(log)
        assert len({request.body for request in server.requests}) == 1
        assert [request.method for request in server.requests] == ["POST"] * 3
    async with Loopback([RESET], answer) as server:
        mine = {"input": "Hi", "idempotency_key": "mine"}
        result = await one(f"{server.origin}/v1/runs", {"body": mine, "maxWait": 1})
        assert [request.json for request in server.requests] == [mine, mine]


@pytest.mark.parametrize("lost", [[RESET], reply(502, b"<html>bad gateway</html>", "text/html")])
async def test_a_post_that_may_have_done_something_is_not_repeated(lost: Script) -> None:
    async with Loopback(lost, stream(frames(story()))) as server:
        result = await one(f"{server.origin}/elsewhere", {"body": {"message": "Hi"}})
        assert len(server.requests) == 1
    assert result["error"]["name"] == "HeadraceError"
    assert result["error"]["code"] == ("connection_lost" if lost == [RESET] else "http_502")
    assert result["error"]["retryable"]


async def test_start_and_cancel() -> None:
    begun = {"run_id": "run_x", "created": True, "events": "/v1/runs/run_x/events"}
    async with Loopback([RESET], reply(201, begun)) as server:
        result = await one(server.origin, {"input": "Hi"}, {"maxWait": 1}, name="start")
        assert (result["result"], result["error"]) == (begun, None)
        assert len({request.body for request in server.requests}) == 1
        assert server.requests[1].target == "/v1/runs"
    end = {"type": "cancelled", "seq": 9}
    async with Loopback([RESET], reply(200, end)) as server:
        options = {"reason": "stop", "token": "s3cret", "maxWait": 1}
        result = await one(server.origin, "run_x", options, name="cancel")
        assert (result["result"], result["error"]) == (end, None)
        assert server.requests[1].target == "/v1/runs/run_x/cancel"
        assert server.requests[1].json == {"reason": "stop"}
        assert server.requests[1].headers["authorization"] == "Bearer s3cret"


# Refusals.


async def test_a_refusal_is_not_retried() -> None:
    told = {"code": "run_not_found", "message": "There is none.", "hint": "List them."}
    cases = [(status, body) for status in (400, 401, 404, 409, 413, 422) for body in (False, True)]
    async with serving(*[[reply(status, told)] for status, _ in cases]) as servers:
        urls = [f"{server.origin}/v1/runs" for server in servers]
        bodies = [{"body": {"input": "Hi"}} if body else {} for _, body in cases]
        results = await made(*map(call, urls, bodies))
    for (status, _), server, result in zip(cases, servers, results, strict=True):
        assert (len(server.requests), result["retries"]) == (1, [])
        expected = {**told, "name": "HeadraceError", "retryable": False, "status": status}
        assert result["error"] == {**expected, "retryAfter": None}


async def test_a_server_that_is_busy_is_asked_again_when_it_says() -> None:
    told = {"code": "busy", "message": "Later."}
    cases = [(status, path) for status in (429, 503) for path in ("/v1/runs", "/elsewhere")]
    scripts = [
        [reply(status, told, headers={"retry-after": "1"}), stream(frames(story()))]
        for status, _ in cases
    ]
    async with serving(*scripts) as servers:
        urls = [server.origin + path for (_, path), server in zip(cases, servers, strict=True)]
        options = {"body": {"input": "Hi"}, "maxWait": 1}
        results = await made(*[call(url, options) for url in urls])
    for server, result in zip(servers, results, strict=True):
        assert len(server.requests) == 2
        assert (result["error"], len(result["events"])) == (None, len(story()))
        ((attempt, wait, code),) = [retry.values() for retry in result["retries"]]
        assert (attempt, code) == (1, "busy")
        assert 1000 <= wait <= 1001


async def test_a_wait_of_minutes_is_left_to_the_caller() -> None:
    busy = reply(429, {"code": "busy", "message": "Later."}, headers={"retry-after": "61"})
    async with Loopback(busy) as server:
        result = await one(f"{server.origin}/v1/runs", {"body": {"input": "Hi"}})
    assert result["retries"] == []
    assert (result["error"]["retryAfter"], result["error"]["retryable"]) == (61, True)


async def test_a_date_to_retry_after_in_the_past_is_no_wait() -> None:
    past = {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}
    async with Loopback(reply(503, headers=past), stream(frames(story()))) as server:
        result = await one(f"{server.origin}/v1/runs", {"maxWait": 1})
    assert result["error"] is None
    assert result["retries"][0]["wait"] <= 1


async def test_it_gives_up_after_so_many_tries_in_a_row() -> None:
    async with Loopback(reply(500)) as server:
        options = {"maxRetries": 3, "maxWait": 1}
        result = await one(f"{server.origin}/v1/runs/run_x/events", options)
        assert len(server.requests) == 4
    assert (result["error"]["code"], result["error"]["status"]) == ("http_500", 500)
    assert [retry["attempt"] for retry in result["retries"]] == [1, 2, 3]


async def test_only_tries_in_a_row_count() -> None:
    log = story()
    pieces = [stream(SOON + frames(log[i : i + 1]), end=RESET) for i in range(len(log))]
    async with Loopback(*pieces) as server:
        options = {"maxRetries": 1, "maxWait": 1}
        result = await one(f"{server.origin}/v1/runs/run_x/events", options)
    assert (result["error"], result["events"]) == (None, values(log))


async def test_the_wait_doubles_from_the_servers_own_and_is_random() -> None:
    """Full jitter: anything between nothing and the doubled base, in 60 draws."""
    async with Loopback(stream(b"retry: 2\n\n")) as server:
        url = f"{server.origin}/v1/runs/run_x/events"
        results = await made(*[call(url, {"maxRetries": 6}) for _ in range(10)])
    waits = [[retry["wait"] for retry in result["retries"]] for result in results]
    assert all(0 <= wait <= 2 * 2**n for row in waits for n, wait in enumerate(row))
    assert len({wait for row in waits for wait in row}) == 60
    assert max(row[5] for row in waits) > 4
    assert all(result["error"]["code"] == "connection_lost" for result in results)


async def test_a_failure_frame_rejects() -> None:
    told = {"code": "store_unavailable", "message": "The store is gone.", "hint": "Later."}
    frame = encode_event(json.dumps({**told, "retryable": True}), event="failure")
    async with Loopback(stream(frames(story()[:4]) + frame)) as server:
        result = await one(f"{server.origin}/v1/runs/run_x/events", {})
        assert len(server.requests) == 1
    assert len(result["events"]) == 4
    assert {**result["error"], **told, "retryable": True} == result["error"]


async def test_what_is_not_our_stream_is_said_and_not_retried() -> None:
    cases: list[tuple[Script, str]] = [
        (reply(200, b"<html>Sign in</html>", "text/html"), "no event stream"),
        (stream(b"data: {oh\n\n"), "no JSON"),
        (stream(b'data: {"type":"text-delta"}\n\ndata: [DONE]\n\n'), "native"),
        (stream(b"event: token\ndata: Hi\n\nevent: done\ndata: {}\n\n"), "native"),
    ]
    async with serving(*[[answer] for answer, _ in cases]) as servers:
        urls = [f"{server.origin}/v1/runs/run_x/events" for server in servers]
        results = await made(*[call(url, {}) for url in urls])
    for (_, says), server, result in zip(cases, servers, results, strict=True):
        assert len(server.requests) == 1
        assert result["error"]["code"] == "invalid_response"
        assert says in result["error"]["message"]


async def test_frames_of_a_later_version_are_passed_over() -> None:
    log = story()
    later = b"event: later\ndata: what is no JSON\n\n"
    async with Loopback(stream(later + frames(log[:3]) + later + frames(log[3:]))) as server:
        result = await one(f"{server.origin}/v1/runs/run_x/events", {})
    assert result["events"] == values(log)


# Silence and leaving.


async def test_a_silent_connection_is_lost_after_45_seconds() -> None:
    """On a clock that stands: any byte counts as life; an answer that never begins is lost, too."""
    told = json.loads(await run_node("headrace_silence.mjs"))
    assert told["counts"] == {
        "nearly": 1,
        "a comment": 1,
        "half a line": 1,
        "silence": 2,
        "silence again": 3,
        "no answer": 4,
    }
    assert told["status"] == "complete"
    assert all("45000 ms" in error for error in told["errors"])
    assert all(told["left"])


async def test_leaving_closes_the_connection_and_cancels_nothing() -> None:
    async with Loopback(stream(frames(story()[:4]), end=STALL)) as server:
        url = f"{server.origin}/v1/runs/run_x/events"
        at_once, silent = await made(
            call(url, {}, leaveAfter=4), call(url, {"silence": 10**6}, leaveSilent=True)
        )
        await server.closed(0)
        await server.closed(1)
        assert len(server.requests) == 2
    for result in (at_once, silent):
        assert (result["error"]["name"], result["open"]) == ("AbortError", 0)
        assert (len(result["events"]), result["retries"]) == (4, [])


async def test_a_wait_for_the_next_try_can_be_left() -> None:
    async with Loopback(reply(503, headers={"retry-after": "50"})) as server:
        url = f"{server.origin}/v1/runs/run_x/events"
        result = await one(url, {}, leaveRetry=True)
        assert len(server.requests) == 1
    assert result["error"]["name"] == "AbortError"


async def test_what_on_event_throws_comes_out_and_closes_the_connection() -> None:
    async with Loopback(stream(frames(story()[:4]), end=STALL)) as server:
        url = f"{server.origin}/v1/runs/run_x/events"
        result = await one(url, {}, throwAfter=2)
        await server.closed(0)
        assert len(server.requests) == 1
    assert result["error"]["message"] == "thrown by onEvent"
    assert (len(result["events"]), result["open"]) == (2, 0)


async def test_the_end_of_the_run_closes_the_connection() -> None:
    async with Loopback(stream(frames(story()), end=STALL)) as server:
        result = await one(f"{server.origin}/v1/runs/run_x/events", {})
        await server.closed(0)
    assert (result["error"], result["open"]) == (None, 0)
