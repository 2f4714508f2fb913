"""AG-UI's events as frames of server-sent events: ``data: {json}``, no type, no id.

The names and fields are those of `@ag-ui/core` 1.0. JSON escapes CR and LF, so no text, name or id
can end a frame or begin another; the client splits at LF alone.
"""

from __future__ import annotations

from typing import Any

import msgspec

from headrace.events import Event, type_of

OURS = "headrace"
"""The key of what we add to an event's `metadata`, and the prefix of our names."""

DELTA_END = b"}\n\n"
"""What follows the quoted text of a delta that began with `delta_head`."""

_json = msgspec.json.Encoder().encode


def quoted(text: str) -> bytes:
    """A JSON string; a lone surrogate, which UTF-8 cannot hold, becomes ``?``."""
    try:
        return _json(text)
    except UnicodeEncodeError:
        return _json(text.encode("utf-8", "replace").decode())


def frame(type: str, **fields: Any) -> bytes:
    """One event."""
    return b"data: %b\n\n" % _json({"type": type, **fields})


def delta_head(type: str, key: str, id: str) -> bytes:
    """A delta up to its text: made once, used for each piece. See `DELTA_END`."""
    return b'data: {"type":"%b","%b":%b,"delta":' % (type.encode(), key.encode(), quoted(id))


def custom(event: Event, tool_call_id: str | None = None) -> bytes:
    """An event of the log as ``CUSTOM``: ``headrace.`` and its type, and the event as it is.

    Args:
        event: Any.
        tool_call_id: The call's id in this protocol, where the event tells of a call.
    """
    extra = {} if tool_call_id is None else {"metadata": {OURS: {"tool_call_id": tool_call_id}}}
    return frame("CUSTOM", name=f"{OURS}.{type_of(event)}", value=event, **extra)
