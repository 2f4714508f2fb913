"""Pieces of Ollama's streams, for tests."""

from __future__ import annotations

import json
from typing import Any


def line(**fields: object) -> bytes:
    """One line with these fields."""
    return json.dumps(fields).encode() + b"\n"


def say(content: object = "", **more: object) -> bytes:
    """A line of `/api/chat` with this content, and fields of the message beside it."""
    message = {"role": "assistant", "content": content, **more}
    return line(model="m", created_at="2026-01-01T00:00:00Z", message=message, done=False)


def generated(response: object = "", **more: object) -> bytes:
    """A line of `/api/generate`."""
    return line(model="m", created_at="2026-01-01T00:00:00Z", response=response, done=False, **more)


def call(name: object, arguments: object = None, **more: object) -> dict[str, Any]:
    """An entry of ``tool_calls``."""
    return {**more, "function": {"name": name, "arguments": arguments}}


def calls(*entries: object) -> bytes:
    """A line with these tool calls."""
    return say("", tool_calls=list(entries))


def done(reason: object = "stop", **more: object) -> bytes:
    """The last line."""
    message = {"role": "assistant", "content": ""}
    return line(model="m", message=message, done=True, done_reason=reason, **more)


COUNTS = {"prompt_eval_count": 9, "eval_count": 3, "total_duration": 5, "load_duration": 1}
STOP = done("stop", **COUNTS)
