"""A little application with the probe and a health page, on a real uvicorn in the test's loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from headrace.errors import HeadraceError
from headrace.server.doctor import doctor
from headrace.server.replies import error_reply


async def health(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HeadraceError)
    return error_reply(error)


def application() -> ASGIApp:
    routes = [Route("/v1/doctor", doctor), Route("/health", health)]
    return Starlette(routes=routes, exception_handlers={HeadraceError: refused})


@asynccontextmanager
async def probed(app: ASGIApp | None = None) -> AsyncGenerator[str]:
    """Serve it; gives its address."""
    # asyncio switches Nagle's delay off only for a socket that says it is TCP.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen(64)
    config = uvicorn.Config(
        app or application(),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve(sockets=[listening]))
    try:
        while not server.started:
            if task.done():
                task.result()
            await asyncio.sleep(0.001)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        async with asyncio.timeout(20):
            await task
        listening.close()
