"""A real server on loopback, in the test's own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from headrace import Agent, Runtime
from headrace.runs.stores.store import Store
from headrace.server import HeadraceApp, Settings, app
from headrace.server.auth import Users
from headrace.server.serving import Program, listen

PATIENCE = 20.0
"""Seconds that a test waits for what should come at once."""


@dataclass(frozen=True)
class Served:
    """A server that runs.

    Attributes:
        url: ``http://127.0.0.1:PORT``.
        app: What it serves.
    """

    url: str
    app: HeadraceApp

    @property
    def runtime(self) -> Runtime:
        return self.app.service.runtime


@asynccontextmanager
async def serving(
    agents: Iterable[Agent],
    *,
    store: Store | str | None = None,
    tokens: Mapping[str, str] | Users | None = None,
    settings: Settings | None = None,
    **more: Any,
) -> AsyncGenerator[Served]:
    """Serve these agents as `headrace serve` does; at the end drain within 0.1 s."""
    more = {"live_runs": 1000, "new_runs": 10_000, "grace": 0.1, **more}
    headrace_app = app(agents, store=store, tokens=tokens, settings=settings, **more)
    async with running(headrace_app) as url:
        yield Served(url, headrace_app)


@asynccontextmanager
async def running(headrace_app: HeadraceApp) -> AsyncGenerator[str]:
    """A program around an application; gives its address."""
    listening = listen("127.0.0.1", 0)
    program = Program(headrace_app, may_end=False)
    task = asyncio.create_task(program.serve(sockets=[listening]))
    try:
        await until(lambda: program.started or task.done())
        if task.done():
            task.result()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        program.stop()
        async with asyncio.timeout(PATIENCE):
            await task


async def until(state: Callable[[], object]) -> None:
    """Wait for a state of the server that nothing announces."""
    async with asyncio.timeout(PATIENCE):
        while not state():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.001)


async def no_viewers(server: Served) -> None:
    """Wait until the server has noticed that everyone left."""
    await until(lambda: not server.app.service.watchers)
