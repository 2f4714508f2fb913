"""The running loop's clock, and what is left in it."""

from __future__ import annotations

import asyncio


def now() -> float:
    """The loop's clock, in seconds to the microsecond; a fake one starts at 0."""
    return round(asyncio.get_running_loop().time(), 6)


def leftovers() -> list[object]:
    """Other tasks than this one and the test runner's, and timers that still tick."""
    loop = asyncio.get_running_loop()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    tasks = [task for task in others if "TestRunner" not in repr(task.get_coro())]
    timers = [t for t in loop._scheduled if not t.cancelled()]  # type: ignore[attr-defined]
    return [*tasks, *timers]
