"""Joins the content blocks of a Messages stream, each known by its `index`.

Source: API reference, "Streaming messages" and "Building with extended thinking". What must go
back next turn byte for byte becomes an opaque item at its place: whole thinking blocks with their
signature, redacted thinking, and what the provider's own tools did. An item is the block's JSON.
"""

from __future__ import annotations

from typing import Any

import msgspec

from headrace.messages import Opaque
from headrace.models.deltas import Delta, OpaqueDelta, ReasoningDelta, TextDelta, ToolCallDelta
from headrace.providers.anthropic.event import Block, EventDelta, decode_block, tolerant_block
from headrace.providers.json_text import loads

_SERVER_CALLS = ("server_tool_use", "mcp_tool_use")
_KEPT_WHOLE = ("redacted_thinking", "container_upload")  # and every `*_tool_result`
_EMPTY = ("", "{}", "null")


class _Open:
    """A block that has begun."""

    __slots__ = (
        "closed",
        "id",
        "kind",
        "name",
        "pieces",
        "place",
        "raw",
        "signature",
        "told",
        "whole",
    )

    def __init__(self, kind: str, raw: str) -> None:
        self.kind = kind
        self.raw = raw
        self.id = ""
        self.told = ""  # the id as the provider gave it, which another call may have
        self.name = ""
        self.place = 0
        self.whole = ""  # a call's input where it came with the block's start
        self.signature = ""
        self.pieces: list[str] = []
        self.closed = False


class Blocks:
    """The content blocks of one turn.

    Args:
        provider: Who understands the opaque items.
        id_prefix: What made-up ids of tool calls begin with; they are unique within the turn.

    Attributes:
        text_index: The index of the text block that is open; -1 for none.
        calls: How many of the client's tools were called.
    """

    __slots__ = ("_blocks", "_ids", "_last", "_prefix", "_provider", "calls", "text_index")

    def __init__(self, provider: str, id_prefix: str) -> None:
        self._provider = provider
        self._prefix = id_prefix
        self._blocks: dict[int, _Open] = {}
        self._last: _Open | None = None
        self._ids: set[str] = set()
        self.text_index = -1
        self.calls = 0

    def open(self, index: int | None, raw: bytes) -> list[Delta]:
        """A block begins, given as JSON; some come whole."""
        text = raw.decode("utf-8", "replace")
        start = _parsed(text)
        kind = start.type if isinstance(start.type, str) else ""
        before = self._blocks.get(index) if index is not None else None
        if before is not None and kind == before.kind == "tool_use" and before.told == start.id:
            return []  # told twice
        out = self._close(before) if before is not None else []
        block = self._last = _Open(kind, text)
        if index is not None:
            self._blocks[index] = block
        self.text_index = index if kind == "text" and index is not None else -1
        return out + self._begin(block, start)

    def take(self, index: int | None, delta: EventDelta) -> list[Delta]:
        """A piece of a block; types that are unknown, or strange to the block, give nothing."""
        block = self._blocks.get(index) if index is not None else self._last
        kind = block.kind if block is not None else ""
        match delta.type:
            case "text_delta" if kind in ("text", ""):
                return [TextDelta(delta.text)] if _said(delta.text) else []
            case "thinking_delta" if kind in ("thinking", ""):
                return _think(block, delta.thinking)
            case "signature_delta" if block is not None and isinstance(delta.signature, str):
                block.signature = delta.signature
            case "input_json_delta" if block is not None:
                return self._argue(block, delta.partial_json)
        return []

    def close(self, index: int | None) -> list[Delta]:
        """A block is complete."""
        block = self._blocks.get(index) if index is not None else self._last
        return self._close(block) if block is not None else []

    def flush(self) -> list[Delta]:
        """No piece can follow any more: complete what is still open."""
        blocks = list(self._blocks.values())
        if self._last is not None and self._last not in blocks:
            blocks.append(self._last)
        return [delta for block in blocks for delta in self._close(block)]

    def _begin(self, block: _Open, start: Block) -> list[Delta]:
        if block.kind == "text":
            return [TextDelta(start.text)] if _said(start.text) else []
        if block.kind == "thinking":
            block.signature = start.signature if isinstance(start.signature, str) else ""
            return _think(block, start.thinking)
        if block.kind == "tool_use":
            return self._call(block, start)
        if block.kind in _KEPT_WHOLE or block.kind.endswith("_tool_result"):
            block.closed = True
            return [self._opaque(block.raw)]
        return []

    def _call(self, block: _Open, start: Block) -> list[Delta]:
        block.place = self.calls
        self.calls += 1
        block.told = block.id = start.id if isinstance(start.id, str) else ""
        number = block.place
        while not block.id or block.id in self._ids:
            block.id = f"{self._prefix}_{number}"
            number += 1
        self._ids.add(block.id)
        block.name = start.name if isinstance(start.name, str) else ""
        block.whole = _as_arguments(bytes(start.input).decode())
        return [ToolCallDelta(block.place, block.id, block.name, "")]

    def _argue(self, block: _Open, piece: object) -> list[Delta]:
        """A piece of a call's input; an object, which no one should send, is taken as it is."""
        text = piece if isinstance(piece, str) else _json(piece) if piece is not None else ""
        if not text:
            return []
        if block.kind in _SERVER_CALLS:
            block.pieces.append(text)
        if block.kind != "tool_use":
            return []
        block.whole = ""  # the start's input was a place holder
        return [ToolCallDelta(block.place, block.id, block.name, text)]

    def _close(self, block: _Open) -> list[Delta]:
        if block.closed:
            return []
        block.closed = True
        if block.kind == "thinking" and block.signature:
            thinking = {"type": "thinking", "thinking": "".join(block.pieces)}
            return [self._opaque(_json({**thinking, "signature": block.signature}))]
        if block.kind == "tool_use" and block.whole:
            return [ToolCallDelta(block.place, block.id, block.name, block.whole)]
        if block.kind in _SERVER_CALLS:
            return [self._opaque(_with_input(block.raw, "".join(block.pieces)))]
        return []

    def _opaque(self, item: str) -> OpaqueDelta:
        return OpaqueDelta(Opaque(self._provider, item))


def _parsed(text: str) -> Block:
    try:
        return decode_block(text)
    except (msgspec.MsgspecError, RecursionError):
        pass
    try:
        return tolerant_block(loads(text))
    except (ValueError, RecursionError):
        return Block()


def _said(words: object) -> bool:
    return isinstance(words, str) and bool(words)


def _think(block: _Open | None, words: object) -> list[Delta]:
    if not isinstance(words, str) or not words:
        return []
    if block is not None:
        block.pieces.append(words)
    return [ReasoningDelta(words)]


def _as_arguments(given: str) -> str:
    """A start's input as a call's arguments: an object as it came, text as that text."""
    if given in _EMPTY:
        return ""
    if not given.startswith('"'):
        return given
    try:
        return str(loads(given))
    except ValueError:
        return given


def _with_input(raw: str, pieces: str) -> str:
    """The block's JSON with the input that came in pieces; as it is where that is no JSON."""
    try:
        return _json({**loads(raw), "input": loads(pieces)}) if pieces else raw
    except (ValueError, TypeError, RecursionError):
        return raw


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
