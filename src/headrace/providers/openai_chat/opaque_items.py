"""What must go back next turn byte for byte: signatures, encrypted reasoning, thought signatures.

OpenRouter tells them in ``reasoning_details`` (openrouter.ai/docs, "Preserving reasoning"),
Gemini's compatible endpoint in ``tool_calls[].extra_content`` (ai.google.dev, "Thought
signatures"). An item is kept as JSON text: either field, the latter with the call's id.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from headrace.providers.openai_chat.joined_calls import JoinedCalls

_JOINED = ("text", "summary")  # what comes in pieces; other fields come whole


class ReasoningDetails:
    """Joins the pieces of ``reasoning_details``."""

    __slots__ = ("_items", "_pieces")

    def __init__(self) -> None:
        self._items: dict[tuple[str, str], dict[str, Any]] = {}
        self._pieces: dict[tuple[str, str], dict[str, list[str]]] = {}

    def take(self, details: object) -> None:
        """Take one delta's list; what is no list of objects is ignored."""
        for detail in details if isinstance(details, list) else ():
            if isinstance(detail, dict):
                self._take(detail)

    def items(self) -> list[dict[str, Any]]:
        """The whole items, where any holds what only the provider can read; else none."""
        if not any(item.get("signature") or item.get("data") for item in self._items.values()):
            return []
        return [
            {**item, **{name: "".join(pieces) for name, pieces in self._pieces[key].items()}}
            for key, item in self._items.items()
        ]

    def _take(self, detail: dict[str, Any]) -> None:
        key = (str(detail.get("type")), str(detail.get("index")))
        item = self._items.setdefault(key, {})
        pieces = self._pieces.setdefault(key, {})
        for name, value in detail.items():
            if name in _JOINED and isinstance(value, str):
                pieces.setdefault(name, []).append(value)
            elif value is not None or name not in item:
                item[name] = value


def opaque_items(details: ReasoningDetails, calls: JoinedCalls) -> Iterator[str]:
    """The JSON texts of a turn's opaque items."""
    items = details.items()
    if items:
        yield _json({"reasoning_details": items})
    for call_id, extra in calls.extras():
        yield _json({"tool_call_id": call_id, "extra_content": extra})


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
