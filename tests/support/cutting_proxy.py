"""A TCP proxy on loopback that cuts event streams: when told to, or after so many bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType
from urllib.parse import urlsplit

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class CuttingProxy:
    """Passes bytes between clients and a server.

    Args:
        upstream: ``http://127.0.0.1:PORT``.
        cuts: For one stream after the other, how many bytes of its answer it may give.
    """

    def __init__(self, upstream: str, cuts: Iterable[int] = ()) -> None:
        self.cuts = list(cuts)
        self._port = urlsplit(upstream).port
        self._streams: set[asyncio.StreamWriter] = set()
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> int:
        """Break every connection that carries an event stream off; how many there were."""
        streams, self._streams = self._streams, set()
        for writer in streams:
            writer.transport.abort()
        return len(streams)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            upstream = await asyncio.open_connection("127.0.0.1", self._port)
            await self._both_ways((reader, writer), upstream)
        finally:
            self._streams.discard(writer)
            del self._open[task]
            writer.transport.abort()

    async def _both_ways(self, client: _Connection, server: _Connection) -> None:
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._copy(client[0], server[1]))
                both.create_task(self._copy(server[0], client[1], watch=True))
        except* ConnectionError:
            pass  # cut, or a client that left
        finally:
            server[1].transport.abort()

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, watch: bool = False
    ) -> None:
        left: int | None = None
        while data := await reader.read(65536):
            if watch and b"text/event-stream" in data:
                self._streams.add(writer)
                if self.cuts:
                    head = data.find(b"\r\n\r\n") + 4
                    left = head + self.cuts.pop(0)
            if left is not None:
                data, left = data[:left], left - len(data)
            writer.write(data)
            await writer.drain()
            if left is not None and left <= 0:
                break
        raise ConnectionAbortedError  # one side's end is the other's, too

    async def __aenter__(self) -> CuttingProxy:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for writer in self._open.values():
            writer.transport.abort()
        await asyncio.gather(*self._open)
