"""The SQLite store between processes: killed ones, racing ones, following ones."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from headrace.errors import LogConflict
from headrace.runs.stores.sqlite import SQLiteStore
from headrace.testing.store_laws_samples import complete, run_record, tokens
from tests.runs.stores.sqlite_child import RUN, child, line, tell

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@pytest.mark.parametrize("seen", [1, 20, 150])
async def test_what_a_killed_process_was_told_is_kept(path: Path, seen: int) -> None:
    async with SQLiteStore(path) as store:
        await store.create(run_record())
    async with child("append", path, 1, 1_000_000) as process:
        for _ in range(seen):
            await line(process)
        process.kill()
        assert process.stdout
        rest = (await process.stdout.read()).split(b"\n")[:-1]  # said before it was killed
        told = int(rest[-1]) if rest else seen
    async with SQLiteStore(path) as store:
        events = await store.read(RUN, 0, 1 << 30)
        last = (await store.run(RUN)).last_seq
        # The one under way may have got in; it was not told.
        assert told <= last <= told + 1
        assert [event.seq for event in events] == [*range(1, last + 1)]
        assert events == [event for n in range(1, last + 1) for event in tokens(n, n, f"child {n}")]
        await store.append(RUN, last, tokens(last + 1, last + 1))


async def test_of_two_processes_that_race_one_gets_each_event_in(path: Path) -> None:
    upto = 300
    async with SQLiteStore(path) as store:
        await store.create(run_record())
        async with child("race", path, "a", upto) as a, child("race", path, "b", upto) as b:
            said = await asyncio.wait_for(asyncio.gather(a.communicate(), b.communicate()), 120)
            assert (a.returncode, b.returncode) == (0, 0)
        won = {
            name: [int(seq) for seq in out.split()]
            for name, (out, _) in zip("ab", said, strict=True)
        }
        assert sorted(won["a"] + won["b"]) == [*range(1, upto + 1)]
        expected = sorted((seq, name) for name, seqs in won.items() for seq in seqs)
        kept = await store.read(RUN, 0, 1 << 30)
        assert kept == [event for seq, name in expected for event in tokens(seq, seq, name)]


async def test_what_another_process_has_written_makes_a_writer_stale(path: Path) -> None:
    async with SQLiteStore(path) as store:
        await store.create(run_record())
        await store.append(RUN, 0, tokens(1, 1))
        async with child("append", path, 2, 1) as process:
            assert await line(process) == "2"
            await process.wait()
        with pytest.raises(LogConflict, match="stands at 2"):
            await store.append(RUN, 1, tokens(2, 2, "stale"))
        await store.append(RUN, 2, tokens(3, 3))
        async with child("finish", path, 4) as process:
            assert await line(process) == "ended"
            await process.wait()
        with pytest.raises(LogConflict, match="stands at 4 and has ended"):
            await store.append(RUN, 3, tokens(4, 4, "stale"))
        expected = [*tokens(1, 1), *tokens(2, 2, "child 2"), *tokens(3, 3), complete(4)]
        assert await store.read(RUN, 0) == expected


def test_a_connection_tells_when_another_one_has_written(path: Path) -> None:
    """What the writer's memory of heads rests on: https://sqlite.org/pragma.html#pragma_data_version."""
    one, other = (sqlite3.connect(path, isolation_level=None) for _ in range(2))
    one.execute("PRAGMA journal_mode = WAL")
    one.execute("CREATE TABLE t (x)")

    def version() -> int:
        one.execute("BEGIN IMMEDIATE")
        ((found,),) = one.execute("PRAGMA data_version").fetchall()
        one.execute("INSERT INTO t VALUES (1)")
        one.execute("COMMIT")
        return int(found)

    first = version()
    assert version() == first  # its own commits do not count
    other.execute("INSERT INTO t VALUES (2)")
    second = version()
    assert second != first
    assert version() == second
    one.close()
    other.close()


async def test_a_follower_sees_what_another_process_commits(path: Path) -> None:
    async with SQLiteStore(path) as store:
        await store.create(run_record())
        await store.append(RUN, 0, tokens(1, 1))
        seen: asyncio.Queue[int] = asyncio.Queue()

        async def follow() -> None:
            async for events in store.follow(RUN):
                for event in events:
                    seen.put_nowait(event.seq)

        following = asyncio.ensure_future(follow())
        async with asyncio.timeout(60):
            assert await seen.get() == 1
            async with child("append", path, 2, 5) as process:
                assert [await seen.get() for _ in range(5)] == [2, 3, 4, 5, 6]
                tell(process)
                await process.wait()
            async with child("finish", path, 7) as process:
                assert await seen.get() == 7
                await following
