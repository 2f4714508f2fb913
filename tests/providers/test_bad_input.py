"""Every way in which a server can be wrong: one clear error each, and no secret in any of them."""

from __future__ import annotations

import asyncio
import socket
import traceback
from dataclasses import dataclass
from typing import Any

import pytest

from headrace.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    DeadlineExceeded,
    HeadraceError,
    InvalidResponse,
    ProviderUnavailable,
    RateLimited,
    RequestRejected,
    StreamingUnsupported,
    StreamTruncated,
)
from headrace.models.deadlines import Deadlines
from headrace.models.deltas import TextDelta
from headrace.models.request import ModelRequest
from headrace.models.retry import NO_RETRY
from headrace.providers.openai_chat.client import OpenAIChat
from headrace.wire.sse_decoder import MAX_LINE
from tests.providers.chat_bodies import STOP, chunk, event
from tests.support.loopback import (
    FIN,
    RESET,
    STALL,
    Loopback,
    Script,
    head,
    http_chunk,
    reply,
    stream,
)

KEY = "canary-0123456789abcdef"
PAGE = f"<!doctype html><html><title>Sign in {KEY}</title><p>x</p></html>"
ENDLESS = [http_chunk(b"x" * 65536)] * (MAX_LINE // 65536 + 2)


@dataclass(frozen=True)
class Case:
    """A server's script and the error that it shall give: words of it, and the text before."""

    script: Script
    kind: type[HeadraceError]
    words: tuple[str, ...]
    text: str = ""


CASES = {
    "a wrong key": Case(
        reply(401, {"error": {"message": f"Incorrect API key provided: {KEY}."}}),
        AuthenticationFailed,
        ("401 Unauthorized", "Incorrect API key provided: ****", "ACME_API_KEY"),
    ),
    "a key without the right": Case(
        reply(403, {"detail": f"Bearer {KEY} may not"}), AuthenticationFailed, ("403", "may not")
    ),
    "an HTML page with 200": Case(
        reply(200, PAGE, "text/html; charset=utf-8"),
        InvalidResponse,
        ("200", "an HTML page (“Sign in ****”)", "base_url"),
    ),
    "an HTML page that says it is a stream": Case(
        [head(), http_chunk(PAGE.encode()), http_chunk(b"")],
        InvalidResponse,
        ("no event stream", "Sign in ****"),
    ),
    "an HTML page with 502": Case(
        reply(502, PAGE, "text/html"), ProviderUnavailable, ("502 Bad Gateway", "HTML page")
    ),
    "a redirect": Case(
        reply(307, b"", headers={"location": f"https://elsewhere.example/?{KEY}"}),
        InvalidResponse,
        ("307", "elsewhere.example", "base_url"),
    ),
    "half a JSON, then FIN": Case(
        stream(chunk("Hi"), b'data: {"choices":[{"del', end=FIN), StreamTruncated, ("ended",), "Hi"
    ),
    "a reset": Case(stream(chunk("Hi"), 0.01, end=RESET), StreamTruncated, ("ended",), "Hi"),
    "a stall": Case(
        stream(chunk("Hi"), end=STALL), DeadlineExceeded, ("no further content", "`gap`"), "Hi"
    ),
    "a stall before the answer": Case([STALL], DeadlineExceeded, ("no first content",)),
    "a 429 with retry-after": Case(
        reply(429, {"error": {"message": "slow"}}, headers={"retry-after": "7"}),
        RateLimited,
        ("429 Too Many Requests", "slow", "Ask again"),
    ),
    "a spent quota": Case(
        reply(429, {"error": {"message": "no", "code": "insufficient_quota"}}),
        RateLimited,
        ("429", "billing"),
    ),
    "a request that is refused": Case(
        reply(422, {"detail": [{"loc": ["body", "n"], "msg": "too large"}]}),
        RequestRejected,
        ("422", "body.n: too large"),
    ),
    "a model that is not there": Case(
        reply(404, {"error": {"message": "no model m"}}), RequestRejected, ("404", "model's name")
    ),
    "an overload": Case(reply(529, b"busy", "text/plain"), ProviderUnavailable, ("529", "busy")),
    "garbage bytes for HTTP": Case([b"\x00\xffgarbage\r\n\r\n", FIN], InvalidResponse, ("HTTP",)),
    "garbage bytes for a stream": Case(
        [head(), http_chunk(b"\x00\xff\x9f" * 50), http_chunk(b"")],
        InvalidResponse,
        ("no event stream", "base_url"),
    ),
    "garbage in an event": Case(
        stream(chunk("Hi"), event(f"garbage {KEY}"), STOP),
        InvalidResponse,
        ("no piece of an answer", "garbage ****"),
        "Hi",
    ),
    "an endless line": Case(
        [head(), http_chunk(chunk("Hi")), 0.01, *ENDLESS, STALL],
        InvalidResponse,
        (f"{MAX_LINE} bytes",),
        "Hi",
    ),
    "an error within the stream": Case(
        stream(chunk("Hi"), event({"error": {"message": f"no {KEY}", "code": 503}}), end=STALL),
        ProviderUnavailable,
        ("503", "no ****"),
        "Hi",
    ),
    "an error in JSON with 200": Case(
        reply(200, {"error": {"message": f"no {KEY}", "type": "invalid_request_error"}}),
        RequestRejected,
        ("no ****",),
    ),
    "a flat error in JSON with 200": Case(
        reply(200, {"object": "error", "message": "no", "code": 400}), RequestRejected, ("no",)
    ),
    "an answer that is not streamed": Case(
        reply(200, {"object": "chat.completion", "choices": [{"message": {"content": "x"}}]}),
        StreamingUnsupported,
        ("answered whole", "cannot stream"),
    ),
    "JSON that is no answer": Case(
        reply(200, {"status": "ok"}), InvalidResponse, ("JSON that is no answer", "base_url")
    ),
    "no answer at all": Case([FIN], ConnectionFailed, ("closed the connection without an answer",)),
    "a reset for an answer": Case([RESET], ConnectionFailed, ("closed the connection",)),
    "an answer without a body": Case(reply(204), InvalidResponse, ("204 with nothing",)),
    "a stream without a body": Case(reply(200, b"", "text/event-stream"), StreamTruncated, ()),
}


def model(base_url: str) -> OpenAIChat:
    return OpenAIChat(
        "m",
        provider="acme",
        base_url=base_url,
        api_key=KEY,
        key_variable="ACME_API_KEY",
        retry=NO_RETRY,
    )


async def ask(one: OpenAIChat) -> tuple[str, HeadraceError]:
    """The text that was shown, and the one error."""
    shown = ""
    try:
        async with one.stream(ModelRequest.of("Hi")) as batches:
            async for batch in batches:
                shown += "".join(d.content for d in batch if isinstance(d, TextDelta))
    except HeadraceError as error:
        return shown, error
    raise AssertionError("no error was raised")


def everything_of(error: BaseException) -> str:
    """All that a log or a crash reporter could show of an error, its causes and its frames."""
    texts = [repr(error), str(error), repr(error.args), repr(vars(error))]
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    texts += report.format()
    frame = error.__traceback__
    while frame is not None:
        texts.append(repr(frame.tb_frame.f_locals))
        frame = frame.tb_next
    for other in (error.__cause__, error.__context__):
        if other is not None:
            texts.append(everything_of(other))
    return "\n".join(texts)


@pytest.mark.parametrize("name", CASES)
async def test_one_clear_error_without_a_secret(name: str) -> None:
    case = CASES[name]
    async with Loopback(case.script) as server:
        one = model(server.url)
        if case.kind is DeadlineExceeded:  # a short one would end the others on a busy machine
            one.deadlines = Deadlines(**{"gap" if case.text else "first_content": 0.1})
        shown, error = await ask(one)
        if case.script[-1] is STALL:
            await server.all_closed()
    assert type(error) is case.kind
    assert shown == case.text
    for word in case.words:
        assert word in str(error)
    assert "acme" in str(error)
    assert str(error).isprintable()
    assert error.hint
    assert KEY not in everything_of(error)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


async def test_a_refused_connection() -> None:
    port = free_port()
    _, error = await ask(model(f"http://127.0.0.1:{port}/v1"))
    assert type(error) is ConnectionFailed
    assert error.retryable
    assert f"127.0.0.1:{port}" in str(error)
    assert "Is the server running?" in str(error)
    assert KEY not in everything_of(error)


async def test_a_host_that_does_not_exist() -> None:
    _, error = await ask(model("http://no.such.host.invalid/v1"))
    assert type(error) is ConnectionFailed
    assert "no.such.host.invalid" in str(error)
    assert KEY not in everything_of(error)


async def test_tls_with_a_server_that_speaks_none() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        _, error = await ask(model(f"https://127.0.0.1:{port}/v1"))
    assert type(error) is ConnectionFailed
    assert not error.retryable
    assert f"TLS with 127.0.0.1:{port} failed" in str(error)
    assert "https" in error.hint
    assert KEY not in everything_of(error)


async def test_a_proxy_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, f"socks5://user:{KEY}@127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    _, error = await ask(model("http://far.example/v1"))
    assert "HTTP_PROXY" in str(error)
    assert KEY not in str(error)


async def test_an_answer_that_refuses_and_then_stalls() -> None:
    wire: list[Any] = [head(500, "application/json"), http_chunk(b'{"error":"no'), STALL]
    async with Loopback(wire) as server:
        one = model(server.url)
        one.deadlines = Deadlines(gap=0.2)
        _, error = await ask(one)
    assert type(error) is ProviderUnavailable
    assert "500" in str(error)
