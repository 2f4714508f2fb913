"""A viewer: in order, to the end, joined when it lags, from any seq that there is."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InvalidCursor, ReplayGap, RunHandedOver, StoreUnavailable, UsageError
from headrace.events import Complete, Event, Retract, StepStart, Token, ToolEnd, Warn
from headrace.runs.fold import fold
from headrace.runs.log import READ_CHARS, READ_EVENTS, Log
from headrace.runs.policies import MERGE_OVER, pending_chars, text_chars
from headrace.runs.viewer import Viewer
from headrace.testing.clock import run_with_fake_clock
from headrace.usage import Metrics, Usage
from tests.strategies import logs


def token(seq: int, text: str = "x") -> Token:
    return Token(seq, 1.0, "", text, seq - 1)


def tokens(first: int, last: int, text: str = "x") -> list[Event]:
    return [token(seq, text) for seq in range(first, last + 1)]


def end(seq: int) -> Complete:
    return Complete(seq, 1.0, "", "stop", Usage(), Metrics())


def text_of(events: list[Event]) -> str:
    return "".join(event.content for event in events if isinstance(event, Token))


async def read(viewer: Viewer) -> list[Event]:
    return [event for batch in [b async for b in viewer] for event in batch]


@pytest.mark.parametrize("after", range(5))
async def test_a_viewer_reads_from_any_seq_to_the_end(after: int) -> None:
    log = Log()
    log.append(0, [token(1), token(2)])
    log.append(2, [token(3), end(4)])
    viewer = Viewer(log, after)
    assert [event.seq for event in await read(viewer)] == list(range(after + 1, 5))
    assert viewer.after == 4
    with pytest.raises(StopAsyncIteration):
        await anext(viewer)


def test_viewers_follow_a_live_log_each_at_its_pace() -> None:
    async def slow(viewer: Viewer) -> list[int]:
        seqs: list[int] = []
        async for batch in viewer:
            seqs += [event.seq for event in batch]
            await asyncio.sleep(3.5)
        return seqs

    async def main() -> None:
        log = Log()
        quick, lagging = (
            asyncio.create_task(read(Viewer(log))),
            asyncio.create_task(slow(Viewer(log))),
        )
        for seq in range(1, 20):
            await asyncio.sleep(1)
            log.append(seq - 1, [token(seq)])
        log.append(19, [end(20)])
        assert [event.seq for event in await quick] == list(range(1, 21))
        assert await lagging == list(range(1, 21))

    run_with_fake_clock(main())


@pytest.mark.parametrize(
    "after",
    [-1, 3, 10**6, pytest.param(10**5000, id="huge"), "2", None, 1.0, True, b"1"],
)
def test_a_cursor_that_no_event_had_is_refused(after: int) -> None:
    log = Log()
    log.append(0, tokens(1, 2))
    with pytest.raises(InvalidCursor, match="last event that you have seen"):
        Viewer(log, after)


def test_a_refusal_says_where_the_log_ends() -> None:
    log = Log()
    log.append(0, tokens(1, 2))
    with pytest.raises(InvalidCursor, match="past the run's last event, 2"):
        Viewer(log, 3)
    with pytest.raises(UsageError, match="'latest'"):
        Viewer(log, "latest")  # type: ignore[arg-type]


async def test_a_lag_over_64_kib_is_joined() -> None:
    log = Log()
    log.append(0, tokens(1, 1000, "x" * 100))
    log.append(1000, [Warn(1001, 1.0, "", "code", "words")])
    batch = await anext(Viewer(log))
    assert len(batch) == 3
    assert text_of(batch) == "x" * 100_000
    assert batch[-1] == Warn(1001, 1.0, "", "code", "words")


async def test_a_smaller_lag_is_handed_on_as_it_is() -> None:
    log = Log()
    log.append(0, tokens(1, 1000, "x" * 60))
    assert len(await anext(Viewer(log))) == 1000


async def test_a_smaller_lag_of_many_events_is_handed_on_as_it_is() -> None:
    log = Log()
    log.append(0, tokens(1, 3 * READ_EVENTS, "xy"))
    log.append(3 * READ_EVENTS, [end(3 * READ_EVENTS + 1)])
    batches = [batch async for batch in Viewer(log)]
    assert [len(batch) for batch in batches] == [READ_EVENTS] * 3 + [1]


async def test_a_lag_of_many_small_events_is_joined_though_one_read_is_not_64_kib() -> None:
    log, count = Log(), 32 * READ_EVENTS
    assert 4 * READ_EVENTS < MERGE_OVER < 4 * count
    log.append(0, tokens(1, count, "abcd"))
    log.append(count, [end(count + 1)])
    batches = [batch async for batch in Viewer(log)]
    assert [len(batch) for batch in batches[:4]] == [1, 1, 1, 1]
    assert len(batches[-2]) == READ_EVENTS  # by then it has caught up
    assert text_of([event for batch in batches for event in batch]) == "abcd" * count


async def test_a_batch_is_bounded_however_much_waits() -> None:
    log = Log()
    for seq in range(1, 3001):
        log.append(seq - 1, [token(seq, "x" * 1000)])
    log.append(3000, [end(3001)])
    batches = [batch async for batch in Viewer(log)]
    assert max(map(text_chars, batches)) <= READ_CHARS
    assert text_of([event for batch in batches for event in batch]) == "x" * 3_000_000


async def test_large_structural_events_come_one_by_one_and_whole() -> None:
    log = Log()
    results: list[Event] = [
        ToolEnd(seq, 1.0, "", "c", "look", "x" * 200_000, 1.0) for seq in range(1, 21)
    ]
    log.append(0, results)
    log.append(20, [end(21)])
    batches = [batch async for batch in Viewer(log)]
    assert [event for batch in batches for event in batch] == [*results, end(21)]
    assert max(map(text_chars, batches)) < 2 * 200_000


async def test_joined_text_is_withdrawn_whole_or_not_at_all() -> None:
    events: list[Event] = [
        StepStart(1, 1.0, "", 1, "m"),
        *tokens(2, 2000, "kept " * 10),
        StepStart(2001, 1.0, "", 2, "m"),
        *tokens(2002, 4000, "lost " * 10),
        Retract(4001, 1.0, "", 2002, "stream_truncated"),
        *tokens(4002, 6000, "new " * 10),
        end(6001),
    ]
    log = Log()
    log.append(0, events)
    seen = await read(Viewer(log))
    assert len(seen) < len(events) / 2
    assert fold(seen).text == fold(events).text == "kept " * 19_990 + "new " * 19_990


PLANS = st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1)
"""How many events are written at once, and whether the viewer reads then; over and over."""


@given(logs(), PLANS)
def test_however_far_it_lags_it_folds_to_the_same(
    events: list[Event], plan: list[tuple[int, bool]]
) -> None:
    # Each piece is long, so that a viewer that skips some turns lags.
    large = [_grown(event) for event in events]

    async def main() -> None:
        log, seen, at = Log(), list[Event](), 0
        viewer = Viewer(log)
        for count, reads in cycle(plan):
            log.append(at, large[at : at + count])
            at += len(large[at : at + count])
            while reads and viewer.after < at:
                seen += await anext(viewer)
            if at == len(large):
                break
        seen += await read(viewer)
        assert fold(seen) == fold(large)
        assert pending_chars(seen) == pending_chars(large)

    run_with_fake_clock(main())


def _grown(event: Event) -> Event:
    if isinstance(event, Token):
        return Token(event.seq, event.at, event.agent, event.content * 15_000, event.index)
    return event


async def test_a_second_viewer_of_a_private_log_is_told_what_it_missed() -> None:
    log = Log(private=True)
    log.append(0, [token(1), end(2)])
    assert len(await read(Viewer(log))) == 2
    with pytest.raises(ReplayGap):
        await anext(Viewer(log))


@pytest.mark.parametrize("failure", [StoreUnavailable("The disk is full."), RunHandedOver("r")])
async def test_a_log_that_fails_first_shows_what_it_has(failure: StoreUnavailable) -> None:
    log = Log()
    log.append(0, tokens(1, 3))
    before = Viewer(log)
    log.fail(failure)
    for viewer in (before, Viewer(log), Viewer(log, 1)):
        after = viewer.after
        assert await anext(viewer) == tokens(after + 1, 3)
        for _ in range(2):
            with pytest.raises(type(failure)) as caught:
                await anext(viewer)
            assert caught.value is failure


def test_a_viewer_that_waits_gets_the_failure() -> None:
    async def main() -> None:
        log = Log()
        log.append(0, tokens(1, 1))
        waiting = asyncio.create_task(read(Viewer(log, 1)))
        await asyncio.sleep(1)
        log.fail(StoreUnavailable("The disk is full."))
        with pytest.raises(StoreUnavailable, match="disk is full"):
            await waiting

    run_with_fake_clock(main())


async def test_a_failure_after_the_end_changes_nothing() -> None:
    log = Log()
    log.append(0, [token(1), end(2)])
    log.fail(StoreUnavailable("The disk is full."))
    assert await read(Viewer(log)) == [token(1), end(2)]


async def test_a_closed_viewer_gives_nothing_more() -> None:
    log = Log()
    log.append(0, tokens(1, 3))
    async with Viewer(log) as viewer:
        pass
    assert await read(viewer) == []
    async with aclosing(Viewer(log)) as other:
        assert len(await anext(other)) == 3
    assert await read(other) == []


def test_cancelled_viewers_leave_nothing_at_the_log() -> None:
    async def main() -> None:
        log = Log()
        tasks = [asyncio.create_task(read(Viewer(log))) for _ in range(10)]
        await asyncio.sleep(1)
        assert len(log._waiters) == 10
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert log._waiters == []

    run_with_fake_clock(main())
