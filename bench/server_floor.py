"""The floor: a bare ASGI application that sends ready bytes, one `send` for each event.

It is the least that a user of uvicorn could write: no framework, nothing is rendered, no one
listens for a viewer that leaves. Its routes are those of every measured server but ours:

    /paced      an event every 1/rate of a second, without end, to all at the same time
    /flat       once the gate is open, so many events as fast as they are taken
    /relay      what the provider sends, as it comes
    /idle       one event, and silence
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from bench.client import pin
from bench.server_control import TASK
from bench.server_peer import FRAME, GATE, PAUSE, first_due, run

Send = Callable[[dict[str, Any]], Awaitable[None]]
HEAD = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")],
}


async def paced(send: Send) -> None:
    loop = asyncio.get_running_loop()
    due, period = first_due()
    while True:
        await asyncio.sleep(due - loop.time())
        await send({"type": "http.response.body", "body": FRAME, "more_body": True})
        due += period


async def flat(send: Send) -> None:
    await GATE.wait()
    for nth in range(TASK["events"]):
        await send({"type": "http.response.body", "body": FRAME, "more_body": True})
        if nth % PAUSE == 0:
            await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def relay(send: Send) -> None:
    import aiohttp

    url = f"{TASK['upstream']}/chat/completions"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json={"model": "m", "stream": True}) as answer,
    ):
        async for data in answer.content.iter_any():
            await send({"type": "http.response.body", "body": data, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def idle(send: Send) -> None:
    await send({"type": "http.response.body", "body": FRAME, "more_body": True})
    await asyncio.Event().wait()


ROUTES = {"/paced": paced, "/flat": flat, "/relay": relay, "/idle": idle}


async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Send) -> None:
    await send(HEAD)
    await ROUTES[scope["path"]](send)


if __name__ == "__main__":
    pin(1)
    asyncio.run(run(app))
