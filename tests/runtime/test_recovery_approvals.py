"""A call that waits for a person waits on when its process is lost, bound to its arguments."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from textwrap import dedent
from time import time
from typing import Any

import pytest
from msgspec.structs import replace

from headrace.agents.agent import Agent
from headrace.errors import ApprovalChanged, NoApprovalNeeded, UsageError
from headrace.events import (
    Approval,
    ApprovalNeeded,
    Complete,
    Error,
    Event,
    StepEnd,
    ToolEnd,
    ToolStart,
)
from headrace.models.deadlines import Deadlines
from headrace.runs.stores.memory import MemoryStore
from headrace.runs.stores.record import Signal
from headrace.runs.stores.store import Store
from headrace.runs.waits import waited
from headrace.runtime import Runtime
from headrace.testing import ScriptedModel, Step
from headrace.tools.tool import Tool
from tests.runtime.orphans import log_of, of, orphan, record_of, upto
from tests.runtime.stores import MAKERS

pytestmark = pytest.mark.anyio

CALL = "call_1"


@pytest.fixture(params=list(MAKERS))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made = MAKERS[request.param](tmp_path)
    yield made
    await made.close()


class Bank:
    """An agent that pays once, and what was paid."""

    def __init__(self, *, idempotent: bool = False, asks: bool = True, **options: Any) -> None:
        self.paid: list[int] = []
        self._idempotent = idempotent
        self._asks = asks
        self._options = options

    def agent(self, *steps: Step) -> Agent:
        """The agent, its model saying these; by default the answer that comes behind the call."""

        async def pay(amount: int) -> str:
            """Pay."""
            self.paid.append(amount)
            return f"paid {amount}"

        tool = Tool(pay, approval=self._asks, idempotent=self._idempotent)
        model = ScriptedModel(steps or [Step("Done.")])
        return Agent("payer", model, tools=[tool], **self._options)


PAY = Step(tool_calls=[("pay", {"amount": 5})])


async def logged(*, approved: bool = True, input: Any = None) -> list[Event]:
    """The log of a run that nothing interrupts."""
    async with Bank().agent(PAY, Step("Done.")).start("Pay.") as run:
        log = []
        async for event in run.events():
            log.append(event)
            if isinstance(event, ApprovalNeeded):
                run.decide(CALL, approved, input=input)
    # As new as the runs of a test are.
    return [replace(event, at=time()) for event in log]


async def waits(store: Store, **fields: Any) -> str:
    """A run without an owner that waits for a person."""
    before = upto(await logged(), ApprovalNeeded)
    return await orphan(store, record_of("run_1", "payer", **fields), before)


async def until_waiting(runtime: Runtime, run_id: str) -> None:
    """A live run here waits for a person."""
    await until_asked(runtime, run_id, 1)


async def until_asked(runtime: Runtime, run_id: str, count: int) -> None:
    """A live run here has asked so many questions, those from before included."""
    asked = 0
    async with asyncio.timeout(5):
        while run_id not in runtime.live:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.001)
        async for batch in await runtime.attach(run_id):
            asked += len(of(batch, ApprovalNeeded))
            if asked >= count:
                return


async def ended(runtime: Runtime, run_id: str) -> list[Event]:
    """The log of a run that has come to its end."""
    async with asyncio.timeout(5):
        await runtime.wait(run_id)
    return await log_of(runtime.store, run_id)


async def test_it_waits_on_and_is_not_asked_about_again(store: Store) -> None:
    bank, run_id = Bank(), await waits(store)
    async with Runtime(store, agents=[bank.agent()]) as runtime:
        await until_waiting(runtime, run_id)
        assert bank.paid == []
        await runtime.decide(run_id, CALL, True, by="ann")
        log = await ended(runtime, run_id)
    assert bank.paid == [5]
    assert len(of(log, ApprovalNeeded)) == 1
    (approval,) = of(log, Approval)
    assert (approval.approved, approval.by) == (True, "ann")
    assert isinstance(log[-1], Complete)


@pytest.mark.parametrize("approved", [True, False])
async def test_what_is_decided_while_no_process_is_there_holds(
    store: Store, approved: bool
) -> None:
    bank, run_id = Bank(approval_timeout=0.001), await waits(store)  # even though its time is over
    async with Runtime(store, recover=False) as elsewhere:
        with pytest.raises(ApprovalChanged):
            await elsewhere.decide(run_id, CALL, approved, seen={"amount": 6})
        with pytest.raises(NoApprovalNeeded):
            await elsewhere.decide(run_id, "other", approved)
        await elsewhere.decide(run_id, CALL, approved, reason="so", seen={"amount": 5})
        with pytest.raises(NoApprovalNeeded):
            await elsewhere.decide(run_id, CALL, not approved)
    async with Runtime(store, agents=[bank.agent()], lease=0.5) as runtime:
        owner = (await store.run(run_id)).owner
        log = await ended(runtime, run_id)
        assert await store.signals(owner) == []
    assert [(each.approved, each.reason) for each in of(log, Approval)] == [(approved, "so")]
    assert bank.paid == ([5] if approved else [])
    (end,) = of(log, ToolEnd)
    assert end.error == (None if approved else "denied: so")


async def test_another_runtime_decides(store: Store) -> None:
    bank = Bank()
    async with (
        Runtime(store) as runtime,
        Runtime(store, recover=False) as elsewhere,
    ):
        run = await runtime.submit(bank.agent(PAY, Step("Done.")), "Pay.")
        await until_waiting(runtime, run.id)
        await elsewhere.decide(run.id, CALL, True, input={"amount": 3})
        log = await ended(runtime, run.id)
        with pytest.raises(NoApprovalNeeded):
            await elsewhere.decide(run.id, CALL, True)
        with pytest.raises(NoApprovalNeeded):
            await runtime.decide(run.id, CALL, True)
    assert bank.paid == [3]
    assert of(log, Approval)[0].input == {"amount": 3}


async def test_a_handle_decides(store: Store) -> None:
    bank = Bank()
    async with Runtime(store) as runtime:
        run = await runtime.submit(bank.agent(PAY, Step("Done.")), "Pay.")
        await until_waiting(runtime, run.id)
        with pytest.raises(UsageError, match="JSON object"):
            await run.decide(CALL, True, input="5")
        await run.decide(CALL, True)
        assert (await run.result()).content == "Done."
    assert bank.paid == [5]


async def test_a_signal_that_is_no_decision_changes_nothing(store: Store) -> None:
    bank, run_id = Bank(), await waits(store)
    for content in ("nonsense", '{"call_id": "call_1"}', '{"call_id": "x", "approved": true}'):
        await store.post(Signal(run_id, "approval", content))
    async with Runtime(store, agents=[bank.agent()]) as runtime:
        await until_waiting(runtime, run_id)
        owner = (await store.run(run_id)).owner
        async with asyncio.timeout(5):
            while await store.signals(owner):  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.005)
        await runtime.decide(run_id, CALL, True)
        await ended(runtime, run_id)
    assert bank.paid == [5]


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize(
    ("approved", "input"), [(True, None), (True, {"amount": 3}), (False, None)]
)
async def test_wherever_it_is_interrupted_it_is_asked_once_and_done_at_most_once(
    approved: bool, input: Any, idempotent: bool
) -> None:
    whole = await logged(approved=approved, input=input)
    paid = (input or {"amount": 5})["amount"]
    for length in range(1, len(whole)):
        before, bank = whole[:length], Bank(idempotent=idempotent)
        again = [] if of(before, StepEnd) else [PAY]
        store = MemoryStore()
        run_id = await orphan(store, record_of("run_1", "payer"), before)
        async with Runtime(store, agents=[bank.agent(*again, Step("Done."))]) as runtime:
            if not of(before, Approval):
                await until_waiting(runtime, run_id)
                await runtime.decide(run_id, CALL, approved, input=input)
            log = await ended(runtime, run_id)
        assert len(of(log, ApprovalNeeded)) == len(of(log, Approval)) == 1, length
        begun = bool(of(before, ToolStart))
        over = bool(of(before, ToolEnd))
        runs = approved and not over and (idempotent or not begun)
        assert bank.paid == ([paid] if runs else []), length


async def test_a_call_with_other_arguments_is_asked_about_again(store: Store) -> None:
    before = upto(await logged(), ApprovalNeeded)
    before[-1] = replace(before[-1], input={"amount": 4})
    bank, run_id = Bank(), await orphan(store, record_of("run_1", "payer"), before)
    await store.post(Signal(run_id, "approval", '{"call_id":"call_1","approved":false}'))
    async with Runtime(store, agents=[bank.agent()]) as runtime:
        await until_asked(runtime, run_id, 2)
        await runtime.decide(run_id, CALL, True, seen={"amount": 5})
        log = await ended(runtime, run_id)
    assert [event.input for event in of(log, ApprovalNeeded)] == [{"amount": 4}, {"amount": 5}]
    assert [event.approved for event in of(log, Approval)] == [False, True]
    assert bank.paid == [5]


@pytest.mark.parametrize("decided", [True, False])
async def test_a_question_about_other_arguments_does_not_stand(store: Store, decided: bool) -> None:
    before = upto(await logged(), Approval if decided else ApprovalNeeded)
    place = next(i for i, event in enumerate(before) if isinstance(event, ApprovalNeeded))
    before[place] = replace(before[place], input={"amount": 4})
    bank, run_id = Bank(), await orphan(store, record_of("run_1", "payer"), before)
    async with Runtime(store, agents=[bank.agent()]) as runtime:
        await until_asked(runtime, run_id, 2)
        assert bank.paid == []
        await runtime.decide(run_id, CALL, False)
        log = await ended(runtime, run_id)
    first = of(log, Approval)[0]
    assert first.reason == (None if decided else "the arguments changed")
    assert bank.paid == []


async def test_a_question_stands_though_the_tool_asks_no_more(store: Store) -> None:
    bank, run_id = Bank(asks=False), await waits(store)
    async with Runtime(store, agents=[bank.agent()]) as runtime:
        await until_waiting(runtime, run_id)
        await runtime.decide(run_id, CALL, False)
        await ended(runtime, run_id)
    assert bank.paid == []


async def test_time_without_a_process_counts_for_the_wait(store: Store) -> None:
    before = [replace(event, at=event.at - 60) for event in upto(await logged(), ApprovalNeeded)]
    run_id = await orphan(store, record_of("run_1", "payer", created_at=time() - 60), before)
    bank = Bank(approval_timeout=30)
    async with Runtime(store, agents=[bank.agent()]) as runtime:
        log = await ended(runtime, run_id)
    assert [event.reason for event in of(log, Approval)] == ["expired"]
    assert bank.paid == []


async def test_the_wait_counts_for_no_deadline_of_the_run(store: Store) -> None:
    before = [replace(event, at=event.at - 60) for event in upto(await logged(), ApprovalNeeded)]
    run_id = await orphan(store, record_of("run_1", "payer", created_at=time() - 60), before)
    bank = Bank(deadlines=Deadlines(run=2))
    async with Runtime(store, agents=[bank.agent()]) as runtime:
        await until_waiting(runtime, run_id)
        await asyncio.sleep(2.2)  # nor does it now
        await runtime.decide(run_id, CALL, True)
        log = await ended(runtime, run_id)
    assert isinstance(log[-1], Complete), log[-1]
    assert waited(log, time()) > 60


async def test_the_time_before_the_question_counts(store: Store) -> None:
    whole = upto(await logged(), ApprovalNeeded)
    before = [*(replace(e, at=e.at - 60) for e in whole[:-1]), whole[-1]]
    run_id = await orphan(store, record_of("run_1", "payer", created_at=time() - 60), before)

    bank = Bank(deadlines=Deadlines(run=30))
    stay = asyncio.Event()

    async def pay(amount: int) -> str:
        """Pay."""
        await stay.wait()
        return ""

    agent = bank.agent()
    agent.tools = {"pay": Tool(pay, approval=True)}
    async with Runtime(store, agents=[agent]) as runtime:
        await until_waiting(runtime, run_id)
        await runtime.decide(run_id, CALL, True)
        log = await ended(runtime, run_id)  # the one second that a run has at least
    assert isinstance(log[-1], Error)
    assert log[-1].code == "deadline_exceeded"


async def test_waiting_is_no_reason_to_give_a_run_up(store: Store) -> None:
    bank, run_id = Bank(), await waits(store, recoveries=17)
    async with Runtime(store, agents=[bank.agent()]) as runtime:
        await until_waiting(runtime, run_id)
        await runtime.decide(run_id, CALL, True)
        log = await ended(runtime, run_id)
    assert isinstance(log[-1], Complete)
    assert bank.paid == [5]


async def test_a_cancel_while_no_process_is_there_ends_the_wait(store: Store) -> None:
    bank, run_id = Bank(), await waits(store)
    async with Runtime(store, agents=[bank.agent()], recover=False) as runtime:
        await runtime.cancel(run_id, "enough")
        with pytest.raises(NoApprovalNeeded):
            await runtime.decide(run_id, CALL, True)
        assert (await runtime.snapshot(run_id)).waiting == []
    assert bank.paid == []


PROGRAM = dedent(
    """
    import asyncio, sys
    from headrace import Agent, Runtime, tool
    from headrace.testing import ScriptedModel, Step

    @tool(approval=True)
    async def pay(amount: int) -> str:
        \"\"\"Pay.\"\"\"
        with open(sys.argv[2], "a") as book:
            print(amount, file=book)
        return f"paid {amount}"

    steps = [Step("Done.")]
    if len(sys.argv) > 3:
        steps.insert(0, Step(tool_calls=[("pay", {"amount": 5})]))
    agent = Agent("payer", ScriptedModel(steps), tools=[pay])

    async def main():
        async with Runtime(f"sqlite:///{sys.argv[1]}", agents=[agent], lease=0.5) as runtime:
            if len(sys.argv) > 3:
                run = await runtime.submit(agent, "Pay.")
                async for event in run.events():
                    if type(event).__name__ == "ApprovalNeeded":
                        print(run.id, flush=True)
            else:
                print("ready", flush=True)
                await asyncio.to_thread(sys.stdin.read)

    asyncio.run(main())
    """
)


async def _process(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )


async def _said(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        return (await process.stdout.readline()).decode().strip()


async def test_it_survives_sigkill_twice_and_a_decision_between_the_processes(
    tmp_path: Path,
) -> None:
    database, book = tmp_path / "runs.db", tmp_path / "book"
    first = await _process(str(database), str(book), "begin")
    run_id = await _said(first)
    first.kill()
    assert await first.wait() == -signal.SIGKILL
    second = await _process(str(database), str(book))
    assert await _said(second) == "ready"
    second.kill()
    assert await second.wait() == -signal.SIGKILL
    assert not book.exists()
    async with Runtime(f"sqlite:///{database}", recover=False) as runtime:
        assert [call.call_id for call in (await runtime.snapshot(run_id)).waiting] == [CALL]
        await runtime.decide(run_id, CALL, True, by="ann")
        third = await _process(str(database), str(book))
        async with asyncio.timeout(30):
            end = await runtime.wait(run_id)
        log = await log_of(runtime.store, run_id)
        third.stdin.close()  # type: ignore[union-attr]
        await third.wait()
    assert isinstance(end, Complete)
    assert book.read_text() == "5\n"
    assert [type(event) for event in log if isinstance(event, ApprovalNeeded | Approval)] == [
        ApprovalNeeded,
        Approval,
    ]
