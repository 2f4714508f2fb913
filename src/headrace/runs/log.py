"""A run's log: compare-and-append, read after, wait for more; and the one in memory alone."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Sequence
from operator import attrgetter

from headrace.errors import HeadraceError, LogConflict, LogTooLarge, ReplayGap
from headrace.events import TERMINAL, AgentEnd, Answer, Event, StepEnd, Thought, Token, ToolEnd
from headrace.runs.backpressure import Holds
from headrace.runs.policies import join_deltas, text_chars
from headrace.runs.waiters import Waiters, park, wake

MAX_LOG = 50 * 1024 * 1024
"""Bytes that one run's log may hold, counted as `EVENT_COST` an event and its text."""

EVENT_COST = 96
"""What an event costs besides its text, in bytes: measured on CPython 3.11."""

READ_CHARS = 128 * 1024
"""Characters of text that a viewer gets at once, about: at most 512 KiB of memory (UCS-4)."""

READ_EVENTS = 1024
"""Events that a viewer gets at once: as many small ones own about 200 KiB."""

_UNREAD_MAX = 4096
"""Unread events of a private log from which on it joins them."""

ENDS = (StepEnd, ToolEnd, AgentEnd, Answer, *TERMINAL)
"""These fit always, so that a full log still closes what it began (laws 2 and 4)."""

_TERMINAL = frozenset(TERMINAL)  # once an append; isinstance costs five times as much

_seq = attrgetter("seq")


class RunLog(ABC):
    """The ordered events of one run: written by one writer, shown to any number of viewers.

    Attributes:
        written: The last event written; what the next append must expect.
        closed: Nothing more can be written: the terminal event is, or the log has failed.
        last_seq: The last event that viewers may see.
        ended: Whether viewers may see the terminal event.
        failure: Why no more will ever be shown though the run has not ended, or None.
        holds: The viewers that hold the writer up when they lag (policy `block`).
    """

    def __init__(self) -> None:
        self.written = 0
        self.closed = False
        self.last_seq = 0
        self.ended = False
        self.failure: HeadraceError | None = None
        self._waiters: Waiters = []
        self._end_waiters: Waiters = []
        self._held_up: Waiters = []
        self.holds = Holds(self._held_up)

    @property
    def crowded(self) -> bool:
        """Whether the writer shall await `room` before it writes more (backpressure)."""
        return self.holds.lag

    async def room(self) -> None:
        """Return when the log is no longer `crowded`, or takes nothing more.

        A viewer that blocks and does not read on within its timeout is waited for no longer.
        """
        entered = asyncio.get_running_loop().time()
        while self.crowded and not self.closed:
            deadline = self.holds.deadline(entered)
            try:
                async with asyncio.timeout_at(deadline):
                    await self._park(self._held_up)
            except TimeoutError:
                if deadline is not None:
                    self.holds.time_out(entered, deadline)

    @abstractmethod
    def append(self, expected_last_seq: int, events: Sequence[Event]) -> None:
        """Write events that follow `expected_last_seq` without a gap.

        Raises:
            LogConflict: someone else has written since, or the log has ended.
            LogTooLarge: the log would pass its bound; the ends of what was begun always fit.
            StoreUnavailable: an earlier write could not be kept.
        """

    @abstractmethod
    def read(self, after: int) -> list[Event]:
        """The next events behind `after` that memory holds; ``[]`` where there are none.

        Raises:
            ReplayGap: memory holds them no longer; `recall` may.
        """

    async def recall(self, after: int) -> list[Event]:
        """The next events behind `after`, from wherever they are kept.

        Raises:
            ReplayGap: they are kept no longer.
        """
        return self.read(after)

    def forget(self, upto: int) -> None:  # noqa: B027  # most logs have nothing to do here
        """A viewer has read `upto`: only a log with a single viewer makes use of that."""

    def begin(  # noqa: B027  # as above
        self, on_failure: Callable[[HeadraceError], object]
    ) -> None:
        """The run begins; `on_failure` is told when what it writes can be kept no longer."""

    async def wait(self, after: int) -> None:
        """Return when there is something after `after`, or the log has ended.

        Raises:
            HeadraceError: the log's `failure`.
        """
        while self.last_seq <= after and not self.ended:
            if self.failure is not None:
                raise self.failure.with_traceback(None)
            await park(self._waiters)

    async def wait_end(self) -> None:
        """Return when the log has ended.

        Raises:
            HeadraceError: the log's `failure`.
        """
        while not self.ended:
            await self._park(self._end_waiters)

    def fail(self, failure: HeadraceError) -> None:
        """No more will be written or shown: whoever waits gets this error."""
        self.failure = failure
        self.closed = True
        wake(self._waiters)
        wake(self._end_waiters)
        wake(self._held_up)

    def _show(self, events: Sequence[Event], ended: bool) -> None:
        """Let viewers see these."""
        self.last_seq = events[-1].seq
        self.ended = ended
        if self.holds.refs:
            self.holds.show(events)
        if self._waiters:
            wake(self._waiters)
        if self._held_up:
            wake(self._held_up)
        if ended:
            wake(self._end_waiters)

    async def _park(self, waiters: Waiters) -> None:
        if self.failure is not None:
            raise self.failure.with_traceback(None)
        await park(waiters)


class Log(RunLog):
    """A log in memory alone.

    Args:
        private: The run has at most one viewer, there from the start. Such a log forgets what
            its viewer has read and joins what it has not, so that its memory stays that of the
            unread text however long the stream.
        max_bytes: The bound of what is kept.
    """

    def __init__(self, *, private: bool = False, max_bytes: int = MAX_LOG) -> None:
        super().__init__()
        self._private = private
        self._events: list[Event] = []
        self._whole = True
        self._forgotten = 0
        self._size = LogSize(max_bytes)
        self._room = _UNREAD_MAX

    def append(self, expected_last_seq: int, events: Sequence[Event]) -> None:
        """See `RunLog.append`; what was written is shown at once."""
        check_append(self, expected_last_seq, events)
        if not events:
            return
        if not self._private:
            self._size.add(events)
        elif len(self._events) >= self._room:
            self._make_room(events)
        self._events.extend(events)
        last = events[-1]
        self.written = last.seq
        self.closed = type(last) in _TERMINAL
        self._show(events, self.closed)

    def read(self, after: int) -> list[Event]:
        """The next events behind `after`, about 128 Ki characters of text at most.

        A private log gives all it has, joined where it has joined them: it hands them over.

        Raises:
            ReplayGap: a private log has forgotten some of them.
        """
        if after >= self.last_seq:
            return []
        if after < self._forgotten:
            raise ReplayGap(after + 1, self._forgotten)
        if not self._private:
            return take(self._events, after)
        if self._whole:
            return self._events[after - self._forgotten :]
        return self._events[bisect_right(self._events, after, key=_seq) :]

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
        self._size.bytes = cost_of(self._events)
        self._size.add(events)


class LogSize:
    """The bound of a log's bytes.

    Attributes:
        bytes: What is counted so far.
    """

    __slots__ = ("_max", "bytes")

    def __init__(self, max_bytes: int, counted: int = 0) -> None:
        self.bytes = counted
        self._max = max_bytes

    def add(self, events: Sequence[Event]) -> int:
        """Count these events; gives their bytes.

        Raises:
            LogTooLarge: they pass the bound; the ends of what was begun always fit.
        """
        cost = cost_of(events)
        if self.bytes + cost > self._max and not all(isinstance(event, ENDS) for event in events):
            raise LogTooLarge(
                f"The run's log would pass {self._max} bytes.",
                hint="Bound the answer with max_tokens or max_steps.",
            )
        self.bytes += cost
        return cost


def take(events: list[Event], start: int) -> list[Event]:
    """What one read gives of `events` from index `start` on: at least one, if there is any."""
    batch = events[start : start + READ_EVENTS]
    if len(batch) <= 1:
        return batch
    chars = 0
    for count, event in enumerate(batch):
        kind = type(event)
        if kind is Token or kind is Thought:
            chars += len(event.content)  # type: ignore[attr-defined]
        else:
            chars += text_chars((event,))
        if chars > READ_CHARS:
            return batch[: max(count, 1)]
    return batch


def cost_of(events: Sequence[Event]) -> int:
    """The bytes that these events count for."""
    return EVENT_COST * len(events) + text_chars(events)


def check_append(log: RunLog, expected_last_seq: int, events: Sequence[Event]) -> None:
    """Compare before an append.

    Raises:
        LogConflict: someone else has written since, or the log has ended; or a gap.
    """
    if expected_last_seq != log.written or log.closed:
        raise LogConflict(
            f"The log stands at {log.written}{' and has ended' if log.closed else ''}; "
            f"an append after {expected_last_seq} was refused."
        )
    if not events:
        return
    first, last = events[0].seq, events[-1].seq
    if first != expected_last_seq + 1 or last != expected_last_seq + len(events):
        raise LogConflict(f"Events {first} to {last} leave a gap after {expected_last_seq}.")
