"""Token counts of a Gemini turn: told in every chunk, the last value of each field wins.

Source: the Gemini API's reference, "UsageMetadata": the total is the sum of the prompt's, the
candidates', the thoughts' and the tool-use prompt's tokens, so none of these holds another.
"""

from __future__ import annotations

from headrace.providers.gemini.chunk import UsageMetadata
from headrace.providers.json_text import whole_count
from headrace.usage import Usage


class UsageCounts:
    """The counts told so far in one turn."""

    __slots__ = ("_cached", "_candidates", "_last", "_prompt", "_thoughts", "_tool_use", "_usage")

    def __init__(self) -> None:
        self._last = UsageMetadata()
        self._usage = Usage()
        self._prompt = self._tool_use = self._candidates = self._thoughts = self._cached = 0

    def take(self, told: UsageMetadata) -> Usage | None:
        """The usage so far, or None where this chunk told nothing new."""
        if told == self._last:
            return None
        self._last = told
        self._prompt = _count(told.prompt_token_count, self._prompt)
        self._tool_use = _count(told.tool_use_prompt_token_count, self._tool_use)
        self._candidates = _count(told.candidates_token_count, self._candidates)
        self._thoughts = _count(told.thoughts_token_count, self._thoughts)
        self._cached = _count(told.cached_content_token_count, self._cached)
        output = self._candidates + self._thoughts
        # What a server-side tool gave back is read by the model: input.
        usage = Usage(self._prompt + self._tool_use, output, self._cached, self._thoughts)
        if usage == self._usage:
            return None
        self._usage = usage
        return usage


def _count(value: object, before: int) -> int:
    if value is None:  # most are, in every chunk
        return before
    count = whole_count(value)
    return before if count is None else count
