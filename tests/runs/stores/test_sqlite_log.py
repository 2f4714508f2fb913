"""Logs in SQLite that stand on several shelves: read, cut and forgotten as if they stood on one."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headrace.errors import LogConflict, ReplayGap, StoreUnavailable
from headrace.runs.stores.sqlite import SQLiteStore
from headrace.testing.store_laws_samples import complete, run_record, tokens

pytestmark = pytest.mark.anyio

RUNS = ("a", "b", "c")
EACH = 2500


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    """Three runs written at once, a batch for each event: 7,500 rows on 4 shelves."""
    async with SQLiteStore(tmp_path / "runs.db") as store:
        for run_id in RUNS:
            await store.create(run_record(run_id))
        for first in range(1, EACH + 1, 100):
            seqs = range(first, first + 100)
            await asyncio.gather(
                *(store.append(r, seq - 1, tokens(seq, seq, r)) for seq in seqs for r in RUNS)
            )
        yield store


def ask(tmp_path: Path, query: str) -> list[tuple[int, ...]]:
    connection = sqlite3.connect(tmp_path / "runs.db")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


async def read_all(store: SQLiteStore, run_id: str, after: int, max_bytes: int) -> list[int]:
    seqs = []
    while events := await store.read(run_id, after, max_bytes):
        assert events == tokens(after + 1, after + len(events), run_id)
        after = events[-1].seq
        seqs += [event.seq for event in events]
    return seqs


@pytest.mark.parametrize("max_bytes", [0, 10_000, 1 << 20])
async def test_a_log_is_read_over_its_shelves(store: SQLiteStore, max_bytes: int) -> None:
    after = EACH - 20 if max_bytes == 0 else 0
    for run_id in RUNS:
        assert await read_all(store, run_id, after, max_bytes) == [*range(after + 1, EACH + 1)]


async def test_reading_begins_behind_any_event(store: SQLiteStore, tmp_path: Path) -> None:
    # Where shelves begin, and around there.
    begins = ask(tmp_path, "SELECT first & 0xFFFFFFFF FROM shelves")
    assert len(begins) > 6
    for after in {seq + near for (seq,) in begins for near in (-2, -1, 0, 1)} - {-1}:
        for run_id in RUNS:
            got = await store.read(run_id, after, 500)
            assert got == tokens(after + 1, after + len(got), run_id)
            assert bool(got) == (after < EACH)


@pytest.mark.parametrize("upto", [1, 700, 1365, 2499, 2500, 10**12])
async def test_a_log_is_cut_over_its_shelves(store: SQLiteStore, tmp_path: Path, upto: int) -> None:
    await store.cut("b", upto)
    cut = min(upto, EACH)
    record = await store.run("b")
    assert (record.cut, record.last_seq) == (cut, EACH)
    assert await read_all(store, "b", cut, 1 << 20) == [*range(cut + 1, EACH + 1)]
    with pytest.raises(ReplayGap):
        await store.read("b", cut - 1)
    for other in "ac":
        assert len(await read_all(store, other, 0, 1 << 20)) == EACH
    # It goes on where it stood, and no shelf is remembered that it has left.
    with pytest.raises(LogConflict):
        await store.append("b", EACH - 1, tokens(EACH, EACH))
    await store.append("b", EACH, tokens(EACH + 1, EACH + 1, "b"))
    assert await read_all(store, "b", cut, 1 << 20) == [*range(cut + 1, EACH + 2)]
    empty = """SELECT first FROM shelves WHERE NOT EXISTS (
        SELECT 1 FROM batches WHERE batches.shelf = shelves.shelf
        AND batches.first >> 32 = shelves.first >> 32)"""
    assert ask(tmp_path, empty) == []


async def test_what_is_forgotten_leaves_nothing_behind(store: SQLiteStore, tmp_path: Path) -> None:
    for run_id in RUNS:
        await store.end(run_id, EACH, [complete(EACH + 1)])
    await store.delete_run("a")
    assert await store.prune(1e18, 0) == 2
    assert await store.prune(1e18, 0) == 0
    assert ask(tmp_path, "SELECT count(*) FROM batches") == [(0,)]
    assert ask(tmp_path, "SELECT count(*) FROM shelves") == [(0,)]
    assert (await store.run("b")).last_seq == (await store.run("b")).cut == EACH + 1
    # With all rows gone, shelves are counted from the first again: a new run is none the worse.
    await store.create(run_record("d"))
    await store.append("d", 0, tokens(1, 2))
    assert await store.read("d", 0) == tokens(1, 2)
    assert await store.prune(0, 1e18) == 2
    assert [record.id for record in await store.runs()] == ["d"]


async def test_a_live_log_stays_in_order_when_shelves_are_counted_anew(
    store: SQLiteStore, tmp_path: Path
) -> None:
    for run_id in ("a", "b"):
        await store.end(run_id, EACH, [complete(EACH + 1)])
    await store.cut("c", 100)
    await store.prune(0, 1e18)
    for seq in range(EACH + 1, EACH + 50):
        await store.append("c", seq - 1, tokens(seq, seq, "c"))
    assert await read_all(store, "c", 100, 5000) == [*range(101, EACH + 50)]


async def test_pruning_goes_on_past_its_pieces(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "runs.db") as store:
        for nth in range(250):
            await store.create(run_record(f"run_{nth}"))
            await store.end(f"run_{nth}", 0, [complete(1)])
        assert await store.prune(1e18, 0) == 250
        assert await store.prune(0, 1e18) == 250
        assert await store.runs() == []


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM batches WHERE first & 0xFFFFFFFF = 2",
        "UPDATE batches SET payload = x'7b' WHERE first & 0xFFFFFFFF = 2",
        "DELETE FROM batches WHERE first & 0xFFFFFFFF = 1",
    ],
)
async def test_a_damaged_log_is_never_passed_off_as_whole(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "runs.db"
    async with SQLiteStore(path) as store:
        await store.create(run_record())
        for seq in (1, 2, 3):
            await store.append("run_1", seq - 1, tokens(seq, seq))
    connection = sqlite3.connect(path)
    connection.execute(harm)
    connection.commit()
    connection.close()
    async with SQLiteStore(path) as store:
        with pytest.raises(StoreUnavailable, match="run_1 is damaged"):
            await store.read("run_1", 0)
