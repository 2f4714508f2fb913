"""The writer: the only hand that appends to a run's log, and keeps the run's account."""

from __future__ import annotations

from collections.abc import Sequence
from time import time
from typing import TypeVar

from headrace.events import Event, StepEnd, Token, ToolEnd, ToolStart
from headrace.runs.log import Log
from headrace.runs.metrics import Meter
from headrace.text import TextBuffer
from headrace.usage import Usage

E = TypeVar("E", bound=Event)


class Writer:
    """Assigns `seq` and `at`, appends, and counts what was used.

    Everything here is synchronous: whoever runs in the run's event loop (the driver, its tools)
    writes whole batches that no other write can cut.

    Attributes:
        text: The answer's text so far, all steps, withdrawn text taken back.
        usage: The sum over the steps that have ended.
        tools: Call id to ``running`` or ``finished``.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._at = time()
        self.meter = Meter(self._at)
        self.text = TextBuffer()
        self.usage = Usage()
        self.tools: dict[str, str] = {}
        self.upstream_closed_at: float | None = None

    @property
    def next_seq(self) -> int:
        """The `seq` of the next event."""
        return self._log.last_seq + 1

    @property
    def closed(self) -> bool:
        """Whether the terminal event is written; nothing can follow it."""
        return self._log.ended

    def now(self) -> float:
        """Unix seconds, never falling."""
        at = time()
        if at > self._at:
            self._at = at
        return self._at

    def put(self, kind: type[E], agent: str, *fields: object) -> E:
        """Write one event: its fields in the order of its class, after `agent`.

        Raises:
            LogConflict: the run has ended.
            LogTooLarge: the run's log passed its bound.
        """
        event = kind(self._log.last_seq + 1, self.now(), agent, *fields)
        self.write((event,))
        self._account(event)
        return event

    def write(self, events: Sequence[Event]) -> None:
        """Append events that were stamped with `next_seq` and `now`."""
        self._log.append(self._log.last_seq, events)

    def tokens(self, tokens: Sequence[Token], at: float) -> None:
        """Account for pieces of the root agent's answer that were written."""
        chars = 0
        append = self.text.append
        for token in tokens:
            append(token.content)
            chars += len(token.content)
        self.meter.tokens(len(tokens), chars, at)

    def _account(self, event: Event) -> None:
        if isinstance(event, StepEnd):
            self.usage = self.usage + event.usage
            self.meter.step(event.timing.duration_ms / 1e3)
            if event.finish_reason == "cancelled":
                self.upstream_closed_at = event.at
        elif isinstance(event, ToolStart):
            self.tools[event.call_id] = "running"
        elif isinstance(event, ToolEnd):
            self.tools[event.call_id] = "finished"
