"""What a log holds in memory, and what it reads back from its store."""

from __future__ import annotations

import asyncio

import pytest

from headrace.errors import (
    ReplayGap,
    StoreUnavailable,
)
from headrace.events import Answer, Event, Token
from headrace.runs.log import EVENT_COST, READ_CHARS
from headrace.runs.policies import text_chars
from headrace.runs.stored_log import COMMIT_BYTES, COMMIT_EVENTS, TAIL, WAITING
from headrace.runs.viewer import Viewer
from tests.support.keepers import GatedKeeper
from tests.support.stored_logs import (
    KIB,
    begun,
    end,
    in_fake_time,
    kept,
    read,
    settled,
    tokens,
)


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
        await log.wait(1999)
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
