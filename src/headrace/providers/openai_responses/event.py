"""An event of a Responses stream: only the fields that matter, typed where it pays.

A piece of text, nearly all there are, is decoded straight into `Piece`; whatever does not fit it
into `Event`; what does not fit that goes through `tolerant`, which picks the same fields out of
whatever JSON came. Items stay raw, because some must go back next turn byte for byte.

Source: OpenAI API reference, "Responses", "Streaming events".
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from headrace.providers.json_text import loads


class Piece(Struct, gc=False):
    """A piece of text; other events fit it too, as far as these fields go."""

    type: str = ""
    delta: str | None = None
    output_index: int | None = None
    content_index: int | None = None
    sequence_number: int | None = None


class ResponseObject(Struct, gc=False):
    """``response``: the whole answer as far as it is."""

    id: Any = None
    status: Any = None
    error: Any = None
    incomplete_details: Any = None
    usage: Any = None
    output: list[Raw] | None = None


class Event(Struct, gc=False):
    """One event's data, of any type."""

    type: Any = None
    delta: Any = None
    text: Any = None
    refusal: Any = None
    arguments: Any = None
    name: Any = None
    output_index: Any = None
    content_index: Any = None
    summary_index: Any = None
    item_id: Any = None
    sequence_number: Any = None
    item: Raw = Raw()
    part: Any = None
    response: ResponseObject | None = None
    error: Any = None


class Item(Struct, gc=False):
    """One entry of ``output``: a message, a call, reasoning, or a server's own tool."""

    type: Any = None
    id: Any = None
    call_id: Any = None
    name: Any = None
    arguments: Any = None
    content: Any = None
    summary: Any = None
    status: Any = None
    phase: Any = None


decode_piece = msgspec.json.Decoder(Piece).decode
"""Raises `msgspec.MsgspecError` or `RecursionError` for what does not fit."""

decode_event = msgspec.json.Decoder(Event).decode
"""Raises `msgspec.MsgspecError` or `RecursionError` for what does not fit."""

_decode_item = msgspec.json.Decoder(Item).decode


def item_of(raw: Raw) -> Item | None:
    """The item in a piece of JSON; None where it holds no object."""
    data = bytes(raw)
    try:
        return _decode_item(data)
    except (msgspec.MsgspecError, RecursionError):
        pass
    try:
        value = loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    return Item(*(value.get(name) for name in Item.__struct_fields__))


def tolerant(value: dict[str, Any]) -> Event:
    """The event in an object whose fields may have any type."""
    known: dict[str, Any] = {name: value.get(name) for name in Event.__struct_fields__}
    known["item"] = _raw(value.get("item"))
    known["response"] = _response(value.get("response"))
    return Event(**known)


def _response(value: object) -> ResponseObject | None:
    if not isinstance(value, dict):
        return None
    known = {name: value.get(name) for name in ResponseObject.__struct_fields__}
    output = value.get("output")
    known["output"] = [_raw(item) for item in output] if isinstance(output, list) else None
    return ResponseObject(**known)


def _raw(value: object) -> Raw:
    try:
        return Raw(msgspec.json.encode(value) if isinstance(value, dict) else b"")
    except (TypeError, ValueError, OverflowError, RecursionError):
        return Raw()
