"""How long a run has waited for people: pure, from its log, so that it outlives the process."""

from __future__ import annotations

from collections.abc import Iterable

from headrace.events import AgentEnd, Approval, ApprovalNeeded, Event, StepStart


class Waits:
    """Counts as events are written. Every clock of a run stands still while a call waits."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], float] = {}  # since when, by agent and call
        self._over: list[tuple[str, float, float]] = []  # agent, from, to

    @property
    def open(self) -> bool:
        """Whether a call waits."""
        return bool(self._open)

    def take(self, event: Event) -> None:
        """Count a structural event."""
        if isinstance(event, ApprovalNeeded):
            self._open.setdefault((event.agent, event.call_id), event.at)
            return
        for agent, call_id in list(self._open):
            if ends_wait(event, agent, call_id):
                self._over.append((agent, self._open.pop((agent, call_id)), event.at))

    def seconds(self, path: str, now: float) -> float:
        """How long the agent at `path`, or one below it, has waited; waits side by side are one."""
        still = ((agent, since, now) for (agent, _), since in self._open.items())
        spans = sorted((a, b) for agent, a, b in (*self._over, *still) if within(agent, path))
        total, end = 0.0, 0.0
        for start, stop in spans:
            total += max(0.0, stop - max(start, end))
            end = max(end, stop)
        return total


def ends_wait(event: Event, agent: str, call_id: str) -> bool:
    """Whether a call of `agent` waits no more: decided, or the agent has ended or gone on."""
    match event:
        case Approval():
            return (event.agent, event.call_id) == (agent, call_id)
        case AgentEnd():
            return bool(event.agent) and within(agent, event.agent)
        case StepStart():
            return event.agent == agent
    return False


def waited(events: Iterable[Event], now: float) -> float:
    """How long a run has waited for people, by its whole log."""
    found = Waits()
    for event in events:
        found.take(event)
    return found.seconds("", now)


def waits(events: Iterable[Event]) -> bool:
    """Whether a run waits for a person, by its whole log: such a run brings no process down."""
    found = Waits()
    for event in events:
        found.take(event)
    return found.open


def within(agent: str, path: str) -> bool:
    """Whether an agent is the one at `path`, or below it."""
    return not path or agent == path or agent.startswith(f"{path}/")
