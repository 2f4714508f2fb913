"""The program that is killed: it submits runs, watches them, and takes up what it finds.

It asks for the same runs every time, by their idempotency keys, says each on a line of its
stdout once it is accepted, and ends when all of them have ended. What its own viewers were shown
it writes to a file at once: nothing of that may be missing from the logs afterwards.

    python -m tests.chaos.worker FOLDER SEED RUNS
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import aclosing
from pathlib import Path

from headrace.events import TERMINAL, encode
from headrace.runs.stores.sqlite import SQLiteStore
from headrace.runtime import Runtime
from headrace.runtime.handle import DetachedRun
from tests.chaos.effects import Effects, append
from tests.chaos.files import DATABASE, EFFECTS, SHOWN, asked_of, key_of, session_of
from tests.chaos.model import ChaosModel, agent_of

LEASE = 0.75
"""Seconds: short, so that a round is."""

PACE = 0.03
"""Seconds a piece and a tool: a run takes about 1.5 s."""

ATTACHED_FOR = 7
"""Batches after which a viewer leaves and attaches again: in time to a run that was taken up."""


async def main(folder: Path, seed: int, runs: int) -> None:
    """Do everything."""
    agent = agent_of(Effects(folder / EFFECTS, PACE), ChaosModel(pace=PACE))
    store = SQLiteStore(folder / DATABASE)
    # A busy machine may make more leases run out than there are kills.
    async with Runtime(store, agents=[agent], lease=LEASE, name="chaos", max_recoveries=20) as rt:

        async def one(number: int) -> None:
            run = await rt.submit(
                agent,
                asked_of(seed, number),
                session=session_of(seed, number),
                idempotency_key=key_of(seed, number),
            )
            print(json.dumps({"key": key_of(seed, number), "run": run.id}), flush=True)
            await _watch(run, folder / f"{SHOWN}-{os.getpid()}")

        await asyncio.gather(*map(one, range(runs)))
    await store.close()


async def _watch(run: DetachedRun, shown: Path) -> None:
    after = 0
    while True:
        async with aclosing(run.batches(after)) as batches:
            left = ATTACHED_FOR
            async for batch in batches:
                after = batch[-1].seq
                lines = [b"%s %s\n" % (run.id.encode(), encode(event)) for event in batch]
                append(shown, b"".join(lines))
                if isinstance(batch[-1], TERMINAL):
                    return
                left -= 1
                if not left:
                    break


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
