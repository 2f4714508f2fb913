"""Reads a body as it arrives: the only place that touches what aiohttp keeps to itself.

`StreamReader` counts and hands out one HTTP chunk at a time. Servers send each event in a chunk of
its own, so that a full read of a thousand events costs as much there as decoding them. Joining
the waiting pieces first leaves its books right (the bytes are the same) and costs nothing.
"""

from __future__ import annotations

import aiohttp
from aiohttp.http import HttpProcessingError

# aiohttp raises RuntimeError when it is asked to read from a connection that is gone.
BROKEN = (aiohttp.ClientError, HttpProcessingError, OSError, RuntimeError)
"""What reading a body may raise when its connection breaks."""

CAN_JOIN = {"_buffer", "_exception"} <= set(aiohttp.StreamReader.__slots__) and hasattr(
    aiohttp.StreamReader, "_wait"
)
"""Whether this aiohttp keeps its pieces where we know them; without it, reading is only slower."""


async def arrived(content: aiohttp.StreamReader) -> bytes:
    """All that has arrived, after waiting for something; empty at the body's end.

    Raises:
        BROKEN: the connection broke.
    """
    if not CAN_JOIN:
        return await content.readany()
    pieces = content._buffer
    if not pieces and not content.is_eof() and content.exception() is None:
        await content._wait("arrived")
    if len(pieces) > 1:
        joined = b"".join(pieces)
        pieces.clear()
        pieces.append(joined)
    return await content.readany()


def unread(content: aiohttp.StreamReader) -> bytes:
    """What had arrived before the connection broke.

    aiohttp has no way to read it once the reader holds an exception, and dropping it would lose
    text that the provider sent.
    """
    if not content.exception():
        return b""
    content._exception = None
    return content.read_nowait()
