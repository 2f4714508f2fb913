"""Someone else's application on a real uvicorn, as its settings are by default."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp

from tests.server.serving import PATIENCE, until


class Host(uvicorn.Server):
    """uvicorn, without hands on the signals of the tests' process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def hosting(application: ASGIApp, *, graceful: int = 1) -> AsyncGenerator[str]:
    """Serve an application on a free port; gives its address.

    Args:
        application: The application.
        graceful: Seconds that connections have to end when it stops.
    """
    config = uvicorn.Config(
        application,
        host="127.0.0.1",
        port=0,
        log_config=None,
        timeout_graceful_shutdown=graceful,
    )
    host = Host(config)
    task = asyncio.create_task(host.serve())
    try:
        await until(lambda: host.started or task.done())
        assert host.started, "the host did not start; its log says why"
        yield f"http://127.0.0.1:{host.servers[0].sockets[0].getsockname()[1]}"
    finally:
        host.should_exit = True
        async with asyncio.timeout(PATIENCE):
            await task
