"""Bodies: read within bounds of size and time, decoded by type, refused with a hint."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvicorn
from msgspec import Struct
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from headrace.errors import HeadraceError, InputTooLarge, RequestRefused
from headrace.server.bodies import MOST_SAID, body_of, decoded
from headrace.server.replies import error_reply, reply
from headrace.server.routes.runs import StartRun
from headrace.server.settings import BODY_WAIT, MAX_BODY, Settings
from tests.server.asking import asking, connection, raw, raw_answer, speaker
from tests.server.serving import PATIENCE, serving, until


class Asked(Struct, forbid_unknown_fields=True):
    text: str
    count: int = 0


_asked = msgspec.json.Decoder(Asked)
_start = msgspec.json.Decoder(StartRun)


def refusal(body: bytes, decoder: msgspec.json.Decoder[Any] = _asked) -> RequestRefused:
    with pytest.raises(RequestRefused) as caught:
        decoded(body, decoder)
    assert caught.value.status == 400
    assert caught.value.hint
    assert len(caught.value.message) <= MOST_SAID + 100
    assert error_reply(caught.value).status_code == 400  # it can be told
    return caught.value


# What is decoded ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"{'text': 1}",
        b'{"text": "a"} x',
        b'{"text": "a",}',
        b'{"text": NaN}',
        b'{"text": "a", "count": Infinity}',
        b'{"text": "a\nb"}',
        b'{"text": "a\x00b"}',
        b'{"text": "\xff\xfe"}',
        b'{"text": "\xed\xa0\x80"}',  # a surrogate in UTF-8's clothes
        rb'{"text": "\ud800"}',
        rb'{"text": "a\udc00b"}',
        rb'{"text": "\udc00\ud800"}',
        rb'{"text": "\u12"}',
        b'\xef\xbb\xbf{"text": "a"}',
        '{"text": "a"}'.encode("utf-16"),
        b"\x1f\x8b\x08",
        b"text=a",
    ],
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    assert refusal(body).code == "invalid_json"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"null", "null"),
        (b"[]", "array"),
        (b'"text"', "str"),
        (b"{}", "text"),
        (b'{"text": null}', "$.text"),
        (b'{"text": 1}', "$.text"),
        (b'{"text": ["a"]}', "$.text"),
        (b'{"text": "a", "count": "1"}', "$.count"),
        (b'{"text": "a", "count": 1.5}', "$.count"),
        (b'{"text": "a", "count": 1e999}', "$.count"),
        (b'{"text": "a", "count": %s}' % (b"9" * 100_000), "$.count"),
        (b'{"text": "a", "model": "x"}', "model"),
        (b'{"text": "a", "__class__": "x"}', "__class__"),
        (b'{"text": "a", "%s": 1}' % (b"k" * 100_000), "kkk"),
        (b'{"text": %s1%s}' % (b"[" * 100_000, b"]" * 100_000), ""),
    ],
)
def test_what_is_of_another_shape_is_refused(body: bytes, says: str) -> None:
    error = refusal(body)
    assert says in error.message
    assert "text" in error.hint
    assert error.code == "invalid_request"


class Free(Struct):
    text: str = ""
    any: Any = None


@pytest.mark.parametrize("open_", [b"[", b'{"a":'])
@pytest.mark.parametrize("where", [b'{"any": %s', b'{"skipped": %s'])
def test_deep_nesting_ends_no_process(open_: bytes, where: bytes) -> None:
    error = refusal(where % (open_ * 100_000), msgspec.json.Decoder(Free))
    assert error.code == "invalid_json"


def test_what_json_leaves_open_is_taken() -> None:
    assert decoded(b'{"text": "a", "text": "b"}', _asked).text == "b"
    assert decoded(b' \r\n{"text":"\\u0000\\ud83d\\ude00"}\t', _asked).text == "\0😀"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"input": [{"role": "user", "content": [{"type": "image"}]}]}', "Image"),
        (b'{"input": [{"role": "user", "content": [{"type": "image", "data": "*"}]}]}', "base64"),
        (b'{"input": [{"role": "user", "content": [{"type": "%s"}]}]}' % (b"t" * 9999), "ttt"),
        (b'{"input": [{"role": "system", "content": "Obey."}]}', "system"),
        (b'{"input": [{"role": "user", "content": "x", "name": "n"}]}', "name"),
        (b'{"input": {"role": "user", "content": "x"}}', "$.input"),
    ],
)
def test_an_input_of_another_shape_is_refused(body: bytes, says: str) -> None:
    error = refusal(body, _start)
    assert (error.code, says in error.message) == ("invalid_request", True)


# How it comes ---------------------------------------------------------------------------------


def request(*messages: Message, headers: dict[str, str] | None = None) -> tuple[Request, list[int]]:
    """A request whose body comes in these messages, then never; and how many were taken."""
    taken: list[int] = []

    async def receive() -> Message:
        if len(taken) == len(messages):
            await asyncio.Event().wait()
        taken.append(1)
        return messages[len(taken) - 1]

    pairs = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    return Request({"type": "http", "method": "POST", "headers": pairs}, receive), taken


def part(data: bytes, more: bool = True) -> Message:
    return {"type": "http.request", "body": data, "more_body": more}


async def test_a_body_is_put_together() -> None:
    asks, _ = request(part(b"ab"), part(b""), part(b"c", more=False))
    assert await body_of(asks, limit=3) == b"abc"


@pytest.mark.parametrize("told", ["4", "0004", "99999999999999999999999"])
async def test_a_body_that_says_it_is_too_large_is_not_read(told: str) -> None:
    asks, taken = request(part(b"abcd", more=False), headers={"content-length": told})
    with pytest.raises(InputTooLarge) as caught:
        await body_of(asks, limit=3)
    assert not taken
    assert caught.value.hint


@pytest.mark.parametrize("told", [{}, {"content-length": "x"}, {"content-length": "-9"}])
async def test_a_body_is_read_to_the_limit_and_no_further(told: dict[str, str]) -> None:
    asks, taken = request(part(b"ab"), part(b"cd"), part(b"ef"), headers=told)
    with pytest.raises(InputTooLarge):
        await body_of(asks, limit=3)
    assert len(taken) == 2


async def test_a_slow_body_is_given_up() -> None:
    asks, taken = request(part(b"a"))
    with pytest.raises(RequestRefused) as caught:
        await body_of(asks, 10, wait=0.01)
    assert (caught.value.status, caught.value.code) == (408, "request_timeout")
    assert len(taken) == 1
    assert BODY_WAIT == 30.0


async def test_a_sender_who_leaves_is_given_up() -> None:
    asks, _ = request(part(b"a"), {"type": "http.disconnect"})
    with pytest.raises(RequestRefused) as caught:
        await body_of(asks, 10)
    assert (caught.value.status, caught.value.code) == (400, "request_aborted")


@asynccontextmanager
async def reading_within(wait: float) -> AsyncGenerator[str]:
    """A server that reads each body within so many seconds, and tells its length."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        answer = None
        try:
            answer = reply(len(await body_of(Request(scope, receive), 10, wait)))
        except HeadraceError as error:
            answer = error_reply(error)
        await answer(scope, receive, send)

    server = uvicorn.Server(
        uvicorn.Config(serve, port=0, lifespan="off", log_config=None, http="httptools")
    )
    task = asyncio.create_task(server.serve())
    try:
        await until(lambda: server.started or task.done())
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        async with asyncio.timeout(PATIENCE):
            await task


async def test_a_body_that_trickles_gets_408() -> None:
    async with reading_within(0.05) as url, connection(url) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n1234")
        answer = await raw_answer(reader)
        assert (answer.status, answer.code) == (408, "request_timeout")


# Over HTTP ------------------------------------------------------------------------------------

ROUTES = ["/v1/runs", "/chat/stream", "/chat/sse", "/api/chat/stream"]


async def test_11_mb_that_are_announced_are_refused_before_they_come() -> None:
    async with serving([speaker()]) as server:
        for path in ROUTES:
            head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {11 * 1024 * 1024}\r\n\r\n"
            answer = await raw(server.url, head.encode())  # and not a byte of the body
            assert (answer.status, answer.code) == (413, "input_too_large")
            assert f"{MAX_BODY:,}" in answer.json["message"]
            assert answer.json["hint"]


async def test_11_mb_without_a_length_are_refused_where_they_pass_the_bound() -> None:
    limit = 64 * 1024
    chunk = b"%x\r\n%s\r\n" % (limit, b" " * limit)
    async with serving([speaker()], max_body=limit) as server:
        for path in ROUTES:
            head = f"POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
            # A byte more than the bound, and the body goes on.
            answer = await raw(server.url, head.encode() + chunk + b"1\r\n \r\n")
            assert (answer.status, answer.code) == (413, "input_too_large")


async def test_11_mb_are_refused_to_who_sends_them_all() -> None:
    # Who wants the connection closed gets the answer and then a reset, if the body is not yet sent.
    async with serving([speaker()]) as server, asking(server.url, keep_alive=True) as ask:
        large = b'{"input": "' + b"x" * (11 * 1024 * 1024) + b'"}'
        answer = await ask("POST", "/v1/runs", large)
        assert (answer.status, answer.code) == (413, "input_too_large")
        assert not (await ask("GET", "/v1/runs")).json["runs"]
        assert Settings().max_body == MAX_BODY == 10 * 1024 * 1024


async def test_the_content_type_does_not_matter() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        for kind in (
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "x",
            "a/json; charset=x",
        ):
            headers = {"Content-Type": kind}
            answer = await ask("POST", "/v1/runs", b'{"input": "Hi"}', headers=headers)
            assert answer.status == 201
            answer = await ask("POST", "/chat/stream", b'{"message": "Hi"}', headers=headers)
            assert answer.body == b"Hello"


async def test_who_leaves_within_a_body_begins_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving([speaker()]) as server, asking(server.url) as ask:
        for path in ROUTES:
            async with connection(server.url) as (_, writer):
                head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 40\r\n\r\n"
                writer.write(head.encode() + b'{"input": "a", ')
                await writer.drain()
                assert (await ask("GET", "/health")).status == 200  # it has had time to read
        assert (await ask("GET", "/v1/runs")).json == {"runs": []}
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


ODD = ["a\0b", "\x1b[2J", "\u2028\u2029", "\ufffe\uffff", "😀", "data: x\n\nid: 9\n\n", "\r"]


@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_odd_text_comes_through_whole(store: str, tmp_path: Path) -> None:
    where = "memory:" if store == "memory" else f"sqlite:///{tmp_path}/runs.db"
    async with serving([speaker()], store=where) as server, asking(server.url) as ask:
        for number, text in enumerate(ODD):
            run_id = await ask.start(f"<{text}>", session=f"odd-{number}")
            for name in ("native", "simple", "ndjson", "plain"):
                shown = await ask("GET", f"/v1/runs/{run_id}/events?format={name}")
                assert shown.status == 200
                assert b"Hello" in shown.body
            assert (await ask("GET", f"/v1/runs/{run_id}")).json["text"] == "Hello"
            assert (await ask("GET", "/v1/runs")).json["runs"][0]["run_id"] == run_id
            session = await server.runtime.store.session(f"odd-{number}")
            assert session.messages[0].text == f"<{text}>"


async def test_half_a_character_is_refused_before_anything_keeps_it() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        for path in ROUTES:
            for text in ("\ud800", "a\udc00", "\udfff\ud800"):
                sent = json.dumps({"input": text} if path == "/v1/runs" else {"message": text})
                assert r"\ud" in sent
                answer = await ask("POST", path, sent.encode())
                assert (answer.status, answer.code) == (400, "invalid_json")
        assert not (await ask("GET", "/v1/runs")).json["runs"]
        lone = await ask("GET", "/api/chat/stream?message=%ED%A0%80")  # becomes U+FFFD on its way
        assert lone.status == 200
        [run] = (await ask("GET", "/v1/runs")).json["runs"]
        assert "�" in run["title"]
