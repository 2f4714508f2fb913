"""Reading a body in whole pieces, however the server cut it into HTTP chunks."""

from __future__ import annotations

import aiohttp
import pytest

from headrace.providers.http_body import BROKEN, CAN_JOIN, arrived, unread
from tests.support.loopback import FIN, Loopback, stream


def test_this_aiohttp_keeps_its_pieces_where_we_know_them() -> None:
    assert CAN_JOIN


@pytest.mark.parametrize("size", [1, 37, 4096, 70_000])
async def test_every_byte_comes_once_and_in_order(size: int) -> None:
    body = bytes(i % 251 for i in range(300_000))
    cuts = [body[i : i + size] for i in range(0, len(body) if size > 1 else 5000, size)]
    async with (
        Loopback(stream(*cuts)) as server,
        aiohttp.ClientSession() as session,
        session.post(server.url) as answer,
    ):
        read = b""
        while data := await arrived(answer.content):
            read += data
        assert await arrived(answer.content) == b""
    assert read == b"".join(cuts)


async def test_pieces_that_came_together_are_read_together() -> None:
    async with (
        Loopback(stream(b"".join([b"one ", b"two "]), b"three")) as server,
        aiohttp.ClientSession() as session,
        session.post(server.url) as answer,
    ):
        await answer.content.wait_eof()
        assert await arrived(answer.content) == b"one two three"


async def test_a_connection_that_breaks_is_told() -> None:
    async with (
        Loopback(stream(b"half", end=FIN)) as server,
        aiohttp.ClientSession() as session,
        session.post(server.url) as answer,
    ):
        with pytest.raises(BROKEN):
            await answer.content.wait_eof()
        with pytest.raises(BROKEN):
            await arrived(answer.content)
        assert unread(answer.content) == b"half"
