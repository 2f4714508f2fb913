"""One run's events in memory: batches as they were committed, and who waits for more."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress

from headrace.errors import LogConflict, ReplayGap
from headrace.events import TERMINAL, Event
from headrace.runs.log import EVENT_COST
from headrace.runs.policies import text_chars

BATCH_COST = 120
"""What a batch costs besides its events, in bytes: its tuple and its place in three lists."""

_TERMINAL = frozenset(TERMINAL)


def size_of(events: Sequence[Event]) -> int:
    """Bytes that a batch is counted as."""
    return BATCH_COST + EVENT_COST * len(events) + text_chars(events)


class MemoryLog:
    """Batches in order, found by the seq of their last event.

    Attributes:
        last_seq: The last event.
        cut: Events up to this seq are no longer kept.
        ended: Whether the last event is terminal.
        size: Bytes that are kept, as `size_of` counts them.
    """

    def __init__(self) -> None:
        self.last_seq = 0
        self.cut = 0
        self.ended = False
        self.size = 0
        self._lasts: list[int] = []
        self._sizes: list[int] = []
        self._batches: list[tuple[Event, ...]] = []

    def check(self, expected_last_seq: int, events: Sequence[Event], *, end: bool) -> None:
        """Whether these events may be added: in place, without a gap, terminal last or not at all.

        Raises:
            LogConflict: they may not.
        """
        if expected_last_seq != self.last_seq or self.ended:
            raise LogConflict(
                f"The log stands at {self.last_seq}{' and has ended' if self.ended else ''}; "
                f"an append after {expected_last_seq} was refused."
            )
        seq = expected_last_seq
        terminal: list[int] = []
        for event in events:
            seq += 1
            if event.seq != seq:
                raise LogConflict(f"An event of seq {event.seq} cannot stand where {seq} is due.")
            if type(event) in _TERMINAL:
                terminal.append(seq)
        if not terminal and not end:
            return
        if terminal != ([events[-1].seq] if end and events else []) or (end and not events):
            raise LogConflict(
                "The last event of an end, and no other event, is terminal; "
                f"of these, {terminal or 'none'} is."
            )

    def add(self, events: Sequence[Event], size: int) -> None:
        """Add events that were checked; their `size_of` is told."""
        last = events[-1]
        self._lasts.append(last.seq)
        self._sizes.append(size)
        self._batches.append(tuple(events))
        self.last_seq = last.seq
        self.ended = type(last) in _TERMINAL
        self.size += size

    def read(self, after: int, max_bytes: int) -> list[Event]:
        """What follows `after`, in whole batches until they pass `max_bytes`.

        Raises:
            ReplayGap: some of it is cut away.
        """
        after = max(after, 0)
        if after < self.cut:
            raise ReplayGap(after + 1, self.cut)
        if after >= self.last_seq:
            return []
        start = bisect_right(self._lasts, after)
        first = self._batches[start]
        events = list(first[max(0, after + 1 - first[0].seq) :])
        size = self._sizes[start]
        for at in range(start + 1, len(self._batches)):
            size += self._sizes[at]
            if size > max_bytes:
                break
            events += self._batches[at]
        return events

    def forget(self, upto: int) -> int:
        """Cut the batches that end at `upto` or before; gives the bytes that became free."""
        count = bisect_right(self._lasts, upto)
        if not count:
            return 0
        freed = sum(self._sizes[:count])
        self.cut = self._lasts[count - 1]
        del self._lasts[:count], self._sizes[:count], self._batches[:count]
        self.size -= freed
        return freed


class Waiters:
    """Who waits for the next commit, in whatever event loop; the store's lock guards them."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def add(self) -> asyncio.Future[None]:
        """A place to wait at, in the running loop."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        return waiter

    def discard(self, waiter: asyncio.Future[None]) -> None:
        """It waits no longer."""
        self._waiting.discard(waiter)

    def wake(self) -> None:
        """Wake all; to be called in an event loop."""
        here = asyncio.get_running_loop() if self._waiting else None
        for waiter in self._waiting:
            loop = waiter.get_loop()
            if loop is here:
                _wake(waiter)
            else:
                # A loop that was closed meanwhile has no one left who waits.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(_wake, waiter)
        self._waiting.clear()


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
