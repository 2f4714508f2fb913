"""A clock that jumps: tests of deadlines and paces that take no real time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

STUCK = 5.0
"""Real seconds in which nothing happens, with no timer running, before that is an error."""


class FakeClock(asyncio.SelectorEventLoop):
    """An event loop whose `time()` jumps to the next timer as soon as there is nothing to do.

    It is for code that waits for timers, events and queues of its own. What waits for a socket or
    a thread while a timer runs may see the timer win: the clock does not wait for the world.
    Only the loop's clock is faked; `time.time()` goes on as ever.

    Args:
        stuck: Real seconds to wait for a thread or socket where no timer runs.
    """

    def __init__(self, stuck: float = STUCK) -> None:
        self._fake_now = 0.0
        super().__init__(_JumpingSelector(self, stuck))

    def time(self) -> float:
        """Seconds since the loop's beginning, jumps included."""
        return self._fake_now

    def advance(self, seconds: float) -> None:
        """Move the clock on; timers that are due by then run next."""
        self._fake_now += seconds

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for threads however long they take: a timeout (Python 3.12) is over at once here."""
        await super().shutdown_default_executor()


class _JumpingSelector(selectors.DefaultSelector):
    """Where the loop would sleep until a timer, the clock is put forward instead."""

    def __init__(self, clock: FakeClock, stuck: float) -> None:
        super().__init__()
        self._clock = clock
        self._stuck = stuck

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is not None:
            self._clock.advance(timeout)
            return []
        ready = super().select(self._stuck)
        if not ready:
            raise RuntimeError("Nothing will ever happen: no timer runs and nobody else calls.")
        return ready


def run_with_fake_clock(main: Coroutine[Any, Any, T], *, stuck: float = STUCK) -> T:
    """Run a coroutine to its end on a `FakeClock`, and give its result.

    Sleeping an hour in it takes no time; `asyncio.get_running_loop().time()` tells the hour.

    Args:
        main: The coroutine.
        stuck: Real seconds to wait for a thread or socket where no timer runs.

    Raises:
        RuntimeError: it waits for something that never happens.
    """
    with asyncio.Runner(loop_factory=lambda: FakeClock(stuck)) as runner:
        return runner.run(main)
