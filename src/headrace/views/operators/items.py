"""What operators know of the items that pass: which are text, how to join and cut them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar, cast

import msgspec

from headrace.events import Event, Thought, Token, ToolArgs
from headrace.models.chunk import StreamChunk
from headrace.runs.policies import JOINED_MAX

Item = str | StreamChunk | Event
"""What operators work on."""

T = TypeVar("T", bound=Item)

_HELD_MAX = 4096
"""Held items from which on they are joined."""


def kind(item: Item) -> object:
    """Equal for neighbours that may be joined; None for a structural item, which stays whole."""
    if isinstance(item, str):
        return str
    if isinstance(item, StreamChunk):
        plain = not item.is_final and item.finish_reason is None and not item.metadata
        return StreamChunk if plain else None
    if isinstance(item, ToolArgs):
        return (ToolArgs, item.agent, item.call_id)
    if isinstance(item, Token | Thought):
        return (type(item), item.agent)
    return None


def delta(item: Item) -> str:
    """The text of an item that may be joined."""
    if isinstance(item, str):
        return item
    if isinstance(item, ToolArgs):
        return item.delta
    if isinstance(item, StreamChunk | Token | Thought):
        return item.content
    return ""


def answer(item: Item) -> str:
    """What the item adds to the answer's text."""
    if isinstance(item, Token):
        return "" if item.agent else item.content
    return "" if isinstance(item, Event) else delta(item)


def remake(first: T, last: T, text: str) -> T:
    """An item with `text`, which began in `first` and ended in `last` (both of one kind).

    As in a lagging viewer, events take the last one's `seq` and `at` and the first one's `index`.
    """
    made: Item
    if isinstance(last, str):
        made = text
    elif isinstance(first, Token) and isinstance(last, Token):
        made = Token(last.seq, last.at, last.agent, text, first.index)
    elif isinstance(last, Thought):
        made = Thought(last.seq, last.at, last.agent, text)
    elif isinstance(last, ToolArgs):
        made = ToolArgs(last.seq, last.at, last.agent, last.call_id, last.name, text)
    else:
        made = StreamChunk(text, timestamp=cast(StreamChunk, last).timestamp)
    return cast(T, made)


def join(items: Sequence[T]) -> list[T]:
    """Join neighbouring text, up to `JOINED_MAX` characters an item."""
    joined: list[T] = []
    group: list[T] = []
    chars = 0
    for item in items:
        if group and (kind(item) != kind(group[-1]) or chars >= JOINED_MAX):
            joined.append(_one(group))
            group, chars = [], 0
        if kind(item) is None:
            joined.append(item)
        else:
            group.append(item)
            chars += len(delta(item))
    if group:
        joined.append(_one(group))
    return joined


def _one(group: list[T]) -> T:
    if len(group) == 1:
        return group[0]
    return remake(group[0], group[-1], "".join(map(delta, group)))


class Held(Generic[T]):
    """Items that wait: memory is that of their text, however many they were."""

    __slots__ = ("_items", "_room")

    def __init__(self) -> None:
        self._items: list[T] = []
        self._room = _HELD_MAX

    def __len__(self) -> int:
        return len(self._items)

    def add(self, items: Iterable[T]) -> None:
        """Put items after those that wait."""
        self._items.extend(items)
        if len(self._items) >= self._room:
            self._items = join(self._items)
            self._room = max(_HELD_MAX, 2 * len(self._items))  # joining stays linear

    def take(self) -> list[T]:
        """All of them."""
        items, self._items = self._items, []
        self._room = _HELD_MAX
        return items


class Numbering:
    """Counts the chunks that come out of an operator, from 0."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next = 0

    def __call__(self, item: T) -> T:
        """The item with its place in this stream."""
        if not isinstance(item, StreamChunk):
            return item
        index, self._next = self._next, self._next + 1
        return item if item.index == index else msgspec.structs.replace(item, index=index)
