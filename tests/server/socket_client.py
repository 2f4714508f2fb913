"""A client of ``/v1/ws`` on the `websockets` library: it sorts what comes by subscription."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from headrace import events as e
from headrace.events import Event
from tests.server.serving import PATIENCE


class SocketClient:
    """One socket.

    Attributes:
        events: What each subscription has got so far, by its ref.
        told: Everything else, in order.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.events: dict[str, list[Event]] = {}
        self.told: list[dict[str, Any]] = []

    async def ask(self, op: str, ref: str | None = None, **fields: Any) -> None:
        """Send a request."""
        named = {"ref": ref} if ref is not None else {}
        await self.socket.send(json.dumps({"op": op, **named, **fields}))

    async def next(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(PATIENCE):
            message: dict[str, Any] = json.loads(await self.socket.recv())
        if message["op"] == "events":
            events = [e.decode(json.dumps(event)) for event in message["events"]]
            self.events.setdefault(message["ref"], []).extend(events)
        else:
            self.told.append(message)
        return message

    async def until(self, op: str, ref: str | None = None) -> dict[str, Any]:
        """Read on to the first message of this kind, and for this ref."""
        while True:
            message = await self.next()
            if message["op"] == op and (ref is None or message["ref"] == ref):
                return message

    async def until_text(self, ref: str, text: str) -> None:
        """Read on until a subscription has shown so much."""
        while text not in "".join(
            event.content for event in self.events.get(ref, []) if isinstance(event, e.Token)
        ):
            await self.next()

    async def answer(self, op: str, ref: str | None = None, **fields: Any) -> dict[str, Any]:
        """Ask, and read on to what is no event."""
        await self.ask(op, ref, **fields)
        before = len(self.told)
        while len(self.told) == before:
            await self.next()
        return self.told[-1]

    async def closed(self) -> tuple[int | None, str | None]:
        """Read on to the socket's end: its close code and reason."""
        try:
            while True:
                await self.next()
        except ConnectionClosed:
            return self.socket.close_code, self.socket.close_reason

    def abort(self) -> None:
        """Break the connection without a word."""
        self.socket.transport.abort()


def address(url: str, query: str = "") -> str:
    """Where a server's sockets are."""
    return url.replace("http", "ws", 1) + "/v1/ws" + query


@asynccontextmanager
async def socket(
    url: str, token: str | None = None, query: str = "", **options: Any
) -> AsyncGenerator[SocketClient]:
    """A socket to this server; left with a closing handshake."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    # With a bounded queue, the library's `close` waits for its whole timeout where it is full.
    options = {"max_size": None, "max_queue": None, "ping_interval": None, **options}
    async with connect(address(url, query), additional_headers=headers, **options) as found:
        yield SocketClient(found)
