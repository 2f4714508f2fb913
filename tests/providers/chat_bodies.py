"""Pieces of Chat Completions streams, for tests."""

from __future__ import annotations

import json
from typing import Any

DONE = b"data: [DONE]\n\n"


def event(value: object, *, name: str = "") -> bytes:
    """One event with this JSON (a string is sent as it is), maybe named."""
    text = value if isinstance(value, str) else json.dumps(value)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def chunk(
    delta: dict[str, Any] | str | None = None, finish: object = None, **more: object
) -> bytes:
    """A chunk with choice 0: a delta (a string is its content), and fields beside `choices`."""
    if isinstance(delta, str):
        delta = {"content": delta}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    envelope = {"id": "c1", "object": "chat.completion.chunk", "model": "m"}
    return event({**envelope, "choices": [choice], **more})


def calls(*entries: dict[str, Any]) -> bytes:
    """A chunk with these entries of ``tool_calls``."""
    return chunk({"tool_calls": list(entries)})


def call(
    index: object = None, id: object = None, name: object = None, arguments: object = None
) -> dict[str, Any]:
    """An entry of ``tool_calls``; what is None is left out."""
    function = {"name": name, "arguments": arguments}
    entry: dict[str, Any] = {"index": index, "id": id}
    entry = {key: value for key, value in entry.items() if value is not None}
    return {**entry, "function": {k: v for k, v in function.items() if v is not None}}


def finish(reason: object = "stop") -> bytes:
    """The chunk with the finish reason."""
    return chunk({}, reason)


STOP = finish() + DONE
CALLED = finish("tool_calls") + DONE
