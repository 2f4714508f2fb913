"""How parts of a UI message stream look on the wire."""

from __future__ import annotations

from typing import Any

import msgspec

from headrace.events import ApprovalNeeded, ToolStart

HEADERS = {"x-vercel-ai-ui-message-stream": "v1"}
"""What the answer's head says besides its media type, ``text/event-stream``."""

NEVER_CALLED = "This call was never made."
"""The error of a call whose arguments were shown and that no tool ever got."""

MALFORMED = "The arguments are not valid JSON."
"""The error of such a call until its own one comes."""

DONE = b"data: [DONE]\n\n"

FINISH_REASONS = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool-calls",
    "content_filter": "content-filter",
    "error": "error",
}
"""Their words for ours; any other is ``other``."""

to_json = msgspec.json.Encoder().encode

ARGS = b'data: {"type":"tool-input-delta","toolCallId":%b,"inputTextDelta":%b}\n\n'
"""A piece of a call's arguments, after its id and text as JSON."""

SERVER_RUNS = {"providerExecuted": True, "dynamic": True}
"""What every call says of itself: the page has no types for it, and does not run it."""


def frame(kind: str, **fields: Any) -> bytes:
    """One part, framed."""
    # JSON has no line ends: msgspec escapes every control character.
    return b"data: %b\n\n" % to_json({"type": kind, **fields})


def call_of(event: ToolStart | ApprovalNeeded) -> bytes:
    """A call's whole arguments."""
    call = {
        "toolCallId": event.call_id,
        "toolName": event.name,
        "input": kept(event.input),
        **SERVER_RUNS,
    }
    if isinstance(event, ToolStart):
        call["providerMetadata"] = {"headrace": {"seq": event.seq}}
    if isinstance(event.input, str):
        return frame("tool-input-error", **call, errorText=MALFORMED)
    return frame("tool-input-available", **call)


def kept(value: object) -> object:
    """The value; its JSON text where the client refuses to read it.

    It throws the whole stream away at an object with a key ``__proto__``, or ``constructor`` with
    ``prototype`` in it (`secureJsonParse` of @ai-sdk/provider-utils).
    """
    text = to_json(value)
    if b'"__proto__":' in text or (b'"constructor":' in text and b'"prototype":' in text):
        return text.decode()
    return value


def passing(name: str, data: object) -> bytes:
    """Data that becomes no part of the message."""
    return frame(f"data-{name}", data=data, transient=True)
