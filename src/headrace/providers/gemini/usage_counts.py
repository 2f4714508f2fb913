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

    __slots__ = ("_cached", "_candidates", "_prompt", "_thoughts", "_tool_use", "_usage")

    def __init__(self) -> None:
        self._usage = Usage()
        self._prompt = self._tool_use = self._candidates = self._thoughts = self._cached = 0

    def take(self, told: UsageMetadata) -> None:
        """Take what a chunk told; most tell the same fields again, and only these cost."""
        if told.prompt_token_count is not None:
            self._prompt = _count(told.prompt_token_count, self._prompt)
        if told.candidates_token_count is not None:
            self._candidates = _count(told.candidates_token_count, self._candidates)
        if told.thoughts_token_count is not None:
            self._thoughts = _count(told.thoughts_token_count, self._thoughts)
        if told.cached_content_token_count is not None:
            self._cached = _count(told.cached_content_token_count, self._cached)
        if told.tool_use_prompt_token_count is not None:
            self._tool_use = _count(told.tool_use_prompt_token_count, self._tool_use)

    def news(self) -> Usage | None:
        """The usage so far, or None where it is what was told before."""
        output = self._candidates + self._thoughts
        # What a server-side tool gave back is read by the model: input.
        usage = Usage(self._prompt + self._tool_use, output, self._cached, self._thoughts)
        if usage == self._usage:
            return None
        self._usage = usage
        return usage


def _count(value: object, before: int) -> int:
    if type(value) is int and 0 <= value <= 1 << 31:  # nearly always
        return value
    count = whole_count(value)
    return before if count is None else count
