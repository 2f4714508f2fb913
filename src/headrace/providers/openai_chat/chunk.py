"""A chunk of a Chat Completions stream: only the fields that matter, typed where it pays.

The usual chunk is decoded straight into these structs. Fields that servers fill in different
shapes are `Any`, so that a surprise in one of them costs nothing; what still does not fit goes
through `tolerant`, which picks the same fields out of whatever JSON came.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec import Struct


class ChunkDelta(Struct, gc=False):
    """``choices[].delta``."""

    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_details: Any = None
    thinking: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None


class Choice(Struct, gc=False):
    """``choices[]``."""

    delta: ChunkDelta | None = None
    index: Any = None
    finish_reason: Any = None
    usage: Any = None


class Chunk(Struct, gc=False):
    """One event's data. `choices` is None where the event has none: it may be an error, flat."""

    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None
    x_groq: Any = None


decode_chunk = msgspec.json.Decoder(Chunk).decode
"""Raises `msgspec.MsgspecError` or `RecursionError` for what does not fit."""


def loads(text: str) -> Any:
    """Any JSON, also with lone surrogates (made U+FFFD) and raw controls in strings.

    Raises:
        ValueError: for what is not JSON.
        RecursionError: for absurd nesting.
    """
    value = json.loads(text, strict=False)
    return _encodable(value) if "\\u" in text else value


def tolerant(value: dict[str, Any]) -> Chunk:
    """The chunk in an object whose fields may have any type."""
    choices = value.get("choices")
    if isinstance(choices, dict):
        choices = [choices]
    return Chunk(
        [_choice(c) for c in choices if isinstance(c, dict)] if isinstance(choices, list) else None,
        value.get("usage"),
        value.get("error"),
        value.get("x_groq"),
    )


def _choice(value: dict[str, Any]) -> Choice:
    delta = value.get("delta")
    known = (
        {name: delta.get(name) for name in ChunkDelta.__struct_fields__}
        if (isinstance(delta, dict))
        else None
    )
    return Choice(
        ChunkDelta(**known) if known is not None else None,
        value.get("index"),
        value.get("finish_reason"),
        value.get("usage"),
    )


def _encodable(value: Any) -> Any:
    """The value with every lone surrogate replaced, so that UTF-8 can encode it."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    return value
