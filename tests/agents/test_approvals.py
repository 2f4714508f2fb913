"""Calls that wait for a person: asked, decided, expired, cancelled, and what runs then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from headrace.agents.agent import Agent
from headrace.agents.approvals import APPROVAL_TIMEOUT, UNANSWERED
from headrace.agents.budgets import Budget
from headrace.agents.react import ReActAgent
from headrace.errors import (
    ApprovalChanged,
    InvalidArguments,
    NoApprovalNeeded,
    UsageError,
)
from headrace.events import (
    AgentEnd,
    Approval,
    ApprovalNeeded,
    Cancelled,
    Complete,
    Event,
    Input,
    StepStart,
    ToolEnd,
    ToolStart,
    type_of,
)
from headrace.messages import ToolResult
from headrace.models.deadlines import Deadlines
from headrace.models.request import ModelRequest
from headrace.runs.fold import fold
from headrace.runs.run import Run
from headrace.testing import ScriptedModel, Step, check_events, run_with_fake_clock
from headrace.tools.tool import AnyTool, Tool

pytestmark = pytest.mark.anyio


class Till:
    """Tools over money, and what was really done with it."""

    def __init__(self) -> None:
        self.paid: list[int] = []

    def pay(self, **options: Any) -> AnyTool:
        """A tool that pays."""

        async def pay(amount: int) -> str:
            """Pay."""
            self.paid.append(amount)
            return f"paid {amount}"

        return Tool(pay, **{"approval": True, **options})


def payer(till: Till, *amounts: int, **options: Any) -> Agent:
    """An agent that pays these amounts in one step."""
    calls = [("pay", {"amount": amount}) for amount in amounts]
    model = ScriptedModel([Step(tool_calls=calls), Step("Done.")])
    return Agent(model=model, tools=[till.pay()], **options)


@asynccontextmanager
async def followed(agent: Agent) -> AsyncIterator[tuple[Run, Log]]:
    """A run of the agent, and its events as they come; the laws hold for all of them."""
    async with agent.start("Pay.") as run:
        log = Log(run)
        try:
            yield run, log
        finally:
            await log.close()
    check_events([event async for event in run.events()])


class Log:
    """A run's events, awaited."""

    def __init__(self, run: Run) -> None:
        self.events: list[Event] = []
        self._run = run
        self._changed = asyncio.Condition()
        self._task = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        async for event in self._run.events():
            async with self._changed:
                self.events.append(event)
                self._changed.notify_all()

    async def until(self, kind: type[Event], count: int = 1) -> Any:
        """The `count`th event of a kind."""
        async with self._changed, asyncio.timeout(5):
            await self._changed.wait_for(lambda: len(of(self.events, kind)) >= count)
        return of(self.events, kind)[count - 1]

    async def all(self) -> list[Event]:
        """All of them, to the end."""
        async with asyncio.timeout(5):
            await self._task
        return self.events

    async def close(self) -> None:
        """Follow no more."""
        self._task.cancel()
        await asyncio.wait((self._task,))


def of(events: list[Event], kind: type[Event]) -> list[Any]:
    """Those of a kind."""
    return [event for event in events if isinstance(event, kind)]


def told(request: ModelRequest) -> list[ToolResult]:
    """What the model read of its calls."""
    return [part for part in request.messages[-1].content if isinstance(part, ToolResult)]


def kinds(events: list[Event]) -> list[str]:
    """What happened about calls, in order."""
    of_calls = (ApprovalNeeded, Approval, ToolStart, ToolEnd)
    return [type_of(event) for event in events if isinstance(event, of_calls)]


# Decided --------------------------------------------------------------------------------------


async def test_an_approved_call_runs() -> None:
    till = Till()
    async with followed(payer(till, 5)) as (run, log):
        needed = await log.until(ApprovalNeeded)
        assert (needed.call_id, needed.name, needed.input) == ("call_1", "pay", {"amount": 5})
        assert till.paid == []
        seq = run.decide("call_1", True, by="ann", reason="fine")
        events = await log.all()
    assert events[seq - 1] == of(events, Approval)[0]
    (approval,) = of(events, Approval)
    assert (approval.approved, approval.by, approval.reason) == (True, "ann", "fine")
    assert approval.input is None
    assert kinds(events) == ["approval_needed", "approval", "tool_start", "tool_end"]
    assert of(events, ToolEnd)[0].output == "paid 5"
    assert till.paid == [5]
    assert isinstance(events[-1], Complete)


@pytest.mark.parametrize(("reason", "error"), [("too much", "denied: too much"), (None, "denied")])
async def test_a_denied_call_never_runs_and_the_model_is_told(
    reason: str | None, error: str
) -> None:
    till, agent = Till(), None
    agent = payer(till, 5)
    async with followed(agent) as (run, log):
        await log.until(ApprovalNeeded)
        run.decide("call_1", False, reason=reason)
        events = await log.all()
    assert kinds(events) == ["approval_needed", "approval", "tool_start", "tool_end"]
    (end,) = of(events, ToolEnd)
    assert (end.error, end.duration_ms) == (error, 0.0)
    assert till.paid == []
    assert told(agent.model.requests[1]) == [  # type: ignore[attr-defined]
        ToolResult("call_1", "pay", error, is_error=True)
    ]


async def test_a_call_runs_with_the_arguments_that_a_person_gave_it() -> None:
    till = Till()
    agent = payer(till, 500)
    async with followed(agent) as (run, log):
        await log.until(ApprovalNeeded)
        run.decide("call_1", True, input={"amount": 50})
        events = await log.all()
    assert till.paid == [50]
    assert of(events, Approval)[0].input == {"amount": 50}
    assert of(events, ToolStart)[0].input == {"amount": 50}
    assert of(events, ToolEnd)[0].output == "paid 50"
    (result,) = told(agent.model.requests[1])  # type: ignore[attr-defined]
    assert result.output == '[A person changed the arguments to {"amount":50}.]\npaid 50'
    assert fold(events).messages[1].content == (result,)


async def test_arguments_that_the_tool_does_not_take_are_refused_and_the_call_waits_on() -> None:
    till = Till()
    async with followed(payer(till, 5)) as (run, log):
        await log.until(ApprovalNeeded)
        with pytest.raises(InvalidArguments, match="amount"):
            run.decide("call_1", True, input={"amount": "a lot"})
        with pytest.raises(UsageError, match="one JSON object"):
            run.decide("call_1", True, input=["amount"])
        with pytest.raises(UsageError, match="takes no arguments"):
            run.decide("call_1", False, input={"amount": 1})
        run.decide("call_1", True)
        events = await log.all()
    assert len(of(events, Approval)) == 1
    assert till.paid == [5]


async def test_only_the_first_decision_counts() -> None:
    till = Till()
    async with followed(payer(till, 5)) as (run, log):
        await log.until(ApprovalNeeded)
        with pytest.raises(NoApprovalNeeded, match="'call_2'"):
            run.decide("call_2", True)
        run.decide("call_1", False)
        with pytest.raises(NoApprovalNeeded):
            run.decide("call_1", True)
        await log.all()
        with pytest.raises(NoApprovalNeeded):
            run.decide("call_1", True)
    assert till.paid == []


async def test_a_decision_is_about_the_arguments_that_were_seen() -> None:
    till = Till()
    async with followed(payer(till, 5)) as (run, log):
        await log.until(ApprovalNeeded)
        for other in ({"amount": 6}, {"amount": "5"}, {}, None, {"amount": True}):
            with pytest.raises(ApprovalChanged):
                run.decide("call_1", True, seen=other)
        run.decide("call_1", True, seen={"amount": 5.0})  # as JavaScript's numbers may come
        await log.all()
    assert till.paid == [5]


async def test_several_wait_at_once_and_are_decided_in_any_order() -> None:
    till = Till()
    async with followed(payer(till, 1, 2, 3, parallel_tools=1)) as (run, log):
        await log.until(ApprovalNeeded, 3)
        assert [call.call_id for call in run.snapshot().waiting] == ["call_1", "call_2", "call_3"]
        run.decide("call_3", True)
        await log.until(ToolEnd)
        assert till.paid == [3]
        run.decide("call_1", False)
        run.decide("call_2", True)
        events = await log.all()
    assert till.paid == [3, 2]
    assert run.snapshot().waiting == []
    assert [end.call_id for end in of(events, ToolEnd)] == ["call_3", "call_1", "call_2"]


async def test_one_that_waits_holds_no_place_of_those_that_run() -> None:
    till = Till()
    free = till.pay(name="tip", approval=False)
    model = ScriptedModel(
        [Step(tool_calls=[("pay", {"amount": 1}), ("tip", {"amount": 2})]), Step("Done.")]
    )
    async with followed(Agent(model=model, tools=[till.pay(), free], parallel_tools=1)) as (
        run,
        log,
    ):
        await log.until(ToolEnd)
        assert till.paid == [2]
        run.decide("call_1", True)
        await log.all()
    assert till.paid == [2, 1]


async def test_react_agents_ask_too() -> None:
    till = Till()
    text = 'Thought: pay.\nAction: pay\nAction Input: {"amount": 5}\n'
    model = ScriptedModel([Step(text), Step("Thought: done.\nFinal Answer: Paid.")])
    async with followed(ReActAgent(model=model, tools=[till.pay()])) as (run, log):
        needed = await log.until(ApprovalNeeded)
        assert (needed.name, needed.input) == ("pay", {"amount": 5})
        run.decide(needed.call_id, True)
        await log.all()
    assert till.paid == [5]


# Whom it is asked about -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("approval", "asked"),
    [
        (lambda amount: amount > 100, [101]),
        (lambda **arguments: arguments["amount"] > 100, [101]),
        (lambda amount, factor=3: amount * factor > 303, []),
        (lambda: True, [100, 101]),
        (lambda amount: 1 / (amount - 100) > 5, [100]),
        (lambda amount: amount.nonsense, [100, 101]),
        (False, []),
    ],
    ids=["one", "all", "own-default", "none", "raises-for-one", "raises", "never"],
)
async def test_a_predicate_says_which_calls_wait(
    approval: bool | Callable[..., object], asked: list[int]
) -> None:
    till = Till()
    calls = [("pay", {"amount": 100}), ("pay", {"amount": 101})]
    model = ScriptedModel([Step(tool_calls=calls), Step("Done.")])
    async with followed(Agent(model=model, tools=[till.pay(approval=approval)])) as (run, log):
        for count in range(1, len(asked) + 1):
            needed = await log.until(ApprovalNeeded, count)
            run.decide(needed.call_id, True)
        events = await log.all()
    assert [event.input["amount"] for event in of(events, ApprovalNeeded)] == asked
    assert sorted(till.paid) == [100, 101]


async def test_no_one_is_asked_about_a_call_that_cannot_run() -> None:
    model = ScriptedModel(
        [
            Step(tool_calls=[("pay", {"amount": "a lot"}), ("pay", "{not"), ("gone", {})]),
            Step("Oh."),
        ]
    )
    async with followed(Agent(model=model, tools=[Till().pay()])) as (_run, log):
        events = await log.all()
    assert of(events, ApprovalNeeded) == []
    assert all(end.error for end in of(events, ToolEnd))


async def test_a_call_that_only_reads_waits_for_its_step_and_a_person() -> None:
    till = Till()
    model = ScriptedModel([Step(tool_calls=[("pay", {"amount": 5})]), Step("Done.")])
    agent = Agent(model=model, tools=[till.pay(read_only=True)])
    async with followed(agent) as (run, log):
        await log.until(ApprovalNeeded)
        run.decide("call_1", True)
        events = await log.all()
    order = [type_of(event) for event in events]
    assert order.index("step_end") < order.index("approval_needed")


# While it waits -------------------------------------------------------------------------------


async def test_a_call_that_no_one_decides_about_is_denied() -> None:
    till = Till()
    async with followed(payer(till, 5, approval_timeout=0.05)) as (run, log):
        events = await log.all()
        with pytest.raises(NoApprovalNeeded):
            run.decide("call_1", True)
    (approval,) = of(events, Approval)
    assert (approval.approved, approval.by, approval.reason) == (False, None, "expired")
    assert of(events, ToolEnd)[0].error == "denied: expired"
    assert till.paid == []


def test_a_call_waits_for_an_hour() -> None:
    assert APPROVAL_TIMEOUT == 3600
    assert Agent(model=ScriptedModel([Step("x")])).approval_timeout == 3600


def test_waiting_counts_for_no_deadline() -> None:
    async def main() -> None:
        till = Till()
        deadlines = Deadlines(run=0.3, tool=0.3)
        agent = payer(till, 5, deadlines=deadlines)
        async with followed(agent) as (run, log):
            await log.until(ApprovalNeeded)
            await asyncio.sleep(0.5)  # longer than any of them
            run.decide("call_1", True)
            events = await log.all()
        assert isinstance(events[-1], Complete)

    run_with_fake_clock(main())


async def test_waiting_counts_for_no_budget() -> None:
    for seconds in (0.3, 1.0, 3.0):  # a busy machine may take as long for the rest: then again
        till = Till()
        async with followed(payer(till, 5, budget=Budget(seconds=seconds))) as (run, log):
            await log.until(ApprovalNeeded)
            await asyncio.sleep(1.5 * seconds)
            run.decide("call_1", True)
            events = await log.all()
        if isinstance(events[-1], Complete):
            return
    raise AssertionError(events[-1])


def test_the_deadline_goes_on_behind_the_decision() -> None:
    async def main() -> None:
        async def stay(amount: int) -> str:
            """Stay."""
            await asyncio.Event().wait()
            return ""

        model = ScriptedModel([Step(tool_calls=[("stay", {"amount": 1})])])
        tools = [Tool(stay, approval=True)]
        agent = Agent(model=model, tools=tools, deadlines=Deadlines(run=0.2, tool=30))
        async with followed(agent) as (run, log):
            await log.until(ApprovalNeeded)
            run.decide("call_1", True)
            events = await log.all()
        assert getattr(events[-1], "code", "") == "deadline_exceeded"

    run_with_fake_clock(main())


async def test_a_cancel_ends_the_wait() -> None:
    till = Till()
    async with followed(payer(till, 5)) as (run, log):
        await log.until(ApprovalNeeded)
        end = await run.cancel("enough")
        with pytest.raises(NoApprovalNeeded):
            run.decide("call_1", True)
        events = await log.all()
    assert isinstance(end, Cancelled)
    assert end.receipt.tools == {"call_1": "waiting"}
    assert kinds(events) == ["approval_needed"]
    assert run.snapshot().waiting == []
    assert till.paid == []


async def test_what_is_said_meanwhile_is_heard_by_the_next_step() -> None:
    till = Till()
    agent = payer(till, 5)
    async with followed(agent) as (run, log):
        await log.until(ApprovalNeeded)
        run.send("In euros, please.")
        await log.until(Input)
        assert len(of(log.events, StepStart)) == 1
        run.decide("call_1", True)
        await log.all()
    assert agent.model.requests[1].messages[-1].text == "In euros, please."  # type: ignore[attr-defined]


@pytest.mark.parametrize("view", ["run", "stream"])
async def test_where_no_one_can_be_asked_the_call_is_denied_at_once(view: str) -> None:
    till = Till()
    agent = payer(till, 5)
    if view == "run":
        assert (await agent.run("Pay.")).content == "Done."
    else:
        assert "".join([chunk.content async for chunk in agent.run_stream("Pay.")]) == "Done."
    (result,) = told(agent.model.requests[1])  # type: ignore[attr-defined]
    assert result.output == f"denied: {UNANSWERED}"
    assert till.paid == []


# Below an agent -------------------------------------------------------------------------------


def team(till: Till, **options: Any) -> Agent:
    """Two agents that pay at once, under one agent; their calls have the same ids."""
    below = [
        Agent(
            name,
            ScriptedModel([Step(tool_calls=[("pay", {"amount": amount})]), Step(f"{name} paid.")]),
            tools=[till.pay()],
            description="Pays.",
            **options,
        ).as_tool()
        for name, amount in (("one", 1), ("two", 2))
    ]
    calls = [("one", {"task": "Pay 1."}), ("two", {"task": "Pay 2."})]
    return Agent("boss", ScriptedModel([Step(tool_calls=calls), Step("Done.")]), tools=below)


async def test_calls_with_one_id_are_told_apart_by_their_agents() -> None:
    till = Till()
    async with followed(team(till)) as (run, log):
        await log.until(ApprovalNeeded, 2)
        assert {event.call_id for event in of(log.events, ApprovalNeeded)} == {"call_1"}
        with pytest.raises(NoApprovalNeeded, match=r"2 calls .* 'one', 'two'"):
            run.decide("call_1", True)
        run.decide("call_1", True, agent="two")
        await log.until(AgentEnd)
        assert till.paid == [2]
        run.decide("call_1", False, reason="no")
        events = await log.all()
    assert [(event.agent, event.approved) for event in of(events, Approval)] == [
        ("two", True),
        ("one", False),
    ]
    assert till.paid == [2]


def test_the_deadline_of_an_agent_that_waits_stands_still() -> None:
    async def main() -> None:
        till = Till()
        agent = team(till, deadlines=Deadlines(run=0.3))
        async with followed(agent) as (run, log):
            await log.until(ApprovalNeeded, 2)
            await asyncio.sleep(0.5)
            run.decide("call_1", True, agent="one")
            run.decide("call_1", True, agent="two")
            events = await log.all()
        assert [end.error for end in of(events, AgentEnd)] == [None, None]
        assert sorted(till.paid) == [1, 2]

    run_with_fake_clock(main())


async def test_the_budget_of_an_agent_that_waits_stands_still() -> None:
    for seconds in (0.3, 1.0, 3.0):  # as above
        till = Till()
        async with followed(team(till, budget=Budget(seconds=seconds))) as (run, log):
            await log.until(ApprovalNeeded, 2)
            await asyncio.sleep(1.5 * seconds)
            run.decide("call_1", True, agent="one")
            run.decide("call_1", True, agent="two")
            events = await log.all()
        if [end.error for end in of(events, AgentEnd)] == [None, None]:
            assert sorted(till.paid) == [1, 2]
            return
    raise AssertionError(of(events, AgentEnd))


# Bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_wait_that_makes_no_sense_is_refused(seconds: float) -> None:
    with pytest.raises(UsageError, match="approval_timeout"):
        Agent(model=ScriptedModel([Step("x")]), approval_timeout=seconds)


def test_a_predicate_that_cannot_be_called_is_refused() -> None:
    async def later(amount: int) -> bool:
        return True

    for approval, why in (
        (lambda sum: True, "'sum', which is no argument"),
        (lambda amount, to: True, "'to', which is no argument"),
        (later, "coroutine"),
    ):
        with pytest.raises(UsageError, match=why):
            Till().pay(approval=approval)
