"""Shows a run on screens: each gets every batch of events, and a tick in between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from headrace.events import Event
from headrace.runs.run import Run

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


async def show(run: Run, *screens: Screen) -> None:
    """Follow a run to its end on these screens.

    Raises:
        OSError: what a screen's output raises, such as `BrokenPipeError`.
    """
    ticker = asyncio.get_running_loop().create_task(_tick(screens))
    try:
        async for batch in run.batches():
            for screen in screens:
                screen.add(batch)
    finally:
        ticker.cancel()
        await asyncio.wait([ticker])
        for screen in screens:
            screen.close()
    if not ticker.cancelled():
        ticker.result()


async def _tick(screens: Sequence[Screen]) -> None:
    while True:
        await asyncio.sleep(TICK)
        for screen in screens:
            screen.tick()
