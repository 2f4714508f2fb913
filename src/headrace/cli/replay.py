"""`headrace replay RUN|FILE`: a kept run, or a cassette's answers, shown as they came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.asking import Timeout
from headrace.cli.endings import clear_endings
from headrace.cli.showing import AsJSON, exit_code, show_others, show_own
from headrace.cli.storing import StoreURL, opened
from headrace.errors import RunNotFound, UsageError

if TYPE_CHECKING:
    from headrace.events import Event
    from headrace.providers.cassette.playing import Cassette
    from headrace.runs.run import Outcome
    from headrace.runs.stores.store import Store
    from headrace.runs.writer import Writer

What = Annotated[
    str, typer.Argument(metavar="RUN|FILE", help="A run that headrace runs lists, or a cassette.")
]
PlaySpeed = Annotated[
    float,
    typer.Option("--speed", metavar="X", help="4 is four times as fast, 0 does not wait at all."),
]
FaultName = Annotated[
    str | None,
    typer.Option(
        "--fault",
        metavar="FAULT",
        help="Break it: cut:BYTE, stall:BYTE, reset:BYTE, duplicate:FRAME or slow:FACTOR.",
    ),
]


@clear_endings()
def replay(
    what: What,
    speed: PlaySpeed = 1.0,
    fault: FaultName = None,
    timeout: Timeout = 900.0,
    json: AsJSON = False,
    store: StoreURL = None,
) -> None:
    """Show a kept run, or play a cassette, at its own pace.

    A run is shown as its viewers saw it. A cassette goes through its provider's own decoder:
    every recorded answer is shown, one after the other, each as a step. Nothing is asked of
    anyone, and no tool runs.
    """
    path = Path(what)
    if path.exists():
        raise typer.Exit(asyncio.run(_play(_cassette(path, speed, fault, timeout), timeout, json)))
    _check_for_run(what, speed, fault)
    raise typer.Exit(asyncio.run(_replay(what, speed, json, store)))


def _check_for_run(what: str, speed: float, fault: str | None) -> None:
    from headrace.errors import InvalidId
    from headrace.runs.stores.record import check_run_id

    try:
        check_run_id(what)
    except InvalidId:
        raise _nowhere(what) from None
    if not speed >= 0:
        raise UsageError("The speed is 0 (which does not wait) or more.")
    if fault is not None:
        raise UsageError("--fault breaks a cassette; what a run has shown stays as it is.")


def _nowhere(what: str) -> UsageError:
    return UsageError(
        f"There is no file and no run {what[:200]}.",
        hint='headrace runs lists the runs; headrace record FILE "…" makes a file.',
    )


async def _replay(run_id: str, speed: float, json: bool, url: str | None) -> int:
    async with opened(url) as store:
        try:
            await store.run(run_id)
        except RunNotFound:
            raise _nowhere(run_id) from None
        end, stopped = await show_others(paced(_log(store, run_id), speed), json)
        return 128 + stopped if stopped else exit_code(end)


async def _log(store: Store, run_id: str) -> AsyncGenerator[list[Event]]:
    """What is kept of a run now, as it was written: a viewer may get joined deltas."""
    after = 0
    while events := await store.read(run_id, after):
        yield events
        after = events[-1].seq


async def paced(batches: AsyncIterable[list[Event]], speed: float) -> AsyncGenerator[list[Event]]:
    """The same events, with the time between them as it was (`at`) over the speed.

    Args:
        batches: A run's events.
        speed: 0 does not wait.
    """
    loop = asyncio.get_running_loop()
    begun = loop.time()
    first: float | None = None
    async for batch in batches:
        ready: list[Event] = []
        for event in batch:
            first = event.at if first is None else first
            wait = begun + (event.at - first) / speed - loop.time() if speed else 0.0
            if wait > 0:
                if ready:
                    yield ready
                    ready = []
                    wait = begun + (event.at - first) / speed - loop.time()
                await asyncio.sleep(wait)
            ready.append(event)
        yield ready


def _cassette(path: Path, speed: float, fault: str | None, timeout: float) -> Cassette:
    from headrace.models.deadlines import Deadlines
    from headrace.providers.cassette.faults import parse_fault
    from headrace.providers.cassette.playing import Cassette

    return Cassette(
        path,
        speed=speed,
        fault=None if fault is None else parse_fault(fault),
        deadlines=Deadlines(run=timeout),
    )


async def _play(cassette: Cassette, timeout: float, json: bool) -> int:
    from headrace.runs.run import Run, RunInfo

    async def driver(writer: Writer) -> Outcome:
        return await _steps(cassette, writer)

    async with Run(driver, RunInfo("cassette", cassette.name), deadline=timeout) as run:
        return await show_own(run, json)


async def _steps(cassette: Cassette, writer: Writer) -> Outcome:
    """A step for each answer, until there is none left."""
    from headrace.agents.step import Step
    from headrace.events import FinishReason
    from headrace.models.request import ModelRequest
    from headrace.runs.run import Outcome

    reason: FinishReason = "stop"
    number = 0
    while cassette.left:
        number += 1
        turn = await Step(cassette, ModelRequest(()), writer, number).run()
        reason = turn.finish_reason
    return Outcome("stop" if reason == "tool_calls" else reason, ())
