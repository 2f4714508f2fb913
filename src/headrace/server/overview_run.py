"""A live run as the overview sees it: what it does now, and what it counts.

It is told by the run itself (`headrace.runs.observer`): a few steps for an event or a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp

from headrace.events import (
    AgentEnd,
    AgentStart,
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
    ToolEnd,
    ToolStart,
    Warn,
)
from headrace.runs.observer import Observer
from headrace.runs.run import Run
from headrace.runs.stores.record import RunStatus
from headrace.server.overview import LiveRun
from headrace.server.overview_ring import Figures, count, provider_of

LAST_SECONDS = 5.0
"""Seconds that "now" is about in pieces a second: older ones count less and less."""

RETRIES = frozenset({"retry", "fallback", "reconnect"})
"""Codes of warnings that tell of a model that was asked again."""

RECOVERED = "recovered"
"""The code of the warning that tells of a run that was taken up again."""


class Rate:
    """Pieces a second, as of now: a weight that falls by e every `LAST_SECONDS`."""

    __slots__ = ("_at", "_since", "_weight")

    def __init__(self) -> None:
        self._since: float | None = None
        self._at = 0.0
        self._weight = 0.0

    def add(self, count: int, at: float) -> None:
        """So many came at this time."""
        if self._since is None:
            self._since = at
        self._weight = self._weight * exp(min(self._at - at, 0.0) / LAST_SECONDS) + count
        self._at = at

    def per_second(self, now: float) -> float:
        """As of now; over a second at least, so that a first burst is no rate."""
        if self._since is None:
            return 0.0
        weight = self._weight * exp(min(self._at - now, 0.0) / LAST_SECONDS)
        span = LAST_SECONDS * (1.0 - exp(-max(now - self._since, 1.0) / LAST_SECONDS))
        return round(weight / span, 1)


class _Step:
    """A model call that goes on."""

    __slots__ = ("last", "model")

    def __init__(self, model: str) -> None:
        self.model = model
        self.last: float | None = None


class Followed(Observer):
    """One live run. What it says is counted where and when it says it.

    Args:
        run: The run.
        figures: Gives, for a model and a time, where to count.
        over: Called with the run's id when it lives here no more.
    """

    def __init__(
        self, run: Run, figures: Callable[[str, float], Figures], over: Callable[[str], object]
    ) -> None:
        self._run = run
        self._count_in = figures
        self._gone = over
        self._own = _Step(run.info.model)
        self._steps: dict[str, _Step] = {}  # by agent
        self._begun = 0
        self._tokens = 0
        self._chunks = 0
        self._doing = "waiting"
        self._open: dict[tuple[str, str, str], str] = {}  # in the order of their begin
        self._rate = Rate()

    def event(self, event: Event) -> None:
        """See `Observer.event`."""
        told = _TOLD.get(type(event))
        if told is not None:
            told(self, event)

    def content(self, agent: str, count: int, at: float) -> None:
        """See `Observer.content`."""
        step = self._steps.get(agent, self._own)
        figures = self._count_in(step.model, at)
        figures.tokens += count
        if step.last is not None:
            figures.gaps.add(at - step.last)
        if count > 1:  # what one read brings has no gaps
            figures.gaps.add(0.0, count - 1)
        step.last = at
        self._tokens += count
        self._rate.add(count, at)
        if not agent:
            self._said(figures, at)

    def _said(self, figures: Figures, at: float) -> None:
        """The root agent says something: its meter counts only the answer's text."""
        meter = self._run.writer.meter
        if meter.chunks == self._chunks:
            self._doing = "thinking"
            return
        if not self._chunks:
            figures.ttft.add(at - meter.started)
        self._chunks = meter.chunks
        self._doing = "answering"

    def lost(self) -> None:
        """See `Observer.lost`."""
        self._gone(self._run.id)

    @property
    def started_at(self) -> float:
        """When the run began, wherever that was."""
        return self._run.writer.meter.started

    def rate(self, now: float) -> float:
        """Pieces a second, as of now."""
        return self._rate.per_second(now)

    @property
    def last_seq(self) -> int:
        """The last event that its viewers may see."""
        return self._run.last_seq

    @property
    def model(self) -> str:
        """Under whose name the run counts."""
        return self._own.model

    def row(self, now: float, viewers: int, lag: int) -> LiveRun:
        """As it is shown."""
        run = self._run
        return LiveRun(
            run_id=run.id,
            agent=run.info.agent_name,
            model=run.model,
            provider=provider_of(run.model),
            user=run.user,
            session=run.info.session,
            started_at=self.started_at,
            state=next(reversed(self._open.values()), self._doing),
            steps=self._begun,
            tokens=self._tokens,
            tokens_per_second=self.rate(now),
            viewers=viewers,
            lag=lag,
        )

    def _figures(self, event: Event) -> Figures:
        return self._count_in(self._steps.get(event.agent, self._own).model, event.at)

    def _on_run(self, event: RunStart) -> None:
        self._figures(event).started += 1

    def _on_step(self, event: StepStart) -> None:
        self._steps[event.agent] = _Step(event.model)
        self._begun += 1
        if not event.agent:
            self._doing = "waiting"

    def _on_step_end(self, event: StepEnd) -> None:
        self._steps.pop(event.agent, None)
        if not event.agent:
            self._doing = "waiting"

    def _on_begin(self, event: ToolStart | AgentStart | ApprovalNeeded) -> None:
        self._open[_key(event)] = f"{_WORDS[type(event)]}:{event.name}"

    def _on_end(self, event: ToolEnd | AgentEnd | Approval) -> None:
        self._open.pop(_key(event), None)

    def _on_retract(self, event: Retract) -> None:
        count(self._figures(event).retracts, event.reason)

    def _on_warning(self, event: Warn) -> None:
        if event.code in RETRIES:
            count(self._figures(event).retries, event.code)
        elif event.code == RECOVERED:  # its account is restored before this is told
            self._figures(event).recovered += 1
            self._tokens = self._chunks = self._run.writer.meter.chunks

    def _on_complete(self, event: Complete) -> None:
        self._over(event, "complete")

    def _on_error(self, event: Error) -> None:
        self._over(event, "error")
        count(self._count_in(self._own.model, event.at).errors, event.code)

    def _on_cancelled(self, event: Cancelled) -> None:
        self._over(event, "cancelled")

    def _over(self, event: Event, status: RunStatus) -> None:
        count(self._count_in(self._own.model, event.at).runs, status)
        self._gone(self._run.id)


_TOLD: dict[type[Event], Callable[..., None]] = {
    RunStart: Followed._on_run,
    StepStart: Followed._on_step,
    StepEnd: Followed._on_step_end,
    ToolStart: Followed._on_begin,
    ToolEnd: Followed._on_end,
    AgentStart: Followed._on_begin,
    AgentEnd: Followed._on_end,
    ApprovalNeeded: Followed._on_begin,
    Approval: Followed._on_end,
    Retract: Followed._on_retract,
    Warn: Followed._on_warning,
    Complete: Followed._on_complete,
    Error: Followed._on_error,
    Cancelled: Followed._on_cancelled,
}

_WORDS: dict[type[Event], str] = {
    ToolStart: "tool",
    ToolEnd: "tool",
    AgentStart: "agent",
    AgentEnd: "agent",
    ApprovalNeeded: "approval",
    Approval: "approval",
}


def _key(
    event: ToolStart | ToolEnd | AgentStart | AgentEnd | ApprovalNeeded | Approval,
) -> tuple[str, str, str]:
    """What a begin and its end have in common."""
    if isinstance(event, AgentStart | AgentEnd):
        return "agent", event.agent, event.name
    return _WORDS[type(event)], event.agent, event.call_id
