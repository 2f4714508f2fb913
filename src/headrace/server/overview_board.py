"""The board: the live runs of this process, and what happened in the last hour.

Each run tells it what it does as it does it. How far its viewers are is asked only when someone
looks, and once a slot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import time

from msgspec import Struct

from headrace.runs.run import Run
from headrace.server.overview import RECENT, SLOT, WINDOW, Overview, Totals
from headrace.server.overview_ring import Figures, Ring, percentiles, slot_of
from headrace.server.overview_run import Followed

MOST_SHOWN = 200
"""Live runs of one overview, the last begun first."""

MINUTE = 60.0


class Viewing(Struct):
    """Who watches a run: how many, and the last event that the slowest of them was given."""

    viewers: int
    after: int


Viewers = Callable[[], Mapping[str, Viewing]]
"""Asked who watches, by run."""


class Board:
    """See the module.

    Args:
        viewers: Tells who watches.
        clock: Unix seconds.

    Attributes:
        began: When it began to count.
        ring: What it has counted.
    """

    def __init__(self, viewers: Viewers, clock: Callable[[], float] = time) -> None:
        self.clock = clock
        self.began = clock()
        self.ring = Ring(self.began)
        self._viewers = viewers
        self._live: dict[str, Followed] = {}

    def watch(self, run: Run) -> Followed:
        """Follow a run from here on; a `headrace.runs.observer.Watch`."""
        followed = self._live[run.id] = Followed(run, self.figures, self.forget)
        return followed

    def forget(self, run_id: str) -> None:
        """A run lives here no more."""
        self._live.pop(run_id, None)

    def figures(self, model: str, at: float) -> Figures:
        """Where to count what happens at a time."""
        if at >= self.ring.end:
            slot = self.ring.slot(at)  # first: the sample belongs to it
            self._sample(at)
            return slot.figures(model)
        return self.ring.slot(at).figures(model)

    def overview(self, since: float, window: float = WINDOW) -> Overview:
        """The figures now, with the slots that begin at `since` or later."""
        now = self.clock()
        viewing = self._sample(now)
        shown = sorted(self._live.items(), key=lambda item: -item[1].started_at)[:MOST_SHOWN]
        return Overview(
            at=now,
            since=since,
            slot_seconds=SLOT,
            window_seconds=window,
            runs=[followed.row(now, *_seen(followed, viewing.get(id))) for id, followed in shown],
            series=self.ring.rows(since),
            totals=self._totals(now, viewing),
        )

    def whole(self, window: float = WINDOW) -> Overview:
        """The figures now, with all slots of a window."""
        return self.overview(slot_of(self.clock() - window) + SLOT, window)

    def _totals(self, now: float, viewing: Mapping[str, Viewing]) -> Totals:
        recent = self.ring.recent(now)
        live = self._live
        lags = (_seen(live[id], seen)[1] for id, seen in viewing.items() if id in live)
        return Totals(
            live=len(live),
            viewers=sum(seen.viewers for seen in viewing.values()),
            lag=max(lags, default=0),
            tokens_per_second=round(sum(followed.rate(now) for followed in live.values()), 1),
            errors_per_minute=sum(self.ring.recent(now, MINUTE).errors.values()),
            seconds=RECENT,
            runs=recent.runs,
            errors=recent.errors,
            ttft_ms=percentiles(recent.ttft),
            gap_ms=percentiles(recent.gaps),
        )

    def _sample(self, now: float) -> Mapping[str, Viewing]:
        """Ask who watches, and keep what the series shows of it."""
        viewing = self._viewers()
        by_model: dict[str, list[tuple[int, int]]] = {}
        for run_id, seen in viewing.items():
            followed = self._live.get(run_id)
            if followed is not None:
                by_model.setdefault(followed.model, []).append(_seen(followed, seen))
        if by_model:
            slot = self.ring.slot(now)
            for model, found in by_model.items():
                slot.figures(model).seen(*_together(found))
            slot.seen(*_together([one for found in by_model.values() for one in found]))
        return viewing


def _seen(followed: Followed, viewing: Viewing | None) -> tuple[int, int]:
    """How many watch a run, and how many events the slowest of them is behind."""
    if viewing is None:
        return 0, 0
    return viewing.viewers, max(followed.last_seq - viewing.after, 0)


def _together(found: list[tuple[int, int]]) -> tuple[int, int]:
    """Of several runs: all viewers, and the largest lag."""
    return sum(viewers for viewers, _ in found), max(lag for _, lag in found)
