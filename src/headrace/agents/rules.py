"""What holds for the agents of one run: the guards and budgets of each, and of all above it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headrace.runs.waits import within

if TYPE_CHECKING:  # few agents have guards or a budget
    from headrace.agents.budgets import Bounded, Budget
    from headrace.agents.guards import JudgeGuard
    from headrace.agents.guards.before import Before
    from headrace.agents.guards.watch import StreamGuard
    from headrace.errors import BudgetSpent
    from headrace.models.model import Model
    from headrace.models.request import ModelRequest
    from headrace.runs.spent import Spent


class Rules:
    """The guards and budgets of a run's agents, by path.

    An agent that takes a conversation over speaks under the path of the one before: what held for
    that one holds on.
    """

    def __init__(self) -> None:
        self._guards: list[tuple[str, StreamGuard | JudgeGuard]] = []
        self._budgets: list[Bounded] = []
        self._before: dict[str, Before] = {}

    def add(
        self, path: str, guards: Sequence[StreamGuard | JudgeGuard], budget: Budget | None
    ) -> None:
        """Take the rules of the agent at `path`."""
        there = [guard for place, guard in self._guards if place == path]
        self._guards += [(path, guard) for guard in guards if guard not in there]
        if budget is not None:
            from headrace.agents.budgets import Bounded

            bounded = Bounded(budget, path)
            if bounded not in self._budgets:
                self._budgets.append(bounded)

    def guarded(self, model: Model, path: str, *, json_text: bool) -> Model:
        """The model, with all guards that hold for the agent at `path` around it."""
        guards = [guard for place, guard in self._guards if within(path, place)]
        if not guards:
            return model
        from headrace.agents.guards.before import Before
        from headrace.agents.guards.model import GuardedModel

        before = self._before.setdefault(path, Before())
        return GuardedModel(model, guards, json_text=json_text, before=before)

    def before_step(
        self, path: str, spent: Spent, request: ModelRequest, model: Model
    ) -> tuple[ModelRequest, BudgetSpent | None]:
        """The request as far as the budgets allow, and what it is when its `max_tokens` is hit.

        Raises:
            BudgetSpent: one is spent.
            ConfigurationError: a model has no price.
        """
        hit = None
        for bounded in self.budgets(path):
            request, lowered = bounded.before_step(spent, request, model)
            hit = lowered or hit
        return request, hit

    def check_calls(self, path: str, spent: Spent, more: int) -> None:
        """Whether so many more tools may be called.

        Raises:
            BudgetSpent: they may not.
        """
        for bounded in self.budgets(path):
            bounded.check_calls(spent, more)

    def calls_left(self, path: str, spent: Spent) -> float:
        """Tools that may still be called."""
        left = (bounded.calls_left(spent) for bounded in self.budgets(path))
        return min(left, default=float("inf"))

    def time_of(self, path: str, spent: Spent) -> tuple[float, Bounded] | None:
        """Seconds that the agent at `path` may still take, and by whose budget; None for ever."""
        own = (bounded for bounded in self._budgets if bounded.path == path)
        left = [(seconds, b) for b in own if (seconds := b.seconds_left(spent)) is not None]
        return min(left, key=lambda found: found[0], default=None)

    def budgets(self, path: str) -> list[Bounded]:
        """Those that hold for the agent at `path`."""
        return [bounded for bounded in self._budgets if within(path, bounded.path)]
