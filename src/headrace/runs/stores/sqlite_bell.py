"""Who waits for the next commit of a run, on whichever loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable

Waiter = asyncio.Future[None]


class Bell:
    """Rung by the writing thread after each commit; futures are answered on their own loops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiters: dict[str, set[Waiter]] = {}

    def __bool__(self) -> bool:
        """Whether anyone waits."""
        return bool(self._waiters)

    def wait(self, run_id: str) -> Waiter:
        """What is done when the run changes; to be asked before looking, and given back."""
        waiter = asyncio.get_running_loop().create_future()
        with self._lock:
            self._waiters.setdefault(run_id, set()).add(waiter)
        return waiter

    def leave(self, run_id: str, waiter: Waiter) -> None:
        """It waits no longer."""
        with self._lock:
            waiting = self._waiters.get(run_id)
            if waiting is not None:
                waiting.discard(waiter)
                if not waiting:
                    del self._waiters[run_id]

    def ring(self, run_ids: Iterable[str]) -> list[Waiter]:
        """Take who waits for these runs."""
        if not self._waiters:
            return []
        with self._lock:
            return [waiter for run_id in run_ids for waiter in self._waiters.pop(run_id, ())]

    def ring_all(self) -> list[Waiter]:
        """Take all who wait."""
        with self._lock:
            waiters = [waiter for waiting in self._waiters.values() for waiter in waiting]
            self._waiters.clear()
            return waiters
