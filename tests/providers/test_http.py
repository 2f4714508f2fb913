"""The HTTP client against real sockets: what is sent, what is read, what is closed."""

from __future__ import annotations

import asyncio
import gzip
import socket
import subprocess
import sys
import textwrap
from statistics import median
from typing import Any

import pytest

from headrace.errors import DeadlineExceeded, ProviderError, StreamTruncated
from headrace.models.assembler import Turn, assemble
from headrace.models.deadlines import Deadlines
from headrace.models.deltas import Delta, Failure, Finish, Note, TextDelta
from headrace.models.request import ModelRequest
from headrace.models.retry import NO_RETRY, RetryPolicy
from headrace.providers.failures import Failures
from headrace.providers.http import Endpoint, HttpAttempt
from headrace.providers.openai_chat.client import OpenAIChat
from headrace.providers.openai_chat.decode import ChatDecoder
from tests.providers.chat_bodies import STOP, chunk, finish
from tests.support.loopback import FIN, RESET, STALL, Loopback, head, http_chunk, reply, stream

KEY = "canary-0123456789abcdef"
ASK = ModelRequest.of("Hi")


def model(server: Loopback, **settings: Any) -> OpenAIChat:
    settings = {"retry": NO_RETRY, "base_url": server.url, **settings}
    return OpenAIChat("m", provider="acme", api_key=KEY, **settings)


async def answer(server: Loopback, **settings: Any) -> Turn:
    return await model(server, **settings).complete(ASK)


async def failed(server: Loopback, **settings: Any) -> tuple[ProviderError, Turn]:
    with pytest.raises(ProviderError) as caught:
        await answer(server, **settings)
    turn = caught.value.turn
    assert isinstance(turn, Turn)
    return caught.value, turn


async def test_an_answer_streams_and_ends() -> None:
    async with Loopback(stream(chunk("Hel"), 0.001, chunk("lo"), STOP)) as server:
        turn = await answer(server)
    assert (turn.text, turn.finish_reason) == ("Hello", "stop")


async def test_what_the_server_is_sent() -> None:
    async with Loopback(stream(STOP)) as server:
        await answer(server, headers={"X-Mine": "1"})
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", "/v1/chat/completions")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept"] == "text/event-stream"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["x-mine"] == "1"
    assert request.json["messages"] == [{"role": "user", "content": "Hi"}]
    assert KEY.encode() not in request.body


async def test_without_a_key_no_authorization_is_sent() -> None:
    async with Loopback(stream(STOP)) as server:
        await OpenAIChat("m", base_url=server.url).complete(ASK)
    assert "authorization" not in server.requests[0].headers


async def test_a_query_in_the_base_url_is_kept() -> None:
    async with Loopback(stream(STOP)) as server:
        await answer(server, base_url=f"{server.url}/?api-version=1")
    assert server.requests[0].target == "/v1/chat/completions?api-version=1"


async def test_cookies_are_not_kept() -> None:
    body = [head(headers={"set-cookie": "a=b"}), http_chunk(STOP), http_chunk(b"")]
    async with Loopback(body) as server:
        one = model(server)
        await one.complete(ASK)
        await one.complete(ASK)
    assert [request.headers.get("cookie") for request in server.requests] == [None, None]


async def test_a_connection_is_used_again_after_a_whole_answer() -> None:
    body = [head(), http_chunk(chunk("a")), http_chunk(STOP), 0.002, http_chunk(b"")]
    async with Loopback(body) as server:
        one = model(server)
        for _ in range(3):
            assert (await one.complete(ASK)).text == "a"
        assert len(server.connections) == 1


async def test_an_answer_that_ends_without_closing_is_whole_all_the_same() -> None:
    async with Loopback(stream(chunk("a"), STOP, end=STALL)) as server:
        assert (await answer(server)).text == "a"
        await server.closed(0)


async def test_500_streams_at_once() -> None:
    go = asyncio.Event()
    async with Loopback(stream(chunk("a"), go, chunk("b"), STOP)) as server:
        one = model(server)
        tasks = [asyncio.create_task(one.complete(ASK)) for _ in range(500)]
        await server.asked(500)
        go.set()
        assert [turn.text for turn in await asyncio.gather(*tasks)] == ["ab"] * 500


async def test_compressed_answers_are_read_though_none_was_asked_for() -> None:
    packed = gzip.compress(chunk("a") + STOP)
    body = [head(headers={"content-encoding": "gzip"}), http_chunk(packed[:20])]
    async with Loopback([*body, http_chunk(packed[20:]), http_chunk(b"")]) as server:
        assert (await answer(server)).text == "a"


async def test_an_error_that_decompresses_without_end_is_bounded() -> None:
    bomb = gzip.compress(b"x" * 200_000_000, 1)
    async with Loopback(reply(500, bomb, "text/plain", {"content-encoding": "gzip"})) as server:
        error, _ = await failed(server)
    assert error.status == 500
    assert len(error.message) < 5000


# --- broken connections -------------------------------------------------------------------------


@pytest.mark.parametrize("end", [FIN, RESET])
async def test_a_connection_that_breaks_keeps_the_text(end: object) -> None:
    async with Loopback(stream(chunk("a"), 0.01, chunk("b"), 0.01, end=end)) as server:
        error, turn = await failed(server)
    assert isinstance(error, StreamTruncated)
    assert (turn.text, turn.finish_reason) == ("ab", "error")


@pytest.mark.parametrize("end", [FIN, RESET])
async def test_after_the_finish_reason_a_broken_connection_is_a_whole_answer(end: object) -> None:
    async with Loopback(stream(chunk("a"), finish("length"), 0.01, end=end)) as server:
        turn = await answer(server)
    assert (turn.text, turn.finish_reason) == ("a", "length")


async def test_a_body_without_chunks_may_end_by_closing() -> None:
    async with Loopback([head(chunked=False), chunk("a") + STOP, FIN]) as server:
        assert (await answer(server)).text == "a"
    async with Loopback([head(chunked=False), chunk("a"), FIN]) as server:
        error, turn = await failed(server)
    assert isinstance(error, StreamTruncated)
    assert turn.text == "a"


async def test_what_had_arrived_before_a_reset_is_read() -> None:
    arrived = asyncio.Event()
    wire = [head(), http_chunk(chunk("a")), http_chunk(chunk("b")), arrived, RESET]
    async with Loopback(wire) as server:
        failures = Failures("acme")
        response = await Endpoint(server.url, failures).post("/chat/completions", b"{}", 5)
        content = response.content  # aiohttp tells nobody when these change, so they are polled
        while content.total_bytes < len(chunk("a") + chunk("b")):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        arrived.set()
        while content.exception() is None:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        attempt = HttpAttempt(response, ChatDecoder(failures))
        batch = await attempt.read()
        await attempt.close()
    assert batch[:2] == [TextDelta("a"), TextDelta("b")]
    assert isinstance(batch[2], Failure)
    assert isinstance(batch[2].error, StreamTruncated)


async def test_closing_an_attempt_twice_or_after_its_end_is_harmless() -> None:
    async with Loopback(stream(chunk("a"), STOP)) as server:
        attempt = await model(server).open(ASK)
        batches: list[Delta] = []
        while not (batches and isinstance(batches[-1], Finish)):
            batches += await attempt.read()
        await attempt.close()
        await attempt.close()
    assert assemble(batches).text == "a"


# --- leaving ------------------------------------------------------------------------------------


async def test_leaving_a_stream_closes_its_socket_at_once() -> None:
    late = []
    async with Loopback(stream(chunk("a"), end=STALL)) as server:
        one = model(server)
        for turn in range(20):
            async with one.stream(ASK) as batches:
                assert await anext(batches) == [TextDelta("a")]
                left = asyncio.get_running_loop().time()
            late.append(await server.closed(turn) - left)
    assert median(late) < 0.25  # one of them may fall into a pause of the machine


async def test_a_cancel_before_the_answer_closes_the_socket() -> None:
    async with Loopback([STALL]) as server:
        task = asyncio.create_task(answer(server))
        await server.asked(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.closed(0)


@pytest.mark.parametrize("script", [[STALL], stream(b": still here\n\n", end=STALL)])
async def test_a_stall_is_a_deadline_and_closes_the_socket(script: list[object]) -> None:
    async with Loopback(script) as server:
        with pytest.raises(DeadlineExceeded, match="acme: no first content came for more than"):
            await answer(server, deadlines=Deadlines(first_content=0.05))
        await server.all_closed()


async def test_a_gap_is_a_deadline_and_keeps_the_text() -> None:
    async with Loopback(stream(chunk("a"), end=STALL)) as server:
        error, turn = await failed(server, deadlines=Deadlines(gap=0.05))
        await server.closed(0)
    assert isinstance(error, DeadlineExceeded)
    assert (error.wait, turn.text) == ("gap", "a")


async def test_a_connection_that_is_never_accepted_is_a_deadline() -> None:
    # A full queue of connections: Linux drops further SYNs, so that connecting just waits.
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    address = full.getsockname()
    waiting = []
    for _ in range(4):
        waiting.append(socket.socket())
        waiting[-1].setblocking(False)
        waiting[-1].connect_ex(address)
    try:
        one = OpenAIChat(
            "m",
            provider="acme",
            base_url=f"http://127.0.0.1:{address[1]}/v1",
            deadlines=Deadlines(connect=0.1),
            retry=NO_RETRY,
        )
        with pytest.raises(DeadlineExceeded) as caught:
            await one.complete(ASK)
    finally:
        for peer in [full, *waiting]:
            peer.close()
    assert caught.value.wait == "connect"
    assert f"127.0.0.1:{address[1]}" in caught.value.hint


# --- retries ------------------------------------------------------------------------------------


async def test_a_429_is_asked_again_after_the_wait_that_was_told() -> None:
    busy = reply(429, {"error": {"message": "slow down"}}, headers={"retry-after-ms": "50"})
    async with Loopback(busy, stream(chunk("a"), STOP)) as server:
        begin = asyncio.get_running_loop().time()
        async with model(server, retry=RetryPolicy(retries=1)).stream(ASK) as batches:
            deltas = [delta async for batch in batches for delta in batch]
        took = asyncio.get_running_loop().time() - begin
    assert [type(delta) for delta in deltas] == [Note, TextDelta, Finish]
    assert took >= 0.05
    assert len(server.requests) == 2


async def test_nothing_is_shown_twice() -> None:
    async with Loopback(stream(chunk("a"), end=FIN), stream(chunk("b"), STOP)) as server:
        error, turn = await failed(server, retry=RetryPolicy(retries=2, base=0.0))
    assert isinstance(error, StreamTruncated)
    assert turn.text == "a"
    assert len(server.requests) == 1


async def test_a_stream_that_breaks_before_its_first_content_is_asked_for_again() -> None:
    async with Loopback(stream(end=RESET), [FIN], stream(chunk("b"), STOP)) as server:
        turn = await answer(server, retry=RetryPolicy(retries=2, base=0.0))
    assert turn.text == "b"


# --- proxies ------------------------------------------------------------------------------------


async def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Loopback(stream(chunk("a"), STOP)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("no_proxy", "")
        turn = await answer(proxy, base_url="http://far.example/v1")
    assert turn.text == "a"
    assert proxy.requests[0].target == "http://far.example/v1/chat/completions"


async def test_this_machine_is_never_reached_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Loopback(stream(chunk("a"), STOP)) as server:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        assert (await answer(server)).text == "a"


async def test_netrc_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with Loopback(stream(chunk("a"), STOP)) as server:
        await OpenAIChat("m", base_url=server.url).complete(ASK)
        await answer(server)
    assert "authorization" not in server.requests[0].headers
    assert server.requests[1].headers["authorization"] == f"Bearer {KEY}"


# --- the session --------------------------------------------------------------------------------


def python(code: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


async def test_nobody_has_to_close_anything() -> None:
    async with Loopback(stream(chunk("a"), STOP)) as server:
        code = f"""
            import asyncio
            from headrace.models.request import ModelRequest
            from headrace.providers.openai_chat.client import OpenAIChat
            model = OpenAIChat("m", base_url={server.url!r})
            async def ask():
                turns = [model.complete(ModelRequest.of("Hi")) for _ in range(3)]
                print(*[turn.text for turn in await asyncio.gather(*turns)])
            asyncio.run(ask())
            asyncio.run(ask())
        """
        assert await asyncio.to_thread(python, code) == "a a a\na a a\n"


async def test_a_loop_that_ends_in_the_middle_of_a_stream_leaves_nothing_open() -> None:
    async with Loopback(stream(chunk("a"), end=STALL)) as server:
        code = f"""
            import asyncio
            from headrace.models.request import ModelRequest
            from headrace.providers.openai_chat.client import OpenAIChat
            model = OpenAIChat("m", base_url={server.url!r})
            async def ask():
                async with model.stream(ModelRequest.of("Hi")) as batches:
                    async for batch in batches:
                        print(batch[0].content)
                        raise SystemExit(0)
            asyncio.run(ask())
        """
        assert await asyncio.to_thread(python, code) == "a\n"
        await server.closed(0)
