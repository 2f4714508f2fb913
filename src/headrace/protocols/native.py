"""``native``: every event of the log as it is, over server-sent events. ``id:`` is its `seq`."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Self

import msgspec

from headrace.errors import HeadraceError
from headrace.events import Event
from headrace.protocols.encoder import Encoder
from headrace.wire.sse_encoder import encode_event

_json = msgspec.json.Encoder().encode
_lines = msgspec.json.Encoder().encode_lines


class NativeEncoder(Encoder):
    """Frames of ``id`` and ``data``, without a type, so that `EventSource.onmessage` gets them all.

    What ends a stream before the run's end is a frame of the type ``failure``, without an id:
    whoever reads on asks for what follows the last event that came.
    """

    key: Hashable = "native"
    primed = False

    def fork(self) -> Self:
        """Itself: it has no state."""
        return self

    def encode(self, events: Sequence[Event]) -> bytes:
        """A frame for each event."""
        values: list[int | bytes] = [b""] * (2 * len(events))
        values[::2] = [event.seq for event in events]
        values[1::2] = _lines(events).splitlines()  # in JSON every control character is escaped
        # One call for all takes two thirds of the time of one for each.
        return b"id: %d\ndata: %b\n\n" * len(events) % tuple(values)

    def fail(self, error: HeadraceError) -> bytes:
        """A frame of the type ``failure``."""
        return encode_event(failure(error).decode(), event="failure")


class NDJSONEncoder(Encoder):
    """``ndjson``: every event as it is, a line of JSON each; a failure is a line of that type."""

    key: Hashable = "ndjson"
    primed = False

    def fork(self) -> Self:
        """Itself: it has no state."""
        return self

    def encode(self, events: Sequence[Event]) -> bytes:
        """A line for each event."""
        return _lines(events)

    def fail(self, error: HeadraceError) -> bytes:
        """A line of the type ``failure``."""
        return b'{"type":"failure",%b\n' % failure(error)[1:]


def failure(error: HeadraceError) -> bytes:
    """An error as a JSON object: `code`, `message`, `hint`, `retryable`."""
    return _json(
        {
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
            "retryable": error.retryable,
        }
    )
