"""Token counts under the names that compatible servers use; the last value of each field wins."""

from __future__ import annotations

from typing import Any

from headrace.providers.json_text import whole_count
from headrace.usage import Usage

# Each count with the places it is told in, the usual one first. DeepSeek tells cached tokens as
# prompt_cache_hit_tokens (api-docs.deepseek.com, "Context Caching"), Moonshot as cached_tokens.
_PLACES: dict[str, tuple[tuple[str, ...], ...]] = {
    "input": (("prompt_tokens",), ("input_tokens",)),
    "output": (("completion_tokens",), ("output_tokens",)),
    "total": (("total_tokens",),),
    "cached": (
        ("prompt_tokens_details", "cached_tokens"),
        ("input_tokens_details", "cached_tokens"),
        ("prompt_cache_hit_tokens",),
        ("cached_tokens",),
    ),
    "reasoning": (
        ("completion_tokens_details", "reasoning_tokens"),
        ("output_tokens_details", "reasoning_tokens"),
        ("reasoning_tokens",),
    ),
}


class UsageFields:
    """The counts told so far in one turn."""

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def take(self, value: object) -> bool:
        """Take a usage object of any shape; whether it told something new."""
        if not isinstance(value, dict):
            return False
        told = {name: count for name in _PLACES if (count := _count(value, name)) is not None}
        if all(self._told.get(name) == count for name, count in told.items()):
            return False
        self._told.update(told)
        return True

    def usage(self) -> Usage:
        """The usage so far."""
        told = self._told.get
        given, output, reasoning = told("input", 0), told("output", 0), told("reasoning", 0)
        # Some servers (xAI) count reasoning beside the output: their own total tells.
        if reasoning and told("total") == given + output + reasoning:
            output += reasoning
        return Usage(given, output, told("cached", 0), reasoning)


def _count(value: dict[str, Any], name: str) -> int | None:
    for place in _PLACES[name]:
        found: object = value
        for key in place:
            found = found.get(key) if isinstance(found, dict) else None
        count = whole_count(found)
        if count is not None:
            return count
    return None
