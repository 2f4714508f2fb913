"""A server at an address: the SDK's streamable HTTP, with our headers, bounds and deadlines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx2
from mcp.client.streamable_http import streamable_http_client

from headrace.tools.mcp.servers import Http
from headrace.tools.mcp.stdio_transport import MAX_MESSAGE

CONNECT = 10.0
"""Seconds to connect to a server at an address."""

WRITE = 30.0
"""Seconds for each piece of a request to such a server."""


class HttpTransport:
    """What the SDK's client takes as a transport.

    Args:
        server: Where.
    """

    def __init__(self, server: Http) -> None:
        self._server = server
        self._stack = AsyncExitStack()
        self._refused = 0

    async def __aenter__(self) -> tuple[Any, Any]:
        """Make ready; it is connected with the first message."""
        client = httpx2.AsyncClient(
            # Compressed, a small body could be a huge one.
            headers={**self._server.headers, "accept-encoding": "identity"},
            # A tool may be silent as long as its own deadline lets it.
            timeout=httpx2.Timeout(None, connect=CONNECT, write=WRITE, pool=CONNECT),
            event_hooks={"response": [self._look]},
        )
        await self._stack.enter_async_context(client)
        return await self._stack.enter_async_context(
            streamable_http_client(
                self._server.url, http_client=client, max_sse_event_size=MAX_MESSAGE
            )
        )

    async def __aexit__(self, *exc: Any) -> None:
        """End the session and close all connections."""
        await self._stack.__aexit__(*exc)

    def ending(self) -> str:
        """What it answered when it refused a message last."""
        return f"It answered with HTTP status {self._refused}." if self._refused else ""

    async def _look(self, response: httpx2.Response) -> None:
        if response.request.method == "POST":  # it need not take the others
            self._refused = response.status_code if response.status_code >= 400 else 0
        kind = response.headers.get("content-type", "").lower()
        if not kind.startswith("text/event-stream"):  # whose events the SDK bounds
            coded = response.headers.get("content-encoding", "identity").lower() != "identity"
            response.stream = _Bounded(response.stream, 0 if coded else MAX_MESSAGE)


class _Bounded(httpx2.AsyncByteStream):
    """A body that ends in an error once it is longer than it may be."""

    def __init__(self, stream: Any, limit: int) -> None:
        self._stream = stream
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > self._limit:
                raise _TooLong("the body is compressed, or longer than a message may be")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class _TooLong(httpx2.StreamError):
    """The SDK takes it for an answer that it cannot read."""
