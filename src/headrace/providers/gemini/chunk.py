"""The usual chunk of a Gemini stream: plain text or thoughts, maybe a finish reason and usage.

A part with any field besides these two is left to the decoder's slow path: `Part` refuses it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct


class Part(Struct, forbid_unknown_fields=True, gc=False):
    """``candidates[].content.parts[]`` that holds nothing but words."""

    text: str
    thought: bool = False


class Content(Struct, gc=False):
    """``candidates[].content``."""

    parts: list[Part] = []


class Candidate(Struct, gc=False, rename="camel"):
    """``candidates[]``."""

    content: Content | None = None
    index: int | None = None
    finish_reason: str | None = None
    finish_message: Any = None


class UsageMetadata(Struct, gc=False, rename="camel"):
    """``usageMetadata``; whether a field holds a count is looked at where it is taken."""

    prompt_token_count: Any = None
    tool_use_prompt_token_count: Any = None
    candidates_token_count: Any = None
    thoughts_token_count: Any = None
    cached_content_token_count: Any = None


class Chunk(Struct, gc=False, rename="camel"):
    """One event's data."""

    candidates: list[Candidate]
    usage_metadata: UsageMetadata | None = None
    prompt_feedback: Any = None
    error: Any = None


decode_chunk = msgspec.json.Decoder(Chunk).decode
"""Raises `msgspec.MsgspecError` or `RecursionError` for what does not fit."""
