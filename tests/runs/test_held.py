"""How long a run was held up by its own log: nothing where nobody waits, else exactly."""

from __future__ import annotations

import asyncio

import pytest

from headrace import Agent
from headrace.events import Complete, Event, StepEnd, Token
from headrace.runs.held import Held
from headrace.runs.run import Outcome, Run
from headrace.runs.stored_log import StoredLog
from headrace.runs.writer import Writer
from headrace.testing import ScriptedModel, Step
from headrace.testing.clock import run_with_fake_clock
from tests.support.drivers import DONE, INFO, begin_step, end_step, say
from tests.support.keepers import GatedKeeper

KIB = 1024


def test_waits_at_the_same_time_count_once() -> None:
    async def main() -> None:
        held = Held()
        assert held.ms == 0.0

        async def wait(start: float, end: float) -> None:
            await asyncio.sleep(start)
            with held:
                await asyncio.sleep(end - start)

        await asyncio.gather(wait(0, 2), wait(1, 3), wait(5, 6))
        assert held.ms == 4000.0

    run_with_fake_clock(main())


def test_a_wait_that_goes_on_counts_as_far_as_it_is() -> None:
    async def main() -> None:
        held = Held()
        with held:
            await asyncio.sleep(1.5)
            assert held.ms == 1500.0
            await asyncio.sleep(0.5)
        await asyncio.sleep(1)
        assert held.ms == 2000.0

    run_with_fake_clock(main())


def test_a_wait_that_fails_is_over() -> None:
    async def main() -> None:
        held = Held()
        with pytest.raises(TimeoutError), held:
            async with asyncio.timeout(1):
                await asyncio.Event().wait()
        await asyncio.sleep(1)
        assert held.ms == 1000.0

    run_with_fake_clock(main())


def agent() -> Agent:
    """Says 200 KiB in pieces of one."""
    return Agent("bot", ScriptedModel([Step(text=["x" * KIB] * 200)]))


def held_of(events: list[Event]) -> tuple[float, float]:
    """As the step's end and as the run's end tell it."""
    (step,) = [event for event in events if isinstance(event, StepEnd)]
    end = events[-1]
    assert isinstance(end, Complete)
    return step.timing.held_ms, end.metrics.held_ms


def test_a_viewer_that_blocks_holds_its_run_up() -> None:
    async def main() -> None:
        async with agent().start("x") as run:
            events: list[Event] = []
            async with run.batches(policy="block") as viewer:
                async for batch in viewer:
                    if any(isinstance(event, Token) for event in batch):
                        await asyncio.sleep(0.5)
                    events += batch
        of_step, of_run = held_of(events)
        assert of_step == of_run
        assert of_run >= 500.0
        assert of_run % 500.0 == 0.0

    run_with_fake_clock(main())


def test_a_run_that_never_waits_was_not_held_up() -> None:
    async def main() -> None:
        async with agent().start("x") as run:
            events = [event async for event in run.events()]
        assert held_of(events) == (0.0, 0.0)

    run_with_fake_clock(main())


def test_what_waits_for_its_commit_is_held_up_by_the_store() -> None:
    async def driver(writer: Writer) -> Outcome:
        begin_step(writer)
        say(writer, "Hi")
        end_step(writer)
        await writer.kept()
        return DONE

    async def main() -> None:
        keeper = GatedKeeper(gated=True)
        async with Run(driver, INFO, id="run_1", log=StoredLog(keeper, "run_1")) as run:
            await asyncio.sleep(2)
            keeper.let_all()
            end = await run.wait()
        assert isinstance(end, Complete)
        assert end.metrics.held_ms == 2000.0

    run_with_fake_clock(main())


def test_a_run_that_is_ended_while_it_waits_tells_so_far() -> None:
    async def driver(writer: Writer) -> Outcome:
        await writer.kept()
        return DONE

    async def main() -> None:
        keeper = GatedKeeper(gated=True)
        async with Run(driver, INFO, id="run_1", log=StoredLog(keeper, "run_1")) as run:
            await asyncio.sleep(3)
            ending = asyncio.create_task(run.cancel("enough"))
            await asyncio.sleep(1)
            keeper.let_all()
            end = await ending
        assert end.metrics.held_ms == 3000.0  # type: ignore[attr-defined]

    run_with_fake_clock(main())
