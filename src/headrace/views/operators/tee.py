"""One stream for several readers."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable
from typing import Generic, TypeVar

from headrace.errors import UsageError
from headrace.views.operators.items import Item, Numbering
from headrace.views.operators.pump import Pump, Tap

T = TypeVar("T", bound=Item)


def tee(source: AsyncIterable[T], n: int = 2) -> tuple[Branch[T], ...]:
    """The same stream `n` times.

    The fastest reader sets the pace. What a slower one has not read is joined (neighbouring text
    only), so that it costs the memory of its text. A reader that leaves does not stop the others;
    the source is closed when the last one has left, by `aclose` or by dropping its branch.

    Raises:
        UsageError: `n` is less than 1.
    """
    if n < 1:
        raise UsageError(f"tee makes at least 1 branch, not {n}.")
    pump = Pump(source)
    return tuple([Branch(pump.tap()) for _ in range(n)])


class Branch(Generic[T]):
    """One of the streams that `tee` gives. An async iterator for one reader."""

    def __init__(self, tap: Tap[T]) -> None:
        self._tap = tap
        self._fresh: deque[T] = deque()
        self._number = Numbering()
        self._done = False

    def __aiter__(self) -> Branch[T]:
        return self

    async def __anext__(self) -> T:
        while not self._fresh:
            if self._done:
                raise StopAsyncIteration
            self._fresh.extend(await self._tap.read())
            if self._tap.over and not self._fresh:
                self._done = True
                self._tap.check()
        return self._number(self._fresh.popleft())

    async def aclose(self) -> None:
        """Leave; the last one to leave closes the source."""
        self._done = True
        self._fresh.clear()
        await self._tap.aclose()

    def __del__(self) -> None:
        self._tap.forget()
