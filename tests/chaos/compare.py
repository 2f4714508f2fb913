"""What a viewer saw against the log: lost, doubled, reordered, changed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

from msgspec.structs import replace

from headrace.events import Event, Thought, Token, ToolArgs, encode


@dataclass(frozen=True)
class Counts:
    """Events of one viewer, or the sum over several.

    Attributes:
        seen: What it was shown.
        joined: Those of them that stood for several neighbouring deltas.
        lost: In the log, and not shown.
        doubled: Shown again.
        reordered: Shown after a later one.
        changed: Shown otherwise than they stand in the log, or not there at all.
    """

    seen: int = 0
    joined: int = 0
    lost: int = 0
    doubled: int = 0
    reordered: int = 0
    changed: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*map(sum, zip(astuple(self), astuple(other), strict=True)))

    @property
    def right(self) -> bool:
        """Whether it saw the log, each event once, in order, unchanged."""
        return not (self.lost or self.doubled or self.reordered or self.changed)


def compare(log: Sequence[Event], seen: Sequence[Event], *, whole: bool = True) -> Counts:
    """Count.

    Args:
        log: The whole log, from seq 1.
        seen: What the viewer was shown, from seq 1.
        whole: Whether the viewer was there to the end.
    """
    at, joined, lost, doubled, reordered, changed = 0, 0, 0, 0, 0, 0
    before: set[int] = set()
    for event in seen:
        if event.seq in before:
            doubled += 1
        elif event.seq <= at:
            reordered += 1
        elif event.seq > len(log):
            changed += 1
        else:
            group = log[at : event.seq]
            at = event.seq
            if encode(group[-1]) == encode(event):
                lost += len(group) - 1
            elif _is_join(group, event):
                joined += 1
            else:
                changed += 1
        before.add(event.seq)
    lost += len(log) - at if whole else 0
    return Counts(len(seen), joined, lost, doubled, reordered, changed)


def _is_join(group: Sequence[Event], event: Event) -> bool:
    """Whether these neighbouring deltas make this event."""
    last = group[-1]
    if len({(type(one), one.agent) for one in group}) != 1:
        return False
    if isinstance(last, Token):
        text = "".join(one.content for one in group if isinstance(one, Token))
        index = group[0].index if isinstance(group[0], Token) else -1
        return event == replace(last, content=text, index=index)
    if isinstance(last, Thought):
        text = "".join(one.content for one in group if isinstance(one, Thought))
        return event == replace(last, content=text)
    if isinstance(last, ToolArgs):
        args = [one for one in group if isinstance(one, ToolArgs)]
        same = len({one.call_id for one in args}) == 1
        return same and event == replace(last, delta="".join(one.delta for one in args))
    return False
