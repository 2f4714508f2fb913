"""How a command shows a run on standard output, and the exit code that tells how it ended."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from headrace.cli.endings import ENDED_EARLY, FAILED, complain, leave_quietly

if TYPE_CHECKING:
    from headrace.events import Event
    from headrace.frontends.viewing import Batches, Screen

AsJSON = Annotated[bool, typer.Option("--json", help="Every event as a line of JSON (NDJSON).")]

_EARLY = {
    "length": "Raise --max-tokens, or ask for less at once.",
    "content_filter": "The provider withheld the rest.",
    "max_steps": "Raise --max-steps if the model needs more tools.",
}


class Owned(Protocol):
    """A run that a command began: shown, and stopped with it."""

    def batches(self) -> Batches:
        """A viewer from its first event on."""
        ...

    async def cancel(self, reason: str) -> object:
        """End it."""
        ...


async def show_own(run: Owned, json: bool = False, progress: bool = False) -> int:
    """Show a run of this command to its end; gives the exit code.

    Whoever stops the command, or leaves its output, stops the run.

    Args:
        run: The run.
        json: Every event as a line of JSON.
        progress: Count on standard error.
    """
    from headrace.frontends.keyboard import cancel_when_reader_leaves, stopping
    from headrace.frontends.viewing import show

    with stopping(run) as stop, cancel_when_reader_leaves(run) as reader:
        end = await show(run, *_screens(json, progress))
    if reader.left:
        leave_quietly()
    return exit_code(end, stop.signal)


async def show_others(viewer: Batches, json: bool = False) -> tuple[Event | None, int | None]:
    """Show a run that belongs to someone else, or is over; stopping only ends the look at it.

    Gives the last event that was shown, and the signal that ended the look, if one did.
    """
    from headrace.frontends.keyboard import cancel_when_reader_leaves, stopping
    from headrace.frontends.viewing import show

    task = asyncio.current_task()
    assert task is not None  # noqa: S101 (a coroutine runs in one)
    look = _Look(viewer, task)
    end: Event | None = None
    with stopping(look) as stop, cancel_when_reader_leaves(look) as reader:
        try:
            end = await show(look, *_screens(json, False))
        except asyncio.CancelledError:
            if not look.left:
                raise
            look.task.uncancel()
    if reader.left:
        leave_quietly()
    return end, stop.signal


class _Look:
    """A viewer that the keyboard can end."""

    left = False

    def __init__(self, viewer: Batches, task: asyncio.Task[Any]) -> None:
        self._viewer = viewer
        self.task = task

    def batches(self) -> Batches:
        return self._viewer

    async def cancel(self, reason: str) -> None:
        self.left = True
        self.task.cancel(reason)


def exit_code(end: Event | None, stopped: int | None = None) -> int:
    """The exit code for how a run ended; tells on stderr what is not whole.

    Args:
        end: Its terminal event.
        stopped: The signal that has stopped it.
    """
    from headrace.errors import RunCancelled
    from headrace.events import Cancelled, Complete, Error

    match end:
        case Complete():
            return _completed(end.finish_reason)
        case Error():
            complain(end.message)
            return FAILED
        case Cancelled():
            complain(str(RunCancelled(end.reason)))
            return 128 + stopped if stopped else FAILED
        case _:
            complain("The run has not ended.", "This is as far as it is.")
            return ENDED_EARLY


def _completed(reason: str) -> int:
    if reason == "stop":
        return 0
    if not sys.stdout.isatty():  # on a terminal the footer tells it
        complain(f"The answer ended early: {reason}.", _EARLY.get(reason, ""))
    return ENDED_EARLY


def _screens(json: bool, progress: bool) -> list[Screen]:
    from headrace.frontends.plain import JSONScreen, PlainScreen, ProgressScreen

    rich = sys.stdout.isatty() and not json
    counter = ProgressScreen(sys.stderr, quiet=rich and sys.stderr.isatty()) if progress else None
    more: list[Screen] = [counter] if counter else []
    if json:
        return [JSONScreen(sys.stdout), *more]
    if not rich:
        return [PlainScreen(sys.stdout, sys.stderr), *more]
    from headrace.frontends.terminal import TerminalScreen, make_console

    if counter and counter.quiet:
        return [TerminalScreen(make_console(), note=lambda: counter.line), *more]
    return [TerminalScreen(make_console()), *more]
