"""Finds ReAct's marks (`Thought:`, `Action:` …) in a text as it comes.

A mark stands at the beginning of a line, or behind another mark. Case, blanks, a number
(`Action 1:`) and Markdown around it (`**Thought:**`, `### Action:`) do not matter. What may still
become a mark is held back, and nothing else; the text in front of a mark loses the line ends that
only separate the two.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

Label = Literal["thought", "action", "input", "observation", "final", "answer"]
"""`input` is ``Action Input:``, `final` ``Final Answer:``, `answer` ``Answer:`` alone."""

MAX_BLANKS = 256
"""White space that is held back before a mark; of more, the first half is text."""


class Mark(Struct, frozen=True):
    """A mark that was found.

    Attributes:
        label: Which.
        raw: As it was written, the line ends before it and its colon included.
        opened: Markdown that was opened before it and not closed with it (``**``).
    """

    label: Label
    raw: str
    opened: str = ""


class Marks:
    """Cuts a text into marks and what stands between them, as it comes."""

    def __init__(self) -> None:
        self._held = ""
        self._line_begins = True

    def feed(self, text: str) -> list[str | Mark]:
        """Take the next piece; the pieces and marks that are certain now, in order."""
        self._held += text
        found: list[str | Mark] = []
        while self._held and (self._beginning(found) if self._line_begins else self._rest(found)):
            pass
        return found

    def close(self) -> list[str]:
        """No more comes: what was held back, without blanks at its end."""
        held, self._held = self._held.rstrip(), ""
        text = held.lstrip()
        return [piece for piece in (held[: len(held) - len(text)], text) if piece]

    def _rest(self, found: list[str | Mark]) -> bool:
        """The rest of a line that begins with no mark; whether there is more."""
        line, end, more = self._held.partition("\n")
        if line:
            found.append(line)
        self._held = end + more
        self._line_begins = bool(end)
        return bool(end)

    def _beginning(self, found: list[str | Mark]) -> bool:
        """The beginning of a line; whether it is certain what it is."""
        if _MANY_BLANKS.match(self._held):
            return self._let_go(MAX_BLANKS // 2, found)
        mark = _MARK.match(self._held)
        if mark is not None:
            found.append(_found(mark))
            self._held = self._held[mark.end() :]
            return True  # "Thought: Action:" are two
        if _MAY_BECOME.fullmatch(self._held):
            return False
        self._line_begins = False
        return self._let_go(len(self._held) - len(self._held.lstrip()), found)

    def _let_go(self, chars: int, found: list[str | Mark]) -> bool:
        if chars:
            found.append(self._held[:chars])
            self._held = self._held[chars:]
        return True


def _found(match: re.Match[str]) -> Mark:
    closed = match["closed"] or not match["decor"]
    opened = _EMPHASIS.search(match["decor"])
    label = next(name for name in _WORDS if match[name])
    return Mark(label, match[0], "" if closed or opened is None else opened[0])


_BETWEEN = r"[ _-]{0,3}"
_WORDS: dict[Label, Sequence[str]] = {
    "thought": tuple("thought"),
    "action": tuple("action"),
    "input": (*"action", _BETWEEN, *"input"),
    "observation": tuple("observation"),
    "final": (*"final", _BETWEEN, *"answer"),
    "answer": tuple("answer"),
}
_BEFORE = (r"\s*", r"[>#*_`+\- \t]{0,12}")
_AFTER = (r"[ \t]{0,4}", r"[0-9]{0,2}", r"[*_`]{0,3}", r"[ \t]{0,4}", "[:\uff1a]")  # ASCII and CJK


def _beginnings(atoms: Sequence[str]) -> str:
    """A pattern of all texts that may go on to match these atoms."""
    pattern = ""
    for atom in reversed(atoms):
        pattern = f"(?:{atom}{pattern})?"
    return pattern


_MANY_BLANKS = re.compile(rf"\s{{{MAX_BLANKS + 1}}}")
_EMPHASIS = re.compile(r"[*_`]+\Z")
_MARK = re.compile(
    rf"{_BEFORE[0]}(?P<decor>{_BEFORE[1]})"
    + "(?:" + "|".join(f"(?P<{label}>{''.join(word)})" for label, word in _WORDS.items()) + ")"
    + rf"{_AFTER[0]}{_AFTER[1]}(?P<closed>{_AFTER[2]}){_AFTER[3]}{_AFTER[4]}",
    re.IGNORECASE,
)  # fmt: skip
_MAY_BECOME = re.compile(
    "|".join(_beginnings((*_BEFORE, *word, *_AFTER[:-1])) for word in _WORDS.values()),
    re.IGNORECASE,
)

INLINE_INPUT = re.compile(
    rf"[\s*_`,;|]*action{_BETWEEN}input[ \t]{{0,4}}[0-9]{{0,2}}[*_`]{{0,3}}[ \t]{{0,4}}[:\uff1a]",
    re.IGNORECASE,
)
"""``Action Input:`` on the line of its action."""
