"""Server-sent events from bytes: WHATWG HTML, 9.2.5 "Parsing an event stream" and 9.2.6.

How it is built, because this is the hottest loop of the library:

- Line ends are made LF first, so that everything after knows only one. A CR counts at once, and an
  LF that follows it, even in the next chunk, is swallowed: so no event waits for one more byte.
- Whole blocks (up to the last blank line of a chunk) are decoded as one text and split where a
  block begins as the one in the middle does (``data: ``, or a name and ``data: ``): nearly all are
  alike. What is then a single line of data becomes an event without a look at its fields.
- Only what a chunk's end has cut goes line by line, and waits as bytes, because a cut may lie
  within a character. UTF-8 never hides an LF in a longer character, so decoding block by block
  gives the same text as decoding the stream.
"""

from __future__ import annotations

import msgspec

from headrace.errors import EventTooLarge, HeadraceError, LineTooLong, UsageError, WireError

MAX_LINE = 8 * 1024 * 1024
MAX_EVENT = 8 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"
# Python refuses to read longer numbers when it is set to its strictest; nobody means such a wait.
_RETRY_DIGITS = 640


class SSEEvent(msgspec.Struct, frozen=True, gc=False):
    """One dispatched event.

    Attributes:
        data: The `data` lines, joined by LF.
        event: The event's type; ``message`` where none was given.
        id: The last event ID when the event was dispatched, from this or an earlier block.
    """

    data: str
    event: str = "message"
    id: str = ""


class SSEDecoder:
    """Decodes one event stream; make a new one for each connection.

    An error never costs events: those complete before the offending bytes are returned, and the
    error is raised by the next call. A decoder that has failed stays failed.

    Args:
        max_line: Bytes of one line, its end not counted.
        max_event: Bytes of one event's lines together, with field names and the LFs between
            them, without comments.

    Attributes:
        last_event_id: What a reconnect sends as ``Last-Event-ID``; ``""`` where there is none.
            Set it before the first `feed` to go on from an earlier connection.
        retry_ms: The wait before a reconnect that the server asked for, in milliseconds.
    """

    __slots__ = (
        "_after_cr",
        "_block",
        "_failure",
        "_line",
        "_max_event",
        "_max_line",
        "_start",
        "last_event_id",
        "retry_ms",
    )

    def __init__(self, *, max_line: int = MAX_LINE, max_event: int = MAX_EVENT) -> None:
        self._max_line = max_line
        self._max_event = max_event
        self.last_event_id = ""
        self.retry_ms: int | None = None
        self._start: bytes | None = b""  # what may be a part of the BOM; None once that is settled
        self._after_cr = False
        self._block = bytearray()  # the finished lines of the open block, each with its LF
        self._line = bytearray()  # the unfinished line
        self._failure: HeadraceError | None = None

    def feed(self, data: bytes) -> list[SSEEvent]:
        """Take the next bytes and return the events that they complete.

        Args:
            data: Bytes as they came, in any cuts; empty ones are harmless.

        Raises:
            LineTooLong: A line, finished or not, is longer than `max_line`.
            EventTooLarge: An event, finished or not, is larger than `max_event`.
            UsageError: The decoder was closed.
        """
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        if self._start is not None:
            data = self._without_bom(data)
        if self._after_cr or b"\r" in data:
            data = self._with_lf(data)
        events: list[SSEEvent] = []
        try:
            self._take(data, events)
        except WireError as error:
            self._end(error)
            if not events:
                raise
        return events

    def close(self) -> list[SSEEvent]:
        """End the stream. An unfinished block is dropped, so nothing ever comes out.

        Closing again is harmless; feeding afterwards is not.

        Raises:
            LineTooLong: As in `feed`, where that has not been able to raise it.
            EventTooLarge: As in `feed`.
        """
        if isinstance(self._failure, WireError):
            raise self._failure.with_traceback(None)
        self._end(UsageError("The decoder is closed.", hint="Make a new one for each connection."))
        return []

    def _end(self, failure: HeadraceError) -> None:
        self._failure = failure
        self._block.clear()
        self._line.clear()

    def _without_bom(self, data: bytes) -> bytes:
        """Drop one BOM at the stream's start, or hold what may become one."""
        data = (self._start or b"") + data
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._start = data
            return b""
        self._start = None
        return data.removeprefix(_BOM)

    def _with_lf(self, data: bytes) -> bytes:
        """Make every line end an LF, also one that lies across two chunks."""
        if not data:
            return data
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
        self._after_cr = data.endswith(b"\r")
        # Split and join: a third faster than replacing by something shorter (CPython 3.11).
        return b"\n".join(data.split(b"\r\n")).replace(b"\r", b"\n")

    def _take(self, data: bytes, events: list[SSEEvent]) -> None:
        start = self._bound_to_lines(data)
        if start:
            self._take_lines(data[:start], events)
        end = data.rfind(b"\n\n", start)
        if end >= 0:
            self._take_blocks(data[start:end].decode("utf-8", "replace"), events)
            start = end + 2
        if start < len(data):
            self._take_lines(data[start:], events)

    def _bound_to_lines(self, data: bytes) -> int:
        """Return how many of the bytes must go line by line before whole blocks may follow."""
        if len(data) > self._max_line or len(data) > self._max_event:
            return len(data)  # only the way line by line looks at the bounds
        if not self._block and not self._line:
            return 0
        blank = data.find(b"\n\n")
        return blank + 2 if blank >= 0 else len(data)

    def _take_blocks(self, text: str, events: list[SSEEvent]) -> None:
        """Decode whole blocks; the blank line that ends the last one is left out."""
        head, kind = _usual(text)
        pieces = text.split("\n\n" + head)
        if pieces[0].startswith(head):
            pieces[0] = pieces[0][len(head) :]
        else:
            self._take_fields(pieces.pop(0), events)
        # Each piece is now a block that began as the usual one does, up to the next such block.
        last_id = self.last_event_id
        for piece in pieces:
            if "\n" not in piece:
                events.append(SSEEvent(piece, kind, last_id))
            else:
                self._take_fields(head + piece, events)
                last_id = self.last_event_id

    def _take_fields(self, text: str, events: list[SSEEvent]) -> None:
        # Of three LFs in a row the third stays with the next block, as an empty line that no
        # field matches: harmless, as a blank line without anything before it is.
        for block in text.split("\n\n"):
            event = self._event(block)
            if event is not None:
                events.append(event)

    def _event(self, block: str) -> SSEEvent | None:
        """Read the fields of one block (WHATWG 9.2.6) and commit its ID."""
        data: list[str] = []
        kind = ""
        for line in block.split("\n"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                data.append(value)
            elif name == "event":
                kind = value
            elif name == "id" and "\0" not in value:
                self.last_event_id = value
            elif name == "retry":
                self._set_retry(value)
        if not data:
            return None
        return SSEEvent("\n".join(data), kind or "message", self.last_event_id)

    def _set_retry(self, value: str) -> None:
        if value.isascii() and value.isdigit() and len(value) <= _RETRY_DIGITS:
            self.retry_ms = int(value)

    def _take_lines(self, data: bytes, events: list[SSEEvent]) -> None:
        """Go on with the open block, line by line, within the bounds."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            if self._line:
                self._line += line
                line = bytes(self._line)
                self._line.clear()
            self._end_line(line, events)
        self._line += rest
        self._check(self._line)

    def _end_line(self, line: bytes, events: list[SSEEvent]) -> None:
        self._check(line)
        if not line:
            if self._block:
                self._take_fields(self._block.decode("utf-8", "replace"), events)
                self._block.clear()
        elif line.startswith(b"retry:"):
            self._event(line.decode("utf-8", "replace"))  # it takes effect on its line
        elif not line.startswith(b":"):
            self._block += line
            self._block += b"\n"

    def _check(self, line: bytes | bytearray) -> None:
        """Refuse a line, finished or not, at the bound that its bytes pass first."""
        size = len(line)
        room = self._max_event - len(self._block)
        if not size or (size <= self._max_line and size <= room):
            return
        if self._max_line <= room or line.startswith(b":"):
            if size > self._max_line:
                raise LineTooLong(f"A line of the event stream is over {self._max_line} bytes.")
        else:
            raise EventTooLarge(f"An event of the stream is over {self._max_event} bytes.")


def _usual(text: str) -> tuple[str, str]:
    """How the block in the middle of the text begins, and the type of its event."""
    blank = text.find("\n\n", len(text) // 2)
    start = blank + 2 if blank >= 0 else 0
    if text.startswith("event: ", start):
        end = text.find("\n", start)
        if end >= 0 and text.startswith("data: ", end + 1):
            return text[start : end + 7], text[start + 7 : end] or "message"
    return "data: ", "message"
