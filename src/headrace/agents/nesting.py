"""How far agents may call agents in one run: depth, numbers, and no task twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct

from headrace.agents.rules import Rules
from headrace.errors import UsageError
from headrace.events import AgentEnd, AgentStart

if TYPE_CHECKING:
    from headrace.agents.approvals import OnApproval

MAX_DEPTH = 5
"""Levels of agents below the root."""

MAX_AGENTS = 64
"""Agents that one run may call in all, at every level together."""

MAX_FAN_OUT = 32
"""Agents that one agent may call in all."""

MAX_HANDOFFS = 8
"""Times that agents of one run may hand their conversation over."""


class Nesting(Struct, frozen=True):
    """The bounds of one run.

    Attributes:
        depth: Levels of agents below the root.
        agents: Calls of agents in all.
        fan_out: Calls of agents by one agent, over all its steps.
        handoffs: Hand-offs in all.
        repeats: Whether one agent may be given the same task twice by the same caller. One that
            failed may be asked again.

    Raises:
        UsageError: a bound below 1.
    """

    depth: int = MAX_DEPTH
    agents: int = MAX_AGENTS
    fan_out: int = MAX_FAN_OUT
    handoffs: int = MAX_HANDOFFS
    repeats: bool = False

    def __post_init__(self) -> None:
        if min(self.depth, self.agents, self.fan_out, self.handoffs) < 1:
            raise UsageError("A nesting's depth, agents, fan_out and handoffs are at least 1.")


class Nest:
    """What has been called so far in one run; shared by all its agents.

    Args:
        bounds: How far it may go.

    Attributes:
        rules: The guards and budgets of its agents.
        deciders: What decides about calls that wait, by the path of the agent that has it.
    """

    def __init__(self, bounds: Nesting) -> None:
        self.bounds = bounds
        self.rules = Rules()
        self.deciders: dict[str, OnApproval] = {}
        self._calls: Counter[str] = Counter()  # by caller
        self._tasks: set[tuple[str, str, str]] = set()
        self._paths: set[str] = set()
        self._handoffs = 0
        self._leaving: dict[str, str] = {}

    def refusal(self, caller: str, name: str, task: str) -> str | None:
        """Why an agent may not be called, in words for the model; None where it may.

        Args:
            caller: Path of the agent that calls.
            name: Whom.
            task: For what.
        """
        bounds = self.bounds
        if depth_of(caller) >= bounds.depth:
            return (
                f"Agents may call each other {bounds.depth} levels deep, no deeper. Do it yourself."
            )
        if self._calls.total() >= bounds.agents:
            return f"This run has called {bounds.agents} agents; no more are allowed."
        if self._calls[caller] >= bounds.fan_out:
            return f"You have called {bounds.fan_out} agents; no more are allowed."
        if not bounds.repeats and (caller, name, _same(task)) in self._tasks:
            return f"{name} was given this very task before: use its answer, or ask something else."
        return None

    def enter(self, caller: str, name: str, task: str) -> str:
        """Count a call; gives the called agent's own path, another one each time."""
        self._calls[caller] += 1
        self._tasks.add((caller, name, _same(task)))
        first = path = f"{caller}/{name}" if caller else name
        count = 1
        while path in self._paths:  # by a call before, or by an agent that has the number as name
            count += 1
            path = f"{first}-{count}"
        self._paths.add(path)
        return path

    def failed(self, caller: str, name: str, task: str) -> None:
        """A call gave no answer: the same may be asked again."""
        self._tasks.discard((caller, name, _same(task)))

    def hand_over(self, path: str, name: str) -> str | None:
        """Count a hand-off; why it may not be, in words for the model, or None.

        Args:
            path: Of the agent whose conversation it is.
            name: Who shall have it.
        """
        if path in self._leaving:
            return f"The conversation goes to {self._leaving[path]} already."
        if self._handoffs >= self.bounds.handoffs:
            return (
                f"This conversation was handed over {self.bounds.handoffs} times, which is the most"
                " that is allowed. Answer it yourself."
            )
        self._handoffs += 1
        self._leaving[path] = name
        return None

    def handed_over(self, path: str) -> None:
        """The hand-off is done: who has the conversation now may hand it over in its turn."""
        self._leaving.pop(path, None)

    def decider(self, path: str) -> OnApproval | None:
        """What decides about calls of the agent at `path`: its own, or the nearest above it."""
        while path and path not in self.deciders:
            path = path.rpartition("/")[0]
        return self.deciders.get(path)

    def restore(self, events: Iterable[AgentStart | AgentEnd]) -> None:
        """Count what a run had called that another process began."""
        events = list(events)
        answered = {e.agent for e in events if isinstance(e, AgentEnd) and e.error is None}
        for start in events:
            if isinstance(start, AgentEnd):
                continue
            if not start.agent:  # who took the conversation over
                self._handoffs += 1
                continue
            caller = start.agent.rpartition("/")[0]
            self._calls[caller] += 1
            self._paths.add(start.agent)
            if start.agent in answered:
                self._tasks.add((caller, start.name, _same(start.task)))


def depth_of(path: str) -> int:
    """Levels below the root: ``""`` has none, ``router/researcher`` two."""
    return path.count("/") + 1 if path else 0


def _same(task: str) -> str:
    return " ".join(task.split()).casefold()
