"""What a viewer that lags gets: policies, and the pure functions over events behind them (law 6).

A viewer lags when more than 64 KiB (characters) of deltas wait for it. Then

- ``merge``: neighbouring deltas are joined. No text is lost.
- ``drop``: deltas are left out; in place of each stretch stands a `warning` with the code ``gap``.
- ``disconnect``: it is ended with `ViewerLagged`, which says where to read on.
- ``block``: the run waits for it, and for 5 s at most while it reads nothing.

Structural events reach every viewer as they are. For ``drop`` and ``disconnect``, what was there
before the viewer came is no lag: it gets that whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import Literal, get_args

from msgspec import Struct
from msgspec.structs import astuple

from headrace.errors import UsageError
from headrace.events import Event, Thought, Token, ToolArgs, Warn

MERGE_OVER = 64 * 1024
"""Characters of pending text from which on neighbouring deltas are joined."""

JOINED_MAX = 64 * 1024
"""Most characters in one joined delta: joining stays linear and frames stay small."""

BLOCK_TIMEOUT = 5.0
"""Seconds that a viewer with the policy `block` may hold its run up without reading."""

PolicyName = Literal["merge", "drop", "disconnect", "block"]


class Policy(Struct, frozen=True):
    """What happens when a viewer lags.

    Attributes:
        name: One of ``merge``, ``drop``, ``disconnect``, ``block``.
        timeout: Of ``block``: seconds that the run waits for a viewer that reads nothing.

    Raises:
        UsageError: there is no such policy, or the timeout is no positive number.
    """

    name: PolicyName = "merge"
    timeout: float = BLOCK_TIMEOUT

    def __post_init__(self) -> None:
        if self.name not in get_args(PolicyName):
            raise UsageError(
                f"There is no viewer's policy {self.name!r}.",
                hint=f"Known are: {', '.join(get_args(PolicyName))}.",
            )
        seconds: object = self.timeout
        if not isinstance(seconds, int | float) or not 0 < seconds < inf:
            raise UsageError(
                f"A timeout of {self.timeout!r} is no time to wait.",
                hint=f"Give seconds above 0; the default is {BLOCK_TIMEOUT:g}.",
            )


MERGE = Policy()


def block(timeout: float = BLOCK_TIMEOUT) -> Policy:
    """The policy ``block`` with another timeout, in seconds."""
    return Policy("block", timeout)


def policy_of(given: Policy | PolicyName) -> Policy:
    """A policy, given as such or by name.

    Raises:
        UsageError: there is none of this name.
    """
    return given if isinstance(given, Policy) else Policy(given)


def lag_of(batch: Sequence[Event], after: int, last_seq: int) -> int:
    """Characters of deltas behind `after`, told from the first batch of them.

    Exact where the batch reaches `last_seq`. Where it does not, what follows is taken to be as
    dense as the batch: measuring it would mean reading all of it, for every viewer that lags.
    """
    return pending_chars(batch) * (last_seq - after) // (batch[-1].seq - after)


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


def drop_deltas(events: Sequence[Event], after: int) -> list[Event]:
    """Leave out all deltas; a notice stands in the place of each stretch of them.

    A notice is a `warning` with the code ``gap`` and the `seq` of the last event left out.

    Args:
        events: What follows `after`.
        after: The `seq` before the first of them.
    """
    kept: list[Event] = []
    left_out: Event | None = None
    for event in events:
        if isinstance(event, Thought | Token | ToolArgs):
            left_out = event
            continue
        if left_out is not None:
            kept.append(_gap(after + 1, left_out))
            left_out = None
        kept.append(event)
        after = event.seq
    if left_out is not None:
        kept.append(_gap(after + 1, left_out))
    return kept


def _gap(first: int, last: Event) -> Warn:
    message = (
        f"Events {first} to {last.seq}, pieces of text, were left out: "
        f"this viewer was more than {MERGE_OVER // 1024} KiB behind."
    )
    return Warn(last.seq, last.at, "", "gap", message)


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
