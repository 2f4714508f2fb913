"""A log gone through once for its times: which steps, calls and waits there were, and when. Pure.

Memory grows with the steps and calls of a run, not with its tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappush, heappushpop

from headrace.events import (
    Approval,
    ApprovalNeeded,
    Cancelled,
    Complete,
    Error,
    Event,
    Retract,
    RunStart,
    StepEnd,
    StepStart,
    Thought,
    Token,
    ToolArgs,
    ToolEnd,
    ToolStart,
    Warn,
)
from headrace.telemetry.explain_timeline import Span, micros
from headrace.usage import Usage

LONGEST_GAPS = 10
"""So many gaps are told one by one, the longest ones."""

TROUBLES = 20
"""So many warnings are told word by word, the first ones."""

_AGAIN = ("retry", "fallback")
"""Codes of warnings within a step that say: what was waited for so far came to nothing."""


class StepSeen:
    """One model call; times are microseconds of Unix time, `end` and `first` None before them."""

    def __init__(self, event: StepStart, at: int) -> None:
        self.seq = event.seq
        self.agent = event.agent
        self.number = event.step
        self.model = event.model
        self.start = at
        self.asked = at  # the try that answered, or the last one
        self.first: int | None = None
        self.last = at  # its last content
        self.end: int | None = None
        self.withdrawn: int | None = None
        self.gaps = 0
        self.gap_us = 0
        self.held_us = 0
        self.chars = 0
        self.output = 0
        self.finish_reason: str | None = None

    def spans(self, now: int) -> Iterator[Span]:
        """What its time went to, as far as it is at `now`."""
        end = now if self.end is None else self.end
        if self.withdrawn is not None:
            yield Span("lost", self.start, max(end, self.withdrawn))
            return
        yield Span("lost", self.start, self.asked)
        yield Span("waiting", self.asked, end if self.first is None else self.first)
        if self.first is not None:
            yield Span("streaming", self.first, end)


class CallSeen:
    """One call of a tool, and the step that asked for it, if that is known."""

    def __init__(self, event: ToolStart, at: int, step: StepSeen | None) -> None:
        self.name = event.name
        self.start = at
        self.end: int | None = None
        self.failed = False
        self.step = step

    def until(self, now: int) -> tuple[int, int]:
        """From when to when it ran, as far as it is at `now`."""
        return self.start, now if self.end is None else self.end


class LogSeen:
    """Takes a run's events one after the other, from the first one on.

    Args:
        gap_us: From which length on a silence in mid-answer is noted.
    """

    def __init__(self, gap_us: int) -> None:
        self._gap_us = gap_us
        self.start: RunStart | None = None
        self.end: Complete | Error | Cancelled | None = None
        self.begun = 0
        self.now = 0
        self.first_token: int | None = None
        self.model = ""
        self.usage = Usage()
        self.steps: list[StepSeen] = []
        self.calls: list[CallSeen] = []
        self.waits: list[Span] = []
        self.longest: list[tuple[int, int, int, str]] = []  # a heap: length, -begin, step, agent
        self.troubles: list[tuple[int, Warn]] = []
        self.warnings = 0
        self.retries = 0
        self.withdrawn = 0
        self.withdrawn_chars = 0
        self._open: dict[str, StepSeen] = {}
        self._latest: dict[str, StepSeen] = {}
        self._running: dict[tuple[str, str], CallSeen] = {}
        self._asked: dict[str, int] = {}

    def add(self, event: Event) -> None:
        """Take the next event."""
        before, at = self.now, max(self.now, micros(event.at))
        self.now = at
        match event:
            case Token() | Thought() | ToolArgs():
                self._content(event, at)
            case StepStart() | StepEnd():
                self._step(event, at)
            case ToolStart() | ToolEnd():
                self._call(event, at)
            case ApprovalNeeded() | Approval():
                self._approval(event, at)
            case Warn():
                self._warn(event, before, at)
            case Retract():
                self._retract(event, at)
            case RunStart():
                self.start, self.begun = event, at
            case Complete() | Error() | Cancelled():
                self.end = event

    def spans(self) -> Iterator[Span]:
        """What the run's time went to, up to `now`."""
        yield from self.waits
        for since in self._asked.values():
            yield Span("person", since, self.now)
        for step in self.steps:
            yield from step.spans(self.now)
        for call in self.calls:
            yield Span("tools", *call.until(self.now))

    def _content(self, event: Token | Thought | ToolArgs, at: int) -> None:
        if type(event) is Token and self.first_token is None and not event.agent:
            self.first_token = at
        step = self._open.get(event.agent)
        if step is None:
            return
        if step.first is None:
            step.first = at
        else:
            self._silence(step, at)
        step.last = at
        if type(event) is Token:
            step.chars += len(event.content)

    def _silence(self, step: StepSeen, at: int) -> None:
        """Nothing came from the step's last content to `at`."""
        us = at - step.last
        if us < self._gap_us:
            return
        step.gaps += 1
        step.gap_us += us
        gap = (us, -step.last, step.number, step.agent)
        if len(self.longest) < LONGEST_GAPS:
            heappush(self.longest, gap)
        else:
            heappushpop(self.longest, gap)

    def _step(self, event: StepStart | StepEnd, at: int) -> None:
        if isinstance(event, StepStart):
            step = StepSeen(event, at)
            self.steps.append(step)
            self._open[event.agent] = self._latest[event.agent] = step
            return
        ended = self._open.pop(event.agent, None)
        if ended is None:
            return
        if ended.first is not None:
            self._silence(ended, at)
        ended.end = at
        ended.finish_reason = event.finish_reason
        ended.output = event.usage.output
        self.usage = self.usage + event.usage
        ended.held_us = round(event.timing.held_ms * 1e3)
        ended.model = event.model or ended.model
        if not event.agent:
            self.model = event.model or self.model

    def _call(self, event: ToolStart | ToolEnd, at: int) -> None:
        key = (event.agent, event.call_id)
        if isinstance(event, ToolStart):
            call = CallSeen(event, at, self._latest.get(event.agent))
            self.calls.append(call)
            self._running[key] = call
            return
        ended = self._running.pop(key, None)
        if ended is not None:
            ended.end = at
            ended.failed = event.error is not None

    def _approval(self, event: ApprovalNeeded | Approval, at: int) -> None:
        if isinstance(event, ApprovalNeeded):
            self._asked[event.call_id] = at
        elif (since := self._asked.pop(event.call_id, None)) is not None:
            self.waits.append(Span("person", since, at))

    def _warn(self, event: Warn, before: int, at: int) -> None:
        self.warnings += 1
        if len(self.troubles) < TROUBLES:
            self.troubles.append((at, event))
        if event.code == "recovered":
            self.waits.append(Span("interrupted", before, at))
        step = self._open.get(event.agent)
        if step is None or event.code not in _AGAIN:
            return
        self.retries += 1
        if step.first is None:
            step.asked = at

    def _retract(self, event: Retract, at: int) -> None:
        """Withdrawn is what stands behind a `step_start`: whole steps."""
        self.withdrawn += 1
        for step in reversed(self.steps):
            if step.seq + 1 < event.since:
                break
            if step.agent == event.agent and step.withdrawn is None:
                step.withdrawn = at
                self.withdrawn_chars += step.chars
