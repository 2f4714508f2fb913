"""An event of a Messages stream: only the fields that matter, typed where it pays.

The usual event is decoded straight into these structs; what does not fit goes through `tolerant`,
which picks the same fields out of whatever JSON came.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct


class EventDelta(Struct, gc=False):
    """``delta``, of a content block or of the message."""

    type: Any = None
    text: Any = None
    thinking: Any = None
    signature: Any = None
    partial_json: Any = None
    stop_reason: Any = None
    stop_details: Any = None


class StreamEvent(Struct, gc=False):
    """One event's data. `content_block` is JSON as it came, because parts of it go back so."""

    type: Any = None
    index: int | None = None
    delta: EventDelta | None = None
    content_block: Raw = Raw()
    message: Any = None
    usage: Any = None
    error: Any = None


class Block(Struct, gc=False):
    """``content_block``; `input` is JSON as it came."""

    type: Any = None
    id: Any = None
    name: Any = None
    input: Raw = Raw()
    text: Any = None
    thinking: Any = None
    signature: Any = None


decode_event = msgspec.json.Decoder(StreamEvent).decode
"""Raises `msgspec.MsgspecError` or `RecursionError` for what does not fit."""

decode_block = msgspec.json.Decoder(Block).decode
"""Raises as `decode_event`."""


def tolerant(value: dict[str, Any]) -> StreamEvent:
    """The event in an object whose fields may have any type."""
    index, delta, block = value.get("index"), value.get("delta"), value.get("content_block")
    whole = isinstance(index, int) and not isinstance(index, bool)
    return StreamEvent(
        value.get("type"),
        index if whole else None,
        _delta(delta) if isinstance(delta, dict) else None,
        Raw(msgspec.json.encode(block)) if block is not None else Raw(),
        value.get("message"),
        value.get("usage"),
        value.get("error"),
    )


def tolerant_block(value: object) -> Block:
    """The block in JSON of any shape."""
    if not isinstance(value, dict):
        return Block()
    fields = {name: value.get(name) for name in Block.__struct_fields__ if name != "input"}
    given = Raw(msgspec.json.encode(value["input"])) if "input" in value else Raw()
    return Block(**fields, input=given)


def _delta(value: dict[str, Any]) -> EventDelta:
    return EventDelta(**{name: value.get(name) for name in EventDelta.__struct_fields__})
