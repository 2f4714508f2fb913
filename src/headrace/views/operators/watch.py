"""Operators that let everything through and watch: the time, the counts, the progress."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from typing import Generic, TypeVar

from headrace.errors import StreamTimeout
from headrace.runs.metrics import Meter
from headrace.usage import Metrics, Usage
from headrace.views.operators.items import Item, answer
from headrace.views.operators.pump import close

T = TypeVar("T", bound=Item)


async def with_timeout(source: AsyncIterable[T], seconds: float = 30.0) -> AsyncGenerator[T]:
    """End the stream with an error of its own when it has not ended after `seconds` in all.

    Raises:
        StreamTimeout: the time is over; the source is closed.
    """
    now = asyncio.get_running_loop().time
    deadline = now() + seconds
    items = aiter(source)
    try:
        while True:
            try:
                async with asyncio.timeout_at(deadline) as scope:
                    item = await anext(items)
            except StopAsyncIteration:
                return
            except TimeoutError:
                if not scope.expired():
                    raise
                raise _late(seconds) from None
            if now() >= deadline:  # a source that never waits is never interrupted
                raise _late(seconds)
            yield item
    finally:
        await close(items)


def _late(seconds: float) -> StreamTimeout:
    return StreamTimeout(
        f"streaming timeout after {seconds:g} s",
        hint="Give with_timeout more seconds if such a stream is normal.",
    )


def with_metrics(source: AsyncIterable[T]) -> Metered[T]:
    """The same items, from an iterator that counts them: see `Metered.metrics`."""
    return Metered(source)


class Metered(Generic[T]):
    """An async iterator with `metrics`. Its clock starts with the first item asked for."""

    def __init__(self, source: AsyncIterable[T]) -> None:
        self._items: AsyncIterator[T] = aiter(source)
        self._meter: Meter | None = None
        self._ended: float | None = None

    @property
    def metrics(self) -> Metrics:
        """How the stream felt, until now or its end.

        `chunks` counts the items that brought text of the answer, `time_to_first_token_ms` is
        when the first of them came. `tokens_per_second` stays 0: only a run knows its tokens.
        """
        if self._meter is None:
            return Metrics()
        at = asyncio.get_running_loop().time() if self._ended is None else self._ended
        return self._meter.metrics(at, Usage())

    def __aiter__(self) -> Metered[T]:
        return self

    async def __anext__(self) -> T:
        now = asyncio.get_running_loop().time
        if self._meter is None:
            self._meter = Meter(now())
        try:
            item = await anext(self._items)
        except BaseException:
            self._end()
            raise
        if chars := len(answer(item)):
            self._meter.tokens(1, chars, now())
        return item

    async def aclose(self) -> None:
        """Close the source."""
        self._end()
        await close(self._items)

    def _end(self) -> None:
        if self._ended is None and self._meter is not None:
            self._ended = asyncio.get_running_loop().time()


async def with_progress(
    source: AsyncIterable[T], write: Callable[[str], object], every: float = 0.5
) -> AsyncGenerator[T]:
    r"""Write a line of progress as the items pass, at most once in `every` seconds.

    The line is rewritten in place (``\r``); the last one says ``Complete`` and ends with a line
    feed, or ``Interrupted`` when the stream failed or was left before its end.
    """
    now = asyncio.get_running_loop().time
    shown = now()
    items = with_metrics(source)
    ending = "Interrupted"
    try:
        async for item in items:
            if now() - shown >= every:
                shown = now()
                write(f"\rReceived {_counts(items)}...")
            yield item
        ending = "Complete"
    finally:
        await items.aclose()
        write(f"\r{ending}: {_counts(items)}\n")


def _counts(items: Metered[T]) -> str:
    metrics = items.metrics
    return f"{metrics.chunks} chunks, {metrics.chars} chars"
