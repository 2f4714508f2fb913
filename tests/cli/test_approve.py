"""`headrace approve` and `headrace deny`: from another process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from headrace import Agent, Runtime, tool
from headrace.cli.approve import _outcome
from headrace.errors import NoApprovalNeeded
from headrace.events import Approval, ApprovalNeeded
from headrace.runs.fold import Waiting
from headrace.runs.stores.sqlite import SQLiteStore
from headrace.testing import ScriptedModel, Step
from tests.cli.kept import Kept
from tests.runtime.orphans import of, orphan, record_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("command", "more", "said", "paid"),
    [
        ("approve", (), 'pay({"amount":5}) is approved.', [5]),
        (
            "approve",
            ("--input", '{"amount": 3}'),
            'pay({"amount":5}) is approved, as pay({"amount":3}).',
            [3],
        ),
        ("deny", ("call_1", "--reason", "no"), 'pay({"amount":5}) is denied.', []),
    ],
)
async def test_a_call_is_decided_about(
    command: str, more: tuple[str, ...], said: str, paid: list[int], tmp_path: Path
) -> None:
    done: list[int] = []

    @tool(approval=True)
    async def pay(amount: int) -> str:
        """Pay."""
        done.append(amount)
        return "paid"

    first = Step(tool_calls=[("pay", {"amount": 5})])
    agent = Agent("payer", ScriptedModel([first, Step("Done.")]), tools=[pay])
    kept = Kept(tmp_path)
    async with SQLiteStore(kept.path) as store, Runtime(store) as runtime:
        run = await runtime.submit(agent, "Pay.")
        async for event in run.events():
            if event.__struct_config__.tag == "approval_needed":
                break
        told = await asyncio.to_thread(kept.headrace, command, run.id, *more)
        assert told.stdout.strip() == said
        await run.result()
        (approval,) = of(await store.read(run.id, 0), Approval)
        again = await asyncio.to_thread(kept.headrace, command, run.id, *more, code=2)
    assert done == paid
    assert approval.by
    assert approval.reason == ("no" if command == "deny" else None)
    assert "waits for a decision" in again.stderr


@tool(approval=True)
async def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


def payer() -> Agent:
    first = Step(tool_calls=[("pay", {"amount": 5})])
    return Agent("payer", ScriptedModel([first, Step("Done.")]), tools=[pay])


async def test_arguments_that_the_tool_does_not_take_are_not_told_as_approved(
    tmp_path: Path,
) -> None:
    kept = Kept(tmp_path)
    async with SQLiteStore(kept.path) as store, Runtime(store) as runtime:
        run = await runtime.submit(payer(), "Pay.")
        async for event in run.events():
            if isinstance(event, ApprovalNeeded):
                break
        edit = ("approve", run.id, "--input", '{"amount": "much"}')
        told = await asyncio.to_thread(kept.headrace, *edit)
        assert "No process has heard of it yet" in told.stdout
        assert "If the tool does not take these arguments, the call waits on." in told.stdout
        assert len((await runtime.snapshot(run.id)).waiting) == 1
        await runtime.decide(run.id, "call_1", False)
        await run.result()


async def test_of_a_run_that_no_process_has_it_is_told_that_one_will_hear(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    async with payer().start("Pay.") as run:
        log = []
        async for event in run.events():
            log.append(event)
            if isinstance(event, ApprovalNeeded):
                break
    async with SQLiteStore(kept.path) as store:
        run_id = await orphan(store, record_of("run_1", "payer"), log)
    told = await asyncio.to_thread(kept.headrace, "deny", run_id)
    said = 'pay({"amount":5}) is denied. No process has heard of it yet; whoever has the run then'
    assert told.stdout.strip() == f"{said} will."


def test_a_decision_that_came_second_is_not_told_as_made() -> None:
    call = Waiting("call_1", "pay", {"amount": 5}, 7)
    ours = Approval(8, 1.0, "", "call_1", True, "ann", None, {"amount": 3})
    assert "is approved" in _outcome(call, True, {"amount": 3}, ours)
    for approved, input in ((False, None), (True, None), (True, {"amount": 4})):
        with pytest.raises(NoApprovalNeeded):
            _outcome(call, approved, input, ours)
