"""What stands under `Thought:` and `Final Answer:`, and before any mark."""

from __future__ import annotations

from headrace.models.deltas import ReasoningDelta, TextDelta

MAX_UNMARKED = 1024
"""Characters without any mark that are held back; more of them are an answer, and stream."""


class Said:
    """The text under one mark, without the blanks before it.

    Args:
        opened: Markdown that was opened before the mark; where it is closed, it is left out.
        lead: Put before the text, where there is any.
    """

    def __init__(self, opened: str = "", lead: str = "") -> None:
        self._opened = opened
        self._lead = lead
        self._begun = False
        self._held = ""

    def take(self, text: str) -> str:
        """What of the text so far can be shown and was not."""
        if self._opened:
            text = self._without_close(self._held + text)
        return self._shown(text)

    def end(self) -> str:
        """What was held back."""
        held, self._held = self._held, ""
        return self._shown(held)

    def _without_close(self, text: str) -> str:
        before, close, after = text.partition(self._opened)
        if close:
            self._opened = self._held = ""
            return before + after
        keep = next(
            n for n in range(len(self._opened) - 1, -1, -1) if text.endswith(self._opened[:n])
        )
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def _shown(self, text: str) -> str:
        if not self._begun:
            text = text.lstrip()
            self._begun = bool(text)
            return self._lead + text if text else ""
        return text


class Opening:
    """An input that may begin with the close of what was opened before its mark.

    Args:
        opened: Such as ``**``, in ``**Action Input:** {…}``; further on, it is the input's own.
    """

    def __init__(self, opened: str = "") -> None:
        self._opened = opened
        self._held = ""

    def take(self, text: str) -> str:
        """The input without it."""
        if not self._opened:
            return text
        self._held = (self._held + text).lstrip()
        if self._opened.startswith(self._held) and self._held != self._opened:
            return ""
        text, self._held = self._held.removeprefix(self._opened), ""
        self._opened = ""
        return text


class Unmarked:
    """Text before any mark: a thought where a mark follows, else an answer."""

    def __init__(self) -> None:
        self._text = ""
        self.is_answer = False

    @property
    def begun(self) -> bool:
        """Whether there was any."""
        return self.is_answer or bool(self._text)

    def take(self, text: str) -> list[TextDelta]:
        """Hold it back, as long as it may be a thought."""
        self._text = (self._text + text).lstrip() if not self.is_answer else text
        if not self.is_answer and len(self._text) <= MAX_UNMARKED:
            return []
        self.is_answer = True
        return self.answer()

    def answer(self) -> list[TextDelta]:
        """It is one."""
        text, self._text = self._text, ""
        return [TextDelta(text)] if text else []

    def thought(self) -> list[ReasoningDelta]:
        """It was one."""
        text, self._text = self._text.rstrip(), ""
        return [ReasoningDelta(text)] if text else []
