"""A runtime forgets what is old: events after a week, records after a month."""

from __future__ import annotations

import asyncio
from time import time

import pytest
from msgspec.structs import replace

from headrace import Runtime
from headrace.errors import ReplayGap, RunNotFound
from headrace.events import Complete, RunStart
from headrace.runs.stores.memory import MemoryStore
from headrace.usage import Metrics, Usage
from tests.runtime.orphans import record_of

pytestmark = pytest.mark.anyio

DAY = 86_400.0


class Pruned(MemoryStore):
    """Tells when it was pruned."""

    def __init__(self) -> None:
        super().__init__()
        self.done = asyncio.Event()

    async def prune(self, events_before: float, records_before: float) -> int:
        touched = await super().prune(events_before, records_before)
        self.done.set()
        return touched


async def ended(store: MemoryStore, run_id: str, days: float) -> None:
    """A run that ended so many days ago."""
    at = time() - days * DAY
    await store.create(replace(record_of(run_id), created_at=at))
    start = RunStart(1, at, "", run_id, "chaos", "chaos:chaos")
    await store.end(run_id, 0, [start, Complete(2, at, "", "stop", Usage(), Metrics())])


async def test_old_runs_lose_their_events_and_then_their_record() -> None:
    store = Pruned()
    for days in (6, 8, 29, 31):
        await ended(store, f"run_{days}", days)
    async with Runtime(store) as runtime:
        await store.done.wait()
        assert (await runtime.snapshot("run_6")).status == "complete"
        for run_id in ("run_8", "run_29"):
            assert (await store.run(run_id)).status == "complete"
            with pytest.raises(ReplayGap) as caught:
                await runtime.snapshot(run_id)
            assert (caught.value.first, caught.value.last) == (1, 2)
        with pytest.raises(RunNotFound):
            await runtime.snapshot("run_31")
