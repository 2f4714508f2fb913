"""The one thread of a store that writes: everything that waits goes into one commit."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

from headrace.errors import HeadraceError
from headrace.runs.stores.sqlite_bell import Bell, Waiter
from headrace.runs.stores.sqlite_file import Handle, StoreFile
from headrace.runs.stores.sqlite_thread import Job, Worker
from headrace.runs.stores.sqlite_transaction import Heads, Transaction

POLL = 0.05
"""Seconds between looks for commits of other processes, while someone follows a run."""

_LINGER = 1.0
"""Seconds for which looking goes on: who follows is between two waits after every commit."""


class Writer(Worker[Transaction]):
    """Group commit. A refused job fails alone; a failed commit fails all of its group.

    Args:
        file: The store's.
        bell: Who is to be woken after commits.
        clock: Gives Unix seconds.
    """

    def __init__(self, file: StoreFile, bell: Bell, clock: Callable[[], float]) -> None:
        super().__init__("headrace-store-writer", f"The store {file.path}")
        self._handle = Handle(file)
        self._bell = bell
        self._clock = clock
        self._heads = Heads()
        self._version = -1
        self._others_wrote = False
        self._rung_all = 0.0
        self._followed = 0.0

    def carry_out(self, jobs: list[Job[Transaction]]) -> list[Waiter]:
        """Commit what the jobs do; gives who waits for it."""
        waiting = jobs
        while waiting:
            try:
                connection = self._handle.connection()
                tx, spoiler = self._commit(connection, waiting)
            except Exception as error:
                self._give_up(error, waiting)
                return []
            if spoiler is None:
                return self._woken(tx)
            # Nothing is committed yet: the others run again without it.
            waiting = [job for job in waiting if job is not spoiler]
        return []

    def patience(self) -> float | None:
        """While someone follows, other processes' commits are looked for."""
        if self._bell:
            self._followed = time.monotonic()
            return POLL
        return POLL if time.monotonic() - self._followed < _LINGER else None

    def idle(self) -> list[Waiter]:
        """Look whether another process has written."""
        try:
            self._look(self._handle.connection())
        except Exception as error:
            # Those who follow read, and are told what is wrong.
            self._give_up(error, [])
            return self._bell.ring_all()
        return self._of_others()

    def leave(self) -> None:
        """Let go of the file; the last one to do so tidies its write-ahead log away."""
        self._handle.drop()

    def _commit(
        self, connection: sqlite3.Connection, jobs: list[Job[Transaction]]
    ) -> tuple[Transaction, Job[Transaction] | None]:
        connection.execute("BEGIN IMMEDIATE")
        self._look(connection)
        tx = Transaction(connection, self._heads, self._clock())
        for job in jobs:
            try:
                job.result = job.call(tx)
            except HeadraceError as error:
                job.error = error  # refused before it wrote anything
            except Exception as error:
                if _is_the_files(error):
                    raise
                job.error = error
                self._roll_back()
                return tx, job
        tx.flush()
        connection.execute("COMMIT")
        return tx, None

    def _look(self, connection: sqlite3.Connection) -> None:
        """Changes only by commits of other connections; true within a writing transaction."""
        ((version,),) = connection.execute("PRAGMA data_version").fetchall()
        if version != self._version:
            self._version = version
            self._heads.clear()
            self._others_wrote = True

    def _woken(self, tx: Transaction) -> list[Waiter]:
        woken = self._bell.ring(tx.changed)
        return woken + self._of_others() if self._others_wrote else woken

    def _of_others(self) -> list[Waiter]:
        """All who wait, if another process has written; not more often than it is polled."""
        now = time.monotonic()
        if not self._others_wrote or now - self._rung_all < POLL:
            return []
        self._others_wrote = False
        self._rung_all = now
        return self._bell.ring_all()

    def _give_up(self, error: Exception, jobs: list[Job[Transaction]]) -> None:
        self._roll_back()
        self._handle.let_go_after(error)
        for job in jobs:
            job.result, job.error = None, self._handle.told(error)

    def _roll_back(self) -> None:
        self._heads.clear()
        self._handle.roll_back()


def _is_the_files(error: Exception) -> bool:
    """Whether it is the file's trouble, and not that of one job."""
    # A value that does not fit is a DatabaseError too.
    jobs = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError)
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, jobs)
