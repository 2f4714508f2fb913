"""A cursor over a run that lives elsewhere: bytes of its native stream in, events out. Pure.

The stream may be cut anywhere and taken up again: the cursor knows where. An event that comes
again is dropped, so that what comes out is the log, in order, once.
"""

from __future__ import annotations

import msgspec

from headrace.errors import HeadraceError, InvalidResponse, WireError
from headrace.events import TERMINAL, Event, decode
from headrace.frontends.remote_errors import Told, refused
from headrace.wire.sse_decoder import SSEDecoder, SSEEvent


class Cursor:
    """Reads a run's stream over as many connections as it takes.

    Args:
        after: The `seq` of the last event that is known already; 0 for none.

    Attributes:
        position: The `seq` of the last event that came out.
        ended: Whether the terminal event has come.
        failure: Why the stream cannot go on on this connection, where the server or the bytes
            have told; it comes after the events that stood before it.
        retry_ms: How long the server asks to wait before a reconnect, or None.
    """

    def __init__(self, after: int = 0) -> None:
        self.position = after
        self.ended = False
        self.failure: HeadraceError | None = None
        self.retry_ms: int | None = None
        self._decoder = SSEDecoder()

    @property
    def over(self) -> bool:
        """Whether nothing more is to be read from this connection."""
        return self.ended or self.failure is not None

    def connected(self) -> None:
        """A new connection begins."""
        self.failure = None
        self._decoder = SSEDecoder()

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete; what follows an end or a failure is not read."""
        events: list[Event] = []
        try:
            for frame in self._decoder.feed(data):
                if self.over:
                    break
                self._take(frame, events)
        except WireError as error:
            self.failure = error
        self.retry_ms = self._decoder.retry_ms
        return events

    def _take(self, frame: SSEEvent, events: list[Event]) -> None:
        if frame.event == "failure":
            self.failure = _failure(frame.data)
            return
        if not (frame.id.isascii() and frame.id.isdigit()) or len(frame.id) > 18:
            self.failure = _no_event("has no number")
            return
        seq = int(frame.id)
        if seq <= self.position:  # the server began earlier than it was asked to
            return
        try:
            event = decode(frame.data)
        except (msgspec.DecodeError, RecursionError):
            self.failure = _no_event("is none that this version of Headrace knows")
            return
        self.position = seq
        self.ended = isinstance(event, TERMINAL)
        events.append(event)


def _failure(data: str) -> HeadraceError:
    try:
        return refused(msgspec.json.decode(data, type=Told))
    except (msgspec.MsgspecError, RecursionError):
        return _no_event("tells of a failure in no known words")


def _no_event(what: str) -> InvalidResponse:
    return InvalidResponse(
        f"The server sent an event that {what}.",
        hint="Is it a Headrace server, and no newer than this command?",
    )
