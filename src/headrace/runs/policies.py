"""What a viewer that lags gets: pure functions over events (law 6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import astuple

from headrace.events import Event, Thought, Token, ToolArgs

MERGE_OVER = 64 * 1024
"""Characters of pending text from which on neighbouring deltas are joined."""

JOINED_MAX = 64 * 1024
"""Most characters in one joined delta: joining stays linear and frames stay small."""


def pending_chars(events: Iterable[Event]) -> int:
    """Characters of text in the deltas among these events."""
    total = 0
    for event in events:
        kind = type(event)
        if kind is Token or kind is Thought:
            total += len(event.content)  # type: ignore[attr-defined]
        elif kind is ToolArgs:
            total += len(event.delta)  # type: ignore[attr-defined]
    return total


def text_chars(events: Iterable[Event]) -> int:
    """Characters of text in all fields of these events: what a log's bound counts.

    A tool's `input` and a step's `message` are not counted again: they repeat counted deltas.
    """
    total = 0
    for event in events:
        kind = type(event)
        if kind is Token or kind is Thought:
            total += len(event.content)  # type: ignore[attr-defined]
        else:
            total += sum(len(v) for v in astuple(event) if isinstance(v, str))
    return total


def join_deltas(events: Sequence[Event]) -> list[Event]:
    """Join neighbouring deltas of the same kind, agent and call.

    A step's end stands between the deltas of two steps, so deltas of different steps are never
    neighbours. A joined event has the last one's `seq` and `at` and the first one's `index`.
    Structural events stay as they are, in their place.
    """
    joined: list[Event] = []
    group: list[Event] = []
    chars = 0
    for event in events:
        size = pending_chars((event,))
        if group and (_key(event) != _key(group[-1]) or chars + size > JOINED_MAX):
            joined.append(_join(group))
            group, chars = [], 0
        group.append(event)
        chars += size
    if group:
        joined.append(_join(group))
    return joined


def _key(event: Event) -> object:
    """Equal for events that may be joined; unlike anything else for structural ones."""
    if isinstance(event, ToolArgs):
        return (ToolArgs, event.agent, event.call_id)
    if isinstance(event, Token | Thought):
        return (type(event), event.agent)
    return event.seq


def _join(group: list[Event]) -> Event:
    first, last = group[0], group[-1]
    if first is last:
        return first
    if isinstance(first, Token):
        text = "".join(e.content for e in group if isinstance(e, Token))
        return Token(last.seq, last.at, last.agent, text, first.index)
    if isinstance(first, ToolArgs):
        text = "".join(e.delta for e in group if isinstance(e, ToolArgs))
        return ToolArgs(last.seq, last.at, last.agent, first.call_id, first.name, text)
    text = "".join(e.content for e in group if isinstance(e, Thought))
    return Thought(last.seq, last.at, last.agent, text)
