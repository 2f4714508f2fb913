"""FastAPI: its own ``EventSourceResponse`` (``own``), or a ``StreamingResponse`` of ready bytes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterable

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from bench.client import pin
from bench.server_peer import DATA, FRAME, flat, paced, run

api = FastAPI()


async def events(due: AsyncGenerator[int]) -> AsyncGenerator[ServerSentEvent]:
    async for nth in due:
        yield ServerSentEvent(raw_data=DATA, id=str(nth))


async def ready(due: AsyncGenerator[int]) -> AsyncGenerator[bytes]:
    async for _ in due:
        yield FRAME


async def own_paced() -> AsyncIterable[ServerSentEvent]:
    async for event in events(paced()):
        yield event


async def own_flat() -> AsyncIterable[ServerSentEvent]:
    async for event in events(flat()):
        yield event


async def ready_paced() -> StreamingResponse:
    return StreamingResponse(ready(paced()), media_type="text/event-stream")


async def ready_flat() -> StreamingResponse:
    return StreamingResponse(ready(flat()), media_type="text/event-stream")


if __name__ == "__main__":
    pin(1)
    if sys.argv[1] == "own":
        api.get("/paced", response_class=EventSourceResponse)(own_paced)
        api.get("/flat", response_class=EventSourceResponse)(own_flat)
    else:
        api.get("/paced")(ready_paced)
        api.get("/flat")(ready_flat)
    asyncio.run(run(api))
