"""The store's file: made for its owner alone, opened, watched; and its errors in plain words."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from headrace.errors import ConfigurationError, StoreUnavailable
from headrace.runs.stores.sqlite_schema import prepare, version

_LOOK_EVERY = 1.0
"""Seconds between looks at whether the file is still there: a look costs 2 µs."""

_WAL_KEPT = 16 * 1024 * 1024
"""Bytes to which the write-ahead log's file shrinks when it starts anew."""

_HINTS = {
    sqlite3.SQLITE_FULL: "Free space on its disk; new runs work once there is some.",
    sqlite3.SQLITE_BUSY: "End what holds it, such as a database browser; then it works again.",
    sqlite3.SQLITE_LOCKED: "End what holds it, such as a database browser; then it works again.",
    sqlite3.SQLITE_READONLY: "Let this user write to the file and to its directory.",
    sqlite3.SQLITE_PERM: "Let this user write to the file and to its directory.",
    sqlite3.SQLITE_CANTOPEN: "Look whether its directory is there and can be written to.",
    sqlite3.SQLITE_NOTADB: "Name another file.",
    sqlite3.SQLITE_CORRUPT: "Move it away with its -wal file, or take it from a backup.",
    sqlite3.SQLITE_IOERR: "Look at its disk: space, quota, limits of file size, cables.",
}

_PASSING = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_CONSTRAINT,
)
"""After these a connection is as good as before."""

_OS_HINTS = {
    errno.ENOSPC: "Free space on its disk.",
    errno.EISDIR: "Name a file, not a directory.",
    errno.ENOTDIR: "A part of its path is a file; name another.",
}


class StoreFile:
    """Where a store's database is and how it is opened; shared by the store's threads.

    Args:
        path: The file; it and its directories are made when they are first needed.
        full_sync: Every commit waits for the disk, and survives a loss of power too.
        busy_timeout: Seconds to wait for another process's lock.
    """

    def __init__(self, path: str | Path, *, full_sync: bool, busy_timeout: float) -> None:
        text = os.fspath(path)
        if text in ("", ":memory:"):
            raise ConfigurationError(
                f"{text!r} names no file.", hint="For a store in memory, take MemoryStore."
            )
        self.path = os.path.abspath(text)
        self._full_sync = full_sync
        self._busy_timeout = busy_timeout
        # Two threads that make one file would meet in its journal.
        self._opening = threading.Lock()

    def open(self) -> sqlite3.Connection:
        """A connection of the calling thread; the file is made where it is missing.

        Raises:
            StoreUnavailable: it cannot be opened, or is not a Headrace store.
            sqlite3.Error: SQLite's own word about it.
        """
        with self._opening:
            try:
                _make(self.path)
            except OSError as error:
                raise self.unavailable(error) from error
            connection = sqlite3.connect(
                self.path, timeout=self._busy_timeout, isolation_level=None
            )
            try:
                version(connection, self.path)  # before another's file is changed
                _retried(self._busy_timeout, lambda: _use_wal(connection, self.path))
                synchronous = "FULL" if self._full_sync else "NORMAL"
                connection.execute(f"PRAGMA synchronous = {synchronous}")
                connection.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT}")
                prepare(connection, self.path)
            except BaseException:
                connection.close()
                raise
            return connection

    def identity(self) -> tuple[int, int] | None:
        """Which file stands at the path now, if any."""
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def unavailable(self, error: Exception) -> StoreUnavailable:
        """The error in plain words: which store, what was said, what to do."""
        if isinstance(error, OSError):
            said = error.strerror or str(error)
            hint = _OS_HINTS.get(error.errno or 0, "Look at its path and permissions.")
        else:
            said = str(error)
            code = getattr(error, "sqlite_errorcode", None)
            # The low byte is the kind; the rest says where it happened.
            hint = _HINTS.get(code & 0xFF if code is not None else -1, "Look at its disk.")
            if code is not None and code & 0xFF == sqlite3.SQLITE_BUSY:
                said += f", for more than {self._busy_timeout:g} s"
        return StoreUnavailable(f"The store {self.path} cannot be used: {said}.", hint=hint)


class Handle:
    """One thread's connection to the store's file; made anew where the file was."""

    def __init__(self, file: StoreFile) -> None:
        self.file = file
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._looked = 0.0

    def connection(self) -> sqlite3.Connection:
        """The connection, opened where there is none.

        Raises:
            StoreUnavailable: the file was removed or replaced since it was opened, told once.
            sqlite3.Error: SQLite's own word about it.
        """
        now = time.monotonic()
        if self._connection is None:
            self._connection = self.file.open()
            self._identity = self.file.identity()
            self._looked = now
        elif now - self._looked > _LOOK_EVERY:
            self._looked = now
            if self.file.identity() != self._identity:
                self.drop()
                raise StoreUnavailable(
                    f"The store {self.file.path} was removed or replaced while it was in use.",
                    hint="Runs begun from now on go to the file that is there then.",
                )
        return self._connection

    def roll_back(self) -> None:
        """End a transaction that is open, without its changes."""
        try:
            if self._connection is not None and self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            self.drop()

    def told(self, error: Exception) -> Exception:
        """What one caller is told about an error: the file's troubles in plain words."""
        if isinstance(error, StoreUnavailable):
            return type(error)(error.message, hint=error.hint)  # each raises one of its own
        if not isinstance(error, sqlite3.Error):
            return error
        told = self.file.unavailable(error)
        told.__cause__ = error
        return told

    def let_go_after(self, error: Exception) -> None:
        """Close the connection after an error that it may not get over."""
        code = getattr(error, "sqlite_errorcode", None)
        if code is not None and code & 0xFF not in _PASSING:
            self.drop()

    def drop(self) -> None:
        """Close the connection, if there is one; the next asking opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _make(path: str) -> None:
    """Directories for their owner alone, and an empty file."""
    file = Path(path)
    for folder in reversed([parent for parent in file.parents if not parent.exists()]):
        folder.mkdir(mode=0o700, exist_ok=True)
    if file.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a directory")
    if not file.exists():
        # Never opened where it exists: closing any descriptor of a file drops all locks that
        # this process has on it (https://sqlite.org/howtocorrupt.html, 2.2).
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            os.close(os.open(path, flags, 0o600))
        except FileExistsError:
            return  # another process was quicker


def _use_wal(connection: sqlite3.Connection, path: str) -> None:
    ((mode,),) = connection.execute("PRAGMA journal_mode").fetchall()
    if mode != "wal":
        ((mode,),) = connection.execute("PRAGMA journal_mode = WAL").fetchall()
    if mode != "wal":
        raise StoreUnavailable(
            f"The store {path} cannot have a write-ahead log there.",
            hint="Put it on a local disk.",
        )


def _retried(seconds: float, act: Callable[[], None]) -> None:
    """Do it again while the file is locked: changing the journal does not wait by itself."""
    until = time.monotonic() + seconds
    while True:
        try:
            return act()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(0.01)
