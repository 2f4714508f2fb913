"""The memory store beyond the laws of every store: its bound, its clock, its own objects."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from headrace import events as e
from headrace.errors import LogTooLarge, ReplayGap, RunNotFound, StoreUnavailable
from headrace.events import Event
from headrace.messages import Message
from headrace.runs.log import EVENT_COST
from headrace.runs.stores.memory import MAX_BYTES, MemoryStore
from headrace.runs.stores.memory_log import BATCH_COST
from headrace.runs.stores.memory_runs import RECORD_COST
from headrace.runs.stores.record import RunRecord, Signal
from headrace.usage import Metrics, Timing, Usage

KIB = 1024


def record(run_id: str, **fields: object) -> RunRecord:
    return RunRecord(id=run_id, agent="a", model="m", created_at=1.0, **fields)  # type: ignore[arg-type]


def token(seq: int, text: str = "x") -> Event:
    return e.Token(seq, 1.0, "", text, seq - 1)


def complete(seq: int, at: float = 1.0) -> Event:
    return e.Complete(seq, at, "", "stop", Usage(), Metrics())


async def finished(store: MemoryStore, run_id: str, size: int = 10 * KIB) -> None:
    await store.create(record(run_id))
    await store.append(run_id, 0, [token(1, "x" * size)])
    await store.end(run_id, 1, [complete(2)])


async def whole(store: MemoryStore, run_id: str) -> bool:
    """Whether its events are kept."""
    cut = (await store.run(run_id)).cut
    if not cut:
        return len(await store.read(run_id, 0)) == 2
    with pytest.raises(ReplayGap, match=f"1 to {cut}"):
        await store.read(run_id, 0)
    return False


async def followed(store: MemoryStore) -> list[list[Event]]:
    return [piece async for piece in store.follow("r")]


def test_the_bound_is_the_contracts() -> None:
    assert MAX_BYTES == 256 * KIB * KIB


async def test_events_are_kept_as_the_objects_that_were_given() -> None:
    store = MemoryStore()
    await store.create(record("r"))
    event = token(1)
    await store.append("r", 0, [event])
    assert (await store.read("r", 0))[0] is event


async def test_who_appends_may_change_its_list_afterwards() -> None:
    store = MemoryStore()
    await store.create(record("r"))
    batch = [token(1)]
    await store.append("r", 0, batch)
    batch.append(token(3))
    assert await store.read("r", 0) == [token(1)]


async def test_the_events_of_the_oldest_finished_runs_make_room_first() -> None:
    store = MemoryStore(max_bytes=50 * KIB)
    for run_id in ("a", "b", "c"):
        await finished(store, run_id)
    await store.create(record("live"))
    for seq, left in ((1, "bc"), (2, "c"), (3, "")):
        await store.append("live", seq - 1, [token(seq, "y" * 11 * KIB)])
        assert [run_id for run_id in "abc" if await whole(store, run_id)] == list(left)
    assert {run.id: run.cut for run in await store.runs()} == {"a": 2, "b": 2, "c": 2, "live": 0}
    assert (await store.run("a")).last_seq == 2
    assert len(await store.read("live", 0)) == 3


async def test_the_end_counts_for_who_is_oldest_and_not_the_beginning() -> None:
    store = MemoryStore(max_bytes=34 * KIB)
    for run_id in ("a", "b"):
        await store.create(record(run_id))
        await store.append(run_id, 0, [token(1, "x" * 10 * KIB)])
    await store.end("b", 1, [complete(2)])
    await store.end("a", 1, [complete(2)])
    await finished(store, "c")
    assert [run_id for run_id in "abc" if await whole(store, run_id)] == ["a", "c"]


async def test_a_store_that_is_full_of_live_runs_says_what_to_do() -> None:
    store = MemoryStore(max_bytes=30 * KIB)
    await store.create(record("r"))
    await store.append("r", 0, [token(1, "x" * 20 * KIB)])
    with pytest.raises(LogTooLarge, match=f"of {30 * KIB} bytes .*live.*sqlite:///path"):
        await store.append("r", 1, [token(2, "y" * 10 * KIB)])
    assert (await store.run("r")).last_seq == 1
    await store.append("r", 1, [token(2, "small")])


async def test_a_full_store_still_takes_every_end() -> None:
    store = MemoryStore(max_bytes=RECORD_COST + BATCH_COST + EVENT_COST + 1)
    await store.create(record("r"))
    await store.append("r", 0, [token(1)])
    with pytest.raises(LogTooLarge):
        await store.append("r", 1, [token(2)])
    ends: list[Event] = [
        e.ToolEnd(2, 1.0, "", "c", "look", "found", 1.0),
        e.StepEnd(3, 1.0, "", 1, "stop", Usage(), Timing(1.0), Message("assistant")),
        e.AgentEnd(4, 1.0, "", "helper", "helped", 1.0),
        e.Answer(5, 1.0, "", "x"),
    ]
    with pytest.raises(LogTooLarge):
        await store.append("r", 1, [ends[0], token(3)])
    await store.append("r", 1, ends)
    await store.end("r", 5, [complete(6)], [Message.user("hi")])
    assert (await store.run("r")).status == "complete"


async def test_what_else_is_kept_is_bounded_too() -> None:
    store = MemoryStore(max_bytes=20 * KIB)
    await store.create(record("live"))
    big = "x" * 20 * KIB
    for call in (
        store.create(record("big", spec=big.encode())),
        store.create(record("big", title=big, session="s")),
        store.append_session("s", 0, [Message.user(big)]),
        store.post(Signal("live", "input", big)),
    ):
        with pytest.raises(StoreUnavailable, match="memory store is full"):
            await call
    with pytest.raises(RunNotFound):
        await store.run("big")
    assert await store.sessions() == []
    assert await store.signals("") == []


async def test_records_are_forgotten_when_there_are_no_more_events_to_forget() -> None:
    store = MemoryStore(max_bytes=10 * RECORD_COST)
    for n in range(100):
        await finished(store, f"run_{n}", size=10)
    kept = [run.id for run in await store.runs()]
    assert 5 <= len(kept) <= 10
    assert kept == [f"run_{n}" for n in range(99, 99 - len(kept), -1)]


async def test_what_is_forgotten_gives_back_all_of_its_room() -> None:
    """After any work, once all is forgotten, a log of nearly the whole store fits."""
    random = Random(5)  # noqa: S311 - no secret
    store = MemoryStore(max_bytes=100 * KIB)
    for n in range(200):
        run_id, session = f"run_{n}", random.choice(["s", "t", None])
        await store.create(record(run_id, session=session, idempotency_key=run_id, owner="me"))
        await store.append(run_id, 0, [token(1), token(2, "x" * random.randrange(5000))])
        await store.post(Signal(run_id, "input", "x" * random.randrange(500)))
        if random.random() < 0.5:
            await store.settle([signal.id for signal in await store.signals("me")])
        if random.random() < 0.5:
            await store.cut(run_id, random.randrange(4))
        await store.end(run_id, 2, [complete(3)], [Message.user("hi")])
        if random.random() < 0.5:
            await store.delete_run(run_id)
    for session_record in await store.sessions():
        await store.delete_session(session_record.id)
    await store.prune(2.0, 2.0)
    assert await store.runs() == []
    await store.create(record("big"))
    await store.append("big", 0, [token(1, "x" * (100 * KIB - 3 * KIB))])


async def test_who_follows_a_run_whose_events_make_room_is_told() -> None:
    store = MemoryStore(max_bytes=40 * KIB)
    await finished(store, "a", 20 * KIB)
    await store.create(record("b"))
    follower = store.follow("a", 0)
    assert len(await anext(follower)) == 2
    late = store.follow("a", 1)
    await store.append("b", 0, [token(1, "x" * 30 * KIB)])
    with pytest.raises(ReplayGap):
        await anext(late)
    assert [piece async for piece in follower] == []


async def test_leases_go_by_the_clock_that_was_given() -> None:
    now = 100.0
    store = MemoryStore(clock=lambda: now)
    await store.create(record("r", owner="me", lease_until=110.0))
    now = 109.9
    assert await store.claim("r", "you", 10) is None
    now = 110.0
    claimed = await store.claim("r", "you", 10)
    assert claimed is not None
    assert (claimed.owner, claimed.lease_until) == ("you", 120.0)
    now = 115.0
    await store.renew("you", 10)
    assert (await store.run("r")).lease_until == 125.0
    now = 124.9
    assert await store.orphans("default") == []
    now = 125.0
    assert await store.orphans("default") == ["r"]


async def test_a_session_tells_when_it_was_made_and_last_used() -> None:
    now = 100.0
    store = MemoryStore(clock=lambda: now)
    await store.append_session("s", 0, [])
    now = 105.0
    await store.append_session("s", 0, [Message.user("hi")])
    session = await store.session("s")
    assert (session.created_at, session.updated_at) == (100.0, 105.0)


async def test_a_follower_that_leaves_is_forgotten() -> None:
    store = MemoryStore()
    await store.create(record("r"))

    tasks = [asyncio.create_task(followed(store)) for _ in range(100)]
    await asyncio.sleep(0)
    waiting: set[object] = store._runs.get("r").waiters._waiting  # type: ignore[assignment]
    assert len(waiting) == 100
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert not waiting


async def test_a_loop_that_is_gone_hurts_no_writer() -> None:
    """It was closed while something in it still waited."""
    store = MemoryStore()
    await store.create(record("r"))
    gone = asyncio.new_event_loop()

    def wait_and_leave() -> None:
        waiting = gone.create_task(followed(store))
        gone.run_until_complete(asyncio.sleep(0))
        waiting._log_destroy_pending = False  # type: ignore[attr-defined]
        gone.close()

    await asyncio.to_thread(wait_and_leave)
    await store.append("r", 0, [token(1)])
    assert await store.read("r", 0) == [token(1)]


@pytest.mark.parametrize("limit", [-1, 0, 1])
async def test_a_list_has_at_least_room_for_one(limit: int) -> None:
    store = MemoryStore()
    for n in range(3):
        await store.create(record(f"run_{n}", session=f"s{n}"))
    assert len(await store.runs(limit=limit)) == 1
    assert len(await store.sessions(limit=limit)) == 1


async def test_a_list_has_at_most_a_thousand() -> None:
    store = MemoryStore()
    for n in range(1001):
        await store.create(record(f"run_{n}"))
    assert len(await store.runs(limit=10_000)) == 1000


@pytest.mark.parametrize("after", [-1, -(2**70)])
async def test_a_negative_cursor_reads_from_the_beginning(after: int) -> None:
    store = MemoryStore()
    await store.create(record("r"))
    await store.append("r", 0, [token(1)])
    assert await store.read("r", after) == [token(1)]
