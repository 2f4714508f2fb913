"""Asks the person at the terminal about calls that wait, while their run is shown."""

from __future__ import annotations

import asyncio
import os
import sys
import termios
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

import msgspec

from headrace.errors import HeadraceError, UsageError
from headrace.events import Approval, ApprovalNeeded, Event
from headrace.frontends.escapes import one_line
from headrace.runs.waits import ends_wait

YES, NO = {"y", "yes"}, {"n", "no"}


class Decidable(Protocol):
    """A run whose calls can be decided about."""

    @property
    def id(self) -> str:
        """The run."""
        ...

    @property
    def decide(self) -> Callable[..., Awaitable[None]]:
        """Decide about a call (see `DetachedRun.decide`)."""
        ...


class Asker:
    """A screen that draws nothing: it asks, one call after the other, for y or n and Enter.

    What was typed before a question is thrown away: it was no answer to it. Without a terminal to
    ask at it tells how to decide from another one.

    Args:
        run: The run that is shown.
        tell: Shows a line where no question can be asked.
        terminal: The terminal's file descriptor; standard input by default, None for none.
    """

    def __init__(
        self, run: Decidable, tell: Callable[[str], object], terminal: int | None = None
    ) -> None:
        self._run = run
        self._tell = tell
        self._terminal = terminal
        if terminal is None and sys.stdin.isatty():
            self._terminal = sys.stdin.fileno()
        self._waiting: dict[tuple[str, str], ApprovalNeeded] = {}
        self._asked: ApprovalNeeded | None = None
        self._typed = b""
        self._task: asyncio.Task[None] | None = None

    @property
    def question(self) -> str:
        """What is asked now, or ``""``."""
        if self._asked is None or self._task is not None:
            return ""
        arguments = msgspec.json.encode(self._asked.input).decode()
        return one_line(f"May {self._asked.name} run with {arguments}?", 400) + " y/n, then Enter"

    def add(self, batch: Sequence[Event]) -> None:
        """Take up new questions, and drop those that others have answered."""
        for event in batch:
            if isinstance(event, ApprovalNeeded):
                self._waiting[event.agent, event.call_id] = event
                if self._terminal is None:
                    self._tell(
                        f"{one_line(event.name, 60)} waits for a person: headrace approve "
                        f"{self._run.id} {one_line(event.call_id, 80)}"
                    )
            elif isinstance(event, Approval) or self._waiting:
                for key in [key for key in self._waiting if ends_wait(event, *key)]:
                    del self._waiting[key]
        self._next()

    def tick(self) -> None:
        """Nothing moves."""

    def close(self) -> None:
        """Ask no more."""
        self._waiting.clear()
        self._next()
        if self._task is not None:
            self._task.cancel()

    def _next(self) -> None:
        """Ask the oldest question, once."""
        oldest = next(iter(self._waiting.values()), None)
        if oldest is self._asked or self._terminal is None:
            return
        loop = asyncio.get_running_loop()
        if self._asked is None:
            loop.add_reader(self._terminal, self._read)
        self._asked, self._typed = oldest, b""
        if oldest is None:
            loop.remove_reader(self._terminal)
        else:
            with suppress(termios.error):
                termios.tcflush(self._terminal, termios.TCIFLUSH)

    def _read(self) -> None:
        terminal, asked = self._terminal, self._asked
        if terminal is None or asked is None:
            return
        piece = os.read(terminal, 4096)
        self._typed += piece
        if b"\n" not in self._typed and piece:
            return
        word = self._typed.decode(errors="replace").strip().lower()
        self._typed = b""
        # No more input (Ctrl-D) is no consent.
        if (word in YES or word in NO or not piece) and self._task is None:
            self._task = asyncio.ensure_future(self._decide(asked, word in YES))
            self._task.add_done_callback(self._decided)

    async def _decide(self, asked: ApprovalNeeded, approved: bool) -> None:
        with suppress(UsageError):  # someone else was quicker
            await self._run.decide(
                asked.call_id, approved, agent=asked.agent, seen=asked.input, by="terminal"
            )

    def _decided(self, task: asyncio.Task[None]) -> None:
        self._task = None
        error = None if task.cancelled() else task.exception()
        if isinstance(error, HeadraceError):
            self._tell(str(error))
