"""Those who watch from another process, and come back when the worker does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Literal, cast

from headrace.events import TERMINAL, Event, decode, encode
from headrace.runs.stores.store import Store
from headrace.runtime import Runtime
from tests.chaos.compare import Counts, compare

Manner = Literal["stay", "resume", "restart"]
"""What a viewer does when the worker is killed: nothing, come back for the rest, or for all."""

Way = Callable[[str, int], Awaitable[AsyncIterator[list[Event]]]]


class Viewer:
    """One viewer of one run.

    Args:
        run_id: The run.
        way: How it gets at it.
        manner: What it does when the worker is killed.
        on_events: Told of how many events came, and whether the last ended the run.
    """

    def __init__(
        self, run_id: str, way: Way, manner: Manner, on_events: Callable[[int, bool], None]
    ) -> None:
        self.run_id = run_id
        self._way = way
        self._manner = manner
        self._on_events = on_events
        self._seen: list[bytes] = []
        self._before: list[list[bytes]] = []  # what it saw of the run the times before
        self._after = 0
        self._task = asyncio.create_task(self._watch())

    async def reconnect(self) -> None:
        """The worker was killed."""
        if self._manner == "stay" or self._task.done():
            return
        await self.leave()
        if self._manner == "restart":
            self._before.append(self._seen)
            self._seen, self._after = [], 0
        self._task = asyncio.create_task(self._watch())

    async def leave(self) -> None:
        """Watch no more."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def ended(self) -> None:
        """Wait until it has seen the end."""
        await self._task

    def counts(self, log: list[Event]) -> Counts:
        """What it saw, all times, against the log."""
        counts = compare(log, [*map(decode, self._seen)])
        for seen in self._before:
            counts += compare(log, [*map(decode, seen)], whole=False)
        return counts

    async def _watch(self) -> None:
        found = await self._way(self.run_id, self._after)
        async with aclosing(cast("Any", found)) as batches:
            async for batch in batches:
                self._seen += map(encode, batch)
                self._after = batch[-1].seq
                self._on_events(len(batch), isinstance(batch[-1], TERMINAL))


def viewers_of(
    run_id: str,
    number: int,
    store: Store,
    runtime: Runtime,
    on_events: Callable[[int, bool], None],
) -> list[Viewer]:
    """Two viewers of each run, of all ways and manners over the runs; one of them tells."""

    async def follow(run_id: str, after: int) -> AsyncIterator[list[Event]]:
        return store.follow(run_id, after)

    async def attach(run_id: str, after: int) -> AsyncIterator[list[Event]]:
        return await runtime.attach(run_id, after)

    def nobody(count: int, ended: bool) -> None:
        return

    manner: Manner = "resume" if number % 2 else "restart"
    ways: tuple[Way, Way] = (follow, attach) if number % 4 < 2 else (attach, follow)
    return [
        Viewer(run_id, ways[0], "stay", on_events),
        Viewer(run_id, ways[1], manner, nobody),
    ]
