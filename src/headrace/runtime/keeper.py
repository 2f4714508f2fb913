"""What a runtime does all the time: leases, signals, recovery, retention."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import time

from headrace.errors import HeadraceError, InvalidArguments, UsageError
from headrace.runs.stores.record import Signal
from headrace.runtime.decisions import decode_decision
from headrace.runtime.live_runs import Live, LiveRuns

SIGNALS_EVERY = 0.1
"""Seconds between two looks for signals from other processes."""

PRUNE_EVERY = 3600.0
"""Seconds between two prunings."""

_logger = logging.getLogger("headrace.runtime")


class Keeper:
    """The tasks of an open runtime: four, however many runs there are.

    Args:
        live: The runtime's runs.
        lease: Seconds of a lease; it is renewed four times in each.
        recover: Whether to take up lost runs.
        max_live: With so many live runs none is taken up.
        keep_events: Seconds that a finished run's events are kept.
        keep_records: Seconds that a finished run is listed.
    """

    def __init__(
        self,
        live: LiveRuns,
        *,
        lease: float,
        recover: bool,
        max_live: int,
        keep_events: float,
        keep_records: float,
    ) -> None:
        self._live = live
        self._lease = lease
        self._recovers = recover
        self._max_live = max_live
        self._keep_events = keep_events
        self._keep_records = keep_records
        self._tasks: list[asyncio.Task[None]] = []
        self._obeyed: set[int] = set()
        self._doing: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Start; lost runs are first looked for before this returns."""
        if self._recovers:
            await self.recover()
        jobs: list[tuple[Callable[[], Awaitable[None]], float]] = [
            (self.renew, self._lease / 4),
            (self.signals, SIGNALS_EVERY),
        ]
        if self._recovers:
            jobs.append((self.recover, self._lease / 2))
        for job, seconds in jobs:
            self._tasks.append(asyncio.create_task(_repeat(job, seconds)))
        # At once, too: many a program never runs for an hour.
        self._tasks.append(asyncio.create_task(_repeat(self.prune, PRUNE_EVERY, wait=0)))

    async def end(self) -> None:
        """Stop."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def renew(self) -> None:
        """Say that the runs' owner lives."""
        if self._live.runs:
            await self._live.store.renew(self._live.owner, self._lease)

    async def recover(self) -> None:
        """Take up runs without an owner, and own ones whose log had failed."""
        live = self._live
        ids = [*live.lost, *await live.store.orphans(live.host)]
        for run_id in ids:
            if len(live.runs) >= self._max_live:
                return
            try:
                await live.take_over(run_id)
            except Exception as error:  # this one is tried again; the others do not wait for it
                _logger.warning("The run %s cannot be taken up yet: %s", run_id, error)

    async def signals(self) -> None:
        """Do what other processes ask for."""
        live = self._live
        if not live.runs:
            return
        signals = await live.store.signals(live.owner)
        self._obeyed &= {signal.id for signal in signals}
        for signal in signals:
            if signal.id not in self._obeyed:
                self._obeyed.add(signal.id)
                task = asyncio.create_task(self._obey(signal))
                self._doing.add(task)
                task.add_done_callback(self._doing.discard)

    async def prune(self) -> None:
        """Forget what is old."""
        now = time()
        await self._live.store.prune(now - self._keep_events, now - self._keep_records)

    async def _obey(self, signal: Signal) -> None:
        """A cancel's signal goes with its run's end; another's once what it says is kept."""
        live = self._live.runs.get(signal.run_id)
        if live is None:
            return
        try:
            if signal.kind == "cancel":
                await live.run.cancel(signal.content)
            elif signal.kind == "input":
                seq = live.run.send(signal.content)
                await live.log.wait(seq - 1)
                await self._live.store.settle([signal.id])
            elif signal.kind == "approval":
                await self._decide(live, signal)
        except HeadraceError as error:  # it has ended meanwhile, or goes on elsewhere
            _logger.info("A signal for the run %s came too late: %s", signal.run_id, error)

    async def _decide(self, live: Live, signal: Signal) -> None:
        """Its signal goes once the decision is kept; one that comes too late changes nothing."""
        try:
            await live.log.wait(live.run.decided(decode_decision(signal.content)).seq - 1)
        except (UsageError, InvalidArguments) as error:
            _logger.info("A decision about the run %s does not count: %s", signal.run_id, error)
        await self._live.store.settle([signal.id])


async def _repeat(
    job: Callable[[], Awaitable[None]], seconds: float, wait: float | None = None
) -> None:
    """Do it again and again, first after `wait` seconds; a store that fails is tried again."""
    await asyncio.sleep(seconds if wait is None else wait)
    while True:
        try:
            await job()
        except HeadraceError as error:
            _logger.warning("%s: %s", getattr(job, "__name__", "keeper"), error)
        except Exception:  # without its leases every run here would be lost
            _logger.exception("%s failed", getattr(job, "__name__", "keeper"))
        await asyncio.sleep(seconds)
