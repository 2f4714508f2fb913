"""Ollama's tool calls: each entry is a whole call, its arguments an object, its id mostly none."""

from __future__ import annotations

from typing import Any

from headrace.models.deltas import ToolCallDelta
from headrace.providers.json_text import as_arguments


class WholeCalls:
    """The tool calls of one turn.

    Args:
        id_prefix: What made-up ids begin with; they are unique within the turn.
    """

    def __init__(self, id_prefix: str) -> None:
        self._prefix = id_prefix
        self._ids: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._ids)

    def take(self, entries: object) -> list[ToolCallDelta]:
        """Take one line's ``tool_calls``, of any shape."""
        given = entries if isinstance(entries, list) else [entries]
        return [
            self._call(entry, entry["function"])
            for entry in given
            if isinstance(entry, dict) and isinstance(entry.get("function"), dict)
        ]

    def _call(self, entry: dict[str, Any], function: dict[str, Any]) -> ToolCallDelta:
        place = len(self._ids)
        id = self._unique(_text(entry.get("id")), place)
        return ToolCallDelta(
            place, id, _text(function.get("name")), as_arguments(function.get("arguments"))
        )

    def _unique(self, id: str, place: int) -> str:
        number = place
        while not id or id in self._ids:
            id = f"{self._prefix}_{number}"
            number += 1
        self._ids.add(id)
        return id


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
