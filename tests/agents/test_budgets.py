"""Budgets: each ends the run with a name, and what was said before is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from headrace import Agent, tool
from headrace.agents.budgets import LEAST_ASKED, SAFE_LIMIT, Budget, Price
from headrace.agents.guards import Said, Verdict, Withdraw
from headrace.errors import ConfigurationError, RunFailed, UsageError
from headrace.events import AgentEnd, Error, Event, RunStart, StepEnd, ToolEnd, ToolStart
from headrace.messages import Message
from headrace.models.fallback import Fallback
from headrace.models.request import Options
from headrace.runs.log import Log
from headrace.runs.writer import Writer
from headrace.testing import ScriptedModel, Step, check_events, run_with_fake_clock
from headrace.usage import Timing, Usage


@tool
def look(at: str) -> str:
    """Look."""
    return f"saw {at}"


@tool(read_only=True)
def peek(at: str) -> str:
    """Peek."""
    return f"saw {at}"


def looking(text: str, usage: Usage | None = None, times: int = 1) -> Step:
    calls = [("look", {"at": str(n)}) for n in range(times)]
    return Step(text=text, tool_calls=calls, usage=usage)


def agent(*steps: Step, budget: Budget, **options: object) -> Agent:
    return Agent("clerk", ScriptedModel(steps), tools=[look, peek], budget=budget, **options)  # type: ignore[arg-type]


async def log_of(of: Agent) -> list[Event]:
    async with of.start("Go") as run:
        events = [event async for event in run.events()]
    check_events(events)
    return events


async def failing(of: Agent) -> RunFailed:
    with pytest.raises(RunFailed) as caught:
        await of.run("Go")
    assert not caught.value.retryable
    return caught.value


def limits(of: Agent) -> list[int | None]:
    assert isinstance(of.model, ScriptedModel)
    return [request.options.max_tokens for request in of.model.requests]


async def test_spent_tokens_end_the_run_between_steps() -> None:
    spending = agent(
        looking("Let me look. ", Usage(60, 40)), Step(text="never"), budget=Budget(tokens=100)
    )
    failed = await failing(spending)
    assert (failed.code, failed.partial) == ("budget_tokens", "Let me look. ")
    assert len(limits(spending)) == 1
    assert "100 tokens" in str(failed)


async def test_a_run_within_its_budget_ends_as_ever() -> None:
    within = agent(
        looking("", Usage(5, 5)),
        Step(text="done", usage=Usage(5, 5)),
        budget=Budget(tokens=5000, tools=1, seconds=60),
    )
    assert (await within.run("Go")).content == "done"


async def test_max_tokens_is_lowered_to_what_is_left() -> None:
    spending = agent(looking("", Usage(50, 50)), Step(text="done"), budget=Budget(tokens=1000))
    await spending.run("Go")
    first, second = limits(spending)
    assert first is not None
    assert second is not None
    assert 990 < first <= 1000
    assert 880 < second <= 900


async def test_a_request_that_would_pass_it_alone_is_not_sent() -> None:
    spending = agent(Step(text="never"), budget=Budget(tokens=20), instructions="x" * 400)
    assert (await failing(spending)).code == "budget_tokens"
    assert limits(spending) == []


async def test_an_answer_cut_at_the_lowered_limit_is_told_as_a_spent_budget() -> None:
    spending = agent(Step(text="It is", finish_reason="length"), budget=Budget(tokens=50))
    failed = await failing(spending)
    assert (failed.code, failed.partial) == ("budget_tokens", "It is")


async def test_an_answer_cut_at_its_own_limit_is_told_as_that() -> None:
    own = agent(
        Step(text="It is", finish_reason="length"), budget=Budget(tokens=5000), max_tokens=20
    )
    assert (await own.run("Go")).finish_reason == "length"
    assert limits(own) == [20]


@pytest.mark.parametrize(
    ("model", "asked", "expected"),
    [
        (Options(), None, None),
        (Options(max_tokens=30), None, None),
        (Options(), 30, 30),
        (Options(max_tokens=30), 40, 40),
    ],
)
async def test_no_limit_is_raised(model: Options, asked: int | None, expected: int | None) -> None:
    """A large `max_tokens` is refused by models that cannot write so much."""
    scripted = ScriptedModel([Step(text="ok")], options=model)
    rich = Agent("rich", scripted, budget=Budget(tokens=10 * SAFE_LIMIT), max_tokens=asked)
    await rich.run("Go")
    told = expected if expected is not None else model.max_tokens
    assert limits(rich) == [told]


async def test_a_model_s_own_limit_is_found_in_a_fallback() -> None:
    inner = ScriptedModel([Step(text="ok")], options=Options(max_tokens=30))
    await Agent("rich", Fallback([inner]), budget=Budget(tokens=2000)).run("Go")
    assert inner.requests[0].options.max_tokens == 30


async def test_fewer_than_the_least_are_never_asked_for() -> None:
    poor = agent(Step(text="ok"), budget=Budget(tokens=3))
    await poor.run("Go")
    assert limits(poor) == [LEAST_ASKED]


PRICES: Mapping[str, Price] = {"scripted": Price(10, 100, cached=1)}


async def test_spent_money_ends_the_run() -> None:
    usage = Usage(1000, 100, cached=500)  # 0.005 + 0.0005 + 0.01
    budget = Budget(cost=0.0155, prices=PRICES)
    failed = await failing(agent(looking("Hm. ", usage), Step(text="never"), budget=budget))
    assert (failed.code, failed.partial) == ("budget_cost", "Hm. ")
    enough = Budget(cost=0.02, prices=PRICES)
    paid = agent(looking("Hm. ", usage), Step(text="done"), budget=enough)
    assert (await paid.run("Go")).content == "Hm. done"
    assert limits(paid)[1] == 44  # 0.0045 less the request, at 100 for a million


async def test_one_price_may_hold_for_all() -> None:
    budget = Budget(cost=0.001, prices=Price(1, 1))
    failed = await failing(agent(looking("", Usage(900, 100)), Step(), budget=budget))
    assert failed.code == "budget_cost"


async def test_a_model_without_a_price_is_not_asked() -> None:
    unpriced = agent(Step(text="never"), budget=Budget(cost=1, prices={"gpt": Price(1, 1)}))
    failed = await failing(unpriced)
    assert failed.code == ConfigurationError.code
    assert "scripted:scripted" in str(failed)
    assert limits(unpriced) == []


async def test_a_fallback_is_paid_by_who_answered() -> None:
    both = Fallback([ScriptedModel([looking("", Usage(0, 10)), Step()]), "dear"])
    budget = Budget(cost=0.001, prices={"scripted:scripted": Price(0, 100), "dear": Price(0, 101)})
    failed = await failing(Agent("clerk", both, tools=[look], budget=budget))
    assert failed.code == "budget_cost"


async def test_more_tools_than_are_left_do_not_begin() -> None:
    events = await log_of(agent(looking("", times=2), looking("", times=2), budget=Budget(tools=3)))
    assert isinstance(events[-1], Error)
    assert events[-1].code == "budget_tools"
    assert sum(isinstance(event, ToolStart) for event in events) == 2


async def test_nor_do_those_that_could_begin_early() -> None:
    step = Step(tool_calls=[("peek", {"at": str(n)}) for n in range(3)])
    events = await log_of(agent(step, budget=Budget(tools=1)))
    assert isinstance(events[-1], Error)
    assert events[-1].code == "budget_tools"
    assert sum(isinstance(event, ToolStart) for event in events) <= 1


async def test_no_tools_at_all() -> None:
    events = await log_of(agent(looking(""), budget=Budget(tools=0)))
    assert not any(isinstance(event, ToolStart) for event in events)


def test_time_ends_the_run_in_the_middle_of_what_it_does() -> None:
    @tool
    async def wait() -> str:
        """Wait."""
        await asyncio.Event().wait()
        return ""

    async def main() -> list[Event]:
        slow = Agent(
            "slow",
            ScriptedModel([Step(text="Well. ", tool_calls=[("wait", {})])]),
            tools=[wait],
            budget=Budget(seconds=5),
        )
        return await log_of(slow)

    events = run_with_fake_clock(main())
    assert isinstance(events[-1], Error)
    assert events[-1].code == "budget_seconds"
    assert "5 seconds" in events[-1].message
    assert [event.error for event in events if isinstance(event, ToolEnd)] == ["cancelled"]


async def test_agents_below_spend_from_the_same_budget() -> None:
    below = Agent(
        "shelf", ScriptedModel([Step(text="Here.", usage=Usage(40, 40))]), description="Knows."
    )
    asking = ScriptedModel(
        [Step(tool_calls=[("shelf", {"task": "Find."})], usage=Usage(10, 10)), Step(text="never")]
    )
    router = Agent("router", asking, tools=[below.as_tool()], budget=Budget(tokens=100))
    assert (await failing(router)).code == "budget_tokens"
    assert len(asking.requests) == 1


async def test_an_agent_below_may_have_its_own_and_fails_alone() -> None:
    below = agent(looking("", Usage(30, 30)), Step(text="never"), budget=Budget(tokens=50))
    below.description = "Knows."
    asking = ScriptedModel([Step(tool_calls=[("clerk", {"task": "x"})]), Step(text="Alone, then.")])
    events = await log_of(Agent("router", asking, tools=[below.as_tool()]))
    (end,) = [event for event in events if isinstance(event, AgentEnd)]
    assert "The budget of clerk is spent: 50 tokens." in (end.error or "")
    assert not isinstance(events[-1], Error)


async def test_withdrawn_steps_are_paid_too() -> None:
    def never(said: Said) -> Verdict | None:
        return Withdraw("no")

    spending = agent(
        *[Step(text="Hm.", usage=Usage(50, 50))] * 3, budget=Budget(tokens=150), guards=[never]
    )
    assert (await failing(spending)).code == "budget_tokens"
    assert len(limits(spending)) == 2


def test_what_a_run_has_spent_is_known_to_whoever_takes_it_up() -> None:
    began = RunStart(1, 50.0, "", "run_1", "clerk", "m")
    end = StepEnd(3, 60.0, "", 1, "stop", Usage(7, 5), Timing(1.0), Message("assistant"), "other")
    start = ToolStart(4, 61.0, "", "c", "look", {})
    writer = Writer(Log())
    writer.restore([began, end, start])
    assert writer.spent.by_model("") == {"other": Usage(7, 5)}
    assert writer.spent.calls_of("") == 1
    assert writer.spent.since[""] == 50.0


@pytest.mark.parametrize(
    ("bounds", "why"),
    [
        ({}, "bounds something"),
        ({"tokens": 0}, "above 0"),
        ({"seconds": -1}, "above 0"),
        ({"cost": 0, "prices": PRICES}, "above 0"),
        ({"cost": float("nan"), "prices": PRICES}, "above 0"),
        ({"tools": -1}, "at least 0"),
        ({"cost": 1}, "prices"),
        ({"cost": 1, "prices": {}}, "prices"),
    ],
)
def test_a_budget_that_bounds_nothing_is_refused(bounds: dict[str, object], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        Budget(**bounds)  # type: ignore[arg-type]


def test_a_price_below_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 0"):
        Price(1, -1)
