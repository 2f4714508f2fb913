"""``simple``: ``token``, ``tool_start``, ``tool_complete`` and ``done`` over server-sent events.

For pages that want the answer's text and a line for each tool, with `EventSource` and nothing
else:

===================  ==========================================================================
type                 data
===================  ==========================================================================
``token``            a piece of the answer, as it is (a CR LF or CR in it arrives as LF)
``tool_start``       ``{"call_id", "name", "input"}``
``tool_complete``    ``{"call_id", "name", "output", "error", "duration_ms"}``
``retract``          ``{"characters", "utf16_units"}``: so much of the answer's end is withdrawn
                     (law 10); in JavaScript ``text.slice(0, text.length - utf16_units)``
``done``             ``{"finish_reason", "usage", "metrics"}``: the end, well
``failure``          ``{"code", "message", …}`` in place of ``done``
===================  ==========================================================================

A sub-agent's tools carry its path as ``agent``; its text is not the answer's and is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import msgspec

from headrace.errors import HeadraceError
from headrace.events import (
    Cancelled,
    Complete,
    Error,
    Event,
    Retract,
    RunStart,
    StepStart,
    Token,
    ToolEnd,
    ToolStart,
)
from headrace.protocols.encoder import Encoder
from headrace.protocols.native import failure

_json = msgspec.json.Encoder().encode


class SimpleEncoder(Encoder):
    """See above.

    Args:
        prefix: Comes before the `seq` in each ``id``, such as ``run_x:`` where a stream's address
            does not name its run.
    """

    def __init__(self, prefix: str = "") -> None:
        self.key: Hashable = ("simple", prefix)
        self._prefix = prefix.encode()
        self._after_cr = False
        self._shown = (0, 0)  # characters and UTF-16 units of the answer so far
        # Where steps began, and what was shown then: a retract goes back to one of these.
        self._marks: tuple[tuple[int, tuple[int, int]], ...] = ()

    def encode(self, events: Sequence[Event]) -> bytes:
        """Frames for what this protocol shows."""
        parts: list[bytes] = []
        for event in events:
            if type(event) is Token:
                if not event.agent:
                    parts.append(self._token(event))
            elif (write := _WRITERS.get(type(event))) is not None:
                parts.append(write(self, event))
        return b"".join(parts)

    def fail(self, error: HeadraceError) -> bytes:
        """A ``failure`` without an id."""
        return b"event: failure\ndata: %b\n\n" % failure(error)

    def _token(self, event: Token) -> bytes:
        content = event.content
        if self._after_cr and content[:1] == "\n":  # the second half of one line end
            content = content[1:]
        if content:
            self._after_cr = content[-1] == "\r"
        if "\r" in content:
            content = content.replace("\r\n", "\n").replace("\r", "\n")
        chars, units = self._shown
        astral = 0 if content.isascii() else sum(c > "\uffff" for c in content)
        self._shown = (chars + len(content), units + len(content) + astral)
        if "\n" in content:
            content = content.replace("\n", "\ndata: ")
        data = content.encode("utf-8", "replace")
        return b"id: %b%d\nevent: token\ndata: %b\n\n" % (self._prefix, event.seq, data)

    def _frame(self, event: Event, kind: bytes, data: dict[str, Any]) -> bytes:
        return b"id: %b%d\nevent: %b\ndata: %b\n\n" % (self._prefix, event.seq, kind, _json(data))

    def _start(self, event: RunStart) -> bytes:
        # An ID without data: a reader that is cut off before the first token knows its run.
        return b"id: %b%d\n\n" % (self._prefix, event.seq)

    def _tool_start(self, event: ToolStart) -> bytes:
        data = {"call_id": event.call_id, "name": event.name, "input": event.input}
        return self._frame(event, b"tool_start", data | _agent(event))

    def _tool_end(self, event: ToolEnd) -> bytes:
        data = {
            "call_id": event.call_id,
            "name": event.name,
            "output": event.output,
            "error": event.error,
            "duration_ms": event.duration_ms,
        }
        return self._frame(event, b"tool_complete", data | _agent(event))

    def _step(self, event: StepStart) -> bytes:
        if not event.agent:
            self._marks = (*self._marks, (event.seq, self._shown))
        return b""

    def _retract(self, event: Retract) -> bytes:
        if event.agent:
            return b""
        before = [shown for seq, shown in self._marks if seq < event.since]
        standing = before[-1] if before else (0, 0)
        chars, units = (now - then for now, then in zip(self._shown, standing, strict=True))
        self._shown, self._after_cr = standing, False
        return self._frame(event, b"retract", {"characters": chars, "utf16_units": units})

    def _complete(self, event: Complete) -> bytes:
        data = {"finish_reason": event.finish_reason, "usage": event.usage}
        return self._frame(event, b"done", data | {"metrics": event.metrics})

    def _error(self, event: Error) -> bytes:
        data = {"code": event.code, "message": event.message, "retryable": event.retryable}
        return self._frame(event, b"failure", data | {"usage": event.usage})

    def _cancelled(self, event: Cancelled) -> bytes:
        data = {"code": "cancelled", "message": event.reason, "usage": event.usage}
        return self._frame(event, b"failure", data)


def _agent(event: Event) -> dict[str, str]:
    return {"agent": event.agent} if event.agent else {}


_WRITERS: dict[type[Event], Callable[[SimpleEncoder, Any], bytes]] = {
    RunStart: SimpleEncoder._start,
    ToolStart: SimpleEncoder._tool_start,
    ToolEnd: SimpleEncoder._tool_end,
    StepStart: SimpleEncoder._step,
    Retract: SimpleEncoder._retract,
    Complete: SimpleEncoder._complete,
    Error: SimpleEncoder._error,
    Cancelled: SimpleEncoder._cancelled,
}
