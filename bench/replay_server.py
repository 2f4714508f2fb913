"""A light server that replays pre-rendered answers; one process, one thread.

The path's first segment says how the answer is sent, so that any client needs only a base URL:

    /flat/v1            1,000 content chunks in one write
    /first/v1           the first content chunk at once, four more 2 ms later
    /paced50x600/v1     600 content chunks at 50 a second; each one's text is the time at which
                        it was due, in microseconds of CLOCK_MONOTONIC
    /long1000000/v1     1,000,000 content chunks, written no faster than the client reads
    /wires/anthropic    as flat, in another provider's wire (see `wire_bodies.py`)

``GET /stats`` says how late the pacer itself was since it was last asked. The server prints its
port and leaves on SIGTERM or when its standard input closes.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys

from bench import bodies, wire_bodies
from bench.client import pin, quantile

TICK = 0.001  # seconds; paced connections are dealt out over the ticks of a period
SLICE = 50 * len(
    bodies.PLAIN_WORDS
)  # chunks that a long body writes between two looks at the buffer
WIRE = re.compile(rb"/wires/(\w+)")
ROUTE = re.compile(rb"/(flat|first|paced|long)(\d*)(?:x(\d+))?/")


class Replay(asyncio.Protocol):
    """One connection, kept alive over requests."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.received = b""
        self.left = 0
        self.writable = asyncio.Event()
        self.writable.set()
        self.task: asyncio.Task[None] | None = None
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.writable.set()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, blank, rest = self.received.partition(b"\r\n\r\n")
        if not blank:
            return
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        size = int(length[1]) if length else 0
        if len(rest) >= size:
            self.received = rest[size:]
            self.answer(head.split(b" ", 2)[1])

    def answer(self, path: bytes) -> None:
        route, wire = ROUTE.match(path), WIRE.match(path)
        if path == b"/stats":
            self.send_json(self.server.stats())
        elif wire is not None:
            self.transport.write(self.server.wire(wire[1].decode()))
        elif route is None:
            self.transport.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        elif route[1] == b"flat":
            self.transport.write(self.server.flat)
        elif route[1] == b"first":
            self.transport.write(self.server.first)
            asyncio.get_running_loop().call_later(0.002, self.transport.write, self.server.rest)
        elif route[1] == b"paced":
            self.left = int(route[3])
            self.transport.write(bodies.opening())
            self.server.pacer(int(route[2])).add(self)
        else:
            self.task = asyncio.create_task(self.long(int(route[2])))

    def send_json(self, value: object) -> None:
        data = json.dumps(value).encode()
        self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(data) + data)

    async def long(self, count: int) -> None:
        """Write `count` chunks in slices, waiting whenever the client is slower."""
        whole, rest = divmod(count, SLICE)
        part = b"".join(map(bodies.content_event, bodies.words(SLICE, bodies.PLAIN_WORDS)))
        self.transport.write(bodies.opening())
        for _ in range(whole):
            await self.writable.wait()
            if self.closed:
                return
            self.transport.write(part)
        remaining = bodies.words(rest, bodies.PLAIN_WORDS)
        self.transport.write(b"".join(map(bodies.content_event, remaining)))
        self.transport.write(bodies.ending(count))


class Pacer:
    """Sends one chunk a period to each of its connections, from one timer for all of them."""

    def __init__(self, rate: int) -> None:
        self.slots: list[list[Replay]] = [[] for _ in range(max(1, round(1 / rate / TICK)))]
        self.next_slot = 0
        self.streams = 0
        self.tick = 0
        self.late: list[float] = []
        self.before, self.after = bodies.stamp_parts()

    def add(self, connection: Replay) -> None:
        self.slots[self.next_slot].append(connection)
        self.next_slot = (self.next_slot + 1) % len(self.slots)
        self.streams += 1
        if self.streams == 1:
            self.start = asyncio.get_running_loop().time()
            self.tick = 0
            self.arm()

    def arm(self) -> None:
        self.tick += 1
        due = self.start + self.tick * TICK
        asyncio.get_running_loop().call_at(due, self.run)

    def run(self) -> None:
        """Send what is due, also for ticks that were missed."""
        now = asyncio.get_running_loop().time()
        while (due := self.start + self.tick * TICK) <= now:
            self.late.append(now - due)
            self.send(self.tick % len(self.slots), due)
            self.tick += 1
        self.tick -= 1
        if self.streams:
            self.arm()

    def send(self, slot: int, due: float) -> None:
        connections = self.slots[slot]
        chunk = self.before + b"%0*d" % (bodies.STAMP_DIGITS, int(due * 1e6)) + self.after
        for connection in connections:
            if connection.closed:
                continue
            connection.transport.write(chunk)
            connection.left -= 1
            if connection.left <= 0:
                connection.transport.write(bodies.ending(1))
        going = [c for c in connections if c.left > 0 and not c.closed]
        self.streams -= len(connections) - len(going)
        self.slots[slot] = going


class Server:
    """The rendered bodies, and a pacer for each rate that was asked for."""

    def __init__(self) -> None:
        self.flat = bodies.body(bodies.FLAT_CHUNKS)
        first, *rest = map(bodies.content_event, bodies.words(bodies.FIRST_CHUNKS))
        self.first = bodies.opening() + first
        self.rest = b"".join(rest) + bodies.ending(bodies.FIRST_CHUNKS)
        self.pacers: dict[int, Pacer] = {}
        self.wires: dict[str, bytes] = {}

    def wire(self, name: str) -> bytes:
        if name not in self.wires:
            self.wires[name] = wire_bodies.body(name, bodies.FLAT_CHUNKS)
        return self.wires[name]

    def pacer(self, rate: int) -> Pacer:
        if rate not in self.pacers:
            self.pacers[rate] = Pacer(rate)
        return self.pacers[rate]

    def stats(self) -> dict[str, float]:
        late = [seconds * 1e3 for pacer in self.pacers.values() for seconds in pacer.late]
        for pacer in self.pacers.values():
            pacer.late.clear()
        return {"late_ms_p50": quantile(late, 0.5), "late_ms_p99": quantile(late, 0.99)}


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = Server()
    listener = await loop.create_server(lambda: Replay(server), "127.0.0.1", 0, backlog=2048)
    print(listener.sockets[0].getsockname()[1], flush=True)
    parent_left = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), parent_left.set)
    await parent_left.wait()


if __name__ == "__main__":
    pin(0)
    asyncio.run(main())
