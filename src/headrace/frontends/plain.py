"""A run as a stream of characters: plain text, JSON lines, or a line of progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import TextIO

from headrace.events import Event, Retract, Token, encode
from headrace.frontends.escapes import escape_json, one_line, visible
from headrace.runs.fold import Folder

PROGRESS_EVERY = 0.5
"""Seconds between two progress lines."""


class PlainScreen:
    """The answer's text as it comes and nothing else, with a newline at its end.

    Text that is withdrawn cannot be taken back here: that is told on `err`, and what stands is
    written again from its start. Start the run with ``retract=False`` and it will not happen.
    """

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._err = err
        self._folder = Folder()
        self._last = ""

    def add(self, batch: Sequence[Event]) -> None:
        """Write the text of these events at once."""
        for event in batch:
            self._folder.add(event)
            if isinstance(event, Token) and not event.agent:
                self._write(event.content)
            elif isinstance(event, Retract) and not event.agent:
                self._retract(event)
        self._out.flush()

    def tick(self) -> None:
        """Nothing moves here."""

    def close(self) -> None:
        """End the last line."""
        if self._last not in ("", "\n"):
            self._out.write("\n")
        self._out.flush()

    def _write(self, text: str) -> None:
        if shown := visible(text):
            self._out.write(shown)
            self._last = shown[-1]

    def _retract(self, event: Retract) -> None:
        self._out.write("\n")
        self._last = ""
        self._out.flush()
        print(f"↺ withdrawn: {one_line(event.reason)}", file=self._err, flush=True)
        self._write(self._folder.state().text)


class JSONScreen:
    """Every event as one line of JSON (NDJSON)."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def add(self, batch: Sequence[Event]) -> None:
        """Write a line for each event."""
        for event in batch:
            self._out.write(escape_json(encode(event)).decode() + "\n")
        self._out.flush()

    def tick(self) -> None:
        """Nothing moves here."""

    def close(self) -> None:
        """Nothing is open here."""


class ProgressScreen:
    """Counts: ``Received N chunks, M chars…`` every 500 ms, at the end ``Complete: …``.

    Args:
        err: Where the lines go.
        quiet: Write the last line only; someone else shows `line` as it changes.
        now: A monotonic clock, in seconds.
    """

    def __init__(
        self, err: TextIO, *, quiet: bool = False, now: Callable[[], float] = monotonic
    ) -> None:
        self._err = err
        self.quiet = quiet
        self._now = now
        self._told_at = now()
        self._chunks = 0
        self._chars = 0

    @property
    def line(self) -> str:
        """Where it stands."""
        return f"Received {self._count}…"

    @property
    def _count(self) -> str:
        return f"{self._chunks} chunks, {self._chars} chars"

    def add(self, batch: Sequence[Event]) -> None:
        """Count the pieces of the answer."""
        for event in batch:
            if isinstance(event, Token) and not event.agent:
                self._chunks += 1
                self._chars += len(event.content)
        self.tick()

    def tick(self) -> None:
        """Tell where it stands, when it is time."""
        now = self._now()
        if not self.quiet and now - self._told_at >= PROGRESS_EVERY:
            self._told_at = now
            print(self.line, file=self._err, flush=True)

    def close(self) -> None:
        """Tell where it ended."""
        print(f"Complete: {self._count}", file=self._err, flush=True)
