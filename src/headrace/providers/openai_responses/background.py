"""An answer that the provider goes on with in the background, whatever becomes of our connection.

Source: OpenAI documentation, "Background mode": ``GET /responses/{id}?stream=true&
starting_after=N`` sends the events after number N, ``POST /responses/{id}/cancel`` ends it. Closing
the socket alone would leave the provider generating; so it does where the first event, which tells
the id, has not come yet.
"""

from __future__ import annotations

import asyncio
import re
from random import random

import aiohttp

from headrace.errors import HeadraceError, StreamTruncated
from headrace.models.deltas import Delta, Failure, Note
from headrace.models.retry import RetryPolicy
from headrace.providers.http import Endpoint, HttpAttempt
from headrace.providers.openai_responses.decode import ResponsesDecoder

_ID = re.compile(r"[A-Za-z0-9_-]{1,256}")  # what may go into a path as it is


class BackgroundAttempt:
    """One answer on its way, over as many connections as it takes (a `models.stream.Attempt`).

    Args:
        endpoint: The provider's API.
        response: The first connection's answer, its body not yet read.
        decoder: Reads all connections, one after another.
        reconnects: How many there may be, and the waits before them.
        connect: Seconds for making a connection.
        cancel_wait: Seconds in which the provider must have taken a cancel.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        response: aiohttp.ClientResponse,
        decoder: ResponsesDecoder,
        reconnects: RetryPolicy,
        connect: float | None,
        cancel_wait: float,
    ) -> None:
        self._endpoint = endpoint
        self._decoder = decoder
        self._reconnects = reconnects
        self._connect = connect
        self._cancel_wait = cancel_wait
        self._attempt = HttpAttempt(response, decoder)
        self._broken: StreamTruncated | None = None
        self._tries = 0
        self._closed = False

    async def read(self) -> list[Delta]:
        """The next deltas; a connection that breaks is followed by another one."""
        if self._broken is not None:
            return await self._reconnect(self._broken)
        batch = await self._attempt.read()
        last = batch[-1] if batch else None
        if isinstance(last, Failure) and isinstance(last.error, StreamTruncated) and self._path():
            self._broken = last.error
            return batch[:-1]
        return batch

    async def close(self) -> None:
        """Close the socket at once; an answer that has not ended is cancelled at the provider."""
        await self._attempt.close()
        if self._closed or self._decoder.over or not self._path():
            return
        self._closed = True
        # A task of its own: whoever closes may be cancelled, and the provider must hear of it.
        cancel = asyncio.create_task(self._cancel())
        _cancels.add(cancel)
        cancel.add_done_callback(_cancels.discard)
        await asyncio.wait({cancel})

    def _path(self) -> str:
        """The answer's own path; empty where it cannot be read on."""
        id = self._decoder.response_id
        return f"/responses/{id}" if _ID.fullmatch(id) else ""

    async def _reconnect(self, broken: StreamTruncated) -> list[Delta]:
        """Another connection, or the failure when there may be none any more."""
        await self._attempt.close()
        number = self._decoder.sequence
        query = {"stream": "true", "starting_after": str(number)} if number >= 0 else {}
        error: HeadraceError = broken
        while query:
            self._tries += 1
            wait = self._reconnects.wait_before(self._tries, error, random())  # noqa: S311 - jitter
            if wait is None:
                break
            await asyncio.sleep(wait)
            try:
                response = await self._endpoint.get(self._path(), query, self._connect)
            except HeadraceError as failed:
                error = failed
                continue
            self._broken = None
            self._decoder.resume()
            self._attempt = HttpAttempt(response, self._decoder)
            return [Note("reconnect", f"{broken.message} Reading on over another connection.")]
        if error is broken:
            return [Failure(broken)]
        return [Note("reconnect", f"The answer could not be read on. {error}"), Failure(broken)]

    async def _cancel(self) -> None:
        try:
            async with asyncio.timeout(self._cancel_wait):
                await self._endpoint.tell(f"{self._path()}/cancel", self._connect)
        except (HeadraceError, TimeoutError):
            pass  # the answer runs to its end; whoever left is not kept for that


_cancels: set[asyncio.Task[None]] = set()
"""Keeps the tasks alive: a loop holds its tasks weakly."""
