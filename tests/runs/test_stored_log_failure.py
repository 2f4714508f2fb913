"""A log whose store fails, or whose run is handed over."""

from __future__ import annotations

import asyncio

import pytest

from headrace.errors import (
    LogConflict,
    RunHandedOver,
    StoreUnavailable,
)
from headrace.runs.viewer import Viewer
from tests.support.keepers import GatedKeeper
from tests.support.stored_logs import (
    Failures,
    begun,
    end,
    in_fake_time,
    kept,
    settled,
    tokens,
)


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
