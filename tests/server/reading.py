"""A reader of the server's streams that can be cut off at any byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from headrace import events as e
from headrace.events import TERMINAL, Event
from headrace.wire.sse_decoder import SSEDecoder, SSEEvent

PATIENCE = 20.0
"""Seconds that a test waits for what should come at once."""


class Reader:
    """One answer, read as server-sent events."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.decoder = SSEDecoder()
        self.raw = b""

    @property
    def status(self) -> int:
        return self.response.status

    async def frames(self) -> AsyncGenerator[SSEEvent]:
        """Each frame as it comes, to the end of the body."""
        async for part in self.response.content.iter_any():
            self.raw += part
            for frame in self.decoder.feed(part):
                yield frame

    async def until(self, text: str) -> SSEEvent:
        """Read on to the first frame with this in it."""
        async for frame in self.frames():
            if text in frame.data:
                return frame
        raise AssertionError(f"{text!r} did not come in {self.raw!r}")

    async def all(self) -> list[SSEEvent]:
        """The frames to the end."""
        return [frame async for frame in self.frames()]

    async def events(self) -> list[Event]:
        """The native events to the end."""
        return [e.decode(frame.data) async for frame in self.frames()]


@asynccontextmanager
async def session() -> AsyncGenerator[aiohttp.ClientSession]:
    """A client with as many connections as it likes."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as client:
        yield client
    await asyncio.sleep(0)


@asynccontextmanager
async def reading(
    url: str,
    json: Any = None,
    *,
    after: int | str | None = None,
    headers: Mapping[str, str] | None = None,
) -> AsyncGenerator[Reader]:
    """GET, or POST where there is JSON; leaving closes the connection at once."""
    sent = dict(headers or {})
    if after is not None:
        sent["Last-Event-ID"] = str(after)
    async with session() as client, asyncio.timeout(60):
        method = "GET" if json is None else "POST"
        async with client.request(method, url, json=json, headers=sent) as response:
            yield Reader(response)


async def asked(url: str, json: Any = None, **options: Any) -> tuple[int, Any]:
    """Status and JSON of a whole answer."""
    async with session() as client:
        method = options.pop("method", "GET" if json is None else "POST")
        async with client.request(method, url, json=json, **options) as response:
            body = await response.read()
            return response.status, await response.json() if body else None


async def started(url: str, text: str = "Go", **more: Any) -> str:
    """Start a run; its id."""
    status, told = await asked(f"{url}/v1/runs", {"input": text, **more})
    assert status == 201, told
    run_id: str = told["run_id"]
    return run_id


def has_ended(events: list[Event]) -> bool:
    return bool(events) and isinstance(events[-1], TERMINAL)
