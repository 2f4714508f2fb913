"""`MemoryStore`: logs, runs and sessions in one process's memory, gone when it ends."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from msgspec.structs import replace

from headrace.errors import LogConflict, LogTooLarge, RunEnded, StoreUnavailable
from headrace.events import TERMINAL, Event
from headrace.messages import Message
from headrace.runs.log import ENDS
from headrace.runs.stores.memory_log import size_of
from headrace.runs.stores.memory_room import Door, Room
from headrace.runs.stores.memory_runs import MemoryRun, MemoryRuns
from headrace.runs.stores.memory_sessions import SESSION_COST, MemorySessions, messages_size
from headrace.runs.stores.memory_signals import MemorySignals, signal_size
from headrace.runs.stores.record import RunRecord, RunStatus, SessionRecord, Signal
from headrace.runs.stores.store import READ_BYTES

MAX_BYTES = 256 * 1024 * 1024
"""Bytes that a memory store may hold: logs, records, sessions and signals together."""

MOST_LISTED = 1000


class MemoryStore:
    """A `Store` without a file; for tests, and for programs that need no restart.

    Where it is full, the oldest finished runs lose their events (their records stay, and reading
    them is a `ReplayGap`), then their records. What is live, and sessions, are never given up.

    Args:
        max_bytes: How much it may hold in all; the ends of what was begun always fit.
        clock: Gives Unix seconds.

    Raises:
        LogTooLarge: from `append`, when the store is full of what is live.
        StoreUnavailable: from other methods that add something, when it is; from all, when it
            is closed.
    """

    def __init__(
        self, *, max_bytes: int = MAX_BYTES, clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._open = Door()
        self._room = Room(max_bytes)
        self._runs = MemoryRuns(self._room)
        self._sessions = MemorySessions(self._room)
        self._signals = MemorySignals(self._room)

    def __repr__(self) -> str:
        return "MemoryStore()"

    # Logs ---------------------------------------------------------------------------------

    async def create(self, record: RunRecord) -> RunRecord:
        """See `Store.create`."""
        with self._open:
            made = self._runs.of_key(record.user, record.idempotency_key)
            if made is not None:
                return made.record
            self._runs.check_new(record.id)
            run = MemoryRun(record)
            if record.session is None:
                self._need(run.size)
            else:
                self._sessions.check_run(record.session, record.user)
                self._need(run.size + SESSION_COST)
                session = self._sessions.open(record.session, record.user, self._clock())
                session.live_run = record.id
                session.title = session.title or record.title
            self._runs.add(run)
            return run.record

    async def append(self, run_id: str, expected_last_seq: int, events: Sequence[Event]) -> None:
        """See `Store.append`."""
        with self._open:
            run = self._runs.get(run_id)
            run.log.check(expected_last_seq, events, end=False)
            if not events:
                return
            size = size_of(events)
            if not self._runs.make_room(size) and not all(isinstance(e, ENDS) for e in events):
                raise LogTooLarge(
                    f"The memory store is full: {self._room.used} of {self._room.max_bytes} bytes "
                    "belong to what is live and to sessions.",
                    hint="Let runs end, give it more max_bytes, or use sqlite:///path.",
                )
            self._runs.append(run, tuple(events), size)

    async def end(
        self,
        run_id: str,
        expected_last_seq: int,
        events: Sequence[Event],
        said: Sequence[Message] = (),
        *,
        instead: bool = False,
    ) -> None:
        """See `Store.end`."""
        with self._open:
            run = self._runs.get(run_id)
            run.log.check(expected_last_seq, events, end=True)
            size = size_of(events)
            # An end gets in even where there is no room for it.
            self._runs.make_room(size + messages_size(said))
            session = self._sessions.find(run.fixed.session)
            self._runs.append(run, tuple(events), size)
            self._signals.drop_of(run_id)
            if session is not None and session.live_run == run_id:
                session.live_run = None
                if said and instead:
                    self._sessions.replace(session, said, self._clock(), run.fixed)
                else:
                    self._sessions.add(session, said, self._clock(), run_id)

    async def read(self, run_id: str, after: int, max_bytes: int = READ_BYTES) -> list[Event]:
        """See `Store.read`."""
        with self._open:
            return self._runs.get(run_id).log.read(after, max_bytes)

    async def follow(self, run_id: str, after: int = 0) -> AsyncIterator[list[Event]]:
        """See `Store.follow`."""
        while True:
            with self._open:
                run = self._runs.get(run_id)
                events = run.log.read(after, READ_BYTES)
                if not events:
                    if run.log.ended:
                        return
                    waiter = run.waiters.add()
            if events:
                yield events
                after = events[-1].seq
                if isinstance(events[-1], TERMINAL):
                    return
                continue
            try:
                await waiter
            finally:
                with self._open.even_closed():
                    run.waiters.discard(waiter)

    # Runs ---------------------------------------------------------------------------------

    async def run(self, run_id: str) -> RunRecord:
        """See `Store.run`."""
        with self._open:
            return self._runs.get(run_id).record

    async def runs(
        self,
        *,
        user: str | None = None,
        session: str | None = None,
        status: RunStatus | None = None,
        before: float | None = None,
        limit: int = 50,
    ) -> list[RunRecord]:
        """See `Store.runs`."""
        with self._open:
            found = [
                run
                for run in self._runs
                if (user is None or run.fixed.user == user)
                and (session is None or run.fixed.session == session)
                and (status is None or run.fixed.status == status)
                and (before is None or run.fixed.created_at < before)
            ]
            found.reverse()
            found.sort(key=lambda run: run.fixed.created_at, reverse=True)
            return [replace(run.record, spec=b"") for run in found[: _listed(limit)]]

    async def delete_run(self, run_id: str) -> None:
        """See `Store.delete_run`."""
        with self._open:
            run = self._runs.find(run_id)
            if run is None:
                return
            if not run.log.ended:
                raise LogConflict(f"The run {run_id} is live.")
            self._runs.remove(run)

    # Ownership ----------------------------------------------------------------------------

    async def orphans(self, host: str, limit: int = 100) -> list[str]:
        """See `Store.orphans`."""
        with self._open:
            return self._runs.orphans(host, self._clock())[:limit]

    async def claim(self, run_id: str, owner: str, seconds: float) -> RunRecord | None:
        """See `Store.claim`."""
        with self._open:
            return self._runs.claim(run_id, owner, self._clock(), seconds)

    async def renew(self, owner: str, seconds: float) -> None:
        """See `Store.renew`."""
        with self._open:
            until = self._clock() + seconds
            for run in self._runs.owned(owner):
                run.own(owner, until)

    async def release(self, owner: str) -> None:
        """See `Store.release`."""
        with self._open:
            for run in self._runs.owned(owner):
                run.own("", 0.0)

    # Signals ------------------------------------------------------------------------------

    async def post(self, signal: Signal) -> None:
        """See `Store.post`."""
        with self._open:
            if self._runs.get(signal.run_id).log.ended:
                raise RunEnded(signal.run_id)
            self._need(signal_size(signal))
            self._signals.add(signal)

    async def signals(self, owner: str) -> list[Signal]:
        """See `Store.signals`."""
        with self._open:
            return [
                signal
                for signal in self._signals
                if self._runs.get(signal.run_id).fixed.owner == owner
            ]

    async def settle(self, ids: Iterable[int]) -> None:
        """See `Store.settle`."""
        with self._open:
            self._signals.drop(ids)

    # Sessions -----------------------------------------------------------------------------

    async def session(self, session: str) -> SessionRecord:
        """See `Store.session`."""
        with self._open:
            return self._sessions.get(session).record(whole=True)

    async def sessions(self, *, user: str | None = None, limit: int = 50) -> list[SessionRecord]:
        """See `Store.sessions`."""
        with self._open:
            return self._sessions.listed(user, _listed(limit))

    async def append_session(
        self, session: str, expected_version: int, messages: Sequence[Message], *, user: str = ""
    ) -> int:
        """See `Store.append_session`."""
        with self._open:
            self._sessions.check_append(session, expected_version, user)
            self._need(SESSION_COST + messages_size(messages))
            now = self._clock()
            return self._sessions.add(self._sessions.open(session, user, now), messages, now)

    async def delete_session(self, session: str) -> None:
        """See `Store.delete_session`."""
        with self._open:
            found = self._sessions.get(session)
            found.check_free()
            for run in [run for run in self._runs if run.fixed.session == session]:
                self._runs.remove(run)
            self._sessions.remove(found)

    # Retention ----------------------------------------------------------------------------

    async def cut(self, run_id: str, upto: int) -> None:
        """See `Store.cut`."""
        with self._open:
            self._runs.cut(self._runs.get(run_id), upto)

    async def prune(self, events_before: float, records_before: float) -> int:
        """See `Store.prune`."""
        with self._open:
            return self._runs.prune(events_before, records_before)

    async def close(self) -> None:
        """See `Store.close`."""
        with self._open.even_closed():
            self._open.closed = True
            for run in self._runs:
                run.waiters.wake()

    def _need(self, size: int) -> None:
        if not self._runs.make_room(size):
            raise StoreUnavailable(
                f"The memory store is full: {self._room.used} of {self._room.max_bytes} bytes.",
                hint="Let runs end, give it more max_bytes, or use sqlite:///path.",
            )


def _listed(limit: int) -> int:
    return min(max(limit, 1), MOST_LISTED)
