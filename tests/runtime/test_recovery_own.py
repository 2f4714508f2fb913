"""Own runs whose store failed: taken up again by the same runtime, once the store works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from headrace.agents.agent import Agent
from headrace.errors import StoreUnavailable
from headrace.events import Complete, Event, Warn
from headrace.messages import Message
from headrace.runs.fold import fold
from headrace.runs.stores.memory import MemoryStore
from headrace.runs.stores.record import RunRecord
from headrace.runs.stores.store import READ_BYTES
from headrace.runtime import Runtime
from headrace.runtime.handle import DetachedRun
from headrace.testing import Gate, ScriptedModel, Step
from tests.runtime.orphans import Ran, chaos_agent, log_of, of, orphan, record_of, whole_log

pytestmark = pytest.mark.anyio

LEASE = 0.1


class Broken(MemoryStore):
    """Refuses what the test says, as a full disk would."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses: set[str] = set()
        self.refused: list[str] = []

    def _check(self, what: str) -> None:
        if what in self.refuses:
            self.refused.append(what)
            raise StoreUnavailable("The disk is full.")

    async def create(self, record: RunRecord) -> RunRecord:
        kept = await super().create(record)
        self._check("create")  # kept, but whoever asked does not know
        return kept

    async def append(self, run_id: str, expected_last_seq: int, events: Sequence[Event]) -> None:
        self._check("append")
        await super().append(run_id, expected_last_seq, events)

    async def end(
        self,
        run_id: str,
        expected_last_seq: int,
        events: Sequence[Event],
        said: Sequence[Message] = (),
        *,
        instead: bool = False,
    ) -> None:
        self._check("append")
        await super().end(run_id, expected_last_seq, events, said, instead=instead)

    async def read(self, run_id: str, after: int, max_bytes: int = READ_BYTES) -> list[Event]:
        self._check("read")
        return await super().read(run_id, after, max_bytes)


async def watch(run: DetachedRun, seen: list[Event]) -> None:
    """Remember what is shown."""
    async for batch in run.batches():
        seen += batch


async def ended(store: Broken, run_id: str) -> list[Event]:
    """The log, once it has an end."""
    async with asyncio.timeout(30):
        async for _ in store.follow(run_id):
            pass
    return await log_of(store, run_id)


@pytest.fixture
async def store() -> AsyncIterator[Broken]:
    broken = Broken()
    yield broken
    await broken.close()


async def test_a_run_goes_on_when_its_store_works_again(store: Broken) -> None:
    gate, other = Gate(), Gate()
    agents = [
        Agent("mine", ScriptedModel([Step(["one ", gate, "two"]), Step("one two")])),
        Agent("other", ScriptedModel([Step(["other", other])])),
    ]
    async with Runtime(store, agents=agents, lease=LEASE) as runtime:
        # The other one's lease is renewed all the time, and with it that of the lost one.
        await runtime.submit("other", "Go.")
        run = await runtime.submit("mine", "Go.")
        seen: list[Event] = []
        await gate.reached.wait()
        store.refuses.add("append")
        gate.open()
        with pytest.raises(StoreUnavailable):
            await watch(run, seen)
        store.refuses.clear()
        log = await ended(store, run.id)
        other.open()
    assert isinstance(log[-1], Complete)
    assert fold(log).text == "one two"
    assert seen == log[: len(seen)], "shown, and not kept"
    assert len(of(log, Warn)) == 1


async def test_a_run_that_could_not_be_looked_at_is_looked_at_again(store: Broken) -> None:
    gate = Gate()
    agents = [chaos_agent(Ran()), Agent("other", ScriptedModel([Step(["other", gate])]))]
    run = await orphan(store, record_of("r"), (await whole_log(chaos_agent(Ran())))[:5])
    store.refuses.add("read")
    async with Runtime(store, agents=agents, lease=LEASE) as runtime:
        await runtime.submit("other", "Go.")
        assert store.refused == ["read"]
        store.refuses.clear()
        log = await ended(store, run)
        gate.open()
    assert isinstance(log[-1], Complete)


async def test_a_submit_that_failed_may_have_begun_a_run(store: Broken) -> None:
    """It cannot be known: what is kept has an end all the same."""
    store.refuses.add("create")
    async with Runtime(store, agents=[chaos_agent(Ran())], lease=LEASE) as runtime:
        with pytest.raises(StoreUnavailable):
            await runtime.submit("chaos", "key")
        (record,) = await store.runs()
        log = await ended(store, record.id)
    assert isinstance(log[-1], Complete)
