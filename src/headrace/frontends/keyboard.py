"""The keyboard: lines at a prompt, and Ctrl-C while an answer comes."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
import termios
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from headrace.frontends.summary import STOPPED


class Prompt:
    """Reads what a person types, with a line history where the system has readline.

    The history lives in memory: what people ask is written nowhere.
    """

    def __init__(self, text: str = "you> ") -> None:
        self._text = text
        self.interactive = sys.stdin.isatty() and sys.stdout.isatty()
        if self.interactive:
            with suppress(ImportError):
                import readline  # noqa: F401  # `input` finds it by itself once it is loaded

    def read(self) -> str | None:
        """The next line without its end; None when there is no more (Ctrl-D).

        Raises:
            KeyboardInterrupt: on Ctrl-C.
        """
        if self.interactive:
            try:
                return input(self._text)
            except EOFError:
                return None
        if sys.stdin.isatty():
            print(self._text, end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        return line.rstrip("\n") if line else None


class Stoppable(Protocol):
    """What Ctrl-C stops: a run, or only the look at one."""

    def cancel(self, reason: str) -> Coroutine[Any, Any, object]:
        """Stop it."""
        ...


class Stop:
    """What the keyboard (or the system) did to a run.

    Attributes:
        signal: The signal that stopped it: 2 for Ctrl-C; None when it came to its own end.
    """

    signal: int | None = None


@contextmanager
def stopping(run: Stoppable) -> Iterator[Stop]:
    """While inside, Ctrl-C cancels the run and keeps what was shown; SIGTERM does, too.

    A second Ctrl-C, while the first is still at work, raises `KeyboardInterrupt`. Enter it in
    the main thread, with the run's event loop running.
    """
    loop = asyncio.get_running_loop()
    stop = Stop()
    tasks: list[asyncio.Task[object]] = []

    def on_signal(number: int, reason: str) -> None:
        if tasks:
            raise KeyboardInterrupt
        stop.signal = number
        tasks.append(loop.create_task(run.cancel(reason)))

    loop.add_signal_handler(signal.SIGINT, on_signal, signal.SIGINT, STOPPED)
    loop.add_signal_handler(signal.SIGTERM, on_signal, signal.SIGTERM, "terminated")
    try:
        yield stop
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        loop.remove_signal_handler(signal.SIGTERM)


class Reader:
    """Whoever reads our standard output.

    Attributes:
        left: Whether it has closed its end.
    """

    left = False


@contextmanager
def cancel_when_reader_leaves(run: Stoppable) -> Iterator[Reader]:
    """While inside, a pipe that no one reads any more cancels the run at once.

    Without it the run would go on, and be billed, until its next word hits the broken pipe.
    """
    reader = Reader()
    out = sys.stdout.fileno()
    if not stat.S_ISFIFO(os.fstat(out).st_mode):
        yield reader
        return
    loop = asyncio.get_running_loop()
    tasks: list[asyncio.Task[object]] = []

    def on_gone() -> None:
        reader.left = True
        loop.remove_reader(out)
        tasks.append(loop.create_task(run.cancel("the reader of the output left")))

    # The writing end of a pipe never has anything to read: it wakes only when the other end
    # is closed (asyncio's own pipe transport watches for it in the same way).
    loop.add_reader(out, on_gone)
    try:
        yield reader
    finally:
        loop.remove_reader(out)


@contextmanager
def quiet_keys() -> Iterator[None]:
    """While inside, typed keys are kept for the next prompt but not echoed into the answer."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    quiet = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
