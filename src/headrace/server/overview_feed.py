"""The overview as a stream: once a second while something changes, encoded once for all.

Nothing here runs while nobody watches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from headrace.runs.stores.store import Store
from headrace.server.overview import SLOT, WINDOW, Overview
from headrace.server.overview_board import Board
from headrace.server.overview_ring import slot_of
from headrace.server.overview_seed import seed
from headrace.server.replies import json_of

INTERVAL = 1.0
"""Seconds between two overviews of a stream."""

_AGAIN = 2 * SLOT
"""Seconds before the slot that goes on, of which each overview of a stream tells, too."""


class Frame(Struct, frozen=True):
    """An overview as a server-sent event, and its `at` and `since`."""

    at: float
    since: float
    data: bytes


class OverviewFeed:
    """Gives overviews, and wakes those who watch when there is a new one.

    Args:
        board: What is shown.
        store: Has the runs of the time before.

    Attributes:
        interval: Seconds between two overviews of a stream.
    """

    def __init__(self, board: Board, store: Store) -> None:
        self.board = board
        self._store = store
        self.interval = INTERVAL
        self._readers: set[Callable[[], object]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._last: Overview | None = None
        self._frame: Frame | None = None
        self._seeding: asyncio.Task[None] | None = None

    async def ready(self) -> None:
        """Wait until the earlier runs are read; the first call reads them."""
        if self._seeding is None:
            board = self.board
            self._seeding = asyncio.create_task(seed(board.ring, self._store, board.began))
        await asyncio.shield(self._seeding)

    def overview(self, window: float = WINDOW) -> Overview:
        """The figures now."""
        return self.board.whole(window)

    def join(self, wake: Callable[[], object]) -> None:
        """Call this when there is something new, until it leaves."""
        self._readers.add(wake)
        if self._timer is None:
            self._wait()

    def leave(self, wake: Callable[[], object]) -> None:
        """Call it no more."""
        self._readers.discard(wake)
        if not self._readers and self._timer is not None:
            self._timer.cancel()
            self._timer = self._last = self._frame = None

    def frame(self, seen: float | None, window: float = WINDOW) -> Frame:
        """What a reader gets who was told last at `seen`, or was told nothing."""
        if seen is None:
            return _frame(self.board.whole(window))
        needed = slot_of(seen) - SLOT  # the slot before may have grown by what came late
        if self._frame is not None and self._frame.since <= needed:
            return self._frame
        return _frame(self.board.overview(max(needed, slot_of(self.board.clock() - WINDOW) + SLOT)))

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self.interval, self._look)

    def _look(self) -> None:
        """Wake those who watch, if there is something new."""
        self._wait()  # first: whatever fails here, the next one comes
        told = self.board.overview(slot_of(self.board.clock()) - _AGAIN)
        if self._last is not None and _same(told, self._last):
            return
        self._last = told
        self._frame = _frame(told)
        for wake in tuple(self._readers):
            wake()


def _same(one: Overview, other: Overview) -> bool:
    """Whether nothing differs but the time."""
    return replace(one, at=0.0, since=0.0) == replace(other, at=0.0, since=0.0)


def _frame(overview: Overview) -> Frame:
    return Frame(overview.at, overview.since, b"data: %b\n\n" % json_of(overview))
