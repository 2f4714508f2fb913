"""What a run has used, by agent and model; from its log, so that it outlives the process."""

from __future__ import annotations

from collections import Counter

from headrace.events import AgentStart, Event, RunStart, StepEnd, StepStart
from headrace.runs.waits import Waits, within
from headrace.usage import Usage


class Spent:
    """Counts as events are written; withdrawn steps count, as they are billed.

    At most one entry for each agent that the run calls, and each of its models.

    Attributes:
        usage: By agent's path and model's name.
        calls: Tool calls by agent's path, those that wait included.
        since: When each agent began, in Unix seconds.
        waits: How long people were waited for.
    """

    def __init__(self) -> None:
        self.usage: dict[tuple[str, str], Usage] = {}
        self.calls: Counter[str] = Counter()
        self.since: dict[str, float] = {}
        self.waits = Waits()
        self._models: dict[str, str] = {}

    def take(self, event: Event) -> None:
        """Count a structural event."""
        self.waits.take(event)
        match event:
            case RunStart() | AgentStart():
                self.since.setdefault(event.agent, event.at)  # a hand-off keeps the path
            case StepStart():
                self._models[event.agent] = event.model
            case StepEnd():
                key = (event.agent, event.model or self._models.get(event.agent, ""))
                self.usage[key] = self.usage.get(key, Usage()) + event.usage

    def by_model(self, path: str) -> dict[str, Usage]:
        """What an agent and all below it have used of each model."""
        used: dict[str, Usage] = {}
        for (agent, model), usage in self.usage.items():
            if within(agent, path):
                used[model] = used.get(model, Usage()) + usage
        return used

    def calls_of(self, path: str) -> int:
        """Tool calls of an agent and all below it."""
        return sum(count for agent, count in self.calls.items() if within(agent, path))
