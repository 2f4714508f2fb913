"""A run's log kept by a store: committed first, shown after (law 5).

The driver writes without waiting. What it has written since the last commit goes to the store as
one batch, as soon as the store has taken the one before; what the store has committed is shown.
So at a live model's pace a batch is one event and nothing is held back; under load it is many,
and an event costs less.

Memory holds the events that wait for their commit and the live tail, for the many viewers that
are up to date. A viewer that has fallen behind the tail, or comes late, reads from the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from headrace.errors import HeadraceError, ReplayGap, StoreUnavailable, UsageError
from headrace.events import TERMINAL, Event
from headrace.messages import Message
from headrace.runs.log import (
    MAX_LOG,
    READ_CHARS,
    READ_EVENTS,
    LogSize,
    RunLog,
    check_append,
    cost_of,
    take,
)
from headrace.runs.waiters import wake

TAIL = 4 * 1024 * 1024
"""Bytes of shown events that memory keeps for viewers (counted as `log.cost_of` does)."""

WAITING = 1024 * 1024
"""Bytes that may wait for their commit; with more, the driver is held up (backpressure)."""

COMMIT_EVENTS = 1024
"""Most events of one commit, so that whoever reads them back has few in memory."""

COMMIT_BYTES = 128 * 1024
"""About how many bytes one commit has at most."""

GATHER = 4
"""Most turns of the event loop that a commit waits for what comes along."""

_TERMINAL = frozenset(TERMINAL)


class Keeper(Protocol):
    """A store, as far as a log needs it (see `headrace.runs.stores.store.Store`)."""

    async def append(self, run_id: str, expected_last_seq: int, events: Sequence[Event]) -> None:
        """Commit events behind `expected_last_seq`."""

    async def end(
        self,
        run_id: str,
        expected_last_seq: int,
        events: Sequence[Event],
        said: Sequence[Message] = (),
        *,
        instead: bool = False,
    ) -> None:
        """Commit the run's last events, and what was said to its session."""

    async def read(self, run_id: str, after: int) -> list[Event]:
        """The next events behind `after`."""
        ...


def _nothing() -> Sequence[Message]:
    return ()


class StoredLog(RunLog):
    """A log whose every shown event is committed.

    Args:
        store: Where it is kept; the run's record is there.
        run_id: The run.
        last_seq: Where the log stands already, when a run is taken up again.
        counted: Bytes that the log holds already.
        said: Called at the end: the messages that go to the run's session.
        instead: Whether they go there in place of what it holds.
        max_bytes: The bound of the whole log.
        tail: The bound of the tail in memory.
    """

    def __init__(
        self,
        store: Keeper,
        run_id: str,
        *,
        last_seq: int = 0,
        counted: int = 0,
        said: Callable[[], Sequence[Message]] = _nothing,
        instead: bool = False,
        max_bytes: int = MAX_LOG,
        tail: int = TAIL,
    ) -> None:
        super().__init__()
        self.written = self.last_seq = last_seq
        self._store = store
        self._run_id = run_id
        self._said = said
        self._instead = instead
        self._size = LogSize(max_bytes, counted)
        self._tail = _Tail(last_seq, tail)
        self._waiting: list[Event] = []
        self._waiting_bytes = 0
        self._pump: asyncio.Task[None] | None = None
        self._more: asyncio.Future[None] | None = None
        self._on_failure: Callable[[HeadraceError], object] | None = None

    @property
    def crowded(self) -> bool:
        """Whether too much waits for its commit: the driver shall await `room`."""
        return self._waiting_bytes > WAITING or super().crowded

    def append(self, expected_last_seq: int, events: Sequence[Event]) -> None:
        """See `RunLog.append`; it is shown once it is committed."""
        if self.failure is not None:
            raise self.failure.with_traceback(None)
        check_append(self, expected_last_seq, events)
        if not events:
            return
        self._waiting_bytes += self._size.add(events)
        self._waiting.extend(events)
        last = events[-1]
        self.written = last.seq
        self.closed = type(last) in _TERMINAL
        more = self._more
        if more is not None and not more.done():
            more.set_result(None)

    def begin(self, on_failure: Callable[[HeadraceError], object]) -> None:
        """Begin to commit, in a task of its own."""
        self._on_failure = on_failure
        self._pump = asyncio.get_running_loop().create_task(
            self._commit_all(), name=f"log {self._run_id}"
        )

    def read(self, after: int) -> list[Event]:
        """See `RunLog.read`: about 128 Ki characters of text at most."""
        return self._tail.read(after)

    async def recall(self, after: int) -> list[Event]:
        """See `RunLog.recall`; never beyond what is shown."""
        events = await self._store.read(self._run_id, after)
        if events and events[-1].seq > self.last_seq:  # committed, about to be shown
            events = [event for event in events if event.seq <= self.last_seq]
        return take(events, 0)  # a store gives whole batches, however large

    def when_done(self, callback: Callable[[], object]) -> None:
        """Call back when nothing more is to be committed: after the end, or the failure.

        Raises:
            UsageError: it has not begun.
        """
        if self._pump is None:
            raise UsageError("The log has not begun.", hint="Begin its run first.")
        self._pump.add_done_callback(lambda _: callback())

    async def _commit_all(self) -> None:
        """Hand over to the store what was written, until the end."""
        loop = asyncio.get_running_loop()
        try:
            while not self.ended and self.failure is None:
                if not self._waiting:
                    self._more = loop.create_future()
                    await self._more
                if len(self._waiting) > 1 and self._waiting_bytes < COMMIT_BYTES:
                    await self._gather()  # but one event, a live model's pace, waits for nothing
                if self._waiting:  # it may have failed in the meantime
                    await self._commit()
        except HeadraceError as failure:
            self._lose(failure)
        except Exception as error:
            self._lose(StoreUnavailable(f"The store failed: {type(error).__name__}: {error}"))
            raise

    async def _gather(self) -> None:
        """Wait while each turn of the loop brings more, for a few turns at most.

        A run that writes in every turn gets fewer and larger commits.
        """
        for _ in range(GATHER):
            before = self.written
            await asyncio.sleep(0)
            if self.written == before or self.closed:
                return

    async def _commit(self) -> None:
        batch, size = self._next_batch()
        wake(self._held_up)
        ended = type(batch[-1]) in _TERMINAL
        if ended:
            said = self._said()
            await self._store.end(self._run_id, self.last_seq, batch, said, instead=self._instead)
        else:
            await self._store.append(self._run_id, self.last_seq, batch)
        if self.failure is None:
            self._tail.add(batch, size)
            self._show(batch, ended)

    def _next_batch(self) -> tuple[list[Event], int]:
        """What is committed next, and its bytes."""
        batch, size = self._waiting, self._waiting_bytes
        most = max(1, min(COMMIT_EVENTS, len(batch) * COMMIT_BYTES // size))
        if len(batch) <= most + 1:  # an answer and its `complete` stay together
            self._waiting, self._waiting_bytes = [], 0
            return batch, size
        self._waiting = batch[most:]
        del batch[most:]
        size = cost_of(batch)
        self._waiting_bytes -= size
        return batch, size

    def _lose(self, failure: HeadraceError) -> None:
        if self.failure is not None:  # as when a run is handed over while it commits
            return
        self.fail(failure)
        if self._on_failure is not None:
            self._on_failure(failure)

    def fail(self, failure: HeadraceError) -> None:
        """See `RunLog.fail`; what is not committed is dropped: no one has seen it."""
        self._waiting.clear()
        self._waiting_bytes = 0
        super().fail(failure)
        if self._more is not None and not self._more.done():
            self._more.cancel()


class _Tail:
    """The newest shown events, at most so many bytes of them."""

    __slots__ = ("_base", "_bytes", "_events", "_lasts", "_max", "_newest", "_sizes")

    def __init__(self, base: int, max_bytes: int) -> None:
        self._base = base  # the seq before the first event that is here
        self._events: list[Event] = []
        self._lasts: list[int] = []  # of each batch: its last seq and its bytes
        self._sizes: list[int] = []
        self._bytes = 0
        self._max = max_bytes
        self._newest: list[Event] = []  # what all who are up to date read, the same for all

    def add(self, batch: list[Event], size: int) -> None:
        self._newest = _first_read(batch, size) if size <= self._max else []
        self._events += batch
        self._lasts.append(batch[-1].seq)
        self._sizes.append(size)
        self._bytes += size
        if self._bytes > self._max:
            self._drop()

    def read(self, after: int) -> list[Event]:
        newest = self._newest
        if newest and newest[0].seq == after + 1:
            return newest
        if after < self._base:
            raise ReplayGap(after + 1, self._base)
        return take(self._events, after - self._base)

    def _drop(self) -> None:
        """Drop the oldest batches; a quarter at once, so that it stays cheap."""
        count = 0
        while self._bytes > self._max * 3 // 4:
            self._bytes -= self._sizes[count]
            count += 1
        base = self._lasts[count - 1]
        del self._events[: base - self._base], self._lasts[:count], self._sizes[:count]
        self._base = base


def _first_read(batch: list[Event], size: int) -> list[Event]:
    """`take(batch, 0)`, where it can be without a look at each event."""
    return batch if size <= READ_CHARS and len(batch) <= READ_EVENTS else take(batch, 0)
