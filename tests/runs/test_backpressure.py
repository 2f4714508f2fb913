"""Viewers that block: the run waits for them, never for ever, and never for one that is gone."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest

from headrace import Agent
from headrace.errors import BackpressureTimeout
from headrace.events import Cancelled, Event, Token
from headrace.runs.log import Log
from headrace.runs.policies import MERGE_OVER, PolicyName, block
from headrace.runs.run import Outcome, Run
from headrace.runs.viewer import Viewer
from headrace.runs.writer import Writer
from headrace.testing import ScriptedModel, Step
from headrace.testing.clock import run_with_fake_clock
from tests.support.drivers import DONE, begin_step, end_step, run_of, say

KIB = 1024
PIECES = 200
HELD_AT = 66
"""More than so many pieces behind, a run waits: 64 KiB and what made it too much."""


async def talk(writer: Writer) -> Outcome:
    """Writes 200 KiB in pieces of one, as fast as it may."""
    begin_step(writer)
    for _ in range(PIECES):
        say(writer, "x" * KIB)
        if writer.crowded:
            await writer.room()
        await asyncio.sleep(0)
    end_step(writer)
    return DONE


def text_of(events: list[Event]) -> str:
    return "".join(event.content for event in events if isinstance(event, Token))


def now() -> float:
    return asyncio.get_running_loop().time()


Leave = Callable[[Run], Awaitable[object]]


async def stalled(run: Run) -> None:
    """After this the run has come as far as it gets, and waits."""
    await asyncio.sleep(1)
    assert run.writer.crowded
    assert len(run._log._held_up) == 1


def test_the_run_waits_for_a_viewer_that_blocks() -> None:
    async def main() -> None:
        run, seen = run_of(talk), list[Event]()
        viewer = run.batches(policy="block")
        async for batch in viewer:
            seen += batch
            await asyncio.sleep(4)  # slow, but it goes on
            assert run.writer.next_seq - 1 - viewer.after <= HELD_AT
        assert text_of(seen) == "x" * KIB * PIECES
        assert now() > 8
        await run.result()

    run_with_fake_clock(main())


@pytest.mark.parametrize("policy", ["merge", "drop", "disconnect"])
def test_the_run_waits_for_no_other(policy: PolicyName) -> None:
    async def main() -> None:
        run = run_of(talk)
        viewer = run.batches(policy=policy)
        await anext(viewer)
        await run.result()
        assert now() == 0

    run_with_fake_clock(main())


@pytest.mark.parametrize("seconds", [5.0, 0.5])
def test_a_viewer_that_reads_nothing_is_waited_for_no_longer(seconds: float) -> None:
    async def main() -> None:
        run = run_of(talk)
        viewer = run.batches(policy="block" if seconds == 5.0 else block(seconds))
        await anext(viewer)
        await run.result()
        assert now() == pytest.approx(seconds)
        for _ in range(2):
            with pytest.raises(BackpressureTimeout, match=f"nothing for {seconds:g} s") as caught:
                await anext(viewer)
            assert f"after={viewer.after}" in caught.value.hint
        rest = [event async for event in run.events(viewer.after)]
        assert text_of(rest) == "x" * KIB * PIECES

    run_with_fake_clock(main())


def test_one_that_stands_still_does_not_let_the_run_overtake_another() -> None:
    async def main() -> None:
        run, seen = run_of(talk), list[Event]()
        still, slow = run.batches(policy="block"), run.batches(policy=block(60))
        await anext(still)
        async for batch in slow:
            seen += batch
            await asyncio.sleep(20)
            assert run.writer.next_seq - 1 - slow.after <= HELD_AT
        assert text_of(seen) == "x" * KIB * PIECES
        with pytest.raises(BackpressureTimeout):
            await anext(still)

    run_with_fake_clock(main())


def test_a_silent_run_times_no_viewer_out() -> None:
    async def driver(writer: Writer) -> Outcome:
        begin_step(writer)
        say(writer, "x" * 100 * KIB)  # more than a viewer may lag, but nothing waits for it
        await asyncio.sleep(60)
        end_step(writer)
        return DONE

    async def main() -> None:
        run = run_of(driver)
        async for _ in run.batches(policy="block"):
            await asyncio.sleep(30)

    run_with_fake_clock(main())


def test_the_time_to_read_begins_when_the_run_is_held_up() -> None:
    async def main() -> None:
        log = Log()
        viewer = Viewer(log, policy="block")
        log.append(0, [Token(1, 1.0, "", "x", 0)])
        await anext(viewer)
        await asyncio.sleep(100)
        log.append(1, [Token(2, 1.0, "", "x" * (MERGE_OVER + 1), 1)])
        assert log.crowded
        await asyncio.sleep(100)
        waiting = asyncio.create_task(log.room())
        await asyncio.sleep(4.9)
        assert not waiting.done()
        await anext(viewer)
        await waiting
        assert not log.crowded

    run_with_fake_clock(main())


async def let_go_closed(run: Run) -> object:
    viewer = run.batches(policy="block")
    await anext(viewer)
    await stalled(run)
    await viewer.aclose()
    return viewer  # somebody still has it


async def let_go_context(run: Run) -> object:
    async with run.batches(policy="block") as viewer:
        await anext(viewer)
        await stalled(run)
    return viewer


async def let_go_loop_left(run: Run) -> None:
    async for _ in run.batches(policy="block"):
        await stalled(run)
        break


async def let_go_forgotten(run: Run) -> None:
    viewer = run.batches(policy="block")
    await anext(viewer)
    await stalled(run)
    del viewer


async def let_go_collected(run: Run) -> None:
    viewer = run.batches(policy="block")
    await anext(viewer)
    await stalled(run)
    cycle: list[object] = [viewer]
    cycle.append(cycle)
    del viewer, cycle
    await stalled(run)  # nobody has looked yet
    gc.collect()


async def let_go_events_closed(run: Run) -> None:
    async with aclosing(run.events(policy="block")) as events:
        await anext(events)
        await stalled(run)


async def let_go_events_forgotten(run: Run) -> None:
    async for _ in run.events(policy="block"):
        await stalled(run)
        break


async def let_go_task_cancelled(run: Run) -> None:
    async def reader() -> None:
        async for _ in run.batches(policy="block"):
            await asyncio.sleep(1000)

    await cancelled(run, asyncio.create_task(reader()))


async def let_go_events_task_cancelled(run: Run) -> None:
    async def reader() -> None:
        async for _ in run.events(policy="block"):
            await asyncio.sleep(1000)

    await cancelled(run, asyncio.create_task(reader()))


async def let_go_error_in_the_loop(run: Run) -> None:
    async def reader() -> None:
        async for _ in run.batches(policy="block"):
            await stalled(run)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await reader()


async def cancelled(run: Run, task: asyncio.Task[None]) -> None:
    await stalled(run)
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize(
    "leave",
    [
        let_go_closed,
        let_go_context,
        let_go_loop_left,
        let_go_forgotten,
        let_go_collected,
        let_go_events_closed,
        let_go_events_forgotten,
        let_go_task_cancelled,
        let_go_events_task_cancelled,
        let_go_error_in_the_loop,
    ],
    ids=lambda leave: leave.__name__.removeprefix("let_go_"),
)
def test_a_viewer_that_is_gone_holds_nothing_up(leave: Leave) -> None:
    async def main() -> None:
        run = run_of(talk)
        left = await leave(run)
        at = now()
        await run.result()
        assert now() == at  # no timeout had to help
        del left
        assert run._log.holds.refs == []

    run_with_fake_clock(main())


def test_a_viewer_may_be_collected_in_another_thread() -> None:
    async def main() -> None:
        log = Log()
        box = [Viewer(log, policy=block(30))]
        log.append(0, [Token(1, 1.0, "", "x", 0)])
        await anext(box[0])
        log.append(1, [Token(2, 1.0, "", "x" * (MERGE_OVER + 1), 1)])
        waiting = asyncio.create_task(log.room())
        await asyncio.sleep(0)
        assert len(log._held_up) == 1
        await asyncio.to_thread(box.clear)
        await waiting
        assert log.holds.refs == []

    asyncio.run(main(), debug=True)  # so that a call from the wrong thread is an error


def test_a_read_that_is_given_up_ends_no_hold() -> None:
    async def main() -> None:
        log = Log()
        viewer = Viewer(log, policy="block")
        log.append(0, [Token(1, 1.0, "", "x", 0)])
        await anext(viewer)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(viewer), 1)
        log.append(1, [Token(2, 1.0, "", "x" * (MERGE_OVER + 1), 1)])
        assert log.crowded
        await anext(viewer)
        assert not log.crowded

    run_with_fake_clock(main())


def test_a_held_up_run_can_be_cancelled() -> None:
    async def main() -> None:
        run = run_of(talk)
        viewer, seen = run.batches(policy="block"), list[Event]()
        seen += await anext(viewer)
        await stalled(run)
        await run.cancel("user pressed stop")
        assert now() == 1
        assert run._log._held_up == []
        await asyncio.sleep(100)
        seen += [event for batch in [b async for b in viewer] for event in batch]
        assert isinstance(seen[-1], Cancelled)
        assert seen[-1].receipt.content == text_of(seen)

    run_with_fake_clock(main())


def test_one_that_comes_late_holds_the_run_up_until_it_has_caught_up() -> None:
    async def main() -> None:
        log, count = Log(), 1000
        log.append(0, [Token(seq, 1.0, "", "x" * KIB, seq) for seq in range(1, count + 1)])
        viewer, read = Viewer(log, policy="block"), 0
        assert not log.crowded  # it has read nothing yet
        while True:
            read += len(await anext(viewer))
            assert log.crowded == (count - read > 64)
            if read == count:
                break

    run_with_fake_clock(main())


def test_an_agent_waits_for_its_viewer() -> None:
    async def main() -> None:
        model = ScriptedModel([Step(["x" * KIB] * PIECES)])
        run = Agent(name="bot", model=model).start("Hi")
        viewer, seen = run.batches(policy="block"), list[Event]()
        async for batch in viewer:
            seen += batch
            await asyncio.sleep(4)
            assert run.writer.next_seq - 1 - viewer.after <= HELD_AT
        assert text_of(seen) == "x" * KIB * PIECES
        assert now() > 8

    run_with_fake_clock(main())
