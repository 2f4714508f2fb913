"""One aiohttp session for each running event loop, closed when its loop ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import aiohttp

READ_BUFFER = 32 * 1024
"""Bytes read ahead of the decoder; at twice as many the socket is no longer read.

aiohttp asks the socket to go on at each piece that it takes off a buffer below this mark, and
pieces are as small as a provider's HTTP chunks are: measured, 256 KiB make a chunk a fifth dearer.
"""

_held: dict[asyncio.AbstractEventLoop, tuple[aiohttp.ClientSession, AsyncGenerator[None]]] = {}


async def session() -> aiohttp.ClientSession:
    """The running loop's session, made when it is first asked for.

    Nobody has to close it: an async generator holds it, and `asyncio.run` ends every generator
    that the loop has seen (`loop.shutdown_asyncgens`). Cookies are not kept, connections not
    limited, and neither ``~/.netrc`` nor proxies are looked up here: see `Endpoint.post`.
    """
    loop = asyncio.get_running_loop()
    held = _held.get(loop)
    if held is not None and not held[0].closed:
        return held[0]
    for other in [other for other in _held if other.is_closed()]:
        del _held[other]  # loops that ended without shutting their generators down
    made = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=READ_BUFFER,
        headers={"User-Agent": "headrace"},
    )
    holder = _hold(loop, made)
    _held[loop] = (made, holder)
    await anext(holder)
    return made


async def _hold(
    loop: asyncio.AbstractEventLoop, held: aiohttp.ClientSession
) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        _held.pop(loop, None)
        await held.close()
