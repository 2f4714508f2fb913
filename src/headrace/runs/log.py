"""A run's log in memory: compare-and-append, read after, wait for more."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter

from headrace.errors import LogConflict, LogTooLarge, ReplayGap
from headrace.events import TERMINAL, AgentEnd, Answer, Event, StepEnd, ToolEnd
from headrace.runs.policies import join_deltas, text_chars

MAX_LOG = 50 * 1024 * 1024
"""Bytes that one run's log may hold, counted as `EVENT_COST` an event and its text."""

EVENT_COST = 96
"""What an event costs besides its text, in bytes: measured on CPython 3.11."""

_UNREAD_MAX = 4096
"""Unread events of a private log from which on it joins them."""

_ENDS = (StepEnd, ToolEnd, AgentEnd, Answer, *TERMINAL)
"""These fit always, so that a full log still closes what it began (laws 2 and 4)."""

_TERMINAL = frozenset(TERMINAL)  # once an append; isinstance costs five times as much

_seq = attrgetter("seq")


class Log:
    """The ordered events of one run.

    Args:
        private: The run has at most one viewer, there from the start. Such a log forgets what
            its viewer has read and joins what it has not, so that its memory stays that of the
            unread text however long the stream.
        max_bytes: The bound of what is kept.
    """

    def __init__(self, *, private: bool = False, max_bytes: int = MAX_LOG) -> None:
        self.last_seq = 0
        self.ended = False
        self._private = private
        self._events: list[Event] = []
        self._whole = True
        self._forgotten = 0
        self._bytes = 0
        self._max_bytes = max_bytes
        self._room = _UNREAD_MAX
        self._waiters: _Waiters = []
        self._end_waiters: _Waiters = []

    def append(self, expected_last_seq: int, events: Sequence[Event]) -> None:
        """Add events that follow `expected_last_seq` without a gap, and wake who waits.

        Raises:
            LogConflict: someone else has written since, or the log has ended.
            LogTooLarge: the log would pass its bound; the ends of what was begun always fit.
        """
        if expected_last_seq != self.last_seq or self.ended:
            raise LogConflict(
                f"The log stands at {self.last_seq}{' and has ended' if self.ended else ''}; "
                f"an append after {expected_last_seq} was refused."
            )
        if not events:
            return
        last = events[-1]
        if events[0].seq != expected_last_seq + 1 or last.seq != expected_last_seq + len(events):
            raise LogConflict(
                f"Events {events[0].seq} to {last.seq} leave a gap after {expected_last_seq}."
            )
        ends = type(last) in _TERMINAL
        if not self._private:
            self._count(events)
        elif len(self._events) >= self._room:
            self._make_room(events)
        self._events.extend(events)
        self.last_seq = last.seq
        self.ended = ends
        if self._waiters:
            _wake(self._waiters)
        if ends:
            _wake(self._end_waiters)

    def read(self, after: int) -> list[Event]:
        """The events with a `seq` above `after`, joined where a private log has joined them.

        Raises:
            ReplayGap: a private log has forgotten some of them.
        """
        if after >= self.last_seq:
            return []
        if after < self._forgotten:
            raise ReplayGap(after + 1, self._forgotten)
        if self._whole:
            return self._events[after - self._forgotten :]
        return self._events[bisect_right(self._events, after, key=_seq) :]

    async def wait(self, after: int) -> None:
        """Return when there is something after `after`, or the log has ended."""
        while self.last_seq <= after and not self.ended:
            await _park(self._waiters)

    async def wait_end(self) -> None:
        """Return when the log has ended."""
        while not self.ended:
            await _park(self._end_waiters)

    def forget(self, upto: int) -> None:
        """A private log's viewer has read `upto`: drop it."""
        if self._private and upto >= self.last_seq:
            self._events.clear()
            self._whole = True
            self._forgotten = self.last_seq
            self._room = _UNREAD_MAX

    def _make_room(self, events: Sequence[Event]) -> None:
        """Join what is unread; counting only here keeps a private log's append cheap."""
        self._events = join_deltas(self._events)
        self._whole = False
        self._room = max(_UNREAD_MAX, 2 * len(self._events))  # joining stays linear
        self._bytes = EVENT_COST * len(self._events) + text_chars(self._events)
        self._count(events)

    def _count(self, events: Sequence[Event]) -> None:
        size = self._bytes + EVENT_COST * len(events) + text_chars(events)
        if size > self._max_bytes and not all(isinstance(event, _ENDS) for event in events):
            raise LogTooLarge(
                f"The run's log would pass {self._max_bytes} bytes.",
                hint="Bound the answer with max_tokens or max_steps.",
            )
        self._bytes = size


_Waiters = list[asyncio.Future[None]]


async def _park(waiters: _Waiters) -> None:
    waiter = asyncio.get_running_loop().create_future()
    waiters.append(waiter)
    try:
        await waiter
    except asyncio.CancelledError:
        if waiter in waiters:
            waiters.remove(waiter)
        raise


def _wake(waiters: _Waiters) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
    waiters.clear()
