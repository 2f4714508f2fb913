"""A stored log: committed first and shown after, in batches, to the end or the failure."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from headrace.errors import (
    HeadraceError,
    LogConflict,
    LogTooLarge,
    ReplayGap,
    RunHandedOver,
    StoreUnavailable,
    UsageError,
)
from headrace.events import Answer, Complete, Event, StepEnd, Token, ToolEnd
from headrace.messages import Message
from headrace.runs.log import EVENT_COST, READ_CHARS
from headrace.runs.policies import block, text_chars
from headrace.runs.stored_log import COMMIT_BYTES, COMMIT_EVENTS, TAIL, WAITING, StoredLog
from headrace.runs.viewer import Viewer
from headrace.testing.clock import run_with_fake_clock
from headrace.usage import Metrics, Timing, Usage
from tests.support.keepers import GatedKeeper

KIB = 1024


def tokens(first: int, last: int, text: str = "x") -> list[Event]:
    return [Token(seq, 1.0, "", text, seq) for seq in range(first, last + 1)]


def end(seq: int) -> Event:
    return Complete(seq, 1.0, "", "stop", Usage(), Metrics())


async def read(viewer: Viewer) -> list[Event]:
    return [event for batch in [b async for b in viewer] for event in batch]


class Failures(list[HeadraceError]):
    """What `on_failure` was told."""


def begun(keeper: GatedKeeper, failures: Failures | None = None, **options: Any) -> StoredLog:
    log = StoredLog(keeper, "run_1", **options)
    log.begin((Failures() if failures is None else failures).append)
    return log


def in_fake_time(main: Coroutine[Any, Any, None], *, told: Sequence[str] = ()) -> None:
    """The clock moves on only when nothing else is left to do; nothing is left at the end.

    Args:
        main: The test.
        told: The names of the errors that nobody else gets and the loop's handler is told of.
    """
    contexts: list[dict[str, Any]] = []

    async def watched() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: contexts.append(context))
        await main
        await asyncio.sleep(1)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others
        gc.collect()

    run_with_fake_clock(watched())
    assert [type(context.get("exception")).__name__ for context in contexts] == list(told)


async def kept(log: StoredLog) -> None:
    """Return when nothing more is to be committed."""
    done = asyncio.Event()
    log.when_done(done.set)
    await done.wait()


async def settled() -> None:
    await asyncio.sleep(1)


def test_nothing_is_shown_before_its_commit() -> None:
    async def main() -> None:
        keeper = GatedKeeper(gated=True)
        log = begun(keeper)
        seen = asyncio.create_task(read(Viewer(log)))
        log.append(0, tokens(1, 3))
        assert (log.written, log.closed) == (3, False)
        await settled()
        assert (log.last_seq, log.read(0), keeper.events) == (0, [], [])
        keeper.let_one()
        await settled()
        assert (log.last_seq, log.read(0)) == (3, tokens(1, 3)) == (3, keeper.events)
        log.append(3, [end(4)])
        assert (log.closed, log.ended) == (True, False)
        await settled()
        assert not seen.done()
        keeper.let_one()
        assert await seen == [*tokens(1, 3), end(4)]
        await log.wait_end()
        assert log.ended

    in_fake_time(main())


def test_what_comes_during_a_commit_goes_with_the_next() -> None:
    async def main() -> None:
        keeper = GatedKeeper(gated=True)
        log = begun(keeper)
        for seq in range(1, 6):
            log.append(seq - 1, tokens(seq, seq))
        await settled()
        for seq in range(6, 9):
            log.append(seq - 1, tokens(seq, seq))
        await settled()
        assert len(keeper.under_way) == 1
        keeper.let_one()
        await settled()
        assert log.last_seq == 5
        log.append(8, [end(9)])
        keeper.let_all()
        await kept(log)
        assert keeper.batches == [(1, 5), (6, 8), (9, 9)]

    in_fake_time(main())


def test_at_a_live_pace_each_event_is_committed_by_itself() -> None:
    async def main() -> None:
        keeper = GatedKeeper()
        log = begun(keeper)
        for seq in range(1, 4):
            log.append(seq - 1, tokens(seq, seq))
            await log.wait(seq - 1)
        log.append(3, [end(4)])
        await kept(log)
        assert keeper.batches == [(1, 1), (2, 2), (3, 3), (4, 4)]

    in_fake_time(main())


def test_what_was_said_goes_with_the_end_and_is_asked_for_then() -> None:
    async def main() -> None:
        keeper = GatedKeeper()
        messages = [Message.user("Hi")]

        def said() -> Sequence[Message]:
            return messages

        log = begun(keeper, said=said)
        log.append(0, tokens(1, 1))
        await log.wait(0)
        assert keeper.ends == []
        messages.append(Message.assistant("Hello"))
        log.append(1, [*tokens(2, 2), end(3)])
        await log.wait_end()
        assert keeper.ends == [[Message.user("Hi"), Message.assistant("Hello")]]
        assert keeper.batches == [(1, 1), (2, 3)]

    in_fake_time(main())


def test_what_is_written_before_it_begins_is_kept_from_then_on() -> None:
    async def main() -> None:
        keeper = GatedKeeper()
        log = StoredLog(keeper, "run_1")
        log.append(0, tokens(1, 2))
        log.append(2, [end(3)])
        await settled()
        assert (keeper.batches, log.last_seq, log.closed) == ([], 0, True)
        with pytest.raises(UsageError, match="has not begun"):
            log.when_done(keeper.let_all)
        log.begin(Failures().append)
        assert await read(Viewer(log)) == [*tokens(1, 2), end(3)]
        assert keeper.batches == [(1, 3)]

    in_fake_time(main())


def test_a_stale_or_late_writer_is_refused_before_anything_is_kept() -> None:
    async def main() -> None:
        keeper = GatedKeeper(gated=True)
        log = begun(keeper)
        log.append(0, tokens(1, 2))
        for expected in (0, 1, 3):
            with pytest.raises(LogConflict, match="stands at 2"):
                log.append(expected, tokens(expected + 1, expected + 1))
        with pytest.raises(LogConflict, match="gap"):
            log.append(2, tokens(4, 4))
        log.append(2, [])
        log.append(2, [end(3)])
        with pytest.raises(LogConflict, match="has ended"):
            log.append(3, tokens(4, 4))
        keeper.let_all()
        await kept(log)
        assert keeper.events == [*tokens(1, 2), end(3)]

    in_fake_time(main())


def test_a_full_log_takes_the_ends_of_what_was_begun() -> None:
    async def main() -> None:
        keeper = GatedKeeper()
        log = begun(keeper, counted=1000 - 2 * (EVENT_COST + 1), max_bytes=1000)
        log.append(0, tokens(1, 2))
        with pytest.raises(LogTooLarge, match="1000 bytes"):
            log.append(2, tokens(3, 3))
        ends: list[Event] = [
            ToolEnd(3, 1.0, "", "c", "look", "found", 1.0),
            StepEnd(4, 1.0, "", 1, "stop", Usage(), Timing(1.0), Message("assistant")),
            end(5),
        ]
        log.append(2, ends)
        await kept(log)
        assert keeper.events == [*tokens(1, 2), *ends]

    in_fake_time(main())


def test_a_run_that_is_taken_up_again_goes_on_where_it_stood() -> None:
    async def main() -> None:
        keeper = GatedKeeper()
        keeper.events = tokens(1, 5)
        log = begun(keeper, last_seq=5)
        assert (log.written, log.last_seq) == (5, 5)
        log.append(5, tokens(6, 6))
        log.append(6, [end(7)])
        assert await read(Viewer(log, 5)) == [*tokens(6, 6), end(7)]
        assert keeper.reads == []
        assert await read(Viewer(log)) == [*tokens(1, 6), end(7)]

    in_fake_time(main())


# Failure --------------------------------------------------------------------------------------


def test_a_store_that_fails_ends_viewers_after_what_was_shown() -> None:
    async def main() -> None:
        keeper, failures = GatedKeeper(gated=True), Failures()
        log = begun(keeper, failures)
        log.append(0, tokens(1, 3))
        await settled()
        keeper.let_one()
        await settled()
        viewers = [Viewer(log), Viewer(log, 2), Viewer(log, 3)]
        waiting = asyncio.create_task(anext(viewers[2]))
        ending = asyncio.create_task(log.wait_end())
        log.append(3, tokens(4, 5))
        await settled()
        log.append(5, tokens(6, 6))
        keeper.failure = StoreUnavailable("The disk is full.")
        keeper.let_one()
        for task in (waiting, ending):
            with pytest.raises(StoreUnavailable, match="disk is full"):
                await task
        assert await anext(viewers[0]) == tokens(1, 3)
        assert await anext(viewers[1]) == tokens(3, 3)
        for viewer in (*viewers, Viewer(log, 3)):
            with pytest.raises(StoreUnavailable, match="disk is full"):
                await anext(viewer)
        assert failures == [keeper.failure] == [log.failure]
        assert (log.closed, log.ended) == (True, False)
        with pytest.raises(StoreUnavailable, match="disk is full"):
            log.append(6, tokens(7, 7))
        await log.room()
        await kept(log)
        assert keeper.events == tokens(1, 3)

    in_fake_time(main())


def test_a_stale_owner_learns_that_another_has_written() -> None:
    async def main() -> None:
        keeper, failures = GatedKeeper(), Failures()
        keeper.failure = LogConflict("The log stands at 9.")
        log = begun(keeper, failures)
        log.append(0, [end(1)])
        with pytest.raises(LogConflict):
            await log.wait_end()
        assert failures == [keeper.failure]

    in_fake_time(main())


def test_what_a_store_raises_besides_is_told_to_viewers_and_to_the_loop() -> None:
    async def main() -> None:
        keeper, failures = GatedKeeper(), Failures()
        keeper.failure = ZeroDivisionError("by zero")
        log = begun(keeper, failures)
        log.append(0, tokens(1, 1))
        with pytest.raises(StoreUnavailable, match="ZeroDivisionError: by zero"):
            await anext(Viewer(log))
        assert len(failures) == 1
        await kept(log)

    in_fake_time(main(), told=["ZeroDivisionError"])


def test_a_run_handed_over_between_commits_writes_nothing_more() -> None:
    async def main() -> None:
        keeper, failures = GatedKeeper(), Failures()
        log = begun(keeper, failures)
        log.append(0, tokens(1, 1))
        await settled()
        log.fail(RunHandedOver("run_1"))
        with pytest.raises(RunHandedOver):
            log.append(1, tokens(2, 2))
        await kept(log)
        assert (keeper.batches, failures) == ([(1, 1)], [])

    in_fake_time(main())


def test_a_run_handed_over_just_after_a_write_drops_it() -> None:
    async def main() -> None:
        keeper, failures = GatedKeeper(), Failures()
        log = begun(keeper, failures)
        await settled()
        log.append(0, tokens(1, 1))  # wakes who commits
        log.fail(RunHandedOver("run_1"))  # before it looks
        await kept(log)
        assert (keeper.batches, failures) == ([], [])
        with pytest.raises(RunHandedOver):
            await anext(Viewer(log))

    in_fake_time(main())


@pytest.mark.parametrize("failure", [None, StoreUnavailable, ZeroDivisionError])
def test_a_run_handed_over_during_a_commit_shows_it_no_more(
    failure: type[Exception] | None,
) -> None:
    async def main() -> None:
        keeper, failures = GatedKeeper(gated=True), Failures()
        log = begun(keeper, failures)
        log.append(0, tokens(1, 1))
        await settled()
        log.fail(RunHandedOver("run_1"))
        keeper.failure = None if failure is None else failure("closed")
        keeper.let_one()
        await kept(log)
        assert (log.last_seq, failures) == (0, [])
        assert isinstance(log.failure, RunHandedOver)

    told = ["ZeroDivisionError"] if failure is ZeroDivisionError else []
    in_fake_time(main(), told=told)


# Room -----------------------------------------------------------------------------------------


def test_a_slow_store_holds_the_writer_up_at_one_mib() -> None:
    async def main() -> None:
        keeper = GatedKeeper(gated=True)
        log = begun(keeper)
        log.append(0, tokens(1, 1))
        await settled()
        seq = 1
        while not log.crowded:
            log.append(seq, tokens(seq + 1, seq + 1, "x" * 10_000))
            seq += 1
        assert WAITING < (seq - 1) * (10_000 + EVENT_COST) < WAITING + 20_000
        waiting = asyncio.create_task(log.room())
        await settled()
        assert not waiting.done()
        keeper.let_one()
        await settled()
        assert len(keeper.under_way) == 1  # what made it crowded is under way now
        await waiting
        assert WAITING - COMMIT_BYTES <= log._waiting_bytes <= WAITING
        log.append(seq, [end(seq + 1)])
        keeper.let_all()
        await kept(log)

    in_fake_time(main())


def test_a_writer_is_let_go_as_soon_as_a_commit_has_begun() -> None:
    async def main() -> None:
        keeper = GatedKeeper(gated=True)
        log = StoredLog(keeper, "run_1")
        log.append(0, tokens(1, 1, "x" * (WAITING + 1)))
        log.begin(Failures().append)
        await log.room()
        assert (log.last_seq, len(keeper.under_way)) == (0, 1)
        log.append(1, [end(2)])
        keeper.let_all()
        await kept(log)

    in_fake_time(main())


def test_room_is_given_when_the_store_fails() -> None:
    async def main() -> None:
        keeper = GatedKeeper(gated=True)
        log = begun(keeper)
        log.append(0, tokens(1, 1))
        await settled()
        log.append(1, tokens(2, 2, "x" * (WAITING + 1)))
        waiting = asyncio.create_task(log.room())
        await settled()
        assert not waiting.done()
        keeper.failure = StoreUnavailable("The disk is full.")
        keeper.let_one()
        await waiting
        assert log._held_up == []

    in_fake_time(main())


def test_a_viewer_is_blamed_for_no_commit() -> None:
    async def main() -> None:
        keeper = GatedKeeper(gated=True)
        log = begun(keeper)
        viewer = Viewer(log, policy=block(5))
        log.append(0, tokens(1, 1))
        await settled()
        keeper.let_one()
        await anext(viewer)
        log.append(1, tokens(2, 2, "x" * 100 * KIB))
        await settled()
        log.append(2, tokens(3, 3, "x" * (WAITING + 1)))
        waiting = asyncio.create_task(log.room())
        await asyncio.sleep(100)  # for the store, which is slow; the viewer has nothing to read
        keeper.let_one()
        await asyncio.sleep(4)  # now it is the viewer's turn, and its time begins
        assert not waiting.done()
        assert [event.seq for event in await anext(viewer)] == [2]
        await waiting
        log.append(3, [end(4)])
        keeper.let_all()
        await kept(log)

    in_fake_time(main())


# The tail -------------------------------------------------------------------------------------


def test_the_contracts_bounds() -> None:
    assert (TAIL, WAITING) == (4 * KIB * KIB, KIB * KIB)


def test_memory_holds_the_tail_and_the_store_the_rest() -> None:
    async def main() -> None:
        keeper, tail = GatedKeeper(), 100 * (EVENT_COST + 50)
        log = begun(keeper, tail=tail)
        viewers = {0: Viewer(log)}
        for seq in range(1, 1001):
            log.append(seq - 1, tokens(seq, seq, "x" * 50))
            await log.wait(seq - 1)
            assert len(log._tail._events) <= 100
            if seq % 100 == 50:
                viewers[seq] = Viewer(log, seq)
        log.append(1000, [end(1001)])
        await kept(log)
        assert len(log._tail._events) >= 70
        for at, viewer in viewers.items():
            keeper.reads.clear()
            assert await read(viewer) == [*tokens(at + 1, 1000, "x" * 50), end(1001)]
            assert bool(keeper.reads) == (at < 930)

    in_fake_time(main())


def test_a_late_viewer_goes_from_the_store_over_to_the_tail() -> None:
    async def main() -> None:
        keeper = GatedKeeper()
        keeper.piece = 7
        log = begun(keeper, tail=50 * (EVENT_COST + 1))
        for seq in range(1, 101):
            log.append(seq - 1, tokens(seq, seq))
            await log.wait(seq - 1)
        viewer, seen = Viewer(log), list[Event]()
        seq = 100
        while viewer.after < seq:
            seen += await anext(viewer)
            if seq < 120:  # the run goes on meanwhile
                seq += 1
                log.append(seq - 1, tokens(seq, seq))
        assert seen == tokens(1, 120)
        assert max(keeper.reads) < 100
        log.append(120, [end(121)])
        assert await read(viewer) == [end(121)]

    in_fake_time(main())


def test_what_is_committed_and_not_yet_shown_is_not_read_back() -> None:
    async def main() -> None:
        keeper = GatedKeeper()
        log = begun(keeper, tail=0)
        log.append(0, tokens(1, 3))
        await log.wait(0)
        keeper.events += tokens(4, 9)  # as when the commit has just returned in its thread
        assert await anext(Viewer(log)) == tokens(1, 3)
        del keeper.events[3:]
        log.append(3, [end(4)])
        assert await read(Viewer(log)) == [*tokens(1, 3), end(4)]

    in_fake_time(main())


def test_a_store_that_has_lost_events_is_a_gap_and_no_silence() -> None:
    async def main() -> None:
        keeper = GatedKeeper()
        log = begun(keeper, tail=0)
        log.append(0, [*tokens(1, 3), end(4)])
        await kept(log)
        keeper.events.clear()
        with pytest.raises(ReplayGap, match="Events 2 to 4"):
            await anext(Viewer(log, 1))

    in_fake_time(main())


@pytest.mark.parametrize("words", [1, 3, 4, 10_000], ids=str)
@pytest.mark.parametrize("size", [1, KIB, 2 * COMMIT_BYTES], ids=str)
def test_much_is_committed_in_pieces(words: int, size: int) -> None:
    words = min(words, 4 * WAITING // size)

    async def main() -> None:
        keeper = GatedKeeper()
        log = begun(keeper)
        last = [Answer(words + 1, 1.0, "", "x"), end(words + 2)]
        log.append(0, [*tokens(1, words, "x" * size), *last])
        await kept(log)
        assert [event.seq for event in keeper.events] == list(range(1, words + 3))
        for first, upto in keeper.batches[:-1]:
            count = upto - first + 1
            assert count <= COMMIT_EVENTS
            assert count == 1 or count * (size + EVENT_COST) <= 2 * COMMIT_BYTES
        # An answer without its `complete` would come twice, should the process be lost between.
        first, upto = keeper.batches[-1]
        assert (first <= words + 1, upto) == (True, words + 2)
        assert len(keeper.ends) == 1
        assert log._waiting_bytes == 0

    in_fake_time(main())


@pytest.mark.parametrize("tail", [TAIL, 0])
def test_a_large_batch_is_read_in_pieces(tail: int) -> None:
    async def main() -> None:
        keeper = GatedKeeper()
        log = begun(keeper, tail=tail)
        log.append(0, [*tokens(1, 1000, "x" * KIB), end(1001)])
        await kept(log)
        batches = [batch async for batch in Viewer(log)]
        assert max(map(text_chars, batches)) <= READ_CHARS
        assert sum(map(text_chars, batches)) - text_chars([end(1001)]) == 1000 * KIB
        assert bool(keeper.reads) == (tail == 0)

    in_fake_time(main())


def test_cancelled_viewers_leave_nothing() -> None:
    async def main() -> None:
        keeper = GatedKeeper()
        log = begun(keeper, tail=0)
        log.append(0, tokens(1, 3))
        await settled()
        waiting = [asyncio.create_task(read(Viewer(log, 3))) for _ in range(5)]
        ending = [asyncio.create_task(log.wait_end()) for _ in range(5)]
        await settled()
        recalling = [asyncio.create_task(read(Viewer(log))) for _ in range(5)]
        await asyncio.sleep(0)
        assert (len(log._waiters), len(log._end_waiters), len(keeper.reads)) == (5, 5, 5)
        for task in (*waiting, *ending, *recalling):
            task.cancel()
        await asyncio.wait([*waiting, *ending, *recalling])
        assert (log._waiters, log._end_waiters, log._held_up) == ([], [], [])
        log.append(3, [end(4)])
        await kept(log)

    in_fake_time(main())


def test_a_failed_store_does_not_take_the_tail_away() -> None:
    async def main() -> None:
        keeper = GatedKeeper()
        log = begun(keeper)
        log.append(0, tokens(1, 2000, "x" * KIB))
        await log.wait(0)
        keeper.failure = StoreUnavailable("closed")
        log.append(2000, tokens(2001, 2001))
        await kept(log)
        viewer, seen = Viewer(log), list[Event]()
        while viewer.after < 2000:
            seen += await anext(viewer)
        with pytest.raises(StoreUnavailable):
            await anext(viewer)
        assert "".join(e.content for e in seen if isinstance(e, Token)) == "x" * KIB * 2000

    in_fake_time(main())
