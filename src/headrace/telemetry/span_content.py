"""What people, models and tools say, as JSON of OpenTelemetry's conventions. Pure; opt-in.

See gen-ai-input-messages.json and gen-ai-output-messages.json of semantic-conventions-genai.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from headrace.messages import Message, Reasoning, Text, ToolCall, ToolResult

MAX_CONTENT = 64 * 1024
"""Characters of one attribute; the rest is cut off, and what is left is no JSON then."""


def told(value: Any) -> str:
    """A value as the text of an attribute."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= MAX_CONTENT else text[: MAX_CONTENT - 1] + "…"


def told_messages(messages: Iterable[Message]) -> str:
    """A conversation."""
    return told([told_message(message) for message in messages])


def told_message(message: Message) -> dict[str, Any]:
    """A message; of images and files only that there was one, never what they hold."""
    return {"role": message.role, "parts": [_part(part) for part in message.content]}


def _part(part: object) -> dict[str, Any]:
    match part:
        case Text():
            return {"type": "text", "content": part.text}
        case Reasoning():
            return {"type": "reasoning", "content": part.text}
        case ToolCall():
            return {
                "type": "tool_call",
                "id": part.id,
                "name": part.name,
                "arguments": part.arguments,
            }
        case ToolResult():
            return {"type": "tool_call_response", "id": part.call_id, "response": part.output}
        case _:
            return {"type": type(part).__name__.lower()}
