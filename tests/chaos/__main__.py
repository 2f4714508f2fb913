"""The long form: `python -m tests.chaos --seeds 200`."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from time import monotonic

from headrace.runs.stores.memory import MemoryStore
from headrace.runs.stores.sqlite import SQLiteStore
from headrace.runs.stores.store import Store
from tests.chaos.chaos import Round
from tests.chaos.files import DATABASE
from tests.chaos.flat import growth, samples_of
from tests.chaos.judge import Report


def main() -> int:
    """Play the rounds; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many rounds")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--runs", type=int, default=50, help="runs a round")
    parser.add_argument("--jobs", type=int, default=2, help="rounds at once")
    parser.add_argument("--short", type=int, default=100_000, help="short runs in one process")
    given = parser.parse_args()
    seeds = range(given.first, given.first + given.seeds)
    reports = asyncio.run(play_all(seeds, given.runs, given.jobs))
    say(*table(reports))
    grown = asyncio.run(stay_flat(given.short)) if given.short else []
    return 1 if grown or any(report.faults for report in reports) else 0


async def play_all(seeds: Iterable[int], runs: int, jobs: int) -> list[Report]:
    """Play rounds, `jobs` at once; what a good round leaves is removed, a bad one's is kept."""
    waiting = iter(seeds)
    reports: list[Report] = []

    async def job() -> None:
        for seed in waiting:
            folder = Path(mkdtemp(prefix=f"headrace-chaos-{seed}-"))
            began = monotonic()
            report = await Round(seed, folder, runs).play()
            reports.append(report)
            say(f"{row(report)}   {monotonic() - began:5.1f} s")
            if report.faults:
                say(*report.faults, f"Its files are in {folder}.")
            else:
                shutil.rmtree(folder)

    say(HEADER)
    await asyncio.gather(*(job() for _ in range(jobs)))
    return reports


async def stay_flat(runs: int) -> list[str]:
    """So many short runs in memory and a fifth of them in a file; gives what has grown."""
    grown: list[str] = []
    with TemporaryDirectory(prefix="headrace-chaos-") as folder:
        stores: list[tuple[Store, int]] = [
            (MemoryStore(max_bytes=512 * 1024), max(runs, 2000)),
            (SQLiteStore(Path(folder) / DATABASE), max(runs // 5, 2000)),
        ]
        for store, count in stores:
            first, last = await samples_of(store, count)
            await store.close()
            say(f"{type(store).__name__}: after 1,000 runs {first}, after {count:,} {last}")
            grown += growth(first, last, count - 1000)
    say(*grown)
    return grown


COLUMNS = ("seed", "kills", "runs", "events", "taken up", "seen", "joined")
WRONG = ("lost", "doubled", "reordered", "changed", "faults")
HEADER = "".join(f"{name:>10}" for name in (*COLUMNS, *WRONG))


def row(report: Report, seed: str = "") -> str:
    """One line of the table."""
    seen = report.outside + report.inside
    cells = (
        *(seed or report.seed, report.kills, report.runs, report.events, report.recoveries),
        *(seen.seen, seen.joined, seen.lost, seen.doubled, seen.reordered, seen.changed),
        len(report.faults),
    )
    return "".join(f"{cell:>10}" for cell in cells)


def table(reports: list[Report]) -> Iterator[str]:
    """The sum over all rounds."""
    total = Report(0)
    for report in reports:
        total.kills += report.kills
        total.runs += report.runs
        total.events += report.events
        total.recoveries += report.recoveries
        total.outside += report.outside
        total.inside += report.inside
        total.faults += report.faults
    yield HEADER
    yield row(total, "all")
    bad = sorted(report.seed for report in reports if report.faults)
    yield f"{len(reports)} rounds, {len(bad)} with faults{f': seeds {bad}' if bad else ''}."


def say(*lines: str) -> None:
    """Print, at once."""
    print(*lines, sep="\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
