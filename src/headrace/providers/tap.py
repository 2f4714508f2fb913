"""A tap on the wire: whoever records an answer hears its bytes on their way to the decoder.

The tap is set around the opening of one request, in that request's own context, so that no
provider's client has to know of it and requests at the same time do not mix. Without one, reading
costs nothing more: the attempt's decoder is the provider's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Protocol

from yarl import URL

from headrace.models.deltas import Decoder, Delta


class Tap(Protocol):
    """Hears one request. What it is told holds secrets: it masks before it keeps anything."""

    def asked(self, url: URL, headers: Mapping[str, str], body: bytes) -> None:
        """The request is being sent."""
        ...

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """The head of the answer is there."""
        ...

    def took(self, data: bytes) -> None:
        """Bytes of the answer's body were read."""
        ...

    def ended(self) -> None:
        """The server ended the answer, or the connection broke."""
        ...


current_tap: ContextVar[Tap | None] = ContextVar("current_tap", default=None)
"""The tap of the request that is being opened."""


def tapped(decoder: Decoder) -> Decoder:
    """The decoder itself, or, where a tap is set, one that tells it of the bytes first."""
    tap = current_tap.get()
    return decoder if tap is None else _TappedDecoder(decoder, tap)


class _TappedDecoder:
    def __init__(self, decoder: Decoder, tap: Tap) -> None:
        self._decoder = decoder
        self._tap = tap

    def feed(self, data: bytes) -> list[Delta]:
        self._tap.took(data)
        return self._decoder.feed(data)

    def close(self) -> list[Delta]:
        self._tap.ended()
        return self._decoder.close()
