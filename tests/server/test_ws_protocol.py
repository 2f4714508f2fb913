"""A peer that reads nothing: its connection ends all the same."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Frame, Opcode

from headrace.server.ws_protocol import UNWRITTEN, WebSocketConnection
from tests.server.asking import speaker
from tests.server.serving import PATIENCE, no_viewers, serving, until
from tests.support.loop import leftovers


class Quick(WebSocketConnection):
    """Waits for last bytes no longer than a test does."""

    flush = 0.05


@asynccontextmanager
async def quick(application: Any) -> AsyncGenerator[tuple[uvicorn.Server, str]]:
    """A server of connections that are `Quick`."""
    config = uvicorn.Config(
        application, ws=Quick, lifespan="off", log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    await until(lambda: server.started)
    try:
        yield server, f"ws://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        server.should_exit = True
        async with asyncio.timeout(PATIENCE):
            await task


@asynccontextmanager
async def deaf(url: str) -> AsyncGenerator[ClientConnection]:
    """A client that reads nothing once it is in."""
    async with connect(url, ping_interval=None, close_timeout=0.1, compression=None) as client:
        client.transport.pause_reading()
        yield client
        client.transport.abort()


async def test_the_last_bytes_of_a_socket_are_not_waited_for_without_end() -> None:
    written = asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "x" * 30_000_000})
        written.set()

    async with quick(application) as (server, url), deaf(url):
        await written.wait()
        await until(lambda: not server.server_state.connections)
    assert leftovers() == []


async def test_a_peer_that_pings_without_reading_is_let_go() -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass

    async with quick(application) as (server, url), deaf(url) as client:
        await until(lambda: server.server_state.connections)
        (connection,) = server.server_state.connections
        most = 0
        while server.server_state.connections:
            for _ in range(1000):
                client.protocol.send_ping(b"p" * 125)
            client.transport.write(b"".join(client.protocol.data_to_send()))
            await asyncio.sleep(0)
            most = max(most, connection.transport.get_write_buffer_size())
        assert most < UNWRITTEN + 500_000
    assert leftovers() == []


async def test_a_peer_that_answers_no_pings_is_dropped() -> None:
    for seconds in (0.25, 1.0, 4.0):  # a busy machine may answer too late for the first one
        seen: list[int] = []
        async with serving([speaker()], ws_ping=seconds) as server:
            async with raw(server.url) as (reader, writer):
                while Opcode.CLOSE not in seen:
                    opcode, payload = await frame(reader)
                    seen.append(opcode)
                    if len(seen) <= 2 and opcode == Opcode.PING:
                        writer.write(Frame(Opcode.PONG, payload).serialize(mask=True))
                assert int.from_bytes(payload[:2]) == 1011
                assert await reader.read() == b""
            await no_viewers(server)
        assert leftovers() == []
        if len(seen) == 4:
            break
    # As long as they are answered, they go on.
    assert seen == [Opcode.PING, Opcode.PING, Opcode.PING, Opcode.CLOSE]


@asynccontextmanager
async def raw(url: str) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A socket without a library that would answer by itself."""
    netloc = urlsplit(url).netloc
    host, _, port = netloc.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"GET /v1/ws HTTP/1.1\r\nHost: {netloc}\r\nUpgrade: websocket\r\n"
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    writer.write(f"{head}Connection: Upgrade\r\n{key}\r\n".encode())
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    yield reader, writer
    writer.close()
    await writer.wait_closed()


async def frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The next frame of a server, a short one."""
    async with asyncio.timeout(PATIENCE):
        first, size = await reader.readexactly(2)
        return first & 0x0F, await reader.readexactly(size)
