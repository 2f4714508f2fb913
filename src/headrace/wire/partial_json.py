"""When to parse a growing JSON text again; the parser is a library's.

A parse costs as much as the text is long, so a parse for every piece costs the square of it. Here
the next parse waits until the text has grown by an eighth, at least by 16 characters: all parses
together cost at most about nine of the whole text, and the last value shown is never more than
an eighth behind.
"""

from __future__ import annotations

from collections.abc import Callable

from headrace.errors import EventTooLarge

MAX_SIZE = 8 * 1024 * 1024

_LEAST_GROWTH = 16  # characters: a few words, so that a short document looks live
_GROWTH_SHARE = 8  # one part in so many: total cost is (1 + 8) parses of the whole


def parse_json(text: str, partial: bool) -> object:
    """Parse a JSON text, whole (RFC 8259) or as far as it goes.

    Args:
        text: The text.
        partial: Whether to close what is still open: an unfinished string comes as it is so
            far, also a number (``12`` may become ``125``); an unfinished key or word is left out.

    Raises:
        ValueError: The text is not JSON, or nothing of it is there yet.
        TypeError: A lone surrogate in the text.
    """
    from pydantic_core import from_json  # here, because importing the package must stay light

    return from_json(
        text, allow_partial="trailing-strings" if partial else "off", allow_inf_nan=False
    )


class PartialJSON:
    """The value of a JSON text that comes in pieces.

    A text that is not JSON is no exception here: `value` stays the last good one, and `finish`
    says False. The text itself is kept for whoever wants to show or return it.

    Args:
        max_size: Characters of the text.
        parse: ``parse(text, partial)``; raises ValueError where it cannot.

    Attributes:
        value: The newest value; None before the first.
        complete: Whether `value` is that of the whole, valid text.
    """

    __slots__ = ("_fresh", "_max_size", "_parse", "_pieces", "_seen", "_step", "complete", "value")

    def __init__(
        self,
        *,
        max_size: int = MAX_SIZE,
        parse: Callable[[str, bool], object] = parse_json,
    ) -> None:
        self._max_size = max_size
        self._parse = parse
        self._pieces: list[str] = []
        self._seen = 0  # characters at the last look
        self._fresh = 0  # characters since
        self._step = 0  # how many of these it takes to look again
        self._plan()
        self.value: object = None
        self.complete = False

    @property
    def text(self) -> str:
        """The whole text so far."""
        self._pieces = ["".join(self._pieces)]
        return self._pieces[0]

    def feed(self, piece: str) -> bool:
        """Take the next piece; say whether `value` is newer now.

        False means that nothing was parsed, or nothing could be.

        Raises:
            EventTooLarge: The text would pass `max_size`. It stays as it was, and every later
                `feed` raises again.
        """
        # Nearly every call ends at the first return: it is kept to an addition and an append.
        self._pieces.append(piece)
        self._fresh += len(piece)
        if self._fresh < self._step:
            return False
        return self._look()

    def _look(self) -> bool:
        if self._seen + self._fresh > self._max_size:
            self._pieces.pop()
            raise EventTooLarge(f"A JSON text is over {self._max_size} characters.")
        self._seen += self._fresh
        self._fresh = 0
        self._plan()
        return self._try(partial=True)

    def _plan(self) -> None:
        """Set the next look: when it is worth it, or at the bound."""
        step = max(_LEAST_GROWTH, self._seen // _GROWTH_SHARE)
        self._step = min(step, self._max_size - self._seen + 1)

    def finish(self) -> bool:
        """Parse the whole text strictly; say whether it is valid JSON.

        If it is, `value` is its value and `complete` is True. An empty text is not valid.
        """
        self.complete = self._try(partial=False)
        return self.complete

    def _try(self, *, partial: bool) -> bool:
        try:
            self.value = self._parse(self.text, partial)
        except (ValueError, TypeError):
            return False
        return True
