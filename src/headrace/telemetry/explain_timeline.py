"""A stretch of time shared out among what it was spent on: each instant counts once. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Literal, NamedTuple

Kind = Literal[
    "queue",
    "interrupted",
    "streaming",
    "waiting",
    "lost",
    "person",
    "tools",
    "store",
    "headrace",
]
"""What a run's time goes to.

===============  ================================================================================
``queue``        from the submit to the first event: its turn in its session, its record
``interrupted``  no process had the run: its own was lost, and no other had taken it up
``streaming``    a model's answer was coming, the silences in it included
``waiting``      a model was asked and had not begun to answer
``lost``         tries that do not count: failed before any content, or withdrawn after it
``person``       a call waited for a person's decision
``tools``        tools ran
``store``        the run was held up by its own log: by its store, or a viewer that blocks
``headrace``     nothing of these: Headrace, and the program that it runs in
===============  ================================================================================
"""

_RANKS: tuple[Kind, ...] = (
    "queue",
    "interrupted",
    "streaming",
    "waiting",
    "lost",
    "person",
    "tools",
)
"""Where spans overlap, the first of these has the instant: a run waits for its slowest part, and
a tool that ends while the model still speaks costs nothing."""


class Span(NamedTuple):
    """From `start` to `end` in whole microseconds, which add up exactly."""

    kind: Kind
    start: int
    end: int


def micros(seconds: float) -> int:
    """Seconds as whole microseconds: what a clock of Unix seconds in a float can tell."""
    return round(seconds * 1e6)


def shares(spans: Iterable[Span], begin: int, end: int) -> dict[Kind, int]:
    """How much of the time from `begin` to `end` each kind has; what no span covers is Headrace's.

    The shares are not negative and add up to ``end - begin`` exactly.
    """
    ranks = {kind: rank for rank, kind in enumerate(_RANKS)}
    edges: list[tuple[int, int, int]] = []  # when, of which rank, one more or one less
    for span in spans:
        start, stop = max(span.start, begin), min(span.end, end)
        if start < stop:
            edges += [(start, ranks[span.kind], 1), (stop, ranks[span.kind], -1)]
    found: dict[Kind, int] = {kind: 0 for kind in (*_RANKS, "store", "headrace")}
    open_, last = [0] * len(_RANKS), begin
    for at, rank, step in sorted(edges):
        found[_first(open_)] += at - last
        open_[rank] += step
        last = at
    found["headrace"] += end - last
    return found


def _first(open_: list[int]) -> Kind:
    return next((_RANKS[rank] for rank, count in enumerate(open_) if count), "headrace")


def union(spans: Iterable[tuple[int, int]]) -> int:
    """The time that these cover together: what runs side by side counts once."""
    covered, last = 0, None
    for start, end in sorted(spans):
        begin = start if last is None else max(start, last)
        if end > begin:
            covered += end - begin
            last = end
    return covered


def in_turn(spans: Iterable[tuple[int, int]]) -> bool:
    """Whether each of several began only when the one before was over."""
    ordered = sorted(spans)
    return len(ordered) > 1 and all(after[0] >= before[1] for before, after in pairwise(ordered))
