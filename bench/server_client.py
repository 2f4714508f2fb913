"""The viewers: a process that opens many connections and reads what comes, as cheaply as it can.

Standard library only, and no parser: a frame is counted by its blank line, and one chunk of a
paced answer in some is looked into for the time at which it was due.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from bench import bodies
from bench.client import SAMPLE, pin, quantile
from bench.server_control import obey

CONTENT = b'"content":"'
LAST_CHUNK = b"0\r\n\r\n"
PATIENCE = 90.0  # seconds


class Board:
    """What all viewers have seen."""

    def __init__(self) -> None:
        self.frames = 0
        self.reads = 0
        self.late_ms: list[float] = []
        self.refused = ""


class Viewer(asyncio.Protocol):
    """One connection: sends its request, counts frames, knows when the body has ended."""

    def __init__(self, board: Board, request: bytes) -> None:
        self.board = board
        self.request = request
        self.frames = 0
        self.began = False
        self.ended = False
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        board, tail = self.board, self._tail
        frames = data.count(b"\n\n")
        if data[:1] == b"\n" and tail[-1:] == b"\n":
            frames += 1
        self.frames += frames
        board.frames += frames
        board.reads += 1
        if board.reads % SAMPLE == 0:
            self._look(data)
        if not self.began:
            self._begin(data)
        self._tail = data[-5:] if len(data) >= 5 else (tail + data)[-5:]
        if self._tail == LAST_CHUNK:
            self.ended = True

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended:
            self.board.refused = self.board.refused or f"a connection was cut: {exc}"

    def _begin(self, data: bytes) -> None:
        self.began = True
        if not data.startswith(b"HTTP/1.1 200"):
            self.board.refused = data.split(b"\r\n", 1)[0][:300].decode("latin-1")

    def _look(self, data: bytes) -> None:
        """How late the first chunk of these bytes is: of several it is the oldest."""
        place = data.find(CONTENT)
        stamp = data[place + len(CONTENT) :][: bodies.STAMP_DIGITS]
        if place >= 0 and len(stamp) == bodies.STAMP_DIGITS and stamp.isdigit():
            self.board.late_ms.append(time.monotonic() * 1e3 - int(stamp) / 1e3)


class Crowd:
    """The commands."""

    def __init__(self) -> None:
        self.board = Board()
        self.viewers: list[Viewer] = []

    async def open(self, asked: dict[str, Any]) -> dict[str, object]:
        """`count` more with the same `request`, over `ramp` seconds; each has `frames` then."""
        request, count = asked["request"].encode(), asked["count"]
        loop = asyncio.get_running_loop()
        start = loop.time()
        for nth in range(count):
            if wait := asked.get("ramp", 0.0) * nth / count:
                await asyncio.sleep(start + wait - loop.time())
            _, viewer = await loop.create_connection(
                lambda: Viewer(self.board, request), "127.0.0.1", asked["port"]
            )
            self.viewers.append(viewer)
        frames = asked.get("frames", 0)
        return await self._until(lambda v: v.began and v.frames >= frames)

    async def window(self, asked: dict[str, Any]) -> dict[str, object]:
        """What is seen within `seconds` from now on."""
        board = self.board
        board.late_ms.clear()
        frames = board.frames
        await asyncio.sleep(asked["seconds"])
        late = board.late_ms
        return {
            "frames": board.frames - frames,
            "late_ms_p50": quantile(late, 0.5),
            "late_ms_p99": quantile(late, 0.99),
            "refused": board.refused,
        }

    async def finish(self, asked: dict[str, Any]) -> dict[str, object]:
        """Read every answer to its end."""
        return await self._until(lambda v: v.ended)

    async def _until(self, reached: Any) -> dict[str, object]:
        deadline = time.monotonic() + PATIENCE
        while not self.board.refused and not all(map(reached, self.viewers)):
            if time.monotonic() > deadline:
                self.board.refused = "the viewers did not get what they waited for"
            await asyncio.sleep(0.01)
        return {"frames": self.board.frames, "refused": self.board.refused}


async def main() -> None:
    crowd = Crowd()
    await obey({"open": crowd.open, "window": crowd.window, "finish": crowd.finish}, {})


if __name__ == "__main__":
    pin(0)
    asyncio.run(main())
