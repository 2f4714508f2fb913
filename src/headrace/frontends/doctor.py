"""The examination of a server and of what stands before it: asks, and takes the times."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping

import aiohttp
import msgspec

from headrace.errors import HeadraceError, InvalidResponse
from headrace.frontends.doctor_measured import Arrival, Examined, Health, Probe, Way
from headrace.frontends.remote_http import CONNECT, Body, Server, decoded
from headrace.wire.sse_decoder import SSEDecoder

FRAMES = 8
INTERVAL = 0.2
"""Seconds between two frames: far above what a network shakes them by."""
PAD = 6000
"""Bytes of a large frame: past the 4 KiB of nginx's buffers, below what most others hold."""
GRACE = 20.0
"""Seconds beyond the last frame for which a stream is waited for."""


class _Frame(msgspec.Struct):
    n: int
    sent_at: float
    http_version: str = ""
    via: str = ""
    hops: int = 0
    headers: tuple[str, ...] = ()


class _Status(msgspec.Struct):
    status: str


async def examine(server: Server, idle: int = 0) -> Examined:
    """Look at a server from here, through whatever stands between; takes a few seconds.

    Four streams are read at the same time, then one with a silence in it where `idle` is given.
    No error is raised: what cannot be measured is told in its place.

    Args:
        server: The server.
        idle: Seconds of silence to try, 1 to 300; 0 tries none.
    """
    url = str(server.url)
    health = await _health(server)
    if isinstance(health, str):
        return Examined(url, health)
    small = {"frames": str(FRAMES), "interval_ms": f"{INTERVAL * 1000:.0f}"}
    large = small | {"pad": str(PAD)}
    silence = {"idle": str(idle)}
    probes = await asyncio.gather(
        _probe(server, small, FRAMES, INTERVAL),
        _probe(server, large, FRAMES, INTERVAL),
        _probe(server, large | {"hint": "0"}, FRAMES, INTERVAL),
        _probe(server, small, FRAMES, INTERVAL, "gzip"),
    )
    silent = await _probe(server, silence, 2, float(idle)) if idle else None
    return Examined(url, health, *probes, silent, await _offers(server))


async def _health(server: Server) -> Health | str:
    begin = _now()
    body = await server.ask("GET", "/health")
    after = _now() - begin
    try:
        told: _Status = decoded(body, _Status, server.where)
    except HeadraceError as error:
        return str(error)
    return Health(told.status, after)


async def _probe(
    server: Server, query: Mapping[str, str], asked: int, interval: float, encoding: str = ""
) -> Probe | str:
    """Read one stream of frames; why not, where there is none."""
    begin = _now()
    headers = {"Accept": "text/event-stream", "Accept-Encoding": encoding or "identity"}
    gap = asked * interval + GRACE  # one who holds everything back is silent for so long
    answer = await server.open("GET", "/v1/doctor", query=query, headers=headers, gap=gap)
    if isinstance(answer, HeadraceError):
        return str(answer)
    head_after = _now() - begin
    body = Body(answer)
    frames: list[tuple[_Frame, float]] = []
    try:
        async with asyncio.timeout(gap):
            await _read(body, frames, asked, begin)
    except TimeoutError:
        pass
    except (HeadraceError, msgspec.MsgspecError):
        frames = []
    finally:
        body.close()
    if not frames:
        return str(_no_frames(server, answer))
    arrivals = tuple(Arrival(frame.sent_at, arrived) for frame, arrived in frames)
    coding = answer.headers.get("content-encoding", "")
    way = _way(answer, frames[0][0])
    return Probe(asked, interval, head_after, arrivals, _now() - begin, coding, way)


async def _read(body: Body, frames: list[tuple[_Frame, float]], asked: int, begin: float) -> None:
    """The frames of the body, each with the time at which it was there."""
    decoder = SSEDecoder()
    while len(frames) <= asked and (data := await body.read()):
        now = _now() - begin
        for event in decoder.feed(data):
            frames.append((msgspec.json.decode(event.data, type=_Frame), now))


def _way(answer: aiohttp.ClientResponse, first: _Frame) -> Way:
    headers = {name.lower(): text for name, text in answer.headers.items()}
    return Way(headers, first.http_version, first.via, first.hops, first.headers)


def _no_frames(server: Server, answer: aiohttp.ClientResponse) -> HeadraceError:
    return InvalidResponse(
        f"{server.where} answered /v1/doctor with {answer.content_type} and no frames.",
        hint="Is it a Headrace server?",
    )


async def _offers(server: Server) -> str:
    """What TLS would give a browser; ``""`` where there is no TLS, or no answer."""
    url = server.url
    if url.scheme != "https":
        return ""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        async with asyncio.timeout(CONNECT):
            _, writer = await asyncio.open_connection(url.host, url.port, ssl=context)
    except (OSError, TimeoutError):
        return ""
    chosen = writer.get_extra_info("ssl_object").selected_alpn_protocol()
    writer.transport.abort()
    return chosen or "http/1.1"


def _now() -> float:
    return asyncio.get_running_loop().time()
