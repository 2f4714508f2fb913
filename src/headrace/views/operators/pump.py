"""One task that reads a source ahead of whoever waits for it with a clock, or of several."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from contextlib import suppress
from types import TracebackType
from typing import Generic, TypeVar

from headrace.views.operators.items import Held, Item

T = TypeVar("T", bound=Item)

AHEAD = 64
"""Items that may wait for the fastest reader; then the source waits."""


async def close(source: object) -> None:
    """Close an async iterator, if it can be closed."""
    aclose = getattr(source, "aclose", None)
    if aclose is None:
        return
    try:
        await aclose()
    except RuntimeError:
        # Dropped together in a reference cycle, a generator and its source are both being closed
        # by the garbage collector's hook: then there is nothing left to do here.
        if not getattr(source, "ag_running", False):
            raise


class Pump(Generic[T]):
    """Reads a source for one tap or several.

    The source is iterated and closed by one task, so that a reader who is cancelled or runs out
    of time never cuts the source for the others. The task starts with the first read and ends
    with the source, or with the last tap.
    """

    def __init__(self, source: AsyncIterable[T]) -> None:
        self.error: BaseException | None = None
        self.over = False
        self._source = source
        self._taps: list[Tap[T]] = []
        self._room = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def tap(self) -> Tap[T]:
        """One more reader; it gets every item that is read from now on."""
        tap = Tap(self)
        self._taps.append(tap)
        return tap

    def start(self) -> None:
        """Begin to read, once."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._main())

    def took(self) -> None:
        """A tap has taken what waited for it."""
        self._room.set()

    def leave(self, tap: Tap[T]) -> None:
        """A tap is closed; the last one stops the reading."""
        if tap in self._taps:
            self._taps.remove(tap)
            self._room.set()
            if not self._taps and self._task is not None:
                self._task.cancel()

    def forget(self, tap: Tap[T]) -> None:
        """A tap's reader was dropped without closing it."""
        if self._task is None:
            self.leave(tap)
        else:
            with suppress(RuntimeError):  # the loop has closed, and the source with it
                self._task.get_loop().call_soon_threadsafe(self.leave, tap)

    async def stopped(self) -> None:
        """Wait, when the last tap has left, until the source is closed."""
        if self._taps:
            return
        if self._task is not None:
            await asyncio.wait((self._task,))
        await close(self._source)  # for a task that was cancelled before its first step

    async def _main(self) -> None:
        items = aiter(self._source)
        try:
            try:
                async for item in items:
                    self._hand(item)
                    if min((tap.waiting for tap in self._taps), default=0) >= AHEAD:
                        self._room.clear()
                        await self._room.wait()
            finally:
                await close(items)
        except BaseException as error:  # carried to the readers
            self.error = error
        self.over = True
        for tap in self._taps:
            tap.ready.set()

    def _hand(self, item: T) -> None:
        for tap in self._taps:
            tap.unread.add((item,))
            tap.waiting += 1
            tap.ready.set()


class Tap(Generic[T]):
    """One reader of a pump. An async context manager that leaves the pump at its end."""

    def __init__(self, pump: Pump[T]) -> None:
        self._pump = pump
        self.unread: Held[T] = Held()
        self.waiting = 0
        self.ready = asyncio.Event()

    @property
    def over(self) -> bool:
        """Whether the source has ended and everything was read."""
        return self._pump.over and not self.unread

    async def read(self, until: float | None = None) -> list[T]:
        """Wait for items and take them all; ``[]`` at loop time `until`, or at the end."""
        self._pump.start()
        if not self.unread and not self._pump.over:
            self.ready.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await self.ready.wait()
        items = self.unread.take()
        self.waiting = 0
        self._pump.took()
        return items

    def check(self) -> None:
        """Raise what the source raised."""
        if self._pump.error is not None:
            raise self._pump.error

    def forget(self) -> None:
        """Take no more; may be called from any thread, at any time."""
        self._pump.forget(self)

    async def aclose(self) -> None:
        """Take no more; when this was the last tap, the source is closed on return."""
        self._pump.leave(self)
        await self._pump.stopped()

    async def __aenter__(self) -> Tap[T]:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()
