"""Operators that cut text anew."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from math import inf
from typing import Generic, Literal, TypeVar

from headrace.errors import UsageError
from headrace.events import ToolArgs
from headrace.views.operators.items import Item, Numbering, delta, kind, remake
from headrace.views.operators.pump import close

T = TypeVar("T", bound=Item)

Ends = Callable[[str, int], Iterable[int]]
"""Where to cut a text of which so many characters are known to hold no cut."""

_UNSPACED = (
    "\u3000-\u30ff\u3100-\u312f\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
)
"""Scripts that put no space between words: kana, bopomofo, Han (Unicode blocks), and their
punctuation. Hangul spaces its words."""

_UNITS = {
    "word": (re.compile(rf"[{_UNSPACED}]|\S\s+"), 64),
    "line": (re.compile(r"\n"), 4096),
}
"""Where a unit ends, and the length from which on one is not waited for any more."""


def by_chars(source: AsyncIterable[T], chars: int = 50) -> AsyncGenerator[T]:
    """Text in pieces of `chars` characters (code points), the last one as short as it is.

    A tool's arguments and structural items pass as they come, after the text before them.

    Raises:
        UsageError: `chars` is less than 1.
    """
    if chars < 1:
        raise UsageError(f"by_chars needs at least 1 character a piece, not {chars}.")
    return _recut(source, lambda text, _: range(chars, len(text) + 1, chars), 0.0)


def smooth(
    source: AsyncIterable[T], unit: Literal["word", "line"] = "word", delay: float = 0.01
) -> AsyncGenerator[T]:
    """Text word by word or line by line, `delay` seconds apart at least.

    Each piece ends with the white space after its word, or with its line feed. Chinese and
    Japanese, which put no spaces between words, come character by character. A word of 64 or a
    line of 4,096 characters is let out unfinished. A tool's arguments and structural items pass
    as they come, after the text before them.

    Raises:
        UsageError: there is no such unit.
    """
    if unit not in _UNITS:
        raise UsageError(f"smooth knows the units {', '.join(_UNITS)}, not {unit!r}.")
    pattern, longest = _UNITS[unit]

    def ends(text: str, known: int) -> Iterable[int]:
        end = 0
        for match in pattern.finditer(text, max(0, known - 1)):
            end = match.end()
            yield end
        if len(text) - end >= longest:
            yield len(text)

    return _recut(source, ends, delay)


async def _recut(source: AsyncIterable[T], ends: Ends, delay: float) -> AsyncGenerator[T]:
    now = asyncio.get_running_loop().time
    number = Numbering()
    cutter: _Cutter[T] = _Cutter(ends)
    items = aiter(source)
    error: Exception | None = None
    over = False
    last = -inf
    try:
        while not over:
            try:
                pieces = cutter.add(await anext(items))
            except StopAsyncIteration:
                pieces, over = cutter.rest(), True
            except Exception as raised:  # raised again below, after the text before it
                pieces, over, error = cutter.rest(), True, raised
            for piece in pieces:
                if delay and kind(piece) is not None:
                    await _sleep_until(last + delay)
                    last = now()
                yield number(piece)
        if error is not None:
            raise error
    finally:
        await close(items)


async def _sleep_until(at: float) -> None:
    wait = at - asyncio.get_running_loop().time()
    if wait > 0:
        await asyncio.sleep(wait)


class _Cutter(Generic[T]):
    """Holds text until there is a place to cut. Pure."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._text = ""
        self._first: T | None = None
        self._last: T | None = None

    def add(self, item: T) -> list[T]:
        """Take an item, give what is ready."""
        if kind(item) is None or isinstance(item, ToolArgs):
            return [*self.rest(), item]
        ready = []
        if self._first is not None and kind(item) != kind(self._first):
            ready = self.rest()
        text = self._text + delta(item)
        first = item if self._first is None else self._first
        start = 0
        for end in self._ends(text, len(self._text)):
            ready.append(remake(first, item, text[start:end]))
            start, first = end, item
        self._text = text[start:]
        self._first, self._last = (first, item) if self._text else (None, None)
        return ready

    def rest(self) -> list[T]:
        """What is left."""
        if self._first is None or self._last is None:
            return []
        rest = remake(self._first, self._last, self._text)
        self._text, self._first, self._last = "", None, None
        return [rest]
