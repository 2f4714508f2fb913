"""What a caller makes of the chunks that an SDK of the Chat Completions kind gives.

Written as the vendors' own examples are: texts are added up, pieces of calls joined by their
index, the first id and name kept, the last finish reason and usage taken.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from tests.differential.harness import Seen, value

_WORDS = ("stop", "length", "tool_calls", "content_filter", "error")


class ChunkReader:
    """Adds chunks up; `seen` is what it has come to."""

    def __init__(self) -> None:
        self.text = ""
        self.names: dict[Any, str] = {}
        self.arguments: dict[Any, str] = {}
        self.reason = "stop"
        self.usage: tuple[int, int] | None = None

    async def read(self, chunks: AsyncIterator[Any]) -> Seen:
        """Read to the end; what the SDK raises counts as an error."""
        try:
            async for chunk in chunks:
                self.take(chunk)
        except Exception:  # whatever an SDK raises
            self.reason = "error"
        return self.seen

    def take(self, chunk: Any) -> None:
        """Take the next chunk."""
        groq = getattr(chunk, "x_groq", None)
        for usage in (getattr(groq, "usage", None), getattr(chunk, "usage", None)):
            if usage is not None:
                self.usage = (usage.prompt_tokens, usage.completion_tokens)
        for choice in getattr(chunk, "choices", None) or ():
            if choice.index == 0:
                self._take_choice(choice)

    def _take_choice(self, choice: Any) -> None:
        reason = getattr(choice, "finish_reason", None)
        if reason:
            reason = "tool_calls" if reason == "function_call" else reason
            self.reason = reason if reason in _WORDS else "stop"
        delta = getattr(choice, "delta", None)
        if delta is None:
            return
        self.text += getattr(delta, "content", None) or ""
        self.text += getattr(delta, "refusal", None) or ""
        for call in getattr(delta, "tool_calls", None) or ():
            self._take_call(getattr(call, "index", None), call.function)
        if getattr(delta, "function_call", None):
            self._take_call("function_call", delta.function_call)

    def _take_call(self, index: Any, function: Any) -> None:
        self.names.setdefault(index, getattr(function, "name", None) or "")
        self.arguments.setdefault(index, "")
        self.arguments[index] += getattr(function, "arguments", None) or ""

    @property
    def seen(self) -> Seen:
        """What the chunks told."""
        calls = tuple((self.names[key], value(text)) for key, text in self.arguments.items())
        return Seen(self.text, calls, self.reason, self.usage)
