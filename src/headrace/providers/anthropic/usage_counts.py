"""Token counts as the Messages API tells them; the last value of each field wins."""

from __future__ import annotations

from headrace.providers.json_text import whole_count
from headrace.usage import Usage

_FIELDS = (
    "input_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "output_tokens",
)


class UsageCounts:
    """The counts told so far in one turn.

    `message_start` tells the prompt's, `message_delta` cumulative ones (API reference,
    "Streaming messages"): a field that comes again replaces itself and is never added.
    """

    __slots__ = ("_told",)

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def take(self, value: object) -> bool:
        """Take a usage object of any shape; whether it told something new."""
        if not isinstance(value, dict):
            return False
        details = value.get("output_tokens_details")
        thinking = details.get("thinking_tokens") if isinstance(details, dict) else None
        found = {name: whole_count(value.get(name)) for name in _FIELDS}
        found["thinking_tokens"] = whole_count(thinking)
        told = {name: count for name, count in found.items() if count is not None}
        if all(self._told.get(name) == count for name, count in told.items()):
            return False
        self._told.update(told)
        return True

    def usage(self) -> Usage:
        """The usage so far; `input_tokens` alone leaves out what the cache took or gave."""
        told = self._told.get
        cached = told("cache_read_input_tokens", 0)
        given = told("input_tokens", 0) + cached + told("cache_creation_input_tokens", 0)
        return Usage(given, told("output_tokens", 0), cached, told("thinking_tokens", 0))
