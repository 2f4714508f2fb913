"""`GET /v1/doctor`: timed frames, by which `headrace doctor` sees what stands on the way.

Each frame says when it was sent. Whoever reads them late, all at once, compressed or cut off,
knows what the proxies on the way do to a stream. No run and no model is touched.

=============  ====================================================  ================
query          what                                                  default, bounds
=============  ====================================================  ================
`frames`       how many                                              10, 1 to 100
`interval_ms`  between two                                           100, 0 to 2000
`pad`          bytes of filler in each, for buffers of some size     0, 0 to 8192
`idle`         in place of these: two frames, so many seconds apart  0 (off), to 300
`hint`         0 leaves the header `x-accel-buffering` out           1, 0 to 1
=============  ====================================================  ================
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import time

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from headrace.errors import RequestRefused
from headrace.server.stream import STREAM_HEADERS
from headrace.wire.sse_encoder import encode_event

MAX_FRAMES = 100
MAX_INTERVAL = 2000
MAX_PAD = 8192
MAX_IDLE = 300
MAX_SECONDS = 310.0
"""Longest life of a probe, whoever reads it how slowly."""
MAX_PROBES = 20
"""Probes at a time; anyone may ask for one, so that the next is told to come later."""

_KNOWN = (
    *("via", "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"),
    *("x-forwarded-server", "x-forwarded-port", "x-real-ip", "cdn-loop", "cf-ray"),
    *("x-amzn-trace-id", "x-amz-cf-id", "x-azure-ref", "x-cloud-trace-context"),
    *("x-envoy-external-address", "fastly-client-ip", "fly-client-ip", "x-vercel-id"),
)


class Frame(Struct, frozen=True, omit_defaults=True):
    """What one frame tells.

    Attributes:
        n: Which one, from 1.
        of: How many there will be.
        sent_at: Unix seconds of this machine.
        http_version: What the last one on the way speaks to this server, such as ``1.1``.
        via: The request's `Via` header (first frame only).
        hops: How many addresses the way has left in `X-Forwarded-For` (first frame only).
        headers: Which headers the way has added: names, never values (first frame only).
        pad: Filler.
    """

    n: int
    of: int
    sent_at: float
    http_version: str
    via: str = ""
    hops: int = 0
    headers: tuple[str, ...] = ()
    pad: str = ""


async def doctor(request: Request) -> Response:
    """The probe.

    Raises:
        RequestRefused: 400 for a query out of bounds, 503 where too many probes are live.
    """
    return _Probe(_Plan(request.query_params), _seen(request))


class _Plan:
    """What is to be sent, and when."""

    def __init__(self, query: Mapping[str, str]) -> None:
        idle = _whole(query, "idle", 0, 0, MAX_IDLE)
        self.frames = 2 if idle else _whole(query, "frames", 10, 1, MAX_FRAMES)
        interval = _whole(query, "interval_ms", 100, 0, MAX_INTERVAL) / 1000
        self.interval = float(idle) if idle else interval
        self.pad = "." * _whole(query, "pad", 0, 0, MAX_PAD)
        self.hint = bool(_whole(query, "hint", 1, 0, 1))


def _whole(query: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) <= 9 and least <= int(text) <= most:
        return int(text)
    raise RequestRefused(
        400, "bad_query", f"`{name}` is a whole number from {least} to {most}, not {text[:40]!r}."
    )


def _seen(request: Request) -> Frame:
    """The first frame, but for its number and time."""
    headers = request.headers
    return Frame(
        *(0, 0, 0.0, str(request.scope.get("http_version", ""))),
        via=headers.get("via", "")[:200],
        hops=sum(1 for name in headers.get("x-forwarded-for", "").split(",") if name.strip()),
        headers=tuple(name for name in _KNOWN if name in headers),
    )


class _Live:
    """How many probes there are."""

    count = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count one more while inside."""
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1


_live = _Live()


class _Probe(Response):
    """Streams the frames; ends when its reader leaves."""

    def __init__(self, plan: _Plan, first: Frame) -> None:
        headers = {**STREAM_HEADERS}
        if not plan.hint:
            del headers["x-accel-buffering"]
        super().__init__(headers=headers, media_type="text/event-stream")
        del self.headers["content-length"]
        if _live.count >= MAX_PROBES:
            raise RequestRefused(
                503,
                "too_many_probes",
                f"{MAX_PROBES} probes are live; that is as many as there may be.",
                hint="Ask again a little later.",
                retry_after=5.0,
            )
        self._plan = plan
        self._first = first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the last frame, or until nobody reads."""
        with _live.one():
            loop = asyncio.get_running_loop()
            sending = loop.create_task(self._send(send))
            tasks = (sending, loop.create_task(_left(receive)))
            try:
                await asyncio.wait(tasks, timeout=MAX_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            if not sending.cancelled():
                sending.result()

    async def _send(self, send: Send) -> None:
        head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(head)
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for n in range(1, self._plan.frames + 1):
            # Each is due at its own time: one that went late does not delay the next.
            await asyncio.sleep(begin + (n - 1) * self._plan.interval - loop.time())
            body = {"type": "http.response.body", "body": self._frame(n), "more_body": True}
            await send(body)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _frame(self, n: int) -> bytes:
        told = self._first if n == 1 else Frame(0, 0, 0.0, self._first.http_version)
        frame = msgspec.structs.replace(
            told, n=n, of=self._plan.frames, sent_at=time(), pad=self._plan.pad
        )
        return encode_event(msgspec.json.encode(frame).decode())


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
