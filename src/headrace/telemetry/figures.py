"""A run's events as measurements: what all exporters share. Pure.

A `Recorder` follows one run: what began, and what ended with its times, goes to `tell`. Content
that came in one read of the model's answer counts once: its pieces have no gaps between them that
anyone could feel.

Names only: what people, models and tools say is in none of this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from msgspec import Struct

from headrace.events import (
    AgentEnd,
    AgentStart,
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
from headrace.usage import Metrics, Usage

OTHER = "_OTHER"
"""An error that has no name (OpenTelemetry, attribute ``error.type``)."""

RETRIES = frozenset({"retry", "fallback", "reconnect"})
"""Codes of the warnings that tell of a model that was asked once more."""

FALLBACK = ", else "
"""What stands between the names of a fallback's models."""

_NAMED = {
    "cancelled": "cancelled",
    "the run failed": "run_failed",
    "left open": "left_open",
    "not asked for": "not_asked_for",
    "withdrawn": "withdrawn",
    "outcome unknown": "outcome_unknown",
}
"""Errors of tools and agents that Headrace itself writes; others are words of the tool's."""


class Gaps(Protocol):
    """Takes the times between contents, in seconds."""

    def add(self, value: float) -> None:
        """One of them."""


class ModelCall(Struct, eq=False):
    """A model call: one try of a step.

    Attributes:
        agent: Path of the agent that asks.
        step: Its number.
        asked: The model's full name.
        provider: Who serves it; ``fallback`` where several were asked and none has answered.
        model: The provider's name of it.
        began: Unix seconds.
        ended: Unix seconds; 0 before.
        answered: Whether `provider` and `model` are who answered, as a fallback tells it.
        first: Seconds from its beginning to its first content, None without any.
        last: When content came last.
        reads: How many reads had content.
        gaps: The times between them, None where there are none.
        finish_reason: Empty before its end.
        usage: What it used.
        error: Why it failed: an error's code, or `OTHER`; empty where it did not.
    """

    agent: str
    step: int
    asked: str
    provider: str
    model: str
    began: float
    ended: float = 0.0
    answered: bool = False
    first: float | None = None
    last: float = 0.0
    reads: int = 0
    gaps: Gaps | None = None
    finish_reason: str = ""
    usage: Usage = Usage()
    error: str = ""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return max(0.0, self.ended - self.began)


class ToolCall(Struct, eq=False):
    """A tool that runs.

    Attributes:
        agent: Path of the agent that calls it.
        call_id: The call's id.
        name: The tool's name, as the model wrote it.
        began: Unix seconds.
        seconds: How long it took; 0 before its end.
        ended: Whether it has.
        error: Why it failed: a name, never its own words; empty where it did not.
    """

    agent: str
    call_id: str
    name: str
    began: float
    seconds: float = 0.0
    ended: bool = False
    error: str = ""


class AgentCall(Struct, eq=False):
    """A sub-agent's task.

    Attributes:
        agent: Its path; of one that the conversation was handed to, that of the one before.
        name: Its name.
        began: Unix seconds.
        seconds: How long it took; 0 before its end.
        ended: Whether it has.
        error: As of `ToolCall`.
    """

    agent: str
    name: str
    began: float
    seconds: float = 0.0
    ended: bool = False
    error: str = ""


class RunBegan(Struct, frozen=True):
    """The run began here; one that was taken up again did not."""

    at: float


class RunEnded(Struct, frozen=True):
    """The run ended.

    Attributes:
        at: When.
        status: ``complete``, ``error`` or ``cancelled``.
        reason: The finish reason of a complete run, the code of an error; empty for a cancel,
            whose reason is a person's words.
        metrics: How it felt.
        usage: What it used.
    """

    at: float
    status: str
    reason: str
    metrics: Metrics
    usage: Usage


class Warned(Struct, frozen=True):
    """A warning, by its code; `retry` where a model is asked once more."""

    code: str
    retry: bool


class Withdrawn(Struct, frozen=True):
    """Text was withdrawn."""

    reason: str


Measured = ModelCall | ToolCall | AgentCall | RunBegan | RunEnded | Warned | Withdrawn
"""What an event may tell. A call comes twice, when it begins and when it has `ended`."""


def named(model: str) -> tuple[str, str]:
    """Provider and model of a full name: ``openai:gpt-5`` is ``openai`` and ``gpt-5``."""
    if FALLBACK in model:
        return "fallback", model
    provider, _, name = model.partition(":")
    return provider, name


def error_name(words: str | None) -> str:
    """A name for the error of a tool or an agent, whose own words may hold anything."""
    return "" if words is None else _NAMED.get(words, OTHER)


class Recorder(Observer):
    """Follows one run from its next event on.

    Args:
        model: The run's model, for calls whose beginning was not seen.
        gaps: Makes what a call's gaps go to.
    """

    def __init__(self, model: str, gaps: Callable[[], Gaps]) -> None:
        self._model = model
        self._make_gaps = gaps
        self._calls: dict[str, ModelCall] = {}
        self._failed: dict[str, ModelCall] = {}
        self._tools: dict[tuple[str, str], ToolCall] = {}
        self._agents: dict[tuple[str, str], AgentCall] = {}

    def tell(self, measured: Measured, event: Event | None) -> None:
        """Something was measured: by this event, or None where the run is lost.

        A model call that failed is told once its error's code is known: with the `retract`, the
        next step or the end that follows.
        """

    def content(self, agent: str, count: int, at: float) -> None:
        """See `Observer.content`."""
        call = self._calls.get(agent)
        if call is None:
            return
        call.reads += 1
        if call.first is None:
            call.first = at - call.began
        else:
            if call.gaps is None:
                call.gaps = self._make_gaps()
            call.gaps.add(at - call.last)
        call.last = at

    def event(self, event: Event) -> None:
        """See `Observer.event`."""
        measure = _MEASURE.get(type(event))
        if measure is not None:
            for measured in measure(self, event):
                self.tell(measured, event)

    def lost(self) -> None:
        """See `Observer.lost`: the calls that failed before get no name any more."""
        for measured in self._give_up_all():
            self.tell(measured, None)

    def _begin_run(self, event: RunStart) -> list[Measured]:
        return [RunBegan(event.at)]

    def _begin_call(self, event: StepStart) -> list[Measured]:
        call = ModelCall(event.agent, event.step, event.model, *named(event.model), event.at)
        self._calls[event.agent] = call
        return [*self._give_up(event.agent), call] if self._failed else [call]

    def _end_call(self, event: StepEnd) -> list[Measured]:
        call = self._calls.pop(event.agent, None)
        if call is None:  # it began before this was here to see it
            asked, began = self._model, event.at - event.timing.duration_ms / 1e3
            call = ModelCall(event.agent, event.step, asked, *named(asked), began)
        if event.model:
            call.provider, call.model = named(event.model)
            call.answered = True
        call.ended, call.usage, call.finish_reason = event.at, event.usage, event.finish_reason
        if event.finish_reason != "error":
            return [call]
        self._failed[event.agent] = call
        return []

    def _begin_tool(self, event: ToolStart) -> list[Measured]:
        tool = ToolCall(event.agent, event.call_id, event.name, event.at)
        self._tools[event.agent, event.call_id] = tool
        return [tool]

    def _end_tool(self, event: ToolEnd) -> list[Measured]:
        took = event.duration_ms / 1e3
        tool = self._tools.pop((event.agent, event.call_id), None)
        if tool is None:
            tool = ToolCall(event.agent, event.call_id, event.name, event.at - took)
        tool.ended, tool.seconds, tool.error = True, took, error_name(event.error)
        return [tool]

    def _begin_agent(self, event: AgentStart) -> list[Measured]:
        agent = AgentCall(event.agent, event.name, event.at)
        self._agents[event.agent, event.name] = agent
        return [agent]

    def _end_agent(self, event: AgentEnd) -> list[Measured]:
        path, took = event.agent, event.duration_ms / 1e3
        agent = self._agents.pop((path, event.name), None)
        if agent is None:
            agent = AgentCall(path, event.name, event.at - took)
        agent.ended, agent.seconds, agent.error = True, took, error_name(event.error)
        # Who was handed the conversation speaks as the root, whose error comes with the end.
        return [*(self._give_up(path) if path else ()), agent]

    def _warn(self, event: Warn) -> list[Measured]:
        return [Warned(event.code, event.code in RETRIES)]

    def _withdraw(self, event: Retract) -> list[Measured]:
        return [*self._give_up(event.agent, event.reason), Withdrawn(event.reason)]

    def _complete(self, event: Complete) -> list[Measured]:
        end = RunEnded(event.at, "complete", event.finish_reason, event.metrics, event.usage)
        return [*self._give_up_all(), end]

    def _error(self, event: Error) -> list[Measured]:
        usage = event.usage or Usage()
        end = RunEnded(event.at, "error", event.code, event.metrics, usage)
        return [*self._give_up_all(event.code), end]

    def _cancel(self, event: Cancelled) -> list[Measured]:
        end = RunEnded(event.at, "cancelled", "", event.metrics, event.usage)
        return [*self._give_up_all(), end]

    def _give_up(self, agent: str, code: str = OTHER) -> list[Measured]:
        """The agent's call that failed, now that its error has a name, or never gets one."""
        call = self._failed.pop(agent, None)
        if call is None:
            return []
        call.error = code
        return [call]

    def _give_up_all(self, code: str = OTHER) -> list[Measured]:
        """Those of all agents; the code of the run's error is that of the root agent's call."""
        found = [self._give_up(agent, OTHER if agent else code) for agent in list(self._failed)]
        return [call for calls in found for call in calls]


_MEASURE: dict[type[Event], Callable[[Recorder, Any], list[Measured]]] = {
    RunStart: Recorder._begin_run,
    StepStart: Recorder._begin_call,
    StepEnd: Recorder._end_call,
    ToolStart: Recorder._begin_tool,
    ToolEnd: Recorder._end_tool,
    AgentStart: Recorder._begin_agent,
    AgentEnd: Recorder._end_agent,
    Warn: Recorder._warn,
    Retract: Recorder._withdraw,
    Complete: Recorder._complete,
    Error: Recorder._error,
    Cancelled: Recorder._cancel,
}
