"""What a store's file holds: its tables, their version, and how an older file becomes a newer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from headrace.errors import StoreTooNew, StoreUnavailable

APPLICATION_ID = 0x48647263
"""``Hdrc``: what SQLite keeps in the file's header to tell whose it is."""

_VERSION_1 = """
-- A run's record; what its log tells (the last seq) is not kept twice.
CREATE TABLE runs (
    num INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    agent TEXT NOT NULL,
    model TEXT NOT NULL,
    created_at REAL NOT NULL,
    host TEXT NOT NULL,
    user TEXT NOT NULL,
    session TEXT,
    parent TEXT,
    title TEXT NOT NULL,
    spec BLOB NOT NULL,
    idempotency_key TEXT,
    fingerprint TEXT NOT NULL,
    owner TEXT NOT NULL,
    lease_until REAL NOT NULL,
    recoveries INTEGER NOT NULL,
    cut INTEGER NOT NULL DEFAULT 0,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    ended_at REAL,
    usage BLOB
);
CREATE INDEX runs_newest ON runs (created_at);
CREATE INDEX runs_of_user ON runs (user, created_at);
CREATE INDEX runs_of_session ON runs (session, created_at) WHERE session IS NOT NULL;
CREATE INDEX runs_ended ON runs (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX runs_live ON runs (owner) WHERE status = 'running';
CREATE UNIQUE INDEX runs_live_in_session ON runs (session)
    WHERE status = 'running' AND session IS NOT NULL;
CREATE UNIQUE INDEX runs_of_key ON runs (user, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

-- A row a batch, in the order of commits. first is (num of its run << 32) + seq of its first event:
-- two writers behind the same event would give the same. last is the seq of its last event; payload
-- see encode_batch. Some 2,000 rows that follow each other share a shelf, and the index goes by
-- shelf: so the runs that write now meet in a few pages of it. By run alone, a commit of 100 runs
-- would write 100 pages (10 µs a row, measured; by shelf 3).
CREATE TABLE batches (
    num INTEGER PRIMARY KEY,
    shelf INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    payload BLOB NOT NULL
);
CREATE UNIQUE INDEX batches_in_order ON batches (shelf, first);

-- On which shelves a run's batches stand: from the event first (as above) on, on this one.
CREATE TABLE shelves (
    first INTEGER PRIMARY KEY,
    shelf INTEGER NOT NULL
);

CREATE TABLE signals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run INTEGER NOT NULL,
    kind TEXT NOT NULL,
    content TEXT NOT NULL
);
CREATE INDEX signals_of_run ON signals (run);

CREATE TABLE sessions (
    num INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    user TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL
);
CREATE INDEX sessions_last_used ON sessions (updated_at);
CREATE INDEX sessions_of_user ON sessions (user, updated_at);

-- place is (session's num << 32) + the message's number, from 1.
CREATE TABLE messages (
    place INTEGER PRIMARY KEY,
    payload BLOB NOT NULL
);
"""

_VERSION_2 = """
-- The id of the run that said it, '' for none: the id itself, as it outlives the run's row.
ALTER TABLE messages ADD COLUMN run TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN title TEXT NOT NULL DEFAULT '';
UPDATE sessions SET title = coalesce((
    SELECT title FROM runs WHERE session = sessions.id ORDER BY created_at, num LIMIT 1
), '');
"""

MIGRATIONS: Sequence[str] = (_VERSION_1, _VERSION_2)
"""What makes version 1 of an empty file, version 2 of version 1, and so on."""


def prepare(
    connection: sqlite3.Connection, path: str, migrations: Sequence[str] = MIGRATIONS
) -> None:
    """Bring the file to the newest version: in one transaction, or not at all.

    Raises:
        StoreTooNew: a newer Headrace has written it.
        StoreUnavailable: it is some other program's database.
        sqlite3.Error: it is no database, or cannot be written.
    """
    if version(connection, path, migrations) == len(migrations):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have done it meanwhile.
        for script in migrations[version(connection, path, migrations) :]:
            for statement in statements(script):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def statements(script: str) -> Iterator[str]:
    """The script's statements, one by one: run whole, it would commit before it begins."""
    begun = ""
    for line in script.splitlines(keepends=True):
        begun += line
        if sqlite3.complete_statement(begun):
            yield begun
            begun = ""
    if begun.strip():
        yield begun


def version(
    connection: sqlite3.Connection, path: str, migrations: Sequence[str] = MIGRATIONS
) -> int:
    """The version of the file's tables, 0 where there are none; nothing is changed.

    Raises:
        StoreTooNew: a newer Headrace has written it.
        StoreUnavailable: it is some other program's database.
        sqlite3.Error: it is no database.
    """
    found = _pragma(connection, "user_version")
    if _pragma(connection, "application_id") == APPLICATION_ID:
        if found > len(migrations):
            raise StoreTooNew(
                f"The store {path} has version {found}; this Headrace knows versions up to "
                f"{len(migrations)}.",
                hint="Update Headrace, or name another file.",
            )
        return found
    if found or connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall():
        raise StoreUnavailable(
            f"{path} is another program's database, not a Headrace store.",
            hint="Name another file.",
        )
    return 0


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    ((value,),) = connection.execute(f"PRAGMA {name}").fetchall()
    return int(value)
