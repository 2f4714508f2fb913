"""Two runtimes on one run: what the stale one still writes gets in nowhere."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import time

import pytest

from headrace.agents.agent import Agent
from headrace.events import Complete, Event, Token, Warn, decode
from headrace.runs.fold import fold
from headrace.runs.stores.memory import MemoryStore
from headrace.runs.stores.sqlite import SQLiteStore
from headrace.runtime import Runtime
from headrace.testing import Gate, ScriptedModel, Step
from tests.chaos.compare import compare
from tests.chaos.files import DATABASE, SHOWN
from tests.chaos.stalled import LEASE, PIECE
from tests.runtime.orphans import log_of, of

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]


async def until(holds: Callable[[], bool]) -> None:
    """Wait for a state that nothing tells of."""
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


class Watch:
    """A viewer that remembers."""

    def __init__(self, batches: AsyncIterator[list[Event]]) -> None:
        self.seen: list[Event] = []
        self._batches = batches
        self.task = asyncio.create_task(self._read())

    def has(self, text: str) -> bool:
        """Whether a piece of text was among it."""
        return any(isinstance(event, Token) and event.content == text for event in self.seen)

    async def _read(self) -> None:
        async for batch in self._batches:
            self.seen += batch


class AnHourAhead(SQLiteStore):
    """A store by whose clock every other's lease has run out; appends wait where there is a gate.

    As a runtime sees the run of one that stood still for long.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, clock=lambda: time() + 3600)
        self.gate: Gate | None = None

    async def append(self, run_id: str, expected_last_seq: int, events: Sequence[Event]) -> None:
        if self.gate is not None:
            gate, self.gate = self.gate, None
            await gate.pass_through()
        await super().append(run_id, expected_last_seq, events)


@asynccontextmanager
async def first_owner(
    path: Path, model: ScriptedModel
) -> AsyncIterator[tuple[Runtime, str, Watch]]:
    """A runtime with a run and a viewer of it."""
    async with SQLiteStore(path) as store:
        async with Runtime(store, agents=[Agent("assistant", model)], grace=0) as runtime:
            run = await runtime.submit("assistant", "Go.")
            watch = Watch(await runtime.attach(run.id))
            yield runtime, run.id, watch


async def test_a_stale_owner_writes_nothing_and_lets_go(tmp_path: Path) -> None:
    stalled, held = Gate(), Gate()
    stale = ScriptedModel([Step(["mine ", stalled, "stale ", "stale "])])
    fresh = ScriptedModel([Step(["yours ", held, "done"])])
    async with first_owner(tmp_path / "runs.db", stale) as (first, run_id, inside):
        await until(lambda: inside.has("mine "))
        async with AnHourAhead(tmp_path / "runs.db") as store:
            async with Runtime(store, agents=[Agent("assistant", fresh)]) as second:
                assert second.live == [run_id]
                outside = Watch(await second.attach(run_id))
                await until(lambda: outside.has("yours "))
                stalled.open()
                await until(lambda: not first.live)
                assert stale.open_streams == 0
                held.open()
                await asyncio.gather(inside.task, outside.task)
            log = await log_of(store, run_id)
    assert inside.seen == log
    assert outside.seen == log
    assert fold(log).text == "yours done"
    assert [token.content for token in of(log, Token)] == ["mine ", "yours ", "done"]
    assert isinstance(log[-1], Complete)


async def test_tools_of_a_stale_owner_do_not_run(tmp_path: Path) -> None:
    ran, stalled, held = [], Gate(), Gate()

    def pay() -> str:
        """Pay."""
        ran.append("stale")
        return "paid"

    stale = ScriptedModel([Step(["mine ", stalled], tool_calls=[("pay", {})])])
    fresh = ScriptedModel([Step(["yours ", held])])
    async with SQLiteStore(tmp_path / "runs.db") as store:
        agent = Agent("assistant", stale, tools=[pay])
        async with Runtime(store, agents=[agent], grace=0) as first:
            run = await first.submit("assistant", "Go.")
            await stalled.reached.wait()
            async with AnHourAhead(tmp_path / "runs.db") as ahead:
                async with Runtime(ahead, agents=[Agent("assistant", fresh)]) as second:
                    watch = Watch(await second.attach(run.id))
                    await until(lambda: watch.has("yours "))
                    stalled.open()
                    await until(lambda: not first.live)
                    held.open()
                    await watch.task
    assert ran == []


async def test_whoever_writes_first_there_is_one_log(tmp_path: Path) -> None:
    """The new owner has the lease, and the old one wakes up before it has written anything."""
    stalled, held, slow = Gate(), Gate(), Gate()
    stale = ScriptedModel([Step(["mine ", stalled, "still mine ", held, "stale"])])
    fresh = ScriptedModel([Step("yours")] * 2)
    async with first_owner(tmp_path / "runs.db", stale) as (first, run_id, inside):
        await until(lambda: inside.has("mine "))
        store = AnHourAhead(tmp_path / "runs.db")
        store.gate = slow
        async with store:
            runtime = Runtime(store, agents=[Agent("assistant", fresh)], lease=0.2)
            async with runtime as second:
                outside = Watch(await second.attach(run_id))
                await slow.reached.wait()
                for _ in range(20):  # nothing is asked before it is sure whose the run is
                    await asyncio.sleep(0)
                asked_early = list(fresh.requests)
                stalled.open()
                await until(lambda: inside.has("still mine "))
                slow.open()  # refused: it looks again, for the run is its own
                await until(lambda: any(isinstance(event, Warn) for event in outside.seen))
                held.open()
                await asyncio.gather(inside.task, outside.task)
                await until(lambda: not first.live)
            log = await log_of(store, run_id)
    assert inside.seen == log
    assert outside.seen == log
    assert [token.content for token in of(log, Token)] == ["mine ", "still mine ", "yours"]
    assert fold(log).text == "yours"
    assert asked_early == []


class Forgetful(MemoryStore):
    """A store that takes every live run for an orphan."""

    looks = 0

    async def orphans(self, host: str, limit: int = 100) -> list[str]:
        self.looks += 1
        return [record.id for record in await self.runs(status="running")]


async def test_an_owner_that_stood_still_does_not_take_its_own_runs_over() -> None:
    store, gate = Forgetful(), Gate()
    model = ScriptedModel([Step(["one ", gate, "two"])])
    async with Runtime(store, agents=[Agent("assistant", model)], lease=0.02) as runtime:
        run = await runtime.submit("assistant", "Go.")
        await gate.reached.wait()
        before = store.looks
        await until(lambda: store.looks >= before + 3)
        gate.open()
        assert (await run.result()).content == "one two"
    assert (await store.run(run.id)).recoveries == 0


def free(database: Path) -> bool:
    """Whether nobody holds the file's lock: a process may be stopped in the middle of a commit."""
    connection = sqlite3.connect(database, timeout=0, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True


async def stop(process: asyncio.subprocess.Process, database: Path) -> None:
    """SIGSTOP, not within a commit."""
    while True:
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)  # noqa: ASYNC222  # it is at once
        if free(database):
            return
        process.send_signal(signal.SIGCONT)
        await asyncio.sleep(0.001)


async def test_a_process_that_was_stopped_finds_its_run_taken(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.chaos.stalled", str(tmp_path)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        run_id = (await process.stdout.readline()).decode().strip()
        ahead = 0.0
        async with SQLiteStore(tmp_path / DATABASE, clock=lambda: time() + ahead) as store:
            held = Gate()
            agent = Agent("assistant", ScriptedModel([Step(["yours ", held, "done"])]))
            async with Runtime(store, agents=[agent], lease=0.5) as second:
                watch = Watch(await second.attach(run_id))
                await until(lambda: watch.has(PIECE))
                await stop(process, tmp_path / DATABASE)
                ahead = 2 * LEASE
                await until(lambda: watch.has("yours "))
                process.send_signal(signal.SIGCONT)
                assert await process.stdout.readline() == b"let go\n"
                held.open()
                await watch.task
            assert await process.wait() == 0
            log = await log_of(store, run_id)
            record = await store.run(run_id)
    finally:
        if process.returncode is None:
            process.kill()
        await process.stdout.read()
        await process.wait()
    taken = next(event.seq for event in log if isinstance(event, Warn))
    assert {token.content for token in of(log[:taken], Token)} == {PIECE}
    assert [token.content for token in of(log[taken:], Token)] == ["yours ", "done"]
    assert fold(log).text == "yours done"
    assert (record.recoveries, record.last_seq) == (1, len(log))
    assert compare(log, watch.seen).right
    inside = [decode(line) for line in (tmp_path / SHOWN).read_bytes().splitlines()]
    assert compare(log, inside).right
