"""An owner that is stopped while its run goes on, and let go on when another has taken the run.

It says the run's id on its stdout, writes what its own viewer sees to a file, and says ``let go``
when it has understood that the run is no longer its own.

    python -m tests.chaos.stalled FOLDER
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from headrace.agents.agent import Agent
from headrace.events import encode
from headrace.models.deltas import Delta, TextDelta
from headrace.models.model import BaseModel
from headrace.models.request import ModelRequest
from headrace.runs.stores.sqlite import SQLiteStore
from headrace.runtime import Runtime
from tests.chaos.effects import append
from tests.chaos.files import DATABASE, SHOWN

LEASE = 600.0
"""Seconds: a slow machine does not lose the run; who takes it over has a clock that is ahead."""
PIECE = "stale "


class Endless(BaseModel):
    """Says the same for ever."""

    def __init__(self) -> None:
        super().__init__("endless", "endless")

    async def open(self, request: ModelRequest) -> _Attempt:
        return _Attempt()


class _Attempt:
    async def read(self) -> list[Delta]:
        await asyncio.sleep(0.005)
        return [TextDelta(PIECE)]

    async def close(self) -> None:
        return


async def main(folder: Path) -> None:
    """Run, be stopped, go on, let go."""
    async with SQLiteStore(folder / DATABASE) as store:
        agent = Agent("assistant", Endless())
        async with Runtime(store, agents=[agent], lease=LEASE, recover=False) as runtime:
            run = await runtime.submit(agent, "Go.")
            print(run.id, flush=True)

            async def watch() -> None:
                async for batch in await runtime.attach(run.id):
                    append(folder / SHOWN, b"".join(encode(event) + b"\n" for event in batch))

            watching = asyncio.create_task(watch())
            while runtime.live:  # noqa: ASYNC110  # nothing tells of it
                await asyncio.sleep(0.01)
            print("let go", flush=True)
            await watching


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
