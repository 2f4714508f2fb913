"""The words in fields that servers fill with strings, parts or lists of parts."""

from __future__ import annotations

from collections.abc import Iterator

from headrace.models.deltas import ReasoningDelta, TextDelta
from headrace.providers.openai_chat.chunk import ChunkDelta

_DEEPEST = 4


def reasoning_of(delta: ChunkDelta) -> str:
    """The reasoning in a delta: told under several names at once, it counts once."""
    named = (delta.reasoning_content, delta.reasoning, delta.thinking, delta.reasoning_details)
    return next((words for value in named if (words := _words(value))), "")


def texts_of(content: object, *, with_reasoning: bool) -> Iterator[TextDelta | ReasoningDelta]:
    """The pieces of `content`: a string, or a list of parts as Mistral sends it.

    Args:
        content: The field as it came; types that hold no text give nothing.
        with_reasoning: Whether thinking parts count (they do not where another field told them).
    """
    for part in content if isinstance(content, list) else [content]:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in ("thinking", "reasoning"):
            if with_reasoning and (words := _words(part)):
                yield ReasoningDelta(words)
        elif kind in (None, "text", "output_text", "refusal") and (words := _words(part)):
            yield TextDelta(words)


def _words(value: object, depth: int = 0) -> str:
    if isinstance(value, str):
        return value
    if depth > _DEEPEST:
        return ""
    if isinstance(value, list):
        return "".join(_words(item, depth + 1) for item in value)
    if not isinstance(value, dict):
        return ""
    names = ("text", "thinking", "summary", "content", "refusal")
    return next((words for name in names if (words := _words(value.get(name), depth + 1))), "")
