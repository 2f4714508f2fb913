"""The writer: the only hand that appends to a run's log, and keeps the run's account."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from time import time
from typing import TypeVar

from headrace.events import (
    AgentEnd,
    AgentStart,
    Event,
    Input,
    RunStart,
    StepEnd,
    StepStart,
    Token,
    ToolEnd,
    ToolStart,
)
from headrace.messages import Message
from headrace.runs.approvals import Approvals
from headrace.runs.log import RunLog
from headrace.runs.metrics import Meter
from headrace.runs.observer import Observers
from headrace.runs.spent import Spent
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
        spent: The same by agent and model, and the calls of tools.
        tools: Call (see `tool_key`) to ``waiting``, ``running`` or ``finished``.
        model: Who answered last, where several models may (a fallback); else empty.
        inputs: What people have said into the run since its last step began.
        steps: Agent to the `seq` of its last `step_start`.
        approvals: The calls that wait for a person.
        on_event: Told of every structural event that `put` writes: the run's own account.
        observers: Told of every structural event and every batch of content.
    """

    def __init__(self, log: RunLog) -> None:
        self._log = log
        self._at = time()
        self.meter = Meter(self._at)
        self.text = TextBuffer()
        self.usage = Usage()
        self.spent = Spent()
        self.tools: dict[str, str] = {}
        self.model = ""
        self.inputs: list[str] = []
        self.steps: dict[str, int] = {}
        self.approvals = Approvals(self.put)
        self.on_event: Callable[[Event], object] | None = None
        self.observers = Observers()
        self.upstream_closed_at: float | None = None
        self._open: dict[tuple[str, str, str], StepStart | ToolStart | AgentStart] = {}

    @property
    def next_seq(self) -> int:
        """The `seq` of the next event."""
        return self._log.written + 1

    @property
    def closed(self) -> bool:
        """Whether the terminal event is written; nothing can follow it."""
        return self._log.closed

    @property
    def crowded(self) -> bool:
        """Whether to await `room` before writing more."""
        return self._log.crowded

    async def room(self) -> None:
        """Wait until the log takes more: for its store, or for a viewer that blocks."""
        with self.meter.held:
            await self._log.room()

    async def kept(self) -> None:
        """Wait until everything that is written is committed, and may be shown.

        Raises:
            HeadraceError: the log takes nothing more.
        """
        with self.meter.held:
            await self._log.wait(self._log.written - 1)

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
        event = kind(self._log.written + 1, self.now(), agent, *fields)
        self.write((event,))
        self._account(event)
        self.spent.take(event)
        self.approvals.take(event)
        if self.on_event is not None:
            self.on_event(event)
        if self.observers:
            self.observers.event(event)
        return event

    def say(self, text: str) -> Input:
        """Write what a person says into the run; the next step takes it up.

        Raises:
            LogConflict: the run has ended.
        """
        return self.put(Input, "", text)

    def restore(self, events: Iterable[Event]) -> None:
        """Go on with the account of a run that another process began; not with its text."""
        for event in events:
            self._at = max(self._at, event.at)
            if type(event) is Token:
                if not event.agent:
                    self.meter.tokens(1, len(event.content), event.at)
                continue
            self.spent.take(event)
            self.approvals.take(event)
            if isinstance(event, RunStart):
                self.meter = Meter(event.at)
            else:
                self._account(event)
            if isinstance(event, ToolStart):
                self.spent.calls[event.agent] += 1

    @property
    def open(self) -> list[StepStart | ToolStart | AgentStart]:
        """What was begun and has not ended, oldest first."""
        return list(self._open.values())

    def write(self, events: Sequence[Event]) -> None:
        """Append events that were stamped with `next_seq` and `now`."""
        self._log.append(self._log.written, events)

    def account(self, texts: Sequence[str], at: float) -> None:
        """Count pieces of the root agent's text that were written in one batch at `at`."""
        text = "".join(texts)
        self.text.append(text)
        self.meter.tokens(len(texts), len(text), at)

    def close_open(
        self, error: str, starts: Iterable[StepStart | ToolStart | AgentStart] | None = None
    ) -> None:
        """Write the ends of what was begun and left open, newest first (law 4); all by default."""
        for start in reversed(self.open if starts is None else list(starts)):
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
                self.steps[event.agent] = event.seq
                if not event.agent:
                    self.inputs.clear()  # its request holds them
            case Input():
                self.inputs.append(event.content)
            case StepEnd():
                self._open.pop(("step", event.agent, ""), None)
                self.usage = self.usage + event.usage
                self.meter.step(event.timing.duration_ms / 1e3)
                if not event.agent:
                    self.model = event.model or self.model
                if event.finish_reason == "cancelled":
                    self.upstream_closed_at = event.at
            case _:
                self._account_parts(event)

    def _account_parts(self, event: Event) -> None:
        """What happens within and between steps."""
        match event:
            case ToolStart():
                self._open["tool", event.agent, event.call_id] = event
                self.tools[tool_key(event.agent, event.call_id)] = "running"
            case ToolEnd():
                self._open.pop(("tool", event.agent, event.call_id), None)
                self.tools[tool_key(event.agent, event.call_id)] = "finished"
            case AgentStart():
                self._open["agent", event.agent, event.name] = event
            case AgentEnd():
                self._open.pop(("agent", event.agent, event.name), None)


def tool_key(agent: str, call_id: str) -> str:
    """A call's name in a run's account: two agents' models may give one id each."""
    return f"{agent}/{call_id}" if agent else call_id
