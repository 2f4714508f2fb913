"""What `headrace doctor` has measured, and what the times of frames say. Pure."""

from __future__ import annotations

from statistics import median
from typing import Literal

from msgspec import Struct

Held = Literal["no", "some", "all"]
"""How much of a stream is held back on the way: nothing, each frame or some of them for a while,
or all of it until its end."""


class Arrival(Struct, frozen=True):
    """One frame.

    Attributes:
        sent_at: Seconds, by the server's clock.
        arrived_at: Seconds, by ours; the two clocks are never compared.
    """

    sent_at: float
    arrived_at: float


class Way(Struct, frozen=True):
    """What a request and its answer say of what they came through.

    Attributes:
        answer: The answer's headers; names in lower case.
        http_version: What the last proxy speaks to the server, such as ``1.0``; ``""`` unknown.
        via: The request's `Via` as the server saw it.
        hops: Addresses in `X-Forwarded-For` as the server saw it.
        request: Names of the headers that the way has added to the request.
    """

    answer: dict[str, str] = {}
    http_version: str = ""
    via: str = ""
    hops: int = 0
    request: tuple[str, ...] = ()


class Probe(Struct, frozen=True):
    """One stream of timed frames, as it arrived.

    Attributes:
        asked: How many frames were asked for.
        interval: Seconds between two.
        head_after: Seconds from the request to the answer's head.
        arrivals: The frames, in order.
        ended_after: Seconds from the request to the end of the body, however it came.
        encoding: The answer's `Content-Encoding`.
        way: What it came through.
    """

    asked: int
    interval: float
    head_after: float
    arrivals: tuple[Arrival, ...]
    ended_after: float
    encoding: str = ""
    way: Way = Way()

    @property
    def whole(self) -> bool:
        """Whether every frame came."""
        return len(self.arrivals) == self.asked

    @property
    def late(self) -> tuple[float, ...]:
        """Seconds by which each frame is later than the one that came fastest.

        What all frames have in common, the way itself and the difference of the clocks, drops
        out: a stream that nobody holds has zeros but for jitter.
        """
        delays = [arrival.arrived_at - arrival.sent_at for arrival in self.arrivals]
        fastest = min(delays, default=0.0)
        return tuple(delay - fastest for delay in delays)

    @property
    def held(self) -> Held:
        """How much of it was held back.

        A frame that waits for the next one is late by an interval, and most are; a network that
        hiccups makes a few late. So the median decides, except where the whole beginning is late.
        """
        late = self.late
        span = self.arrivals[-1].sent_at - self.arrivals[0].sent_at if late else 0.0
        if span <= 0:
            return "no"
        if late[0] >= 0.8 * span:
            return "all"
        return "some" if median(late) >= self.interval / 2 or max(late) >= span / 2 else "no"


class Health(Struct, frozen=True):
    """What ``/health`` says.

    Attributes:
        status: ``ok`` or ``draining``.
        after: Seconds that it took.
    """

    status: str
    after: float


class Examined(Struct, frozen=True):
    """All that was measured; what could not be is the reason why not.

    Attributes:
        url: The server's address.
        health: Of the server.
        small: Frames of a few bytes, as an answer's words come.
        large: Frames past the usual size of a proxy's buffers.
        unasked: Large frames, without asking the proxies not to hold them.
        packed: Small frames as a browser asks for them: compressed, if someone likes to.
        idle: Two frames with a silence between them; None where it was not tried.
        offers: What TLS offers a browser, ``h2`` or ``http/1.1``; ``""`` over plain http.
    """

    url: str
    health: Health | str
    small: Probe | str = ""
    large: Probe | str = ""
    unasked: Probe | str = ""
    packed: Probe | str = ""
    idle: Probe | str | None = None
    offers: str = ""
