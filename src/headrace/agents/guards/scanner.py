"""Finds a pattern's matches in a text that comes in pieces, and says what is not yet decided."""

from __future__ import annotations

from copy import copy

from msgspec import Struct

from headrace.agents.guards.pattern import Pattern

WINDOW = 256
"""Characters that a match may have before it is certain that it is one; so many are held back."""

MAX_WINDOW = 4096
"""The largest window that can be asked for."""


class Match(Struct, frozen=True):
    """A match that is over.

    Attributes:
        start: Its first character, counted from 0 over the whole text.
        end: One past its last.
        text: What matched, where that is wanted and no longer than the window; else empty.
    """

    start: int
    end: int
    text: str = ""


class Scanner:
    """The matches of one pattern: those of `re.finditer`, whatever the pieces.

    A match must be one within `window` characters of its start; what has not become one by then is
    let go. Once it is one it may grow without end, as long as each `window` characters extend it.

    Args:
        pattern: What to find.
        window: In characters.
        keep: Whether the text of a match is wanted, as far as the window.

    Attributes:
        pending: Start and end of a match that may still grow, or give way to one that began
            earlier.
    """

    def __init__(self, pattern: Pattern, window: int = WINDOW, *, keep: bool = False) -> None:
        self._pattern = pattern
        self._window = window
        self._keep = keep
        self._text = ""  # what may be looked at again, from `_base` on
        self._base = 0
        self._at = 0
        self._before = ""
        self._node = pattern.start
        self._starts: list[int] = []
        self.pending: tuple[int, int] | None = None

    @property
    def clear(self) -> int:
        """Characters from the text's start that are decided: in no match but those told."""
        first = self._starts[0] if self._starts else self._at
        return first if self.pending is None else min(first, self.pending[0])

    @property
    def sure(self) -> bool:
        """Whether the pending match will be one from where it starts, however far it goes."""
        return self.pending is not None and self.clear == self.pending[0]

    def feed(self, text: str) -> list[Match]:
        """Take a piece; gives the matches that are over."""
        self._text += text
        found: list[Match] = []
        self._run(found)
        matched = self._node.matched
        if matched is not None:  # told now, as no next character can change it
            self.pending = (self._starts[matched], self._at)
        self._forget()
        return found

    def close(self) -> list[Match]:
        """The text is over; gives the last matches."""
        found: list[Match] = []
        while True:
            self._run(found)
            self._take("")
            if self.pending is None:
                return found
            self._found(found, *self.pending)

    def pause(self) -> list[Match]:
        """The further matches that there would be if the text were over; it may go on."""
        here = copy(self)
        here._starts = list(self._starts)
        return here.close()

    def too_long(self, start: int, end: int) -> bool:
        """Whether a match is longer than the window: its text is kept no more."""
        return end - start > self._window

    def _run(self, found: list[Match]) -> None:
        end = self._base + len(self._text)
        while self._at < end:
            if not self._starts and self.pending is None and not self._skip():
                return
            self._take(self._text[self._at - self._base])
            if not self._starts and self.pending is not None:
                self._found(found, *self.pending)

    def _skip(self) -> bool:
        """Go to the next character that a match may begin with; False where there is none."""
        at = self._at - self._base
        begin = self._pattern.begins.search(self._text, at)
        to = len(self._text) if begin is None else begin.start()
        if to > at:
            self._before = self._text[to - 1]
            self._at = self._base + to
        return begin is not None

    def _take(self, char: str) -> None:
        """Feed the machine one character, ``""`` at the end."""
        step = self._pattern.step(self._node, self.pending is None, self._before, char)
        starts, at = self._starts, self._at
        if step.matched is not None:
            self.pending = (at if step.matched < 0 else starts[step.matched], at)
        if not step.same:
            self._starts = starts = [at if of < 0 else starts[of] for of in step.of]
        self._node = step.node
        if char:
            self._before = char
            self._at = at + 1
            if starts and at - starts[0] >= self._window:
                self._let_go()

    def _let_go(self) -> None:
        """End the threads that have come too far without a match."""
        start, end = self.pending or (-1, -1)
        oldest = self._at - self._window
        kept = [at >= oldest or (at == start and end >= oldest) for at in self._starts]
        if not all(kept):
            states = zip(self._node.states, kept, strict=True)
            self._node = self._pattern.node(tuple(state for state, keep in states if keep))
            self._starts = [at for at, keep in zip(self._starts, kept, strict=True) if keep]

    def _found(self, found: list[Match], start: int, end: int) -> None:
        """The pending match is over: go on behind it."""
        kept = self._keep and not self.too_long(start, end)
        text = self._text[start - self._base : end - self._base] if kept else ""
        found.append(Match(start, end, text))
        self._at = end
        self._before = self._text[self._at - self._base - 1]
        self.pending = None
        self._node, self._starts = self._pattern.start, []

    def _forget(self) -> None:
        """Drop the text that is never looked at again, all but one character before it."""
        need = [*self._starts[:1], self._at]
        if self.pending is not None:
            start, end = self.pending
            wanted = self._keep and not self.too_long(start, end)
            need = [end, *(at for at in self._starts if at != start), *([start] if wanted else [])]
        drop = min(need) - 1 - self._base
        if drop > 0:
            self._text = self._text[drop:]
            self._base += drop
