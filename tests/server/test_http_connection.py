"""The heads of requests: so large, so slow, and HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import Receive, Scope, Send

from headrace.server.http_connection import HEAD_WAIT, MAX_HEAD, HttpConnection
from headrace.server.replies import SECURITY, reply
from tests.server.asking import connection, raw, raw_answer
from tests.server.serving import PATIENCE, until

GET = b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n"


class Hasty(HttpConnection):
    head_wait = 0.05


async def answering(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await reply(len(scope["headers"]))(scope, receive, send)


@asynccontextmanager
async def listening(http: type[HttpConnection] = HttpConnection) -> AsyncGenerator[str]:
    config = uvicorn.Config(answering, port=0, lifespan="off", log_config=None, http=http)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    try:
        await until(lambda: server.started or task.done())
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        async with asyncio.timeout(PATIENCE):
            await task


async def test_heads_are_bounded_wherever_they_grow() -> None:
    async with listening() as url:
        for begins, more in [
            (b"GET /", b"a"),  # the address
            (b"GET / HTTP/1.1\r\nx: ", b"a"),  # one header
            (b"GET / HTTP/1.1\r\n", b"x: y\r\n"),  # many
            (b"GET / HTTP/1.1\r\n", b"a"),  # a name
        ]:
            async with connection(url) as (reader, writer):
                # Not a byte more than is refused: what a server has not read when it closes resets
                # the connection, and who is still writing then never reads the answer.
                writer.write((begins + more * MAX_HEAD)[: MAX_HEAD + 1])
                answer = await raw_answer(reader)
                assert (answer.status, answer.code) == (431, "headers_too_large")
                assert SECURITY.items() <= answer.headers.items()
                assert await reader.read() == b""  # closed


async def test_what_is_within_the_bounds_is_answered_again_and_again() -> None:
    large = b"GET /x HTTP/1.1\r\n" + b"x: " + b"a" * (MAX_HEAD // 2) + b"\r\n\r\n"
    body = b"POST /x HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % (3 * MAX_HEAD) + b"b" * 3 * MAX_HEAD
    async with listening() as url, connection(url) as (reader, writer):
        for request, headers in [(GET, 1), (large, 1), (body, 1), (large, 1), (GET + GET, 1)]:
            writer.write(request)
            for _ in range(request.count(b" HTTP/1.1")):
                answer = await raw_answer(reader)
                assert (answer.status, answer.json) == (200, headers)


async def test_who_never_ends_a_head_is_let_go() -> None:
    async with listening(Hasty) as url:
        for sent in (b"GET /x HT", b"GET /x HTTP/1.1\r\nhost: x\r\n", GET + b"G"):
            async with connection(url) as (reader, writer):
                writer.write(sent)
                if sent.startswith(GET):
                    assert (await raw_answer(reader)).status == 200
                answer = await raw_answer(reader)
                assert (answer.status, answer.code) == (408, "request_timeout")
                assert await reader.read() == b""
    assert (HEAD_WAIT, MAX_HEAD) == (15.0, 65536)


async def test_who_connects_and_says_nothing_is_let_go() -> None:
    async with listening(Hasty) as url, connection(url) as (reader, _):
        assert await reader.read() == b""


async def test_who_is_done_is_not_hurried() -> None:
    async with listening(Hasty) as url, connection(url) as (reader, writer):
        writer.write(GET)
        assert (await raw_answer(reader)).status == 200
        await asyncio.sleep(2 * Hasty.head_wait)  # the time is what is tested: nothing comes
        writer.write(GET)
        assert (await raw_answer(reader)).status == 200


NO_HTTP = [
    b"\x16\x03\x01\x02\x00\x01\x00",  # TLS
    b"BREW /pot HTTP/1.1\r\n\r\n",
    b"GET v1 HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET /\xc3\xa9 HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET /x HTTP/1.1\r\nhost: x\r\nx\0: y\r\n\r\n",
    b"POST /x HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /x HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
    b"POST /x HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]


async def test_what_is_no_http_is_refused_in_json() -> None:
    async with listening() as url:
        for sent in NO_HTTP:
            answer = await raw(url, sent)
            assert (answer.status, answer.code) == (400, "invalid_http"), sent
            assert answer.headers["connection"] == "close"
            assert SECURITY.items() <= answer.headers.items()
