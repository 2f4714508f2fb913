"""sse-starlette: ``EventSourceResponse`` over a generator of events whose data is ready JSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from bench.client import pin
from bench.server_peer import DATA, flat, paced, run


async def events(due: AsyncGenerator[int]) -> AsyncGenerator[ServerSentEvent]:
    async for nth in due:
        yield ServerSentEvent(DATA, id=str(nth), sep="\n")


async def stream(request: Request) -> EventSourceResponse:
    due = paced() if request.url.path == "/paced" else flat()
    return EventSourceResponse(events(due))


if __name__ == "__main__":
    pin(1)
    asyncio.run(run(Starlette(routes=[Route("/paced", stream), Route("/flat", stream)])))
