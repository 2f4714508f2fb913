"""Logs with times: what the tests of `headrace.telemetry.explain` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from msgspec.structs import replace

from headrace import events as e
from headrace.events import Event
from headrace.messages import Message
from headrace.runs.stores.record import RunRecord
from headrace.telemetry.explain_timeline import Kind, micros
from headrace.telemetry.explained import Explanation
from headrace.usage import Metrics, Receipt, Timing, Usage
from tests.strategies import logs

BEGUN = 1000.0
MODEL = "scripted:one"


class Log:
    """Writes a log: each event so many seconds after its begin."""

    def __init__(self, session: str | None = None) -> None:
        self.events: list[Event] = []
        self.put(0, e.RunStart, "run_x", "guide", MODEL, session)

    def put(self, at: float, kind: Callable[..., Event], *fields: object, agent: str = "") -> Event:
        event = kind(len(self.events) + 1, BEGUN + at, agent, *fields)
        self.events.append(event)
        return event

    def say(self, *ats: float, agent: str = "", text: str = "word ") -> None:
        for at in ats:
            self.put(at, e.Token, text, 0, agent=agent)

    def begin(self, at: float, step: int = 1, agent: str = "", model: str = MODEL) -> Event:
        return self.put(at, e.StepStart, step, model, agent=agent)

    def finish(
        self,
        at: float,
        reason: str = "stop",
        step: int = 1,
        *,
        agent: str = "",
        held_ms: float = 0.0,
        usage: Usage = Usage(10, 5),  # noqa: B008 (frozen)
    ) -> None:
        timing = Timing(1.0, held_ms=held_ms)
        self.put(at, e.StepEnd, step, reason, usage, timing, Message("assistant"), agent=agent)

    def tool(self, start: float, end: float, call_id: str = "c1", name: str = "look") -> None:
        self.put(start, e.ToolStart, call_id, name, {})
        self.put(end, e.ToolEnd, call_id, name, "found", 1.0, None)

    def note(self, at: float, code: str, message: str = "It was busy.", agent: str = "") -> None:
        self.put(at, e.Warn, code, message, agent=agent)

    def end(
        self,
        at: float,
        reason: str = "stop",
        *,
        usage: Usage = Usage(10, 5),  # noqa: B008 (frozen)
        **metrics: Any,
    ) -> list[Event]:
        self.put(at, e.Complete, reason, usage, Metrics(**metrics))
        return self.events

    def fail(self, at: float, code: str, message: str) -> list[Event]:
        self.put(at, e.Error, code, message, True, Metrics(), Usage(3, 0, exact=False))
        return self.events

    def cancel(self, at: float, reason: str) -> list[Event]:
        self.put(at, e.Cancelled, reason, Usage(3, 1, exact=False), Metrics(), Receipt())
        return self.events


def record(before: float = 0.0, **more: Any) -> RunRecord:
    """The record of `Log`'s run, submitted so many seconds before its begin."""
    return RunRecord("run_x", "guide", MODEL, BEGUN - before, **more)


def seconds(told: Explanation) -> dict[Kind, float]:
    """The parts that are not nothing."""
    return {kind: us / 1e6 for kind, us in told.parts.items() if us}


def adds_up(told: Explanation, begun: float, ended: float) -> None:
    """The sums that have to be exact, to the microsecond."""
    assert told.duration_us == micros(ended) - micros(begun)
    assert sum(told.parts.values()) == told.duration_us
    assert min(told.parts.values()) >= 0
    if told.first_token_us is not None:
        assert sum(told.before_first_token.values()) == told.first_token_us
        assert min(told.before_first_token.values()) >= 0
    for step in told.steps:
        assert min(step.waiting_us, step.streaming_us, step.lost_us, step.gap_us) >= 0
        assert step.gap_us <= step.streaming_us + step.lost_us


def hello() -> Log:
    """A step that waits 4 s and speaks for 1 s."""
    log = Log()
    log.begin(0.01)
    log.say(4.01, 4.5, 5)
    log.finish(5.01)
    return log


_CODES = st.sampled_from(["retry", "fallback", "recovered", "slow"])
_CALLS = st.sampled_from(["call_0", "call_1"])
_AGENTS = st.sampled_from(["", "helper"])
_PACES = st.lists(
    st.sampled_from([0.0, 1e-6, 0.0123456, 0.7, 1.0, 3.25, 100.0]), min_size=1, max_size=12
)
_HELD = st.floats(0, 1e5)
_MORE: SearchStrategy[Event] = st.one_of(
    st.builds(e.Warn, st.just(0), st.just(0.0), _AGENTS, _CODES, st.just("Busy.")),
    st.builds(e.ApprovalNeeded, st.just(0), st.just(0.0), _AGENTS, _CALLS, st.just("x"), st.none()),
    st.builds(e.Approval, st.just(0), st.just(0.0), _AGENTS, _CALLS, st.booleans()),
)
_PLACES = st.lists(st.tuples(st.integers(1, 60), _MORE), max_size=5)
_LOGS = st.booleans().flatmap(lambda ended: logs(ended=ended))


@st.composite
def timed_logs(draw: DrawFn) -> list[Event]:
    """Legal logs at any pace, with warnings anywhere, waits for people and steps held up."""
    events, held, paces = draw(_LOGS), draw(_HELD), draw(_PACES)
    for place, event in draw(_PLACES):
        events.insert(min(place, len(events) - 1), event)
    timed: list[Event] = []
    at = BEGUN
    for seq, event in enumerate(events, start=1):
        at += paces[seq % len(paces)] if seq > 1 else 0.0
        if isinstance(event, e.Retract):
            event = replace(event, since=_since(timed, event.agent))
        elif isinstance(event, e.StepEnd):
            event = replace(event, timing=Timing(1.0, held_ms=held))
        elif isinstance(event, e.Complete):
            event = replace(event, metrics=Metrics(held_ms=3 * held))
        timed.append(replace(event, seq=seq, at=at))
    return timed


def _since(events: list[Event], agent: str) -> int:
    """Behind this agent's last step_start, as a run writes it."""
    return 1 + next(
        event.seq
        for event in reversed(events)
        if isinstance(event, e.StepStart) and event.agent == agent
    )
