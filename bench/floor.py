"""The floor: a raw asyncio socket and a typed decode of only the fields that are needed.

No library reads this stream more cheaply in Python: no HTTP parser (the framing of HTTP chunks
is skipped with one search), no task and no await for a chunk. What it leaves out, a real client
cannot: checking the status, limits, deadlines, errors.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import msgspec

from bench import client


class Delta(msgspec.Struct):
    content: str | None = None


class Choice(msgspec.Struct):
    delta: Delta
    finish_reason: str | None = None


class Chunk(msgspec.Struct):
    choices: list[Choice]


class Decoder:
    """Bytes in, texts out. HTTP framing between events is passed over: it holds no brace."""

    def __init__(self) -> None:
        self.rest = b""
        self.done = False
        self.decode = msgspec.json.Decoder(Chunk).decode

    def feed(self, data: bytes) -> list[str]:
        *events, self.rest = (self.rest + data).split(b"\n\n")
        decode = self.decode
        texts = []
        for event in events:
            brace = event.find(b"{")
            if brace < 0:
                self.done = True
                continue
            choices = decode(event[brace:]).choices
            if choices and (text := choices[0].delta.content):
                texts.append(text)
        return texts


def request(url: str) -> bytes:
    """The POST that a vendor's SDK would send, as bytes."""
    parts = urlsplit(url)
    body = msgspec.json.encode(payload())
    return (
        f"POST {parts.path}/chat/completions HTTP/1.1\r\nhost: {parts.netloc}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body


def payload() -> dict[str, object]:
    messages = [{"role": "user", "content": client.PROMPT}]
    return {"model": client.MODEL, "messages": messages, "stream": True}


class Connection(asyncio.Protocol):
    """One socket that reads one answer at a time."""

    def __init__(self) -> None:
        self.decoder = Decoder()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self, data: bytes, seen: client.Seen | None) -> asyncio.Future[int]:
        self.chars, self.seen = 0, seen
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.transport.write(data)
        return self.ended

    def data_received(self, data: bytes) -> None:
        for text in self.decoder.feed(data):
            if self.seen is None:
                self.chars += len(text)
            else:
                self.seen(text)
        if self.decoder.done:
            self.decoder.done = False
            self.ended.set_result(self.chars)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(exc or ConnectionError("closed before the end"))


class Floor(client.Program):
    async def open(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        self.host, self.port = parts.hostname or "", parts.port or 80
        self.request = request(base_url)
        self.idle: list[Connection] = []

    async def connection(self) -> Connection:
        if self.idle:
            return self.idle.pop()
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(Connection, self.host, self.port))[1]

    async def read(self, seen: client.Seen | None) -> int:
        connection = await self.connection()
        chars = await connection.ask(self.request, seen)
        self.idle.append(connection)
        return chars

    async def watch(self, seen: client.Seen) -> None:
        await self.read(seen)

    async def drain(self) -> int:
        return await self.read(None)

    async def close(self) -> None:
        for connection in self.idle:
            connection.transport.close()


if __name__ == "__main__":
    client.serve_task(Floor())
