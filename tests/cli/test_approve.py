"""`headrace approve` and `headrace deny`: from another process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from headrace import Agent, Runtime, tool
from headrace.events import Approval
from headrace.runs.stores.sqlite import SQLiteStore
from headrace.testing import ScriptedModel, Step
from tests.cli.kept import Kept
from tests.runtime.orphans import of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("command", "more", "said", "paid"),
    [
        ("approve", (), 'pay({"amount":5}) is approved.', [5]),
        ("approve", ("--input", '{"amount": 3}'), 'pay({"amount":5}) is approved.', [3]),
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
