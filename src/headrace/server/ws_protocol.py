"""uvicorn's WebSocket connection, with the bounds that it leaves open."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

UNWRITTEN = 1024 * 1024
"""Bytes that a peer leaves lying while it sends pings, after which its connection is broken off."""

FLUSH = 10.0
"""Seconds for the last bytes of a socket that has ended; then its connection is broken off."""


class WebSocketConnection(WebSocketsSansIOProtocol):
    """Lets go of peers that read nothing.

    uvicorn 0.54 answers every ping, whether its answers are read or not, and closes a connection
    when its last bytes are sent, which may be never.

    Attributes:
        flush: Seconds for the last bytes.
    """

    flush = FLUSH

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._breaking: asyncio.TimerHandle | None = None

    def handle_ping(self) -> None:
        """Answer, unless the answers before lie unread."""
        super().handle_ping()
        if self.transport.get_write_buffer_size() > UNWRITTEN:
            self.transport.abort()

    async def run_asgi(self) -> None:
        """The application, and then the end of the connection within a time."""
        await super().run_asgi()
        if not self.disconnected:
            self._breaking = self.loop.call_later(self.flush, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        if self._breaking is not None:
            self._breaking.cancel()
        super().connection_lost(exc)
