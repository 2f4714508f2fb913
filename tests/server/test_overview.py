"""The overview of a real server: once, as a stream, and who may see it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
import pytest

from headrace import Agent, tool
from headrace.models.retry import RetryPolicy
from headrace.server.overview import Overview
from headrace.server.overview_feed import INTERVAL
from headrace.testing import Gate, ScriptedModel, Step
from headrace.wire.sse_decoder import SSEEvent
from tests.server.asking import ALICE, BOB, TOKENS, asking, connection, speaker, waiter
from tests.server.reading import Reader, asked, reading, started
from tests.server.serving import Served, no_viewers, serving, until

EVENTS = "/v1/overview/events"


async def overview(server: Served, query: str = "") -> Overview:
    """The figures now, as they came over the wire."""
    status, told = await asked(f"{server.url}/v1/overview{query}")
    assert status == 200, told
    return msgspec.convert(told, Overview)


@asynccontextmanager
async def watching(server: Served, query: str = "") -> AsyncGenerator[Watch]:
    server.app.service.overview.interval = 0.01
    async with reading(f"{server.url}{EVENTS}{query}") as reader:
        assert reader.status == 200
        yield Watch(reader)


class Watch:
    """Reads a stream of overviews."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._frames = reader.frames()

    async def next(self) -> Overview:
        frame: SSEEvent = await anext(self._frames)
        return msgspec.json.decode(frame.data, type=Overview)

    async def until(self, state: Any) -> Overview:
        while not state(told := await self.next()):
            pass
        return told


def row_of(told: Overview, model: str = "") -> Any:
    (row,) = (row for row in told.series if row.model == model)
    return row


# Once -----------------------------------------------------------------------------------------


async def test_a_server_without_runs_has_nothing_to_tell() -> None:
    async with serving([speaker()]) as server:
        told = await overview(server)
        assert (told.runs, told.series, told.totals.live) == ([], [], 0)
        assert (told.slot_seconds, told.window_seconds) == (10.0, 3600.0)
        assert told.totals.ttft_ms.p50 is None


async def test_a_live_run_is_shown_with_its_viewers() -> None:
    gate = Gate()
    async with serving([waiter(gate)]) as server:
        run_id = await started(server.url, session="trip")
        async with AsyncExitStack() as viewers:
            for _ in range(3):
                url = f"{server.url}/v1/runs/{run_id}/events"
                reader = await viewers.enter_async_context(reading(url))
                await reader.until("Hello")
            (run,) = (await overview(server)).runs
            assert (run.run_id, run.agent, run.model) == (run_id, "bot", "scripted:scripted")
            assert (run.provider, run.user, run.session) == ("scripted", "", "trip")
            assert (run.state, run.tokens, run.viewers, run.lag) == ("answering", 1, 3, 0)
            assert run.tokens_per_second > 0
        gate.open()
        await until(lambda: not server.runtime.live)
        await no_viewers(server)
        told = await overview(server)
        assert (told.runs, told.totals.live, told.totals.viewers) == ([], 0, 0)
        for model in ("", "scripted:scripted"):
            row = row_of(told, model)
            assert (row.started, row.runs, row.tokens, row.viewers) == (1, {"complete": 1}, 1, 3)
            assert row.ttft_ms.count == 1
            assert 0 < row.ttft_ms.p50 < 20_000


async def test_a_run_in_a_tool_says_which() -> None:
    reached, go = asyncio.Event(), asyncio.Event()

    @tool
    async def look() -> str:
        """Look."""
        reached.set()
        await go.wait()
        return "seen"

    model = ScriptedModel([Step(tool_calls=[("look", {})]), Step(text="Seen.")])
    async with serving([Agent("bot", model, tools=[look])]) as server:
        await started(server.url)
        await asyncio.wait_for(reached.wait(), 10)
        assert [run.state for run in (await overview(server)).runs] == ["tool:look"]
        go.set()
        await until(lambda: not server.runtime.live)


async def test_errors_and_retries_and_withdrawn_text_are_counted() -> None:
    quick = RetryPolicy(retries=2, base=0.001)
    steps = [
        Step(text="Ha", finish_reason=None),  # cut: withdrawn, asked again
        Step(text="Hello"),
        Step(text="Oh", finish_reason=None),
        Step(text="no", finish_reason=None),  # cut again: that is the run's error
    ]
    async with serving([Agent("bot", ScriptedModel(steps, retry=quick))]) as server:
        for _ in range(2):
            await started(server.url)
            await until(lambda: not server.runtime.live)
        row = row_of(await overview(server))
        assert row.runs == {"complete": 1, "error": 1}
        assert row.errors == {"stream_truncated": 1}
        assert row.retracts == {"stream_truncated": 2}


class Slow:
    """A viewer that stands where the test says."""

    def __init__(self, after: int) -> None:
        self.after = after

    def stop(self) -> None:
        """Nothing to end."""


async def test_of_several_viewers_the_slowest_is_told() -> None:
    async with serving([waiter(Gate())]) as server:
        run_id = await started(server.url)
        service = server.app.service
        viewers = [Slow(1), Slow(0), Slow(2)]
        for viewer in viewers:
            service.watch(run_id, viewer)
        seen = service.viewing()[run_id]
        assert (seen.viewers, seen.after) == (3, 0)
        async with asyncio.timeout(20):  # run_start, step_start, token
            while (run := (await overview(server)).runs[0]).lag < 3:
                pass
        assert (run.viewers, run.lag) == (3, 3)
        for viewer in viewers:
            service.unwatch(run_id, viewer)
        assert service.viewing() == {}


async def test_a_viewer_that_takes_nothing_lags() -> None:
    gate = Gate()
    pieces = ["x" * 32 * 1024] * 500  # 16 MB: more than any socket's buffers take
    model = ScriptedModel([Step(text=["Hello", gate, *pieces, Gate()])])
    async with serving([Agent("bot", model)]) as server:
        run_id = await started(server.url)
        async with connection(server.url) as (_, writer):
            head = f"GET /v1/runs/{run_id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
            writer.write(head.encode())
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await until(lambda: server.app.service.watchers)
            gate.open()

            async def lag() -> int:
                (run,) = (await overview(server)).runs
                assert run.viewers == 1
                return run.lag

            async with asyncio.timeout(20):
                while await lag() < 100:
                    pass
            told = await overview(server)
            assert told.totals.lag == told.runs[0].lag >= 100
            assert row_of(told).lag >= 100


@pytest.mark.parametrize("window", ["9", "3601", "-1", "ten", "1e9", "9" * 30])
async def test_a_window_that_makes_no_sense_is_refused(window: str) -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        for path in ("/v1/overview", EVENTS):
            answer = await ask("GET", f"{path}?window={window}")
            assert (answer.status, answer.code) == (400, "invalid_request")


async def test_a_window_narrows_the_series() -> None:
    async with serving([speaker()]) as server:
        await started(server.url)
        await until(lambda: not server.runtime.live)
        board = server.app.service.overview.board
        clock = board.clock
        board.clock = lambda: clock() + 100.0
        assert len((await overview(server)).series) == 2
        told = await overview(server, "?window=60")
        assert (told.series, told.window_seconds) == ([], 60.0)
        assert told.totals.runs == {"complete": 1}


# Who may --------------------------------------------------------------------------------------


async def test_only_operators_see_the_whole_server() -> None:
    gate = Gate()
    async with serving([waiter(gate)], tokens=TOKENS, operators=("alice",)) as server:
        async with asking(server.url) as ask:
            run_id = await ask.start(token=BOB)
            for path in ("/v1/overview", EVENTS):
                refused = await ask("GET", path, token=BOB)
                assert (refused.status, refused.code) == (403, "operators_only")
                assert (await ask("GET", path)).status == 401
            told = (await ask("GET", "/v1/overview", token=ALICE)).json
            assert [(run["run_id"], run["user"]) for run in told["runs"]] == [(run_id, "bob")]
            await ask.end(run_id, token=ALICE)


async def test_a_ticket_opens_the_stream() -> None:
    async with serving([speaker()], tokens=TOKENS, operators=("alice",)) as server:
        async with asking(server.url) as ask:
            ticket = (await ask("POST", "/v1/tickets", token=ALICE)).json["ticket"]
        async with watching(server, f"?ticket={ticket}") as watch:
            assert (await watch.next()).runs == []


# As a stream ----------------------------------------------------------------------------------


async def test_the_first_comes_at_once_and_the_next_when_something_changes() -> None:
    gate = Gate()
    async with serving([waiter(gate)]) as server, watching(server) as watch:
        headers = watch.reader.response.headers
        assert headers["content-type"] == "text/event-stream"
        assert headers["cache-control"] == "no-cache, no-transform"
        assert headers["x-accel-buffering"] == "no"
        assert (await watch.next()).runs == []
        assert b"retry: " in watch.reader.raw
        run_id = await started(server.url)
        told = await watch.until(lambda told: told.runs and told.runs[0].tokens)
        assert [run.run_id for run in told.runs] == [run_id]
        gate.open()
        told = await watch.until(lambda told: not told.runs)
        assert row_of(told).runs == {"complete": 1}


async def test_a_reader_that_keeps_what_is_older_has_the_whole_series() -> None:
    async with serving([speaker()]) as server:
        board = server.app.service.overview.board
        real, passed = board.clock, 0.0
        board.clock = lambda: real() + passed
        await started(server.url)
        await until(lambda: not server.runtime.live)
        async with watching(server) as watch:
            slots: list[Any] = []
            for _ in range(8):
                told = await watch.until(lambda told: told.series)
                slots = [slot for slot in slots if slot.at < told.since] + told.series
                passed += 9.0
                board.figures("m", board.clock()).tokens += 1
            await watch.until(lambda told: told.at > real() + passed - 5)
        told = await overview(server)
        kept = {(slot.at, slot.model): slot for slot in slots}
        assert len(kept) == len(slots)
        assert {key: row for key, row in kept.items() if key[0] < slots[-1].at} == {
            (row.at, row.model): row for row in told.series if row.at < slots[-1].at
        }


async def test_when_nothing_changes_nothing_is_said_but_that_it_is_there() -> None:
    async with serving([speaker()], keep_alive=0.05) as server, watching(server) as watch:
        await watch.next()
        await watch.next()  # the first of the feed's own
        parts = watch.reader.response.content
        said = b"".join([await parts.readany() for _ in range(3)])
        assert set(said.split(b"\n")) == {b": ", b""}


async def test_all_readers_share_one_encoding_and_the_last_one_stops_the_clock() -> None:
    gate = Gate()
    async with serving([waiter(gate)]) as server:
        feed = server.app.service.overview

        def ticks() -> bool:
            return feed._timer is not None

        assert not ticks()
        async with watching(server) as one, watching(server) as two:
            await one.next()
            await two.next()
            await started(server.url)
            first: dict[float, Overview] = {}
            second: dict[float, Overview] = {}
            while not first.keys() & second.keys():  # a slow one may miss some
                for watch, seen in ((one, first), (two, second)):
                    told = await watch.next()
                    seen[told.at] = told
            for at in first.keys() & second.keys():
                assert first[at] == second[at]
            assert ticks()
        await no_viewers(server)
        assert not ticks()
        gate.open()


async def test_a_reader_that_missed_some_gets_what_they_held() -> None:
    async with serving([speaker()]) as server:
        board, feed = server.app.service.overview.board, server.app.service.overview
        board.clock = lambda: now
        now = board.began + 1000.0
        seen = feed.frame(None)
        for passed in (0.0, 200.0, 400.0, 600.0):
            now = board.began + 1000.0 + passed
            board.figures("m", now).tokens += 1
            feed._look()
        told = msgspec.json.decode(feed.frame(seen.at).data[6:], type=Overview)
        assert len([row for row in told.series if row.model == "m"]) == 4
        assert feed.frame(now) is feed.frame(now - 5.0)  # who is up to date shares
        feed.leave(lambda: None)


async def test_a_reader_that_takes_nothing_is_let_go() -> None:
    async with serving([waiter(Gate())], stuck=0.2, keep_alive=0.01) as server:
        feed = server.app.service.overview
        feed.interval = 0.001
        many = {f"code_{i}_" + "x" * 20_000: 1 for i in range(30)}
        feed.board.figures("m", feed.board.clock()).errors.update(many)
        await started(server.url)
        async with connection(server.url) as (_, writer):
            writer.write(f"GET {EVENTS} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await until(lambda: server.app.service.watchers)
            await no_viewers(server)
            assert feed._timer is None


async def test_a_drain_ends_the_stream_and_refuses_the_next() -> None:
    gate = Gate()
    async with serving([waiter(gate)], grace=30.0) as server:
        await started(server.url)
        async with watching(server) as watch, asking(server.url) as ask:
            await watch.next()
            drained = asyncio.create_task(server.app.service.drain())
            await until(lambda: server.app.service.draining)
            refused = await ask("GET", EVENTS)
            assert (refused.status, refused.code) == (503, "draining")
            assert refused.headers["retry-after"] == "30"
            assert (await ask("GET", "/v1/overview")).status == 200
            gate.open()
            async with asyncio.timeout(10):
                await watch.reader.all()  # a body that is cut would raise
                await drained


def test_a_stream_says_something_once_a_second() -> None:
    assert INTERVAL == 1.0
