"""A log whose store is slow: its writer waits for room."""

from __future__ import annotations

import asyncio

from headrace.errors import (
    StoreUnavailable,
)
from headrace.runs.log import EVENT_COST
from headrace.runs.policies import block
from headrace.runs.stored_log import COMMIT_BYTES, WAITING, StoredLog
from headrace.runs.viewer import Viewer
from tests.support.keepers import GatedKeeper
from tests.support.stored_logs import (
    KIB,
    Failures,
    begun,
    end,
    in_fake_time,
    kept,
    settled,
    tokens,
)


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
