"""A run of a server looked at from here: what it tells of it, and how its stream arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager

import msgspec

from headrace.frontends.remote import Remote
from headrace.frontends.remote_http import decoded
from headrace.runs.stores.record import RunRecord, check_run_id
from headrace.telemetry.explain import GAP, Explainer
from headrace.telemetry.explain_socket import Arrivals, Lag
from headrace.telemetry.explained import Explanation

LISTED = "200"
"""Runs of the server's list among which the one is looked for: as many as it gives."""


class Look(msgspec.Struct, frozen=True):
    """What was seen.

    Attributes:
        explanation: Where the run's time went.
        live: Whether the run went on while it was looked at.
        lag: How its events came here, where that could be measured.
    """

    explanation: Explanation
    live: bool
    lag: Lag | None


class _State(msgspec.Struct):
    last_seq: int
    live: bool
    session: str | None = None


class _Listed(msgspec.Struct):
    run_id: str
    agent: str
    model: str
    created_at: float
    session: str | None = None
    ended_at: float | None = None

    def record(self) -> RunRecord:
        return RunRecord(
            self.run_id,
            self.agent,
            self.model,
            self.created_at,
            session=self.session,
            ended_at=self.ended_at,
        )


class _List(msgspec.Struct):
    runs: list[_Listed]


async def look(remote: Remote, run_id: str, *, seconds: float, gap: float = GAP) -> Look:
    """Read a run's events; of a live one those that come within so many seconds, too.

    Args:
        remote: The server.
        run_id: The run.
        seconds: How long to read on where the run goes on.
        gap: As for `explain`.

    Raises:
        InvalidId: no id of a run.
        ServerRefused: the server refused, in its words; it has no such run, for one.
        ConnectionFailed: there is no connection.
        InvalidResponse: whoever answers is no Headrace server.
        UsageError: the run has no events yet.
    """
    state = await _state(remote, check_run_id(run_id))
    records = await _records(remote, state.session)
    record = next((record for record in records if record.id == run_id), None)
    explainer, arrivals = Explainer(gap), Arrivals()
    after = await _read(remote, run_id, explainer, arrivals, seconds if state.live else None)
    lag = arrivals.lag(after) if state.live else None
    return Look(explainer.explanation(record, others=records), state.live, lag)


async def _read(
    remote: Remote, run_id: str, explainer: Explainer, arrivals: Arrivals, seconds: float | None
) -> int:
    """Read the stream to its end, or for so long from its first events on.

    Gives where the log stood once the stream was open.
    """
    now = asyncio.get_running_loop().time
    async with aclosing(remote.run(run_id).batches()) as batches, _opened(remote, run_id) as opened:
        try:
            async with asyncio.timeout(None) as timer:
                async for batch in batches:
                    arrivals.add(batch[0].seq, batch[0].at, now())
                    opened.ask()
                    if seconds is not None and timer.when() is None:
                        timer.reschedule(now() + seconds)
                    for event in batch:
                        explainer.add(event)
        except TimeoutError:
            pass
        return await opened.last_seq()


class _Opened:
    """Asks, once the stream is open, where the log stands: what comes behind comes as it is made.

    It is asked beside the reading, which goes on.
    """

    def __init__(self, remote: Remote, run_id: str) -> None:
        self._remote = remote
        self._run_id = run_id
        self._task: asyncio.Task[_State] | None = None

    def ask(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(_state(self._remote, self._run_id))

    async def last_seq(self) -> int:
        return 0 if self._task is None else (await self._task).last_seq

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


@asynccontextmanager
async def _opened(remote: Remote, run_id: str) -> AsyncGenerator[_Opened]:
    opened = _Opened(remote, run_id)
    try:
        yield opened
    finally:
        opened.cancel()


async def _state(remote: Remote, run_id: str) -> _State:
    answer = await remote.server.ask("GET", f"/v1/runs/{run_id}")
    state: _State = decoded(answer, _State, remote.server.where)
    return state


async def _records(remote: Remote, session: str | None) -> list[RunRecord]:
    """The newest runs of the session, or of all; when they were submitted is told only there."""
    query = {"limit": LISTED} | ({"session": session} if session else {})
    answer = await remote.server.ask("GET", "/v1/runs", query=query)
    found: _List = decoded(answer, _List, remote.server.where)
    return [listed.record() for listed in found.runs]
