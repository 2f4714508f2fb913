"""What thousands of short runs leave behind in one process: nothing that grows."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass

from headrace.agents.agent import Agent
from headrace.models.deltas import Delta, Failure, Finish, TextDelta
from headrace.models.model import BaseModel
from headrace.models.request import ModelRequest
from headrace.models.stream import truncated
from headrace.runs.stores.store import Store
from headrace.runtime import Runtime

AT_ONCE = 50
NOISE = 128 * 1024
"""Bytes between two samples that are no leak: a hash table of asyncio that has grown once."""

GROWTH = 16
"""Bytes a run besides; the least thing that could be kept of a run is an id, of 75."""


@dataclass(frozen=True)
class Sample:
    """What a process holds."""

    tasks: int
    threads: int
    files: int
    size: int

    @classmethod
    def take(cls) -> Sample:
        """Now, without garbage."""
        gc.collect()
        gc.collect()
        return cls(
            len(asyncio.all_tasks()),
            threading.active_count(),
            len(os.listdir("/proc/self/fd")),
            tracemalloc.get_traced_memory()[0],
        )


class Short(BaseModel):
    """Says a few words at once, and remembers nothing."""

    def __init__(self) -> None:
        super().__init__("short", "short")

    async def open(self, request: ModelRequest) -> _Words:
        return _Words()


class _Words:
    def __init__(self) -> None:
        self._batches = iter(([TextDelta("a "), TextDelta("few ")], [Finish("stop")]))

    async def read(self) -> list[Delta]:
        batch: Sequence[Delta] = next(self._batches, [Failure(truncated("short"))])
        return list(batch)

    async def close(self) -> None:
        return


async def samples_of(store: Store, runs: int, warm: int = 1000) -> tuple[Sample, Sample]:
    """What the process holds after the first `warm` runs, and after all `runs`.

    Each run is submitted, watched to its end and looked at once more.
    """
    agent = Agent("short", Short())
    tracemalloc.start()
    try:
        async with Runtime(store, agents=[agent]) as runtime:
            await _run(runtime, warm)
            first = Sample.take()
            await _run(runtime, runs - warm)
            return first, Sample.take()
    finally:
        tracemalloc.stop()


async def _run(runtime: Runtime, count: int) -> None:
    async def one() -> None:
        run = await runtime.submit("short", "Say something.")
        assert (await run.result()).content == "a few "

    for _ in range(0, count, AT_ONCE):
        await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    while runtime.live:  # noqa: ASYNC110  # the last of them let go a turn of the loop later
        await asyncio.sleep(0)


def growth(first: Sample, last: Sample, runs: int) -> list[str]:
    """What has grown, in words; none is good.

    Args:
        first: After the warm-up.
        last: At the end.
        runs: How many runs were between.
    """
    grown = [
        f"{name}: {was} and then {now}"
        for name, was, now in (
            ("tasks", first.tasks, last.tasks),
            ("threads", first.threads, last.threads),
            ("open files", first.files, last.files),
        )
        if now > was
    ]
    more = last.size - first.size
    if more > NOISE + GROWTH * runs:
        grown.append(f"memory: {more:,} bytes in {runs:,} runs, {more / runs:.0f} a run")
    return grown
