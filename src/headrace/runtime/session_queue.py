"""Whose turn it is in a session that has a live run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from headrace.errors import SessionBusy

MAX_WAITING = 16
"""Submits that may wait for one session."""


class SessionQueue:
    """One turn a session at a time, first come first served; no trace of idle sessions."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._waiting: dict[str, int] = {}

    @asynccontextmanager
    async def turn(self, session: str) -> AsyncGenerator[None]:
        """Wait for the turn.

        Raises:
            SessionBusy: too many wait already.
        """
        waiting = self._waiting.get(session, 0)
        if waiting >= MAX_WAITING:
            raise SessionBusy(session, f"and {waiting} runs wait for it")
        self._waiting[session] = waiting + 1
        lock = self._locks.setdefault(session, asyncio.Lock())
        try:
            async with lock:
                yield
        finally:
            self._waiting[session] -= 1
            if not self._waiting[session]:
                del self._waiting[session], self._locks[session]
