"""The writer: the only hand that appends to a run's log, and keeps the run's account."""

from __future__ import annotations

from collections.abc import Sequence
from time import time
from typing import TypeVar

from headrace.events import (
    AgentEnd,
    AgentStart,
    Event,
    StepEnd,
    StepStart,
    ToolEnd,
    ToolStart,
)
from headrace.messages import Message
from headrace.runs.log import Log
from headrace.runs.metrics import Meter
from headrace.text import TextBuffer
from headrace.usage import Timing, Usage

E = TypeVar("E", bound=Event)


class Writer:
    """Assigns `seq` and `at`, appends, and counts what was used.

    Everything here is synchronous: whoever runs in the run's event loop (the driver, its tools)
    writes whole batches that no other write can cut.

    Attributes:
        text: The answer's text so far, all steps, withdrawn text taken back.
        usage: The sum over the steps that have ended.
        tools: Call id to ``waiting``, ``running`` or ``finished``.
        model: Who answered last, where several models may (a fallback); else empty.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._at = time()
        self.meter = Meter(self._at)
        self.text = TextBuffer()
        self.usage = Usage()
        self.tools: dict[str, str] = {}
        self.model = ""
        self.upstream_closed_at: float | None = None
        self._open: dict[tuple[str, str, str], StepStart | ToolStart | AgentStart] = {}

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

    def account(self, texts: Sequence[str], at: float) -> None:
        """Count pieces of the root agent's text that were written in one batch at `at`."""
        text = "".join(texts)
        self.text.append(text)
        self.meter.tokens(len(texts), len(text), at)

    def close_open(self, error: str) -> None:
        """Write the ends of what the driver began and left open, newest first (law 4)."""
        for start in reversed(list(self._open.values())):
            took = round((self.now() - start.at) * 1e3, 3)
            match start:
                case ToolStart():
                    self.put(ToolEnd, start.agent, start.call_id, start.name, "", took, error)
                case StepStart():
                    nothing = Message("assistant")
                    reason = "cancelled" if error == "cancelled" else "error"
                    usage = Usage(exact=False)
                    fields = (start.step, reason, usage, Timing(took), nothing)
                    self.put(StepEnd, start.agent, *fields)
                case AgentStart():
                    self.put(AgentEnd, start.agent, start.name, "", took, error)

    def _account(self, event: Event) -> None:
        match event:
            case StepStart():
                self._open["step", event.agent, ""] = event
            case StepEnd():
                self._open.pop(("step", event.agent, ""), None)
                self.usage = self.usage + event.usage
                self.meter.step(event.timing.duration_ms / 1e3)
                if not event.agent:
                    self.model = event.model or self.model
                if event.finish_reason == "cancelled":
                    self.upstream_closed_at = event.at
            case ToolStart():
                self._open["tool", event.agent, event.call_id] = event
                self.tools[event.call_id] = "running"
            case ToolEnd():
                self._open.pop(("tool", event.agent, event.call_id), None)
                self.tools[event.call_id] = "finished"
            case AgentStart():
                self._open["agent", event.agent, event.name] = event
            case AgentEnd():
                self._open.pop(("agent", event.agent, event.name), None)
