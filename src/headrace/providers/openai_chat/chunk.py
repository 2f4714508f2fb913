"""A chunk of a Chat Completions stream: only the fields that matter, typed where it pays.

The usual chunk is decoded straight into these structs. Fields that servers fill in different
shapes are `Any`, so that a surprise in one of them costs nothing; what still does not fit goes
through `tolerant`, which picks the same fields out of whatever JSON came.
"""

from __future__ import annotations

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
    error: Any = None  # OpenRouter's place for a failure of one choice


class Chunk(Struct, gc=False):
    """One event's data. `choices` is None where the event has none: it may be an error, flat."""

    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None
    x_groq: Any = None


decode_chunk = msgspec.json.Decoder(Chunk).decode
"""Raises `msgspec.MsgspecError` or `RecursionError` for what does not fit."""


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
        value.get("error"),
    )
