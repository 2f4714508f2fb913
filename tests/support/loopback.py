"""A raw HTTP server on loopback that plays a script for each request: bytes, pauses, resets.

    async with Loopback(stream(chunk("Hi"), DONE)) as server:
        model = OpenAIChat(base_url=server.url)
        ...
        await server.closed(0)          # the first connection's peer has closed its socket

Each request takes the next script, the last one for ever. A script is a sequence of bytes to
write, seconds to wait, events to wait for, and at its end maybe `FIN`, `RESET` or `STALL`; without
one of these the connection stays open for the next request.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

FIN = object()
"""Close the connection in good order."""
RESET = object()
"""Break the connection: the peer sees ECONNRESET."""
STALL = object()
"""Send nothing more, and keep the connection open until the peer closes it."""

Script = Sequence[object]


@dataclass(frozen=True)
class Request:
    """One request as it came; header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Loopback:
    """A server at `url` for as long as its `async with` lasts."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = list(scripts)
        self.requests: list[Request] = []
        self.connections: list[Connection] = []
        self._arrived = asyncio.Event()

    @property
    def origin(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT/v1``."""
        return f"{self.origin}/v1"

    async def closed(self, connection: int) -> float:
        """Wait until the peer has closed this connection; the loop's time at which it did."""
        async with asyncio.timeout(10):
            return await asyncio.shield(self.connections[connection].lost)

    async def all_closed(self) -> None:
        """Wait until the peer has closed all its connections; there may be none yet.

        A short deadline may be over before a busy machine has connected.
        """
        async with asyncio.timeout(10):
            for connection in self.connections:
                await asyncio.shield(connection.lost)

    async def asked(self, count: int) -> None:
        """Wait until so many requests have come."""
        async with asyncio.timeout(30):
            while len(self.requests) < count:
                self._arrived.clear()
                await self._arrived.wait()

    def take(self, request: Request) -> Script:
        """Note a request; the script that answers it."""
        self.requests.append(request)
        self._arrived.set()
        return self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]

    async def __aenter__(self) -> Loopback:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for connection in self.connections:
            await connection.end()


class Connection(asyncio.Protocol):
    """One connection: reads requests, plays their scripts."""

    def __init__(self, server: Loopback) -> None:
        self.server = server
        self.received = b""
        self.lost: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[None] | None = None
        self.writable = asyncio.Event()
        self.writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.connections.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.writable.set()
        if not self.lost.done():
            self.lost.set_result(asyncio.get_running_loop().time())

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, blank, rest = self.received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        size = int(length[1]) if length else 0
        if blank and len(rest) >= size:
            self.received = rest[size:]
            script = self.server.take(_request(head.decode("latin-1"), rest[:size]))
            self.task = asyncio.create_task(self.play(script))

    async def play(self, script: Script) -> None:
        for item in script:
            if self.lost.done():
                return
            if isinstance(item, bytes):
                await self.writable.wait()
                self.transport.write(item)
            elif isinstance(item, int | float):
                await asyncio.sleep(item)
            elif isinstance(item, asyncio.Event):
                await item.wait()
            elif item is FIN:
                self.transport.close()
            elif item is RESET:
                self.reset()

    def reset(self) -> None:
        raw = self.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    async def end(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        self.transport.abort()
        await self.lost


def _request(head: str, body: bytes) -> Request:
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = (line.partition(":") for line in lines)
    return Request(method, target, {k.lower(): v.strip() for k, _, v in headers}, body)


def head(
    status: int = 200,
    content_type: str = "text/event-stream",
    headers: Mapping[str, str] | None = None,
    *,
    chunked: bool = True,
) -> bytes:
    """A response's head."""
    lines = [f"HTTP/1.1 {status} Whatever", f"content-type: {content_type}"]
    lines += ["transfer-encoding: chunked"] if chunked else []
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def http_chunk(data: bytes) -> bytes:
    """A piece of a chunked body; the empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def stream(*items: object, end: object = None, content_type: str = "text/event-stream") -> Script:
    """A streamed answer: each bytes item in an HTTP chunk of its own.

    Args:
        items: Bytes, pauses and events.
        end: `FIN`, `RESET` or `STALL` in place of the chunk that ends the body.
        content_type: Of the answer.
    """
    body = [http_chunk(item) if isinstance(item, bytes) else item for item in items]
    return [head(200, content_type), *body, http_chunk(b"") if end is None else end]


def reply(
    status: int,
    body: bytes | str | object = b"",
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Script:
    """A whole answer; what is neither bytes nor a string is sent as JSON."""
    if isinstance(body, str):
        body = body.encode()
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    length = {"content-length": str(len(data)), **(headers or {})}
    return [head(status, content_type, length, chunked=False) + data]
