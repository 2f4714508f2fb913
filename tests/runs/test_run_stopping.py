"""Stopping a run: whoever stops it, whenever, it has one end and leaves nothing running."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from headrace.errors import DeadlineExceeded, RunFailed
from headrace.events import Cancelled, Complete, Error, Event
from headrace.runs.run import CANCEL_GRACE, Driver, Outcome, Run
from headrace.runs.writer import Writer
from headrace.testing.clock import run_with_fake_clock
from headrace.testing.laws import check_events
from headrace.usage import Usage
from tests.support.drivers import (
    DONE,
    begin_tool,
    end_step,
    end_tool,
    for_ever,
    hello,
    open_ended,
    run_of,
    say,
)
from tests.support.loop import leftovers, now

WAITS = open_ended(for_ever)


async def end_of(run: Run) -> Event:
    """The end of a run that has one, after a check of the laws; nothing is left in the loop."""
    assert run.ended
    events = [event async for event in run.events()]
    check_events(events)
    await asyncio.sleep(0)
    assert not leftovers()
    return events[-1]


def stubborn(seconds: float) -> Driver:
    """Ignores every cancel for so long, then tries to write."""

    async def act(writer: Writer) -> None:
        until = asyncio.get_running_loop().time() + seconds
        while (left := until - asyncio.get_running_loop().time()) > 0:
            try:
                await asyncio.sleep(left)
            except asyncio.CancelledError:
                continue
        say(writer, "too late")

    return open_ended(act)


def virtual(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """A test in virtual time."""

    def run() -> None:
        run_with_fake_clock(test())

    run.__name__ = test.__name__
    return run


@virtual
async def test_cancel_before_its_first_step() -> None:
    started = False

    async def driver(_: Writer) -> Outcome:
        nonlocal started
        started = True
        return DONE

    run = run_of(driver)
    end = await run.cancel("changed my mind")
    assert isinstance(end, Cancelled)
    assert (end.reason, end.receipt.content, end.usage) == ("changed my mind", "", Usage())
    assert await end_of(run) == end
    assert not started


@virtual
async def test_cancel_in_the_middle() -> None:
    run = run_of(WAITS)
    async with run:
        await asyncio.sleep(1)
        end = await run.cancel("stop")
    assert isinstance(end, Cancelled)
    assert (end.reason, end.receipt.content) == ("stop", "so f")
    assert end.receipt.tools == {"c1": "running"}
    assert end.usage == Usage(exact=False)
    assert end.metrics.chunks == 1
    assert await end_of(run) == end
    assert now() == 1.0


@virtual
async def test_the_receipt_tells_the_tools_as_the_cancel_found_them() -> None:
    async def act(writer: Writer) -> None:
        end_tool(writer, "c1")
        begin_tool(writer, "c2")
        writer.tools["c3"] = "waiting"
        try:
            await for_ever(writer)
        finally:
            end_tool(writer, "c2", "cancelled")
            end_step(writer, "cancelled")

    run = run_of(open_ended(act))
    async with run:
        await asyncio.sleep(1)
        end = await run.cancel()
    assert isinstance(end, Cancelled)
    assert end.receipt.tools == {"c1": "finished", "c2": "running", "c3": "waiting"}
    assert end.receipt.upstream_closed_ms is not None
    assert 0 <= end.receipt.upstream_closed_ms < 1000
    assert end.usage == Usage(3, 2)
    await end_of(run)


@virtual
async def test_cancel_after_the_end_changes_nothing() -> None:
    run = run_of(hello)
    await run.result()
    end = await run.cancel()
    assert isinstance(end, Complete)
    assert await end_of(run) == end


@virtual
async def test_many_cancels_at_once_have_one_end_and_the_first_reason() -> None:
    run = run_of(WAITS)
    run.begin()
    await asyncio.sleep(1)
    ends = await asyncio.gather(*(run.cancel(f"reason {i}") for i in range(5)))
    assert [getattr(end, "reason", None) for end in ends] == ["reason 0"] * 5
    assert await end_of(run) == ends[0]


@virtual
async def test_a_run_can_cancel_itself() -> None:
    async def act(_: Writer) -> None:
        await run.cancel("had enough")

    run = run_of(open_ended(act))
    run.begin()
    await asyncio.sleep(1)
    end = await end_of(run)
    assert isinstance(end, Cancelled)
    assert end.reason == "had enough"


@virtual
async def test_a_driver_that_does_not_let_go_is_left_behind() -> None:
    run = run_of(stubborn(60))
    run.begin()
    await asyncio.sleep(1)
    end = await run.cancel("stop")
    assert isinstance(end, Cancelled)
    assert now() == 1 + CANCEL_GRACE
    await asyncio.sleep(60)
    assert await end_of(run) == end


@virtual
async def test_a_slow_driver_may_take_its_grace() -> None:
    run = run_of(stubborn(CANCEL_GRACE))
    run.begin()
    await asyncio.sleep(1)
    end = await run.cancel("stop")
    assert isinstance(end, Complete)  # it said all that it had to say
    assert now() == CANCEL_GRACE
    await end_of(run)


@virtual
async def test_the_grace_can_be_set() -> None:
    run = Run(stubborn(60), run_of(hello).info, grace=0.5)
    run.begin()
    await asyncio.sleep(1)
    await run.cancel()
    assert now() == 1.5
    await asyncio.sleep(60)
    await end_of(run)


@virtual
async def test_a_driver_that_breaks_while_it_lets_go_is_cancelled_all_the_same() -> None:
    async def act(writer: Writer) -> None:
        try:
            await for_ever(writer)
        finally:
            raise ConnectionError("closed twice")

    run = run_of(open_ended(act))
    run.begin()
    await asyncio.sleep(1)
    assert isinstance(await run.cancel(), Cancelled)
    await end_of(run)


@virtual
async def test_the_deadline_of_the_whole_run() -> None:
    run = run_of(WAITS, deadline=30)
    with pytest.raises(RunFailed) as caught:
        await run.result()
    assert now() == 30.0
    assert (caught.value.code, caught.value.partial) == ("deadline_exceeded", "so f")
    assert isinstance(caught.value.__cause__, DeadlineExceeded)
    end = await end_of(run)
    assert isinstance(end, Error)
    assert "the run took more than 30 s" in end.message


@virtual
async def test_the_deadline_leaves_a_stubborn_driver_behind() -> None:
    run = run_of(stubborn(1000), deadline=30)
    with pytest.raises(RunFailed, match="more than 30 s"):
        await run.result()
    assert now() == 30 + CANCEL_GRACE
    await asyncio.sleep(1000)
    assert isinstance(await end_of(run), Error)


@virtual
async def test_of_a_deadline_and_a_cancel_the_first_one_counts() -> None:
    late, stopped = run_of(stubborn(1000), deadline=30), run_of(stubborn(1000), deadline=33)
    late.begin()
    stopped.begin()
    await asyncio.sleep(31)
    ends = await asyncio.gather(late.cancel(), stopped.cancel())
    assert [type(end) for end in ends] == [Error, Cancelled]
    await asyncio.sleep(1000)
    assert [type(await end_of(run)) for run in (late, stopped)] == [Error, Cancelled]


@virtual
async def test_without_a_deadline_it_may_take_for_ever() -> None:
    async def act(_: Writer) -> None:
        await asyncio.sleep(1e6)

    run = run_of(open_ended(act), deadline=None)
    assert (await run.result()).content == "so f"
    await end_of(run)


@virtual
async def test_leaving_its_context_cancels_it() -> None:
    run = run_of(WAITS)
    async with run:
        await asyncio.sleep(1)
    end = await end_of(run)
    assert isinstance(end, Cancelled)
    assert end.reason == "abandoned"


@virtual
async def test_an_error_in_its_context_cancels_it_and_comes_out() -> None:
    run = run_of(WAITS)

    async def use() -> None:
        async with run:
            await asyncio.sleep(1)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await use()
    assert isinstance(await end_of(run), Cancelled)


@virtual
async def test_a_viewer_that_leaves_ends_nothing() -> None:
    run = run_of(WAITS)
    events = run.events()
    await anext(events)
    await events.aclose()
    await asyncio.sleep(1)
    assert not run.ended
    await run.cancel()
    await end_of(run)
