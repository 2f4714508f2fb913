"""One round: a worker with live runs is killed, viewers see each event once all the same."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from headrace.runs.stores.sqlite import SQLiteStore
from headrace.runtime import Runtime
from tests.chaos.files import DATABASE, ERRORS
from tests.chaos.judge import Report, judge
from tests.chaos.plan import Kill, kills_of
from tests.chaos.process import Worker
from tests.chaos.viewers import Viewer, viewers_of

TIME_LIMIT = 90.0
"""Seconds after which a round is stuck; one takes about 5 on an idle machine."""


class Round:
    """One round.

    Args:
        seed: Decides when the worker is killed.
        folder: For its files; it is left as it is.
        runs: How many there are.
        kills: In place of the seed's.
    """

    def __init__(
        self, seed: int, folder: Path, runs: int = 50, kills: Sequence[Kill] | None = None
    ) -> None:
        self.report = Report(seed)
        self._folder = folder
        self._runs = runs
        self._kills = kills_of(seed, runs) if kills is None else kills
        self._accepted: dict[str, set[str]] = defaultdict(set)
        self._viewers: list[Viewer] = []
        self._store = SQLiteStore(folder / DATABASE)
        self._reading = SQLiteStore(folder / DATABASE)
        self._runtime = Runtime(self._reading, recover=False, name="chaos")
        self._events = 0
        self._ended = 0
        self._happened = asyncio.Event()

    async def play(self) -> Report:
        """Kill as the seed says, let the last worker end, and judge."""
        try:
            async with asyncio.timeout(TIME_LIMIT):
                await self._play()
        except TimeoutError:
            self.report.faults.append(await self._stuck())
        finally:
            for viewer in self._viewers:
                await viewer.leave()
            await self._runtime.aclose()
            await self._reading.close()
            await self._store.close()
        if not self.report.faults:
            await judge(self.report, self._folder, self._accepted, self._viewers, self._runs)
        return self.report

    async def _play(self) -> None:
        for kill in [*self._kills, None]:
            worker = await Worker.begin(
                self._folder, self.report.seed, self._runs, self._on_accepted
            )
            try:
                over = await self._until(worker, kill)
            finally:
                self.report.kills += await worker.kill()
            if over is not None:
                break
            for viewer in self._viewers:
                await viewer.reconnect()
        if over != 0:
            said = (self._folder / ERRORS).read_text("utf-8")
            self.report.faults.append(f"a worker ended with {over}:\n{said[-2000:]}")
            return
        for viewer in self._viewers:
            await viewer.ended()

    async def _until(self, worker: Worker, kill: Kill | None) -> int | None:
        """Wait for the moment of the kill; gives the worker's exit code where it ended before."""
        ended = asyncio.create_task(worker.ended())
        moment = asyncio.create_task(self._moment(kill))
        try:
            await asyncio.wait({ended, moment}, return_when=asyncio.FIRST_COMPLETED)
            return ended.result() if ended.done() else None
        finally:
            moment.cancel()
            ended.cancel()
            await asyncio.wait({ended, moment})

    async def _moment(self, kill: Kill | None) -> None:
        if kill is None:
            await asyncio.get_running_loop().create_future()
            return
        events = self._events
        if kill.when == "begun":
            await asyncio.sleep(kill.count / 100)
        while {
            "begun": False,
            "accepted": len(self._accepted) < kill.count,
            "events": self._events < events + kill.count,
            "ended": self._ended < kill.count,
        }[kill.when]:
            self._happened.clear()
            await self._happened.wait()
        await asyncio.sleep(kill.later)

    def _on_accepted(self, key: str, run_id: str) -> None:
        if not self._accepted[key]:
            number = len(self._viewers) // 2
            self._viewers += viewers_of(run_id, number, self._store, self._runtime, self._on_events)
        self._accepted[key].add(run_id)
        self._happened.set()

    def _on_events(self, count: int, ended: bool) -> None:
        self._events += count
        self._ended += ended
        self._happened.set()

    async def _stuck(self) -> str:
        live = await self._store.runs(status="running", limit=1000)
        some = [(run.id, run.last_seq, run.owner, run.recoveries) for run in live[:5]]
        said = (self._folder / ERRORS).read_text("utf-8")
        return f"after {TIME_LIMIT:g} s {len(live)} runs are live still: {some}\n{said[-2000:]}"
