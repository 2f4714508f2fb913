"""The probe: frames at their times, over a real server, within its bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiohttp
import msgspec
import pytest

from headrace.server import doctor as module
from headrace.server.doctor import MAX_PROBES, Frame
from headrace.wire.sse_decoder import SSEDecoder
from tests.support.probed import probed


@asynccontextmanager
async def asked(
    query: str, headers: dict[str, str] | None = None
) -> AsyncGenerator[aiohttp.ClientResponse]:
    async with (
        probed() as url,
        aiohttp.ClientSession() as http,
        http.get(f"{url}/v1/doctor?{query}", headers=headers) as answer,
    ):
        yield answer


def frames_of(body: bytes) -> list[Frame]:
    return [msgspec.json.decode(event.data, type=Frame) for event in SSEDecoder().feed(body)]


async def test_frames_come_one_by_one_each_with_its_time() -> None:
    async with asked("frames=3&interval_ms=400&pad=5") as answer:
        begin = await answer.content.readany()
        body = begin + await answer.read()
    assert len(frames_of(begin)) < 3
    frames = frames_of(body)
    assert [(f.n, f.of, f.http_version, f.pad) for f in frames] == [
        (n, 3, "1.1", ".....") for n in (1, 2, 3)
    ]
    assert frames[2].sent_at - frames[0].sent_at >= 0.79
    assert b"\r" not in body


async def test_its_headers_are_those_of_a_stream() -> None:
    async with asked("frames=1") as answer:
        headers = answer.headers
    assert headers["content-type"].partition(";")[0] == "text/event-stream"
    assert headers["cache-control"] == "no-cache, no-transform"
    assert headers["x-accel-buffering"] == "no"
    assert headers["transfer-encoding"] == "chunked"
    async with asked("frames=1&hint=0") as answer:
        assert "x-accel-buffering" not in answer.headers


async def test_it_tells_what_the_way_has_added_but_no_address() -> None:
    added = {
        "Via": "1.1 one, 1.1 two",
        "X-Forwarded-For": "203.0.113.9, 10.0.0.7",
        "X-Real-IP": "203.0.113.9",
        "CF-Ray": "abc",
    }
    async with asked("frames=2&interval_ms=0", added) as answer:
        body = await answer.read()
    first, second = frames_of(body)
    assert (first.via, first.hops) == ("1.1 one, 1.1 two", 2)
    assert first.headers == ("via", "x-forwarded-for", "x-real-ip", "cf-ray")
    assert (second.via, second.hops, second.headers) == ("", 0, ())
    assert b"203.0.113.9" not in body


async def test_silence_lies_between_two_frames() -> None:
    async with asked("idle=1") as answer:
        body = await answer.read()
    first, second = frames_of(body)
    assert (first.of, second.n) == (2, 2)
    assert second.sent_at - first.sent_at >= 0.99
    assert body.count(b"\n\n") == 2  # and no keep-alive


@pytest.mark.parametrize(
    "query",
    [
        *("frames=0", "frames=101", "frames=x", "frames=-1", "frames=", "frames=٣"),
        *("interval_ms=2001", "pad=8193", "idle=301", "hint=2", f"frames={'9' * 5000}"),
    ],
)
async def test_a_query_out_of_bounds_is_refused_with_its_bounds(query: str) -> None:
    async with asked(query) as answer:
        told = await answer.json()
    assert answer.status == 400
    assert told["code"] == "bad_query"
    assert f"`{query.partition('=')[0]}` is a whole number from" in told["message"]


@contextmanager
def live_probes() -> Iterator[module._Live]:
    yield module._live
    assert module._live.count == 0


async def test_a_reader_who_leaves_ends_the_probe() -> None:
    with live_probes() as live:
        async with probed() as url, aiohttp.ClientSession() as http:
            async with http.get(f"{url}/v1/doctor?idle=300") as answer:
                await answer.content.readany()
                assert live.count == 1
            async with asyncio.timeout(10):
                while live.count:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)


async def test_only_so_many_live_at_a_time() -> None:
    with live_probes():
        async with probed() as url, aiohttp.ClientSession() as http:
            idle = [await http.get(f"{url}/v1/doctor?idle=300") for _ in range(MAX_PROBES)]
            refused = await http.get(f"{url}/v1/doctor")
            assert (refused.status, refused.headers["retry-after"]) == (503, "5")
            assert (await refused.json())["code"] == "too_many_probes"
            for answer in idle:
                answer.close()
