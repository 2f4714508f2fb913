"""`EventDispatcher`: the events of many runs for many receivers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from weakref import WeakSet

from headrace.errors import ChannelClosed, ConsumerError, StreamTimeout, UsageError
from headrace.events import Event
from headrace.runs.log import EVENT_COST
from headrace.runs.policies import MERGE_OVER, join_deltas, pending_chars, text_chars
from headrace.runs.run import Run

MAX_BACKLOG = 64 * 1024 * 1024
"""Bytes that may wait for one receiver, counted as `EVENT_COST` an event and its text.

More than one whole run's log may hold, so only a receiver that lags over several runs meets it.
"""

_JOIN_AT = 4096
"""Waiting events from which on a receiver's are joined."""

_FEW = 256
"""So few events are handed on without looking whether to join them."""


class EventDispatcher:
    """Hands the events of every attached run to every receiver, each run's in order.

    A run is never held up by its receivers. One that lags gets neighbouring deltas joined and
    misses no structural event; see `Receiver`. All of it lives in one event loop.
    """

    def __init__(self) -> None:
        # A receiver that its owner has dropped goes by itself.
        self._receivers: WeakSet[Receiver] = WeakSet()
        self._live: dict[str, list[Event]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def subscribe(self, *, replay: bool = True) -> Receiver:
        """A new receiver.

        Args:
            replay: Whether it also gets what the runs that are live now have already told, from
                each one's first event; otherwise it gets only what comes from now on.

        Raises:
            ChannelClosed: the dispatcher is closed.
        """
        self._refuse_if_closed()
        receiver = Receiver(self)
        self._receivers.add(receiver)
        if replay:
            for run_id, events in self._live.items():
                receiver.put(run_id, events, cost_of(events))
        return receiver

    def attach(self, run: Run) -> None:
        """Hand on the run's events, from its first one to its end.

        Following a run starts it. It must be one that keeps its log: a private run has no room
        for a second viewer.

        Raises:
            ChannelClosed: the dispatcher is closed.
            UsageError: no event loop runs here.
        """
        self._refuse_if_closed()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise UsageError(
                "A run can be attached to a dispatcher only in a running event loop.",
                hint="Start the run in a coroutine.",
            ) from None
        if run.id not in self._live:
            self._live[run.id] = []
            task = loop.create_task(self._follow(run), name=f"dispatch {run.id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Wait until every run attached so far has ended and its receivers have its events."""
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    def close(self) -> None:
        """End every receiver, after what it has not read yet; closing again does nothing.

        The runs go on; what they tell from now on reaches nobody: `drain` first to have it all.
        """
        self._closed = True
        for task in self._tasks:
            task.cancel()
        for receiver in self._receivers:
            receiver.end()

    def leave(self, receiver: Receiver) -> None:
        """A receiver wants no more."""
        self._receivers.discard(receiver)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise ChannelClosed("The dispatcher is closed.")

    async def _follow(self, run: Run) -> None:
        """The one task for a run: it moves batches, not events."""
        told = self._live[run.id]
        try:
            async for batch in run.batches():
                told.extend(batch)
                cost = cost_of(batch)
                for receiver in list(self._receivers):
                    receiver.put(run.id, batch, cost)
        finally:
            del self._live[run.id]


class Receiver:
    """The events that one subscriber has not read yet. An async iterator of events.

    Where more than 64 KiB of text wait, neighbouring deltas are joined. A receiver that falls
    more than `MAX_BACKLOG` behind loses what waits and is ended with a `ConsumerError`, rather
    than missing events unnoticed.
    """

    def __init__(self, dispatcher: EventDispatcher) -> None:
        self._dispatcher = dispatcher
        self._waiting: dict[str, list[Event]] = {}
        self._count = 0
        self._room = _JOIN_AT
        self._cost = 0
        self._current: deque[Event] = deque()
        self._run_id = ""
        self._ended = False
        self._error: ConsumerError | None = None
        self._ready = asyncio.Event()

    async def recv(self, timeout: float | None = 60.0) -> Event:
        """The next event.

        Args:
            timeout: Seconds to wait for it; None for ever.

        Raises:
            StreamTimeout: nothing came for `timeout` seconds; receiving may go on.
            ChannelClosed: the dispatcher or the receiver is closed and everything was read.
            ConsumerError: the receiver fell too far behind.
        """
        return (await self.recv_with_run(timeout))[1]

    async def recv_with_run(self, timeout: float | None = 60.0) -> tuple[str, Event]:
        """The next event with the id of its run; otherwise as `recv`."""
        if not self._current:
            if not self._waiting and not self._ended:
                await self._wait(timeout)
            self._take_run()
        return self._run_id, self._current.popleft()

    def close(self) -> None:
        """Receive no more and let go of what waits; closing again does nothing."""
        self._dispatcher.leave(self)
        self._current.clear()
        self._let_go()
        self.end()

    def __aiter__(self) -> Receiver:
        return self

    async def __anext__(self) -> Event:
        """Wait as long as the dispatcher is open: each run has its own deadline."""
        try:
            return await self.recv(timeout=None)
        except ChannelClosed:
            raise StopAsyncIteration from None

    def put(self, run_id: str, events: list[Event], cost: int) -> None:
        """The dispatcher has events of a run, `cost` bytes in all."""
        if self._ended or not events:
            return
        self._waiting.setdefault(run_id, []).extend(events)
        self._count += len(events)
        self._cost += cost
        if self._count >= self._room or self._cost > MAX_BACKLOG:
            self._join()
        self._ready.set()

    def end(self) -> None:
        """Nothing comes after what waits."""
        self._ended = True
        self._ready.set()

    async def _wait(self, timeout: float | None) -> None:
        """Wait for events or the end; several tasks may wait, one gets each event."""
        try:
            async with asyncio.timeout(timeout):
                while not self._waiting and not self._current and not self._ended:
                    self._ready.clear()
                    await self._ready.wait()
        except TimeoutError:
            if not self._waiting and not self._current and not self._ended:
                raise StreamTimeout(
                    f"No event came for {timeout:g} s.",
                    hint="Give recv a longer timeout if such a silence is normal.",
                ) from None

    def _take_run(self) -> None:
        """Take up all that waits of the run that has waited longest."""
        if self._current:
            return
        if not self._waiting:
            raise self._error or ChannelClosed("The receiver is closed and everything was read.")
        self._run_id = next(iter(self._waiting))
        events = self._waiting.pop(self._run_id)
        self._count -= len(events)
        self._cost = self._cost - cost_of(events) if self._waiting else 0
        if len(events) > _FEW and pending_chars(events) > MERGE_OVER:
            events = join_deltas(events)
        self._current.extend(events)

    def _join(self) -> None:
        """Join what waits; past the bound, give up."""
        self._waiting = {run_id: join_deltas(events) for run_id, events in self._waiting.items()}
        self._count = sum(map(len, self._waiting.values()))
        self._room = max(_JOIN_AT, 2 * self._count)  # joining stays linear
        self._cost = sum(map(cost_of, self._waiting.values()))
        if self._cost > MAX_BACKLOG:
            self._error = ConsumerError(
                f"This receiver fell more than {MAX_BACKLOG} bytes behind; its events are lost.",
                hint="Read faster, close receivers that nobody reads, or read a run's own events.",
            )
            self._let_go()
            self.end()
            self._dispatcher.leave(self)

    def _let_go(self) -> None:
        self._waiting = {}
        self._count = self._cost = 0


def cost_of(events: Sequence[Event]) -> int:
    """What these events hold in memory, in bytes, about: their text and `EVENT_COST` each."""
    return EVENT_COST * len(events) + text_chars(events)
