"""A function of the program's own decides about calls that wait, in every view."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from headrace import Agent, Channel, ConversationalAgent, Message, Network, tool
from headrace.agents.approvals import UNANSWERED
from headrace.agents.handoff import Handoff
from headrace.errors import UsageError
from headrace.events import Approval, ApprovalNeeded, Event, ToolEnd
from headrace.messages import ToolResult
from headrace.runs.approvals import Decision
from headrace.runs.stores.memory import MemoryStore
from headrace.runtime.runtime import Runtime
from headrace.testing import ScriptedModel, Step, check_events
from tests.runtime.orphans import orphan, record_of, recovered, upto

pytestmark = pytest.mark.anyio


class Till:
    """What was paid."""

    def __init__(self) -> None:
        self.paid: list[int] = []

    def agent(self, decides: Any, name: str = "payer", **options: Any) -> Agent:
        """An agent that pays 5 and then says so."""

        @tool(approval=True)
        async def pay(amount: int) -> str:
            """Pay."""
            self.paid.append(amount)
            return f"paid {amount}"

        model = ScriptedModel([Step(tool_calls=[("pay", {"amount": 5})]), Step("Done.")])
        kind = options.pop("kind", Agent)
        made: Agent = kind(
            name, model, tools=[pay], on_approval=decides, description="Pays.", **options
        )
        return made


async def log_of(agent: Agent) -> list[Event]:
    async with agent.start("Pay.") as run:
        events = [event async for event in run.events()]
    check_events(events)
    return events


def decision_of(events: list[Event]) -> Approval:
    (approval,) = [event for event in events if isinstance(event, Approval)]
    return approval


def told(messages: tuple[Message, ...]) -> str:
    """What the model read of its call."""
    (result,) = [p for m in messages for p in m.content if isinstance(p, ToolResult)]
    return result.output


# Every view -----------------------------------------------------------------------------------


async def to_channel(agent: Agent) -> Any:
    channel: Channel[str] = Channel(8)
    return await agent.execute_stream("Pay.", channel)


async def all_chunks(agent: Agent) -> Any:
    return [chunk async for chunk in agent.run_stream("Pay.")]


VIEWS: dict[str, Callable[[Agent], Any]] = {
    "run": lambda agent: agent.run("Pay."),
    "run_stream": all_chunks,
    "execute_stream": to_channel,
    "run_callback": lambda agent: agent.run_callback("Pay.", lambda _: None),
    "run_sync": lambda agent: asyncio.to_thread(agent.run_sync, "Pay."),
    "stream_sync": lambda agent: asyncio.to_thread(lambda: list(agent.stream_sync("Pay."))),
    "start": log_of,
}


@pytest.mark.parametrize("approved", [True, False])
@pytest.mark.parametrize("view", VIEWS)
async def test_it_decides_in_every_view(view: str, approved: bool) -> None:
    asked: list[ApprovalNeeded] = []

    async def decides(needed: ApprovalNeeded) -> bool:
        asked.append(needed)
        return approved

    till = Till()
    await VIEWS[view](till.agent(decides))
    assert [(each.name, each.input) for each in asked] == [("pay", {"amount": 5})]
    assert till.paid == ([5] if approved else [])


async def test_a_conversation_asks_it_too() -> None:
    till = Till()
    agent = till.agent(lambda _: True, kind=ConversationalAgent)
    assert isinstance(agent, ConversationalAgent)
    talk = agent.conversation("ada")
    assert (await talk.run("Pay.")).content == "Done."
    assert till.paid == [5]


async def test_a_runtime_asks_it_too() -> None:
    till = Till()
    async with Runtime(MemoryStore()) as runtime:
        handle = await runtime.submit(till.agent(lambda _: True), "Pay.")
        assert (await handle.result()).content == "Done."
    assert till.paid == [5]


async def test_who_takes_a_run_up_asks_it_about_what_waits() -> None:
    before, after = Till(), Till()
    log = upto(await log_of(before.agent(lambda _: True)), ApprovalNeeded)
    store = MemoryStore()
    run_id = await orphan(store, record_of("run_1", "payer", asked="Pay."), log)
    agent = after.agent(lambda _: True)
    agent.model.steps.pop(0)  # type: ignore[attr-defined]  # the step that asked is done
    whole = await recovered(store, run_id, agent)
    assert after.paid == [5]
    assert len([event for event in whole if isinstance(event, ApprovalNeeded)]) == 1


# What it says ---------------------------------------------------------------------------------


async def test_a_decision_may_say_more() -> None:
    till = Till()

    def decides(needed: ApprovalNeeded) -> Decision:
        return Decision(needed.call_id, True, by="ann", reason="less", input={"amount": 3})

    events = await log_of(till.agent(decides))
    approval = decision_of(events)
    assert (approval.by, approval.reason, approval.input) == ("ann", "less", {"amount": 3})
    assert till.paid == [3]


async def test_it_decides_about_the_call_that_it_was_asked_about_whatever_it_names() -> None:
    till = Till()
    events = await log_of(till.agent(lambda _: Decision("another", True, agent="elsewhere")))
    assert decision_of(events).call_id == "call_1"
    assert till.paid == [5]


async def test_a_plain_function_may_block_a_thread_of_its_own() -> None:
    loop_thread, threads = threading.get_ident(), []

    def decides(_: ApprovalNeeded) -> bool:
        threads.append(threading.get_ident())
        return True

    till = Till()
    await till.agent(decides).run("Pay.")
    assert till.paid == [5]
    assert threads != [loop_thread]
    assert len(threads) == 1


BROKEN: dict[str, Callable[[ApprovalNeeded], Any]] = {
    "raises": lambda needed: needed.input["euros"],
    "says what is no answer": lambda needed: "yes",
    "gives arguments that do not fit": lambda needed: Decision(
        needed.call_id, True, input={"amount": "much"}
    ),
}


@pytest.mark.parametrize("how", BROKEN)
async def test_one_that_fails_approves_nothing(how: str, caplog: pytest.LogCaptureFixture) -> None:
    till = Till()
    with caplog.at_level(logging.ERROR, "headrace.agents"):
        response = await till.agent(BROKEN[how]).run("Pay.")
    assert "denied: the function that decides failed" in told(response.messages)
    assert "on_approval failed, asked about a call of pay" in caplog.text
    assert till.paid == []


@pytest.mark.parametrize("how", BROKEN)
async def test_where_others_may_decide_the_call_waits_on_for_them(how: str) -> None:
    till = Till()
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def decides(needed: ApprovalNeeded) -> object:
        loop.call_soon_threadsafe(asked.set)
        return BROKEN[how](needed)

    async with till.agent(decides).start("Pay.") as run:
        await asked.wait()
        run.decide("call_1", True, by="ann")
        assert (await run.result()).content == "Done."
    assert till.paid == [5]


async def test_it_may_leave_a_call_to_others() -> None:
    till = Till()
    assert f"denied: {UNANSWERED}" in told((await till.agent(lambda _: None).run("Pay.")).messages)
    async with till.agent(lambda _: None).start("Pay.") as run:
        async for event in run.events():
            if isinstance(event, ApprovalNeeded):
                run.decide(event.call_id, True)
    assert till.paid == [5]


# Beside others, and in time -------------------------------------------------------------------


class Slow:
    """One who never answers, and tells whether it is still waited for."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.left = asyncio.Event()

    async def decides(self, _: ApprovalNeeded) -> bool:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.left.set()
        return True


async def test_who_is_faster_decides_and_it_is_waited_for_no_more() -> None:
    till, slow = Till(), Slow()
    async with till.agent(slow.decides).start("Pay.") as run:
        await slow.asked.wait()
        run.decide("call_1", False, reason="no")
        await run.result()
        assert slow.left.is_set()
    assert till.paid == []


async def test_it_has_as_long_as_a_person() -> None:
    till, slow = Till(), Slow()
    response = await till.agent(slow.decides, approval_timeout=0.01).run("Pay.")
    assert told(response.messages) == "denied: expired"
    assert slow.left.is_set()


async def test_a_cancelled_run_waits_for_it_no_more() -> None:
    till, slow = Till(), Slow()
    async with till.agent(slow.decides).start("Pay.") as run:
        await slow.asked.wait()
        await run.cancel("enough")
    assert slow.left.is_set()
    assert "on_approval" not in {task.get_name() for task in asyncio.all_tasks()}


# Below an agent -------------------------------------------------------------------------------


async def test_it_is_asked_about_the_calls_of_agents_below() -> None:
    till, paths = Till(), []

    def decides(needed: ApprovalNeeded) -> bool:
        paths.append(needed.agent)
        return True

    model = ScriptedModel([Step(tool_calls=[("middle", {"task": "x"})]), Step("So.")])
    inner = ScriptedModel([Step(tool_calls=[("payer", {"task": "x"})]), Step("Paid.")])
    middle = Network("middle", inner, agents=[till.agent(None)], description="Asks.")
    top = Network("top", model, agents=[middle], on_approval=decides)
    assert (await top.run("Pay.")).content == "So."
    assert (till.paid, paths) == ([5], ["middle/payer"])


async def test_one_below_may_have_its_own() -> None:
    till = Till()
    below = till.agent(lambda _: False)
    model = ScriptedModel([Step(tool_calls=[("payer", {"task": "x"})]), Step("So.")])
    top = Network("top", model, agents=[below], on_approval=lambda _: True)
    await top.run("Pay.")
    assert till.paid == []


async def test_it_holds_on_for_who_takes_over() -> None:
    till = Till()
    model = ScriptedModel([Step(tool_calls=[("transfer_to_payer", {})])])
    desk = Agent("desk", model, tools=[Handoff(till.agent(None))], on_approval=lambda _: True)
    events = await log_of(desk)
    assert till.paid == [5]
    assert [event.error for event in events if isinstance(event, ToolEnd)] == [None, None]


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(UsageError, match="`on_approval` is a function, not True"):
        Agent(on_approval=True)  # type: ignore[arg-type]
