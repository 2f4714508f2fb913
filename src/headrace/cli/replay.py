"""`headrace replay FILE`: a cassette's answers, shown as they came."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.asking import Timeout
from headrace.cli.endings import clear_endings
from headrace.cli.run import AsJSON, show_run
from headrace.errors import UsageError

if TYPE_CHECKING:
    from headrace.providers.cassette.playing import Cassette
    from headrace.runs.run import Outcome, Run
    from headrace.runs.writer import Writer

What = Annotated[str, typer.Argument(metavar="FILE", help="A cassette.")]
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
) -> None:
    """Play a cassette through its provider's own decoder.

    Every recorded answer is shown, one after the other, each as a step. Nothing is asked of
    anyone, and no tool runs.
    """
    cassette = _cassette(_file(what), speed, fault, timeout)
    raise typer.Exit(asyncio.run(_play(cassette, timeout, json)))


def _file(what: str) -> Path:
    """The file that is meant.

    Raises:
        UsageError: there is none.
    """
    path = Path(what)
    if not path.exists():
        raise UsageError(
            f"There is no file {what}.", hint='Record one with headrace record FILE "…".'
        )
    return path


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

    run: Run = Run(driver, RunInfo("cassette", cassette.name), deadline=timeout)
    return await show_run(run, json)


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
