"""What users of sage-adk's streaming agent know, for runs that outlive their viewers."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace import Agent, Runtime
from headrace.events import Cancelled, Event, Token
from headrace.testing import Gate, ScriptedModel, Step, check_events

pytestmark = pytest.mark.anyio


async def test_S4_12_another_process_stops_a_run_early_and_gets_the_receipt(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/runs.db"
    agent = Agent("bot", ScriptedModel([Step(text=["Once upon a time", Gate()])]))
    async with Runtime(store) as runtime, Runtime(store) as elsewhere:
        run = await runtime.submit(agent, "A story")
        async for batch in await elsewhere.attach(run.id):
            if any(isinstance(event, Token) for event in batch):
                break
        end = await elsewhere.cancel(run.id, "enough")
        assert isinstance(end, Cancelled)
        assert (end.reason, end.receipt.content) == ("enough", "Once upon a time")
        assert end.usage.output > 0
        assert not end.usage.exact


async def test_S4_20_an_answer_is_whole_and_in_order_after_every_refresh(tmp_path: Path) -> None:
    numbers = [f"{n} " for n in range(500)]
    async with Runtime(f"sqlite:///{tmp_path}/runs.db") as runtime:
        run = await runtime.submit(Agent("bot", ScriptedModel([Step(text=numbers)])), "Count")
        got: list[Event] = []
        while not await run_out(runtime, run.id, got):
            pass
        check_events(got)
        assert "".join(e.content for e in got if isinstance(e, Token)) == "".join(numbers)


async def run_out(runtime: Runtime, run_id: str, got: list[Event]) -> bool:
    """Read on for a few events, as a page does between two refreshes; whether it was the end."""
    count = 0
    async for batch in await runtime.attach(run_id, got[-1].seq if got else 0):
        for event in batch:
            got.append(event)
            count += 1
            if count == 7:
                return False
    return True
