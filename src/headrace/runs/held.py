"""How long a run was held up by its own log: a stopwatch that costs nothing while nobody waits."""

from __future__ import annotations

import asyncio


class Held:
    """Adds up waits; several at the same time count once. A context manager around each wait."""

    __slots__ = ("_seconds", "_since", "_waiting")

    def __init__(self) -> None:
        self._waiting = 0
        self._since = 0.0
        self._seconds = 0.0

    def __enter__(self) -> Held:
        if not self._waiting:
            self._since = asyncio.get_running_loop().time()
        self._waiting += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting -= 1
        if not self._waiting:
            self._seconds += asyncio.get_running_loop().time() - self._since

    @property
    def ms(self) -> float:
        """Milliseconds so far, a wait that still goes on included."""
        seconds = self._seconds
        if self._waiting:
            seconds += asyncio.get_running_loop().time() - self._since
        return round(seconds * 1e3, 3)
