"""The SQLite store in trouble: locked, full, torn. Nothing is lost, and reads go on."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import RunNotFound, StoreUnavailable
from headrace.events import Event
from headrace.runs.stores.sqlite import SQLiteStore
from headrace.testing.store_laws_samples import complete, run_record, tokens
from tests.runs.stores.sqlite_child import child, line, tell


@contextmanager
def locked(path: Path) -> Iterator[None]:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


@pytest.mark.anyio
async def test_a_locked_store_says_so_and_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    async with SQLiteStore(path, busy_timeout=0.05) as store:
        await store.create(run_record())
        await store.append("run_1", 0, tokens(1, 3))
        following = aiter(store.follow("run_1"))
        with locked(path):
            calls = (store.append("run_1", 3, tokens(4, 4)), store.create(run_record("run_2")))
            for result in await asyncio.gather(*calls, return_exceptions=True):
                assert isinstance(result, StoreUnavailable)
                assert "locked, for more than 0.05 s" in result.message
                assert str(path) in result.message
                assert "End what holds it" in result.hint
                assert result.retryable
            assert await store.read("run_1", 0) == tokens(1, 3)
            assert await anext(following) == tokens(1, 3)
            async with SQLiteStore(path) as other:  # opened while it is locked
                assert (await other.run("run_1")).last_seq == 3
        await store.append("run_1", 3, tokens(4, 4))
        assert await anext(following) == tokens(4, 4)
        await store.create(run_record("run_2"))
        assert len(await store.runs()) == 2


@pytest.mark.anyio
async def test_a_short_lock_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    async with SQLiteStore(path, busy_timeout=60) as store:
        await store.create(run_record())
        with locked(path):
            append = asyncio.ensure_future(store.append("run_1", 0, tokens(1, 1)))
            await store.read("run_1", 0)
            assert not append.done()
        await append


@contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """A disk of 2 MiB at `folder`, and the file that makes it too small; None if not allowed."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:  # noqa: S603
        yield None
        return
    try:
        ballast = folder / "ballast"
        ballast.write_bytes(bytes(1 << 20))
        yield ballast
    finally:
        subprocess.run(["umount", str(folder)], check=True)  # noqa: S603, S607


def bound_files(pid: int, size: int) -> None:
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.mark.anyio
@pytest.mark.parametrize("disk", ["full", "limited"])
async def test_a_full_disk_loses_nothing_and_can_be_read(tmp_path: Path, disk: str) -> None:
    folder = tmp_path / "disk"
    with small_disk(folder) as ballast:
        # Where no disk may be mounted, or one is not asked for, files may not grow past a limit.
        limited = disk == "limited" or ballast is None
        async with child("fill", (tmp_path if limited else folder) / "runs.db") as process:
            if limited:
                bound_files(process.pid, 1_000_000)
            taken, _, said = (await line(process)).partition(" ")
            assert int(taken) > 20
            assert "runs.db cannot be used: " in said
            assert ("disk I/O error" if limited else "database or disk is full") in said
            assert ("limits of file size" if limited else "Free space") in said
            assert [await line(process) for _ in range(3)] == ["still full"] * 3
            assert await line(process) == "True"
            if ballast is not None and not limited:
                ballast.unlink()
            else:
                bound_files(process.pid, resource.RLIM_INFINITY)
            tell(process)
            assert await line(process) == "True"
            assert await process.wait() == 0


# A torn write-ahead log ----------------------------------------------------------------------

BATCHES = [tokens(first, first + 2, f"{first}") for first in range(1, 90, 3)]


@pytest.fixture(scope="module")
def live() -> tuple[bytes, bytes]:
    """The file and the write-ahead log of a store with two runs, as a loss of power finds them."""

    async def write(path: Path) -> tuple[bytes, bytes]:
        async with SQLiteStore(path) as store:
            for run_id in ("a", "b"):
                await store.create(run_record(run_id))
            for batch in BATCHES:
                for run_id in ("a", "b"):
                    await store.append(run_id, batch[0].seq - 1, batch)
            await store.end("a", 90, [complete(91)])
            return taken(path)

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(write(Path(folder) / "runs.db"))


def taken(path: Path) -> tuple[bytes, bytes]:
    return path.read_bytes(), Path(f"{path}-wal").read_bytes()


def put(folder: str, database: bytes, log: bytes) -> Path:
    path = Path(folder) / "runs.db"
    path.write_bytes(database)
    Path(f"{path}-wal").write_bytes(log)
    return path


Harm = list[tuple[float, int]]


def harmed(log: bytes, length: float, flips: Harm) -> bytes:
    """Cut to a share of its length, with some bytes changed."""
    torn = bytearray(log[: int(len(log) * length)])
    for place, change in flips:
        if torn:
            torn[min(int(len(torn) * place), len(torn) - 1)] ^= change
    return bytes(torn)


shares = st.floats(0, 1)


@given(
    length=st.one_of(st.just(1.0), shares),
    flips=st.lists(st.tuples(shares, st.integers(1, 255)), max_size=3),
)
def test_of_a_torn_log_a_beginning_without_gaps_is_kept(
    live: tuple[bytes, bytes], length: float, flips: Harm
) -> None:
    asyncio.run(check_torn(live[0], harmed(live[1], length, flips)))


async def check_torn(database: bytes, log: bytes) -> None:
    whole: dict[str, list[Event]] = {name: [e for b in BATCHES for e in b] for name in "ab"}
    whole["a"].append(complete(91))
    kept = {}
    with tempfile.TemporaryDirectory() as folder:
        async with SQLiteStore(put(folder, database, log)) as store:
            for name in "ab":
                try:
                    kept[name] = await store.read(name, 0)
                except RunNotFound:
                    await store.create(run_record(name))
                    kept[name] = []
                last = len(kept[name])
                assert kept[name] == whole[name][:last]
                record = await store.run(name)
                assert record.last_seq == last
                assert record.live == (last < 91)
                if record.live:
                    await store.append(name, last, tokens(last + 1, last + 1))
                    assert (await store.run(name)).last_seq == last + 1
        # Commits are one order: who wrote first is at most one batch ahead.
        assert 0 <= len(kept["a"]) - len(kept["b"]) <= 3 or len(kept["a"]) == 91


def test_an_unharmed_log_is_kept_whole(live: tuple[bytes, bytes]) -> None:
    """So that the test above can fail: what it harms holds all events."""
    with tempfile.TemporaryDirectory() as folder:
        path = put(folder, *live)

        async def read() -> int:
            async with SQLiteStore(path) as store:
                return len(await store.read("a", 0))

        assert asyncio.run(read()) == 91
