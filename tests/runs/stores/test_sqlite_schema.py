"""How an older store's file becomes a newer one's."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from headrace.errors import StoreTooNew
from headrace.runs.stores.sqlite import SQLiteStore
from headrace.runs.stores.sqlite_schema import MIGRATIONS, prepare, statements
from headrace.testing.store_laws_samples import run_record, tokens

SECOND = """
-- a comment; with a semicolon
ALTER TABLE runs ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue; grey';
CREATE TABLE colours (name TEXT);
INSERT INTO colours SELECT DISTINCT colour FROM runs
"""


def connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    path = tmp_path / "runs.db"
    async with SQLiteStore(path) as store:
        await store.create(run_record())
        await store.append("run_1", 0, tokens(1, 3))
    return path


@pytest.mark.anyio
async def test_an_older_store_is_brought_to_the_newest_version(path: Path) -> None:
    connection = connect(path)
    newer = (*MIGRATIONS, SECOND)
    prepare(connection, str(path), newer)
    prepare(connection, str(path), newer)  # again is nothing
    assert connection.execute("PRAGMA user_version").fetchone() == (len(newer),)
    assert connection.execute("SELECT name FROM colours").fetchall() == [("blue; grey",)]
    assert connection.execute("SELECT id, colour FROM runs").fetchall() == [("run_1", "blue; grey")]
    with pytest.raises(StoreTooNew):
        prepare(connection, str(path))
    connection.close()


@pytest.mark.anyio
async def test_a_migration_that_fails_leaves_the_store_as_it_was(path: Path) -> None:
    connection = connect(path)
    with pytest.raises(sqlite3.OperationalError, match="no such table: nowhere"):
        prepare(connection, str(path), (*MIGRATIONS, SECOND, "DELETE FROM nowhere;"))
    assert not connection.in_transaction
    connection.close()
    async with SQLiteStore(path) as store:
        assert await store.read("run_1", 0) == tokens(1, 3)
        await store.append("run_1", 3, tokens(4, 4))


def test_a_new_file_gets_all_versions_at_once(tmp_path: Path) -> None:
    connection = connect(tmp_path / "new.db")
    prepare(connection, "new.db", (*MIGRATIONS, SECOND))
    assert connection.execute("SELECT colour FROM runs").fetchall() == []
    connection.close()


def test_a_script_is_taken_apart_into_its_statements() -> None:
    assert len([*statements(SECOND)]) == 3
    assert "".join(statements(SECOND)) == SECOND
    assert [*statements("\n\n")] == []
