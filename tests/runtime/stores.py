"""The stores that a runtime is tried on, and one that waits or fails when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from headrace.errors import StoreUnavailable
from headrace.events import Event
from headrace.messages import Message
from headrace.runs.stores.memory import MemoryStore
from headrace.runs.stores.sqlite import SQLiteStore
from headrace.runs.stores.store import Store

MAKERS: dict[str, Callable[[Path], Store]] = {
    "memory": lambda _: MemoryStore(),
    "sqlite": lambda folder: SQLiteStore(folder / "runs.db"),
}


class MoodyStore(MemoryStore):
    """Commits wait while `open` is not set, and fail while `broken` is."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()
        self.open.set()
        self.broken = False
        self.commits = 0

    async def append(self, run_id: str, expected_last_seq: int, events: Sequence[Event]) -> None:
        await self._mood()
        await super().append(run_id, expected_last_seq, events)

    async def end(
        self,
        run_id: str,
        expected_last_seq: int,
        events: Sequence[Event],
        said: Sequence[Message] = (),
        *,
        instead: bool = False,
    ) -> None:
        await self._mood()
        await super().end(run_id, expected_last_seq, events, said, instead=instead)

    async def _mood(self) -> None:
        await self.open.wait()
        if self.broken:
            raise StoreUnavailable("The store is moody.")
        self.commits += 1
