"""What a run may use at most: tokens, money, tools, time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from time import time
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from headrace.errors import BudgetSpent, ConfigurationError, UsageError
from headrace.models.estimate import estimate
from headrace.models.fallback import Fallback
from headrace.models.model import Model
from headrace.models.request import ModelRequest
from headrace.models.wrapped import WrappedModel
from headrace.runs.spent import Spent
from headrace.usage import Usage

LEAST_ASKED = 16
"""The smallest `max_tokens` that is asked for: OpenAI's Responses API refuses less ("integer below
minimum value. Expected a value >= 16")."""

SAFE_LIMIT = 4096
"""The largest `max_tokens` that is set where neither agent nor model has one: a provider refuses
more than its model can write, and models that write less than this are of 2023."""

MILLION = 1_000_000

What = Literal["tokens", "cost", "tools", "seconds"]


class Price(Struct, frozen=True):
    """What a model costs, in any currency, for a million tokens.

    Attributes:
        input: Of the prompt.
        output: Of what it writes, reasoning included.
        cached: Of the prompt's part that the provider had in its cache; as `input` where None.

    Raises:
        UsageError: a price below 0.
    """

    input: float
    output: float
    cached: float | None = None

    def __post_init__(self) -> None:
        if min(self.input, self.output, self.cached or 0) < 0:
            raise UsageError("A price is at least 0.")

    def of(self, usage: Usage) -> float:
        """What this much costs."""
        cached = self.input if self.cached is None else self.cached
        fresh = usage.input - usage.cached
        cost = fresh * self.input + usage.cached * cached + usage.output * self.output
        return cost / MILLION


class Budget(Struct, frozen=True, kw_only=True):
    """What a run, with all the agents that it calls, may use; None for no bound.

    Attributes:
        tokens: In and out, of all its model calls.
        cost: In the currency of `prices`.
        tools: Tool calls; a call of an agent is one, too.
        seconds: From the run's start, without the time for which people were waited for.
        prices: What models cost: one for all, or by name (``openai:gpt-5-mini`` or ``gpt-5-mini``).

    Raises:
        UsageError: no bound at all, one that is not above 0, a `cost` without `prices`.
    """

    tokens: int | None = None
    cost: float | None = None
    tools: int | None = None
    seconds: float | None = None
    prices: Price | Mapping[str, Price] | None = None

    def __post_init__(self) -> None:
        bounds = (self.tokens, self.cost, self.seconds)
        if all(bound is None for bound in (*bounds, self.tools)):
            raise UsageError("A budget bounds something: tokens, cost, tools or seconds.")
        if any(bound is not None and not bound > 0 for bound in bounds):
            raise UsageError("A budget's tokens, cost and seconds are above 0.")
        if self.tools is not None and self.tools < 0:
            raise UsageError("A budget's tools are at least 0.")
        if self.cost is not None and not self.prices:
            raise UsageError(
                "A budget of cost needs prices.",
                hint="Write Budget(cost=0.5, prices={'openai:gpt-5-mini': Price(0.25, 2.0)}).",
            )

    def price(self, model: str) -> Price:
        """What a model costs.

        Raises:
            ConfigurationError: it has no price: nobody could say when the budget is spent.
        """
        prices = self.prices
        if isinstance(prices, Price):
            return prices
        found = None if prices is None else prices.get(model, prices.get(model.partition(":")[2]))
        if found is None:
            raise ConfigurationError(
                f"The budget has no price for {model}.", hint="Add it to Budget(prices={…})."
            )
        return found


class Bounded(Struct, frozen=True):
    """A budget as it holds for one agent of a run, and all below it.

    Attributes:
        budget: What may be used.
        path: The agent's path.
    """

    budget: Budget
    path: str

    def before_step(
        self, spent: Spent, request: ModelRequest, model: Model
    ) -> tuple[ModelRequest, BudgetSpent | None]:
        """The request with `max_tokens` lowered to what is left, and what it is when that is hit.

        Raises:
            BudgetSpent: nothing is left, or not so much as the request itself takes.
            ConfigurationError: a model has no price.
        """
        seconds = self.seconds_left(spent)
        if seconds is not None and seconds <= 0:
            raise self.spent("seconds")
        left, what = min(self._left(spent, request, model), default=(None, None))
        own = min(own_limits(request, model), default=None)
        if left is None or what is None or left >= (SAFE_LIMIT if own is None else own):
            return request, None
        limit = max(left, LEAST_ASKED if own is None else min(LEAST_ASKED, own))
        options = replace(request.options, max_tokens=limit)
        return ModelRequest(request.messages, request.tools, options), self.spent(what)

    def _left(
        self, spent: Spent, request: ModelRequest, model: Model
    ) -> Iterator[tuple[int, What]]:
        """Tokens that the model may still write, by each bound; `BudgetSpent` where none."""
        used = spent.by_model(self.path)
        asked = estimate(request, 0).input
        budget = self.budget
        if budget.tokens is not None:
            left = budget.tokens - sum(usage.total for usage in used.values()) - asked
            if left < 1:
                raise self.spent("tokens")
            yield left, "tokens"
        if budget.cost is not None:
            cost = sum(budget.price(name).of(usage) for name, usage in used.items())
            price = self._dearest(model)
            money = budget.cost - cost - price.of(Usage(asked))
            if money <= 0:
                raise self.spent("cost")
            if price.output:
                yield int(money / price.output * MILLION), "cost"

    def _dearest(self, model: Model) -> Price:
        prices = [self.budget.price(name) for name in names_of(model)]
        return max(prices, key=lambda price: price.output)

    def check_calls(self, spent: Spent, more: int) -> None:
        """Whether so many more tools may be called.

        Raises:
            BudgetSpent: they may not.
        """
        if more > self.calls_left(spent):
            raise self.spent("tools")

    def calls_left(self, spent: Spent) -> float:
        """Tools that may still be called."""
        tools = self.budget.tools
        return float("inf") if tools is None else tools - spent.calls_of(self.path)

    def seconds_left(self, spent: Spent) -> float | None:
        """Seconds that the agent may still take; None for ever."""
        seconds = self.budget.seconds
        if seconds is None:
            return None
        now = time()
        return seconds - (now - spent.since[self.path]) + spent.waits.seconds(self.path, now)

    def spent(self, what: What) -> BudgetSpent:
        """The error that ends the run, or tells an agent's caller."""
        whose = f"of {self.path}" if self.path else "of this run"
        most = getattr(self.budget, what)
        unit = {"tokens": f"{most} tokens", "tools": f"{most} tool calls"}
        said = unit.get(what, f"{most:g} seconds" if what == "seconds" else f"a cost of {most:g}")
        return BudgetSpent(f"budget_{what}", f"The budget {whose} is spent: {said}.")


def own_limits(request: ModelRequest, model: Model) -> Iterator[int]:
    """The `max_tokens` that hold for a request without any budget, as far as they are known."""
    asked = request.options.max_tokens
    if asked is not None:
        yield asked
        return
    while isinstance(model, WrappedModel):
        model = model.wrapped
    if isinstance(model, Fallback):
        for one in model.models:
            if not isinstance(one, str):
                yield from own_limits(request, one)
        return
    options = getattr(model, "options", None)
    if options is not None and options.max_tokens is not None:
        yield options.max_tokens


def names_of(model: Model) -> list[str]:
    """The models that may answer."""
    while isinstance(model, WrappedModel):
        model = model.wrapped
    if isinstance(model, Fallback):
        return [model.name_of(one) for one in model.models]
    return [model.name]
