"""What the floor and the peers share: how uvicorn is set up, and when events are due.

Standard library and uvicorn only, as the peers' environments have.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import uvicorn

from bench.server_control import TASK, serve

FRAME = TASK["frame"].encode()
"""An event as the server under test would write it."""

DATA = TASK["frame"].partition("data: ")[2].strip()
"""Its JSON alone, for libraries that render the frame."""

PAUSE = TASK["pause"]  # events between two looks at what else there is to do
GATE = asyncio.Event()


def config(app: Any) -> uvicorn.Config:
    """Sets uvicorn up as Headrace's server does."""
    return uvicorn.Config(
        app,
        loop="asyncio",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
    )


async def run(app: Any) -> None:
    """Serve it until no one asks any more."""
    await serve(uvicorn.Server(config(app)), GATE)


def first_due() -> tuple[float, float]:
    """When the next event is due, at the same instant for everyone, and the time between two."""
    period = 1 / TASK["rate"]
    return (asyncio.get_running_loop().time() // period + 1) * period, period


async def paced() -> AsyncGenerator[int]:
    """Yields whenever an event is due, without end."""
    loop = asyncio.get_running_loop()
    due, period = first_due()
    nth = 0
    while True:
        await asyncio.sleep(due - loop.time())
        yield nth
        nth += 1
        due += period


async def flat() -> AsyncGenerator[int]:
    """Yields for each event, once the gate is open."""
    await GATE.wait()
    for nth in range(TASK["events"]):
        yield nth
        if nth % PAUSE == 0:
            await asyncio.sleep(0)
