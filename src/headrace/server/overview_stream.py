"""A reader of the overview over HTTP."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress

from starlette.types import Receive, Scope, Send

from headrace.server.overview_feed import OverviewFeed
from headrace.server.service import Service
from headrace.server.stream import LAST_WORD, STREAM_HEADERS
from headrace.wire.sse_encoder import encode_comment

_logger = logging.getLogger("headrace.server")


class OverviewStream:
    """The answer that streams the overview; an ASGI application.

    A reader that is slow misses overviews, and gets in the next one what they held.

    Args:
        service: The server.
        feed: Its overviews.
        window: Seconds that the first one reaches back.
    """

    def __init__(self, service: Service, feed: OverviewFeed, window: float) -> None:
        self._service = service
        self._feed = feed
        self._window = window
        self._due = asyncio.Event()
        self._stopped = asyncio.Event()
        self._started = False
        self._headers = STREAM_HEADERS | {"content-type": "text/event-stream"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the reader leaves, takes nothing, or the server stops."""
        loop = asyncio.get_running_loop()
        self._service.look_on(self)
        self._feed.join(self._due.set)
        tasks = [
            loop.create_task(work)
            for work in (self._write(send), _left(receive), self._stopped.wait())
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._feed.leave(self._due.set)
            self._service.look_away(self)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if not tasks[0].cancelled():
            tasks[0].result()
        if self._stopped.is_set() and self._started:
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORD):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})

    def stop(self) -> None:
        """End this reader, from outside."""
        self._stopped.set()

    async def _write(self, send: Send) -> None:
        settings = self._service.settings
        head = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in self._headers.items()]
        self._started = True
        await send({"type": "http.response.start", "status": 200, "headers": head})
        frame = self._feed.frame(None, self._window)
        wait = int(settings.retry_ms * random.uniform(0.5, 1.5))  # noqa: S311
        data = b"retry: %d\n%b" % (wait, frame.data)
        while await self._taken(send, data):
            data = encode_comment()
            with suppress(TimeoutError):
                async with asyncio.timeout(settings.keep_alive):
                    await self._due.wait()
                self._due.clear()
                frame = self._feed.frame(frame.at)
                data = frame.data

    async def _taken(self, send: Send, data: bytes) -> bool:
        """Send; False for a reader that takes nothing."""
        stuck = self._service.settings.stuck
        try:
            async with asyncio.timeout(stuck):
                await send({"type": "http.response.body", "body": data, "more_body": True})
        except TimeoutError:
            _logger.info("overview: a reader took nothing for %g s", stuck)
            return False
        return True


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
