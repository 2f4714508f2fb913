"""``python -m bench.store``: what a committed event costs in the SQLite store, and reading it back.

CPU time of all threads of the process, beside a bare SQLite commit for each row in the same round.
The process stays on one core, as every measured program here: a wake-up of a thread on another,
idle core of a virtual machine costs more than the commit (`--unpinned` shows it).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.client import pin
from bench.measure import Result, median, median_ratio
from bench.report import checks_text, section_text
from bench.sections import Check, Section, number
from headrace.events import Event, Token
from headrace.runs.stores.record import RunRecord, encode_batch
from headrace.runs.stores.sqlite import SQLiteStore

RUNS = 100
PAGE = 500  # events of a batch, where batches are not what is measured


@dataclass(frozen=True)
class Size:
    """How much to measure."""

    single: int = 5_000
    each_of_many: int = 400
    read: int = 100_000
    bare: int = 5_000
    rounds: int = 5


QUICK = Size(single=2_000, each_of_many=100, bare=2_000, rounds=2)


def tokens(first: int, count: int) -> list[Event]:
    """Events as a model at its pace gives them: a word each."""
    return [
        Token(seq, 1754000000.0 + seq / 64, "", " word", seq) for seq in range(first, first + count)
    ]


def record(run_id: str) -> RunRecord:
    return RunRecord(run_id, "agent", "model", time.time(), owner="bench", lease_until=2e9)


async def write(store: SQLiteStore, run_id: str, events: list[Event]) -> None:
    """Each event a batch of its own, awaited before the next."""
    for event in events:
        await store.append(run_id, event.seq - 1, [event])


async def single(store: SQLiteStore, size: Size) -> tuple[int, float, float]:
    """One run; gives events, seconds of CPU and seconds by the clock."""
    await store.create(record("single"))
    events = tokens(1, size.single)
    return size.single, *await _timed(lambda: write(store, "single", events))


async def many(store: SQLiteStore, size: Size) -> tuple[int, float, float]:
    """A hundred runs at once."""
    for nth in range(RUNS):
        await store.create(record(f"many-{nth}"))
    events = tokens(1, size.each_of_many)

    async def all_runs() -> None:
        await asyncio.gather(*(write(store, f"many-{nth}", events) for nth in range(RUNS)))

    return RUNS * size.each_of_many, *await _timed(all_runs)


async def read_back(store: SQLiteStore, size: Size) -> tuple[int, float, float]:
    """A finished run's log of one-event batches, in the pieces that a viewer reads."""
    await store.create(record("read"))
    events = tokens(1, size.read)
    for first in range(0, size.read, PAGE):
        page = events[first : first + PAGE]
        await asyncio.gather(*(store.append("read", e.seq - 1, [e]) for e in page))

    async def read() -> None:
        seen = 0
        while got := await store.read("read", seen):
            seen = got[-1].seq
        assert seen == size.read

    return size.read, *await _timed(read)


def bare(path: Path, size: Size) -> tuple[int, float, float]:
    """The floor: the same rows, one WAL commit each, in a loop of its own without any thread."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE batches (run, first, last, payload, PRIMARY KEY (run, first))")
    events = tokens(1, size.bare)
    cpu, wall = time.process_time(), time.perf_counter()
    for event in events:
        row = (1, event.seq, event.seq, encode_batch([event]))
        connection.execute("INSERT INTO batches VALUES (?, ?, ?, ?)", row)
    spent = time.process_time() - cpu, time.perf_counter() - wall
    connection.close()
    return size.bare, *spent


async def _timed(work: Callable[[], Awaitable[None]]) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    await work()
    return time.process_time() - cpu, time.perf_counter() - wall


WORK = {
    "one run, a commit for each event": single,
    f"{RUNS} runs at once, each awaiting its own": many,
    "read back": read_back,
}
FLOOR = "bare SQLite, a commit for each row"


def sample(size: Size) -> dict[str, list[Result]]:
    """Every measurement once a round, each with a new file."""
    found: dict[str, list[Result]] = {name: [] for name in (FLOOR, *WORK)}
    for turn in range(size.rounds):
        for name in found:
            with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
                count, cpu, wall = _measured(name, Path(folder) / "bench.db", size)
            result = {"us": cpu / count * 1e6, "rate": count / wall}
            found[name].append(result)
            print(f"  round {turn + 1}/{size.rounds}  {name:42} {result['us']:.2f} us", flush=True)
    return found


def _measured(name: str, path: Path, size: Size) -> tuple[int, float, float]:
    if name == FLOOR:
        return bare(path, size)

    async def measured() -> tuple[int, float, float]:
        async with SQLiteStore(path) as store:
            return await WORK[name](store, size)

    return asyncio.run(measured())


def store(size: Size) -> Section:
    """The SQLite store: committed appends, and reading back."""
    with one_core():
        found = sample(size)
    loose = sample(size)
    section = Section(
        "The SQLite store",
        "A batch is one event, and each is awaited until it is committed. CPU time of all threads; "
        "events a second by the clock. The floor is SQLite alone, one WAL commit for each row. "
        "Loop and writing thread are kept on one core; the last two lines are measured on all "
        "cores, where waking the other thread costs more, on a virtual machine several times more.",
        ["what", "µs of CPU an event", "to the floor", "events a second"],
        [
            [
                name,
                number(median(results, "us"), ".2f"),
                number(median_ratio(results, found[FLOOR], "us"), ".2f"),
                number(median(results, "rate"), ",.0f"),
            ]
            for name, results in [
                *found.items(),
                *((f"{name}, on all cores", loose[name]) for name in [*WORK][:2]),
            ]
        ],
    )
    alone, together, back = (found[name] for name in WORK)
    reading = median([{"us": 1e6 / result["rate"]} for result in back], "us")
    section.checks = [
        Check("committed append, one run: CPU an event", 45, "µs", median(alone, "us")),
        Check(f"committed append, {RUNS} runs: CPU an event", 10, "µs", median(together, "us")),
        Check("reading back, by the clock, an event", 1e6 / 300_000, "µs", reading),
    ]
    return section


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Both threads on one core, as the programs of `bench.client` are."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    pin(1)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.store", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything")
    section = store(QUICK if parser.parse_args().quick else Size())
    print("\n" + section_text(section) + checks_text([section]))


if __name__ == "__main__":
    main()
