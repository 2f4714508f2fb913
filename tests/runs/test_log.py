"""The log: compare-and-append, its bound, its readers and those who wait."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from headrace import events as e
from headrace.errors import LogConflict, LogTooLarge
from headrace.events import Event
from headrace.messages import Message
from headrace.runs.log import EVENT_COST, MAX_LOG, Log
from headrace.testing.clock import run_with_fake_clock
from headrace.usage import Metrics, Timing, Usage


def tokens(first: int, last: int, text: str = "x") -> list[Event]:
    return [e.Token(seq, 1.0, "", text, seq) for seq in range(first, last + 1)]


def end(seq: int) -> Event:
    return e.Complete(seq, 1.0, "", "stop", Usage(), Metrics())


def test_events_are_read_after_any_seq() -> None:
    log = Log()
    log.append(0, tokens(1, 3))
    log.append(3, tokens(4, 4))
    for after in range(4):
        assert log.read(after) == tokens(after + 1, 4)
    assert log.read(4) == []
    assert log.read(100) == []
    assert log.last_seq == 4


def test_what_was_read_is_the_readers_own() -> None:
    log = Log()
    log.append(0, tokens(1, 2))
    log.read(0).clear()
    assert log.read(0) == tokens(1, 2)


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("expected", [0, 2, 4, 100])
def test_a_stale_writer_is_refused(private: bool, expected: int) -> None:
    log = Log(private=private)
    log.append(0, tokens(1, 3))
    with pytest.raises(LogConflict, match=f"stands at 3; an append after {expected}"):
        log.append(expected, tokens(expected + 1, expected + 1))
    assert log.read(0) == tokens(1, 3)


@pytest.mark.parametrize(
    "events",
    [tokens(2, 2), tokens(0, 0), [*tokens(1, 1), *tokens(3, 3)], tokens(1, 1) * 2],
    ids=["late", "early", "gap", "twice"],
)
def test_a_gap_is_refused(events: Sequence[Event]) -> None:
    log = Log()
    with pytest.raises(LogConflict, match="gap"):
        log.append(0, events)
    assert (log.last_seq, log.read(0)) == (0, [])


@pytest.mark.parametrize("events", [tokens(3, 3), [end(3)], []], ids=["token", "end", "nothing"])
def test_after_the_end_everything_is_refused(events: Sequence[Event]) -> None:
    log = Log()
    log.append(0, [*tokens(1, 1), end(2)])
    assert log.ended
    with pytest.raises(LogConflict, match="has ended"):
        log.append(2, events)


def test_nothing_appended_changes_nothing() -> None:
    log = Log()
    log.append(0, [])
    assert (log.last_seq, log.ended) == (0, False)


def test_the_bound_is_the_contracts() -> None:
    assert MAX_LOG == 50 * 1024 * 1024


def test_a_full_log_refuses_more_but_takes_every_end() -> None:
    log = Log(max_bytes=3 * (EVENT_COST + 1))
    log.append(0, tokens(1, 3))
    with pytest.raises(LogTooLarge, match="291 bytes"):
        log.append(3, tokens(4, 4))
    with pytest.raises(LogTooLarge):
        log.append(3, [e.StepStart(4, 1.0, "", 1, "m")])
    ends: list[Event] = [
        e.ToolEnd(4, 1.0, "", "c", "look", "found", 1.0),
        e.StepEnd(5, 1.0, "", 1, "stop", Usage(), Timing(1.0), Message("assistant")),
        e.AgentEnd(6, 1.0, "", "helper", "helped", 1.0),
        e.Answer(7, 1.0, "", "xxx"),
        end(8),
    ]
    with pytest.raises(LogTooLarge):
        log.append(3, [*tokens(4, 4), e.ToolEnd(5, 1.0, "", "c", "look", "found", 1.0)])
    for event in ends:
        log.append(log.last_seq, [event])
    assert log.read(3) == ends


BIG = "x" * 1000


@pytest.mark.parametrize(
    "event",
    [
        e.Token(1, 1.0, "", BIG, 0),
        e.Thought(1, 1.0, "", BIG),
        e.ToolArgs(1, 1.0, "", "c", "look", BIG),
        e.ToolProgress(1, 1.0, "", "c", BIG),
        e.Warn(1, 1.0, "", "code", BIG),
        e.Input(1, 1.0, "", BIG),
        e.AgentStart(1, 1.0, "", "helper", BIG),
    ],
    ids=e.type_of,
)
def test_the_text_of_every_event_counts(event: Event) -> None:
    with pytest.raises(LogTooLarge):
        Log(max_bytes=1000).append(0, [event])
    Log(max_bytes=1000 + 2 * EVENT_COST).append(0, [event])


def test_one_append_wakes_all_who_wait() -> None:
    async def main() -> None:
        log = Log()
        waiting = [asyncio.create_task(log.wait(0)) for _ in range(3)]
        last = asyncio.create_task(log.wait_end())
        await asyncio.sleep(1)
        log.append(0, tokens(1, 1))
        await asyncio.gather(*waiting)
        assert not last.done()
        log.append(1, [end(2)])
        await last
        await log.wait_end()

    run_with_fake_clock(main())


def test_there_is_no_wait_for_what_is_there() -> None:
    async def main() -> None:
        log = Log()
        log.append(0, tokens(1, 2))
        await log.wait(1)
        log.append(2, [end(3)])
        await log.wait(3)
        await log.wait(100)

    run_with_fake_clock(main())


def test_who_waits_for_a_later_event_is_not_woken_early() -> None:
    async def main() -> None:
        log = Log()
        waiting = asyncio.create_task(log.wait(2))
        for seq in (1, 2):
            await asyncio.sleep(1)
            log.append(seq - 1, tokens(seq, seq))
        await asyncio.sleep(1)
        assert not waiting.done()
        log.append(2, tokens(3, 3))
        await waiting

    run_with_fake_clock(main())


def test_a_cancelled_wait_leaves_nothing() -> None:
    async def main() -> None:
        log = Log()
        gone = [asyncio.create_task(log.wait(0)), asyncio.create_task(log.wait_end())]
        stays = asyncio.create_task(log.wait(0))
        await asyncio.sleep(1)
        for task in gone:
            task.cancel()
        await asyncio.wait(gone)
        assert (len(log._waiters), len(log._end_waiters)) == (1, 0)
        log.append(0, [end(1)])
        await stays
        assert (log._waiters, log._end_waiters) == ([], [])

    run_with_fake_clock(main())


def test_a_wait_that_is_woken_and_cancelled_at_once_is_cancelled() -> None:
    async def main() -> None:
        log = Log()
        task = asyncio.create_task(log.wait(0))
        await asyncio.sleep(1)
        log.append(0, tokens(1, 1))
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert log._waiters == []

    run_with_fake_clock(main())
