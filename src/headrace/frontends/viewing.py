"""Shows a run on screens: each gets every batch of events, and a tick in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import aclosing
from typing import Protocol

from headrace.events import Event

TICK = 0.08
"""Seconds between two ticks: the pace of a spinner."""


class Screen(Protocol):
    """Something that shows a run."""

    def add(self, batch: Sequence[Event]) -> None:
        """Take the next events."""
        ...

    def tick(self) -> None:
        """A moment has passed."""
        ...

    def close(self) -> None:
        """Nothing more comes; called once, whatever happened."""
        ...


class Batches(Protocol):
    """A viewer: batches of events in order, to the run's end."""

    def __aiter__(self) -> AsyncIterator[list[Event]]:
        """Itself."""
        ...

    def aclose(self) -> Awaitable[None]:
        """Nothing more is wanted."""
        ...


class Shown(Protocol):
    """Something that has events to show: a run, detached or not."""

    def batches(self) -> Batches:
        """A viewer of it."""
        ...


async def show(run: Shown, *screens: Screen) -> Event | None:
    """Follow a run to its end on these screens; gives its last event, if there was any.

    Raises:
        HeadraceError: what the viewer raises, such as `ReplayGap`.
        OSError: what a screen's output raises, such as `BrokenPipeError`.
    """
    ticker = asyncio.get_running_loop().create_task(_tick(screens))
    last: Event | None = None
    try:
        async with aclosing(run.batches()) as batches:
            async for batch in batches:
                for screen in screens:
                    screen.add(batch)
                last = batch[-1]
    finally:
        ticker.cancel()
        await asyncio.wait([ticker])
        for screen in screens:
            screen.close()
    if not ticker.cancelled():
        ticker.result()
    return last


async def _tick(screens: Sequence[Screen]) -> None:
    while True:
        await asyncio.sleep(TICK)
        for screen in screens:
            screen.tick()
