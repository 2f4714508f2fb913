"""Pieces of Messages streams, for tests."""

from __future__ import annotations

import json
from typing import Any


def event(value: object, *, name: str | None = None) -> bytes:
    """One event with this JSON (a string is sent as it is), named by its type."""
    text = value if isinstance(value, str) else json.dumps(value)
    if name is None:
        name = str(value.get("type", "")) if isinstance(value, dict) else ""
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def start(usage: object = None, **more: object) -> bytes:
    """``message_start``."""
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage or {"input_tokens": 9, "output_tokens": 1},
        **more,
    }
    return event({"type": "message_start", "message": message})


def begin(index: object, block: object) -> bytes:
    """``content_block_start``."""
    return event({"type": "content_block_start", "index": index, "content_block": block})


def piece(index: object, delta: object) -> bytes:
    """``content_block_delta``."""
    return event({"type": "content_block_delta", "index": index, "delta": delta})


def stop(index: object) -> bytes:
    """``content_block_stop``."""
    return event({"type": "content_block_stop", "index": index})


def words(index: int, *pieces: str) -> bytes:
    """A whole text block."""
    deltas = [piece(index, {"type": "text_delta", "text": text}) for text in pieces]
    return begin(index, {"type": "text", "text": ""}) + b"".join(deltas) + stop(index)


def thought(index: int, *pieces: str, signature: str = "Sig+/=") -> bytes:
    """A whole thinking block; without a signature where that is empty."""
    deltas = [piece(index, {"type": "thinking_delta", "thinking": text}) for text in pieces]
    if signature:
        deltas.append(piece(index, {"type": "signature_delta", "signature": signature}))
    block = {"type": "thinking", "thinking": "", "signature": ""}
    return begin(index, block) + b"".join(deltas) + stop(index)


def call_start(index: int, id: object = "toolu_1", name: object = "f", **more: object) -> bytes:
    """The start of a ``tool_use`` block."""
    return begin(index, {"type": "tool_use", "id": id, "name": name, "input": {}, **more})


def arguments(index: int, text: object) -> bytes:
    """A piece of a call's input."""
    return piece(index, {"type": "input_json_delta", "partial_json": text})


def call(index: int, id: str, name: str, *pieces: str) -> bytes:
    """A whole ``tool_use`` block."""
    parts = b"".join(arguments(index, text) for text in pieces)
    return call_start(index, id, name) + parts + stop(index)


def ending(reason: object = "end_turn", usage: object = None, **more: object) -> bytes:
    """``message_delta``."""
    delta = {"stop_reason": reason, "stop_sequence": None, **more}
    told: dict[str, Any] = {"usage": usage or {"output_tokens": 5}}
    return event({"type": "message_delta", "delta": delta, **told})


def error(kind: str = "overloaded_error", message: str = "Overloaded") -> bytes:
    """An ``error`` event."""
    return event({"type": "error", "error": {"type": kind, "message": message}})


STOP = event({"type": "message_stop"})
PING = event({"type": "ping"})
END = ending() + STOP
CALLED = ending("tool_use") + STOP

# The provider's own tools
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
FOUND = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": [
        {"type": "web_search_result", "url": "https://x.example", "encrypted_content": "E=="}
    ],
}
