"""``python -m bench.viewers``: what viewers wait for a commit, and what a slow one costs others.

One run through a `Runtime` with the SQLite store, and the same run with its log in memory.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Result, median, median_ratio
from bench.report import checks_text, section_text
from bench.sections import Check, Section, number
from headrace import Agent, Runtime
from headrace.events import Event
from headrace.models.deltas import Delta, Finish, TextDelta
from headrace.models.model import BaseModel
from headrace.models.request import ModelRequest
from headrace.runs.run import Run
from headrace.runs.stores.sqlite import SQLiteStore

FAST = 1000
WORD = " word"


@dataclass(frozen=True)
class Size:
    """How much to measure."""

    paced: int = 400  # events of a paced run
    pace: float = 0.005  # seconds between them
    batches: int = 300  # of the run that a thousand watch
    rounds: int = 5


QUICK = Size(paced=150, batches=100, rounds=2)


class Steady(BaseModel):
    """Gives so many batches of so many words, with a pause between."""

    def __init__(self, batches: int, words: int, pause: float) -> None:
        super().__init__("bench", "steady")
        self.batches = batches
        self.words = words
        self.pause = pause

    async def open(self, request: ModelRequest) -> _Words:
        return _Words(self)


class _Words:
    def __init__(self, model: Steady) -> None:
        self._model = model
        self._left = model.batches

    async def read(self) -> list[Delta]:
        await asyncio.sleep(self._model.pause)
        self._left -= 1
        if self._left < 0:
            return [Finish("stop", "stop")]
        return [TextDelta(WORD)] * self._model.words

    async def close(self) -> None:
        """Nothing is open."""


async def latencies(batches: AsyncIterator[list[Event]]) -> list[float]:
    """Milliseconds from each token's writing to its showing."""
    waited: list[float] = []
    async for batch in batches:
        now = time.time()
        waited += [(now - event.at) * 1e3 for event in batch]
    return waited


async def in_memory(size: Size) -> list[float]:
    run: Run = Agent("bench", Steady(size.paced, 1, size.pace)).start("Go")
    async with run:
        return await latencies(run.batches())


async def stored(size: Size, folder: Path) -> list[float]:
    async with SQLiteStore(folder / "paced.db") as store, Runtime(store) as runtime:
        run = await runtime.submit(Agent("bench", Steady(size.paced, 1, size.pace)), "Go")
        return await latencies(await runtime.attach(run.id))


async def crowd(size: Size, folder: Path, slow: int) -> Result:
    """A run under a thousand viewers and `slow` slow ones: its seconds."""
    agent = Agent("bench", Steady(size.batches, 20, 0.002))
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(SQLiteStore(folder / f"crowd-{slow}.db"))
        runtime = await stack.enter_async_context(Runtime(store))
        started = time.perf_counter()
        run = await runtime.submit(agent, "Go")
        lags = [asyncio.create_task(_one_a_second(runtime, run.id)) for _ in range(slow)]
        fast = [asyncio.create_task(_read_all(runtime, run.id)) for _ in range(FAST)]
        counts = await asyncio.gather(*fast)
        seconds = time.perf_counter() - started
        await _left(lags)
        if len(set(counts)) != 1:
            return {"error": "the viewers did not see the same text"}
    return {"seconds": seconds}


async def _read_all(runtime: Runtime, run_id: str) -> int:
    chars = 0
    async for batch in await runtime.attach(run_id):
        chars += sum(len(event.content) for event in batch if hasattr(event, "content"))
    return chars


async def _one_a_second(runtime: Runtime, run_id: str) -> None:
    async for batch in await runtime.attach(run_id):
        for _ in batch:
            await asyncio.sleep(1)


async def _left(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def batch_memory(folder: Path) -> int:
    """Bytes of the largest batch that a late viewer is given: all that it has but its place."""
    agent = Agent("bench", Steady(3_000, 100, 0.0))
    async with SQLiteStore(folder / "long.db") as store, Runtime(store) as runtime:
        run = await runtime.submit(agent, "Go")
        await _read_all(runtime, run.id)
        gc.collect()
        tracemalloc.start()
        viewer = await runtime.attach(run.id)
        before = largest = tracemalloc.get_traced_memory()[0]
        async for _ in viewer:
            largest = max(largest, tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        return largest - before


def section(size: Size) -> Section:
    """The table and its checks."""
    memory: list[Result] = []
    kept: list[Result] = []
    alone: list[Result] = []
    mixed: list[Result] = []
    with tempfile.TemporaryDirectory() as name:
        for nth in range(size.rounds):
            print(f"  round {nth + 1}/{size.rounds}  viewers", flush=True)
            folder = Path(name) / str(nth)
            folder.mkdir()
            memory.append({"ms": _middle(asyncio.run(in_memory(size)))})
            kept.append({"ms": _middle(asyncio.run(stored(size, folder)))})
            alone.append(asyncio.run(crowd(size, folder, 0)))
            mixed.append(asyncio.run(crowd(size, folder, 1)))
        held = asyncio.run(batch_memory(Path(name)))
    added = (median(kept, "ms") or 0.0) - (median(memory, "ms") or 0.0)
    ratio = median_ratio(mixed, alone, "seconds")
    return Section(
        "Viewers",
        "From an event's writing to its showing (p50), with the log in memory and committed to "
        "SQLite first; and a run under 1,000 viewers, without and with one that takes an event a "
        "second.",
        ("what", "measured"),
        [
            ["shown after, log in memory, ms", number(median(memory, "ms"), ".3f")],
            ["shown after, committed first, ms", number(median(kept, "ms"), ".3f")],
            ["a run under 1,000 viewers, s", number(median(alone, "seconds"), ".2f")],
            ["with a slow one more, s", number(median(mixed, "seconds"), ".2f")],
            ["largest batch that a viewer holds, KiB", number(held / 1024, ".0f")],
        ],
        [
            Check("commit before show: added latency, p50", 1.0, "ms", added),
            Check("one slow viewer among 1,000: the run's time", 1.05, "times", ratio),
            Check("memory of a slow viewer", 1024.0, "KiB", held / 1024),
        ],
    )


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.viewers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller runs")
    size = QUICK if parser.parse_args().quick else Size()
    made = section(size)
    print(section_text(made))
    print(checks_text([made]))


if __name__ == "__main__":
    main()
