"""Sources with a schedule, for tests of operators."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import aclosing
from typing import Any, Generic, TypeVar

from tests.support.loop import now

T = TypeVar("T")


class Source(Generic[T]):
    """Gives items, each after a wait in virtual seconds, then ends, raises or hangs."""

    def __init__(
        self,
        items: Sequence[T],
        waits: Sequence[float] | float = 0.0,
        *,
        error: BaseException | None = None,
        hangs: bool = False,
    ) -> None:
        self.items = items
        self.waits = [waits] * len(items) if isinstance(waits, float) else list(waits)
        self.error = error
        self.hangs = hangs
        self.given = 0
        self.closed_at: float | None = None

    async def __aiter__(self) -> AsyncGenerator[T]:
        try:
            for item, wait in zip(self.items, self.waits, strict=True):
                if wait:
                    await asyncio.sleep(wait)
                self.given += 1
                yield item
            if self.hangs:
                await asyncio.sleep(1e9)
            if self.error is not None:
                raise self.error
        finally:
            self.closed_at = now()


async def timed(items: AsyncIterable[T], takes: float = 0.0) -> list[tuple[float, T]]:
    """Every item with the time at which it came; the reader takes so long over each."""
    got = []
    async for item in items:
        got.append((round(now(), 6), item))
        if takes:
            await asyncio.sleep(takes)
    return got


async def first(items: AsyncGenerator[T] | Any, count: int) -> list[T]:
    """The first items, then leave."""
    got: list[T] = []
    async with aclosing(items):
        while len(got) < count:
            try:
                got.append(await anext(items))
            except StopAsyncIteration:
                break
    return got
