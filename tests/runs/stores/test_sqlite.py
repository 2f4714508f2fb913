"""The SQLite store beyond the laws of every store: its file, its threads, its group commits."""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import stat
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from headrace.errors import (
    ConfigurationError,
    LogConflict,
    RunNotFound,
    StoreTooNew,
    StoreUnavailable,
)
from headrace.messages import Message
from headrace.runs.stores.sqlite import SQLiteStore
from headrace.runs.stores.store import Store
from headrace.testing.store_laws_samples import complete, every_event, run_record, tokens

pytestmark = pytest.mark.anyio


def files(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def modes(folder: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


@pytest.fixture
def unwritable(tmp_path: Path) -> Iterator[Path]:
    """A directory in which no file can be made."""
    if os.geteuid() == 0:
        yield Path("/sys/kernel")  # no permission stops root, but the kernel's file system does
        return
    folder = tmp_path / "unwritable"
    folder.mkdir(mode=0o500)
    yield folder
    folder.chmod(0o700)


def threads() -> set[str]:
    return {t.name for t in threading.enumerate() if t.name.startswith("headrace-store")}


async def test_making_one_touches_nothing(tmp_path: Path) -> None:
    store: Store = SQLiteStore(tmp_path / "new" / "runs.db")
    assert not (tmp_path / "new").exists()
    await store.close()
    assert not (tmp_path / "new").exists()


async def test_file_and_directories_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "runs.db"
    before = os.umask(0)
    try:
        async with SQLiteStore(str(path)) as store:
            await store.create(run_record())
            found = modes(path.parent)
    finally:
        os.umask(before)
    assert found == {"runs.db": 0o600, "runs.db-wal": 0o600, "runs.db-shm": 0o600}
    assert modes(tmp_path) == {"a": 0o700}
    assert modes(tmp_path / "a") == {"b": 0o700}


async def test_what_was_kept_is_there_after_opening_again(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    *events, last, _, _ = every_event()
    async with SQLiteStore(path) as store:
        await store.create(run_record(session="s", user="u", idempotency_key="k"))
        await store.append("run_1", 0, events)
        await store.end("run_1", len(events), [last], [Message.user("hi")])
        run, session = await store.run("run_1"), await store.session("s")
    assert files(tmp_path) == {"runs.db"}
    async with SQLiteStore(path) as store:
        assert await store.read("run_1", 0) == [*events, last]
        assert await store.run("run_1") == run
        assert await store.session("s") == session
        assert (await store.create(run_record("run_2", user="u", idempotency_key="k"))) == run


async def test_what_waits_is_committed_by_close(tmp_path: Path) -> None:
    for attempt in range(30):
        path = tmp_path / f"{attempt}.db"
        store = SQLiteStore(path)
        await store.create(run_record())
        appends = [store.append("run_1", seq - 1, tokens(seq, seq)) for seq in range(1, 20)]
        waiting = [asyncio.ensure_future(append) for append in appends]
        await asyncio.sleep(0)  # each has handed its events over
        async with asyncio.timeout(30):
            await asyncio.gather(store.close(), store.close(), *waiting)
        async with SQLiteStore(path) as store:
            assert await store.read("run_1", 0) == tokens(1, 19)


async def test_a_closed_store_names_itself(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "runs.db")
    await store.create(run_record())
    await store.close()
    await store.close()
    for call in (store.run("run_1"), store.append("run_1", 0, tokens(1, 1)), store.renew("o", 1)):
        with pytest.raises(StoreUnavailable, match=r"runs\.db is closed"):
            await call


async def test_closing_ends_the_threads(tmp_path: Path) -> None:
    before = threads()
    async with SQLiteStore(tmp_path / "runs.db") as store:
        await store.create(run_record())
        await store.run("run_1")
        assert threads() > before
    assert threads() == before


async def test_a_store_that_is_dropped_unclosed_ends_its_threads(tmp_path: Path) -> None:
    mine = {"headrace-store-writer", "headrace-store-reader"}
    already = threading.enumerate()
    store = SQLiteStore(tmp_path / "runs.db")
    await store.create(run_record())
    await store.run("run_1")
    begun = [t for t in threading.enumerate() if t not in already and t.name in mine]
    assert len(begun) == 2
    del store
    gc.collect()
    for thread in begun:
        await asyncio.to_thread(thread.join, 30)
        assert not thread.is_alive()


@pytest.mark.parametrize("path", ["", ":memory:"])
async def test_a_path_that_names_no_file(path: str) -> None:
    with pytest.raises(ConfigurationError, match="names no file"):
        SQLiteStore(path)


async def test_a_path_that_is_a_directory(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path) as store:
        with pytest.raises(StoreUnavailable, match="it is a directory") as caught:
            await store.create(run_record())
        assert str(tmp_path) in caught.value.message
        with pytest.raises(StoreUnavailable, match="it is a directory"):
            await store.run("run_1")


async def test_a_path_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with SQLiteStore(tmp_path / "file" / "runs.db") as store:
        with pytest.raises(StoreUnavailable, match="Not a directory"):
            await store.create(run_record())


async def test_a_directory_that_cannot_be_written(unwritable: Path) -> None:
    async with SQLiteStore(unwritable / "runs.db") as store:
        with pytest.raises(StoreUnavailable, match="ermission denied"):
            await store.create(run_record())


async def test_it_works_once_the_path_is_free(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    path.mkdir()
    async with SQLiteStore(path) as store:
        with pytest.raises(StoreUnavailable):
            await store.create(run_record())
        path.rmdir()
        await store.create(run_record())
        assert (await store.run("run_1")).live


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    path.write_bytes(b"my diary\n" * 1000)
    async with SQLiteStore(path) as store:
        for call in (store.create(run_record()), store.run("run_1")):
            with pytest.raises(StoreUnavailable, match=r"runs\.db.*not a database") as caught:
                await call
            assert caught.value.hint == "Name another file."
    assert path.read_bytes() == b"my diary\n" * 1000


async def test_another_programs_database(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE recipes (name)")
    other.close()
    before = path.read_bytes()
    async with SQLiteStore(path) as store:
        with pytest.raises(StoreUnavailable, match=r"runs\.db is another program's database"):
            await store.create(run_record())
    assert path.read_bytes() == before


async def test_a_store_of_a_newer_headrace(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    async with SQLiteStore(path) as store:
        await store.create(run_record())
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 1000")
    connection.close()
    async with SQLiteStore(path) as store:
        for call in (store.run("run_1"), store.append("run_1", 0, tokens(1, 1))):
            with pytest.raises(StoreTooNew, match=r"version 1000.*up to \d+") as caught:
                await call
            assert caught.value.hint.startswith("Update Headrace")


async def refusal(call: Callable[[], Awaitable[object]]) -> StoreUnavailable:
    """What is raised, once it is: the store looks for its file once a second."""
    async with asyncio.timeout(30):
        while True:
            try:
                await call()
            except StoreUnavailable as error:
                return error
            await asyncio.sleep(0.02)


async def test_a_file_that_is_removed_while_in_use(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "runs.db") as store:
        await store.create(run_record())
        await store.run("run_1")
        for name in files(tmp_path):
            os.unlink(tmp_path / name)
        for call in (lambda: store.renew("me", 1), lambda: store.run("run_1")):
            error = await refusal(call)
            assert "runs.db was removed or replaced" in error.message
        # Told once by each thread; what is begun now is in a new file.
        await store.create(run_record("run_2"))
        await store.append("run_2", 0, tokens(1, 1))
        assert await store.read("run_2", 0) == tokens(1, 1)
        with pytest.raises(RunNotFound):
            await store.run("run_1")


async def test_who_is_refused_fails_alone(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    async with SQLiteStore(path) as store:
        await store.create(run_record("a"))
        await store.create(run_record("b"))
        lock = sqlite3.connect(path, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        # The first waits for the lock; the others wait for the first, and are one group.
        calls = [
            store.append("a", 0, tokens(1, 1)),
            store.append("a", 1, tokens(2, 2)),
            store.append("a", 1, tokens(2, 2, "stale")),
            store.append("nobody", 0, tokens(1, 1)),
            store.create(run_record("bad", title="\ud800")),
            store.append("b", 0, tokens(1, 3)),
            store.end("a", 2, [complete(3)]),
            store.append("a", 3, tokens(4, 4)),
        ]
        waiting = [asyncio.ensure_future(call) for call in calls]
        await asyncio.sleep(0)
        lock.execute("ROLLBACK")
        results = await asyncio.gather(*waiting, return_exceptions=True)
        lock.close()
        assert [type(result) for result in results] == [
            type(None),
            type(None),
            LogConflict,
            RunNotFound,
            UnicodeEncodeError,
            type(None),
            type(None),
            LogConflict,
        ]
        assert await store.read("a", 0) == [*tokens(1, 2), complete(3)]
        assert await store.read("b", 0) == tokens(1, 3)
        assert [record.id for record in await store.runs()] == ["b", "a"]


async def test_leases_go_by_the_clock_that_was_given(tmp_path: Path) -> None:
    now = 1000.0
    async with SQLiteStore(tmp_path / "runs.db", clock=lambda: now) as store:
        await store.create(run_record(owner="a", lease_until=1010.0))
        assert await store.claim("run_1", "b", 5) is None
        now = 1010.0
        assert await store.orphans("default") == ["run_1"]
        claimed = await store.claim("run_1", "b", 5)
        assert claimed is not None
        assert (claimed.owner, claimed.lease_until, claimed.recoveries) == ("b", 1015.0, 1)


async def test_several_event_loops_use_one_store(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "runs.db")

    async def write(run_id: str) -> None:
        await store.create(run_record(run_id))
        for seq in range(1, 51):
            await store.append(run_id, seq - 1, tokens(seq, seq, run_id))

    def loop(run_id: str) -> None:
        asyncio.run(write(run_id))

    await asyncio.gather(*(asyncio.to_thread(loop, f"run_{nth}") for nth in range(4)))
    for nth in range(4):
        assert await store.read(f"run_{nth}", 0) == tokens(1, 50, f"run_{nth}")
    await store.close()


async def test_a_loop_that_is_gone_hurts_no_one(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    store = SQLiteStore(path)
    await store.create(run_record())
    lock = sqlite3.connect(path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")

    async def leave() -> None:
        task = asyncio.ensure_future(store.append("run_1", 0, tokens(1, 1)))
        await asyncio.sleep(0)
        task.cancel()

    await asyncio.to_thread(asyncio.run, leave())
    lock.execute("ROLLBACK")
    lock.close()
    # It was handed over, and who asked is gone: it is committed all the same.
    await store.append("run_1", 1, tokens(2, 2))
    assert await store.read("run_1", 0) == tokens(1, 2)
    await store.close()


async def test_the_write_ahead_log_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    async with SQLiteStore(path) as store:
        await store.create(run_record())
        largest = 0
        for first in range(1, 4001, 10):
            await store.append("run_1", first - 1, tokens(first, first + 9, "x" * 1000))
            if first % 100 == 1:
                await store.read("run_1", first)
                largest = max(largest, (tmp_path / "runs.db-wal").stat().st_size)
        assert path.stat().st_size + largest > 4_000_000
        assert 0 < largest < 6_000_000
    assert not (tmp_path / "runs.db-wal").exists()
