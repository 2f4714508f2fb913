"""`SQLiteStore`: logs, runs and sessions in one file, for one machine and any number of processes.

A writing thread commits whatever waits together; a reading thread answers beside it. What a
commit has returned for survives the process being killed; with `full_sync` a loss of power too.
"""

from __future__ import annotations

import sqlite3
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from headrace.events import Event
from headrace.messages import Message
from headrace.runs.stores import sqlite_log, sqlite_runs, sqlite_sessions, sqlite_signals
from headrace.runs.stores.record import (
    RunRecord,
    RunStatus,
    SessionRecord,
    Signal,
    encode_batch,
)
from headrace.runs.stores.sqlite_bell import Bell
from headrace.runs.stores.sqlite_file import StoreFile
from headrace.runs.stores.sqlite_reader import Reader
from headrace.runs.stores.sqlite_thread import answer
from headrace.runs.stores.sqlite_transaction import Transaction
from headrace.runs.stores.sqlite_writer import Writer
from headrace.runs.stores.store import READ_BYTES


class SQLiteStore:
    """A `Store` in a SQLite file (with its ``-wal`` and ``-shm`` beside it, on a local disk).

    Making one does nothing yet: the file, for its owner alone, is made or opened by the first
    call. Several processes may use one file at once.

    Args:
        path: The file; missing directories are made.
        full_sync: Wait for the disk at each commit, so that it survives a loss of power.
        busy_timeout: Seconds to wait for another process's lock before `StoreUnavailable`.
        clock: Gives Unix seconds, for leases and sessions.

    Raises:
        ConfigurationError: `path` names no file.
        StoreTooNew: from any method: a newer Headrace has written the file.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        full_sync: bool = False,
        busy_timeout: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        file = StoreFile(path, full_sync=full_sync, busy_timeout=busy_timeout)
        self._file = file
        self._clock = clock
        self._bell = Bell()
        self._writer = Writer(file, self._bell, clock)
        self._reader = Reader(file)
        # Who forgets to close leaves no threads behind, once the store itself is gone.
        self._finalizer = weakref.finalize(self, _abandon, self._reader, self._writer)

    def __repr__(self) -> str:
        return f"SQLiteStore({self._file.path!r})"

    async def __aenter__(self) -> SQLiteStore:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # Logs ---------------------------------------------------------------------------------

    async def create(self, record: RunRecord) -> RunRecord:
        """See `Store.create`."""
        made: RunRecord = await self._write(partial(sqlite_runs.create, record))
        return made

    async def append(self, run_id: str, expected_last_seq: int, events: Sequence[Event]) -> None:
        """See `Store.append`."""
        sqlite_log.check(expected_last_seq, events, end=False)
        await self._writer.submit(
            partial(
                sqlite_log.append,
                run_id,
                expected_last_seq,
                expected_last_seq + len(events),
                encode_batch(events),
            )
        )

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
        sqlite_log.check(expected_last_seq, events, end=True)
        payload = encode_batch(events)
        await self._write(
            partial(sqlite_runs.end, run_id, expected_last_seq, events[-1], payload, said, instead)
        )

    async def read(self, run_id: str, after: int, max_bytes: int = READ_BYTES) -> list[Event]:
        """See `Store.read`."""
        events, _ = await self._read_log(run_id, after, max_bytes)
        return events

    async def follow(self, run_id: str, after: int = 0) -> AsyncIterator[list[Event]]:
        """See `Store.follow`."""
        while True:
            # Asked before looking, so that no commit falls between.
            waiter = self._bell.wait(run_id)
            try:
                self._writer.watch()
                events, live = await self._read_log(run_id, after, READ_BYTES)
                if not events and live:
                    await waiter
            finally:
                self._bell.leave(run_id, waiter)
            if events:
                after = events[-1].seq
                yield events
            elif not live:
                return

    async def _read_log(self, run_id: str, after: int, max_bytes: int) -> tuple[list[Event], bool]:
        found: tuple[list[Event], bool] = await self._read(
            partial(sqlite_log.read, run_id, after, max_bytes)
        )
        return found

    # Runs ---------------------------------------------------------------------------------

    async def run(self, run_id: str) -> RunRecord:
        """See `Store.run`."""
        record: RunRecord = await self._read(partial(sqlite_runs.run, run_id))
        return record

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
        found: list[RunRecord] = await self._read(
            partial(sqlite_runs.runs, user, session, status, before, limit)
        )
        return found

    async def delete_run(self, run_id: str) -> None:
        """See `Store.delete_run`."""
        await self._write(partial(sqlite_runs.delete, run_id))

    # Ownership ----------------------------------------------------------------------------

    async def orphans(self, host: str, limit: int = 100) -> list[str]:
        """See `Store.orphans`."""
        found: list[str] = await self._read(
            partial(sqlite_runs.orphans, host, limit, self._clock())
        )
        return found

    async def claim(self, run_id: str, owner: str, seconds: float) -> RunRecord | None:
        """See `Store.claim`."""
        claimed: RunRecord | None = await self._write(
            partial(sqlite_runs.claim, run_id, owner, seconds)
        )
        return claimed

    async def renew(self, owner: str, seconds: float) -> None:
        """See `Store.renew`."""
        await self._write(partial(sqlite_runs.renew, owner, seconds))

    async def release(self, owner: str) -> None:
        """See `Store.release`."""
        await self._write(partial(sqlite_runs.release, owner))

    # Signals ------------------------------------------------------------------------------

    async def post(self, signal: Signal) -> None:
        """See `Store.post`."""
        await self._write(partial(sqlite_signals.post, signal))

    async def signals(self, owner: str) -> list[Signal]:
        """See `Store.signals`."""
        found: list[Signal] = await self._read(partial(sqlite_signals.signals, owner))
        return found

    async def settle(self, ids: Iterable[int]) -> None:
        """See `Store.settle`."""
        if settled := list(ids):
            await self._write(partial(sqlite_signals.settle, settled))

    # Sessions -----------------------------------------------------------------------------

    async def session(self, session: str) -> SessionRecord:
        """See `Store.session`."""
        record: SessionRecord = await self._read(partial(sqlite_sessions.session, session))
        return record

    async def sessions(self, *, user: str | None = None, limit: int = 50) -> list[SessionRecord]:
        """See `Store.sessions`."""
        found: list[SessionRecord] = await self._read(
            partial(sqlite_sessions.sessions, user, sqlite_runs.listed(limit))
        )
        return found

    async def append_session(
        self, session: str, expected_version: int, messages: Sequence[Message], *, user: str = ""
    ) -> int:
        """See `Store.append_session`."""
        version: int = await self._write(
            partial(sqlite_sessions.append, session, expected_version, messages, user)
        )
        return version

    async def delete_session(self, session: str) -> None:
        """See `Store.delete_session`."""
        await self._write(partial(_delete_session, session))

    # Retention ----------------------------------------------------------------------------

    async def cut(self, run_id: str, upto: int) -> None:
        """See `Store.cut`."""
        await self._write(partial(sqlite_log.cut, run_id, upto))

    async def prune(self, events_before: float, records_before: float) -> int:
        """See `Store.prune`."""
        touched = 0
        while part := await self._write(partial(sqlite_runs.prune, events_before, records_before)):
            touched += part
        return touched

    async def close(self) -> None:
        """See `Store.close`."""
        await self._reader.close()
        await self._writer.close()
        answer((), self._bell.ring_all())

    async def _write(self, call: Callable[[Transaction], Any]) -> Any:
        return await self._writer.submit(call)

    async def _read(self, call: Callable[[sqlite3.Connection], Any]) -> Any:
        return await self._reader.submit(call)


def _delete_session(session: str, tx: Transaction) -> None:
    for num, run_id in sqlite_sessions.check_removable(session, tx):
        sqlite_runs.remove(num, run_id, tx)
    sqlite_sessions.remove(session, tx)


def _abandon(reader: Reader, writer: Writer) -> None:
    reader.abandon()
    writer.abandon()
