"""`Channel`: items handed from task to task, with a bound, an end, and a limit to patience."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

from headrace.errors import BackpressureTimeout, ChannelClosed, UsageError
from headrace.runs.response import Response
from headrace.runs.run import Run
from headrace.views.callback import call_back

T = TypeVar("T")


class Channel(Generic[T]):
    """A closable channel between tasks of one event loop. An async iterator.

    Senders and receivers are served in the order in which they came. Cancelling loses nothing: a
    cancelled `send` has either sent its item or left nothing behind; an item that was on its way
    to a cancelled `receive` goes to the next one.

    Args:
        capacity: Items that may wait unread; 0 makes each `send` wait until a receiver took it.
        timeout: Seconds that a `send` waits for room; None for ever.
    """

    def __init__(self, capacity: int = 64, timeout: float | None = 5.0) -> None:
        if capacity < 0:
            raise UsageError(f"A channel's capacity is 0 or more, not {capacity}.")
        self.capacity = capacity
        self.timeout = timeout
        self._items: deque[T] = deque()
        self._senders: deque[tuple[asyncio.Future[bool], T]] = deque()
        self._receivers: deque[asyncio.Future[T]] = deque()
        self._closed = False
        self._error: BaseException | None = None

    def __repr__(self) -> str:
        return f"<Channel {len(self._items)}/{self.capacity}{' closed' if self._closed else ''}>"

    @property
    def closed(self) -> bool:
        """Whether `close` was called; what was sent before can still be received."""
        return self._closed

    async def send(self, item: T) -> None:
        """Hand over an item; waits while the channel is full.

        Raises:
            ChannelClosed: the channel is closed, or was closed during the wait.
            BackpressureTimeout: no room for `timeout` seconds; the item was not sent.
        """
        if self._closed:
            raise _closed()
        if self._pass_on(item):
            return
        if len(self._items) < self.capacity:
            self._items.append(item)
            return
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        entry = (waiter, item)
        self._senders.append(entry)
        try:
            # Unlike a timeout that cancels, `wait` can never lose an item taken at that moment.
            await asyncio.wait((waiter,), timeout=self.timeout)
        finally:
            if not waiter.done():
                self._senders.remove(entry)
        if not waiter.done():
            raise BackpressureTimeout(
                f"The reader took nothing for {self.timeout:g} s "
                f"from a channel of capacity {self.capacity}.",
                hint="Read faster, or give the channel more capacity or a longer timeout.",
            )
        if not waiter.result():
            raise _closed()

    async def receive(self) -> T:
        """The next item.

        Raises:
            ChannelClosed: the channel is closed and everything was read.
            BaseException: the error given to `close`, in place of `ChannelClosed`.
        """
        if self._items:
            item = self._items.popleft()
            self._refill()
            return item
        if self._senders:
            return self._take_from_sender()
        if self._closed:
            raise self._error or _closed()
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._receivers.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                self._receivers.remove(waiter)
            elif waiter.exception() is None:
                self._give_back(waiter.result())
            raise

    def close(self, error: BaseException | None = None) -> None:
        """End the channel; closing again does nothing, and the first `error` stays.

        Receivers get what was sent before, then the end: an iteration stops, `receive` raises
        `ChannelClosed`; with an `error` both raise that. Waiting senders get `ChannelClosed`.
        """
        if self._closed:
            return
        self._closed = True
        self._error = error
        for sender, _ in self._senders:
            if not sender.done():
                sender.set_result(False)
        self._senders.clear()
        for receiver in self._receivers:
            if not receiver.done():
                receiver.set_exception(error or _closed())
        self._receivers.clear()

    def __aiter__(self) -> Channel[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.receive()
        except ChannelClosed as error:
            if error is self._error:
                raise
            raise StopAsyncIteration from None

    def _pass_on(self, item: T) -> bool:
        """Hand the item to the receiver that has waited longest, if one waits."""
        while self._receivers:
            receiver = self._receivers.popleft()
            if not receiver.done():
                receiver.set_result(item)
                return True
        return False

    def _give_back(self, item: T) -> None:
        if not self._pass_on(item):
            self._items.appendleft(item)

    def _refill(self) -> None:
        if self._senders and len(self._items) < self.capacity:
            self._items.append(self._take_from_sender())

    def _take_from_sender(self) -> T:
        waiter, item = self._senders.popleft()
        waiter.set_result(True)
        return item


def _closed() -> ChannelClosed:
    return ChannelClosed("The channel is closed.")


async def pour(run: Run, channel: Channel[str]) -> Response:
    """Send each piece of the run's answer into the channel, close it, give the response.

    The channel is closed however this ends. A reader that lags holds up neither the model nor
    its tools: the run's log joins what waits.

    Raises:
        BackpressureTimeout: the reader took nothing for too long; the run is cancelled.
        ChannelClosed: the reader closed the channel; the run is cancelled.
        RunFailed: the run ended with `error`.
        RunCancelled: the run ended with `cancelled`.
    """
    try:
        return await call_back(run, channel.send, reason="the channel's reader is gone")
    finally:
        channel.close()
