"""How an older store's file becomes a newer one's."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec
import pytest

from headrace.errors import StoreTooNew
from headrace.messages import Message
from headrace.runs.stores.sqlite import SQLiteStore
from headrace.runs.stores.sqlite_schema import MIGRATIONS, prepare, statements
from headrace.testing.store_laws_samples import complete, run_record, tokens

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


async def test_a_store_of_version_1_opens_and_goes_on(tmp_path: Path) -> None:
    """What was said before is no run's; a title is that of the run which began its session."""
    path = tmp_path / "old.db"
    connection = connect(path)
    prepare(connection, str(path), MIGRATIONS[:1])
    for num, title in enumerate(("first", "second"), start=1):
        connection.execute(
            "INSERT INTO runs (id, agent, model, created_at, host, user, session, title, spec,"
            " fingerprint, owner, lease_until, recoveries, status, reason)"
            " VALUES (?, 'bot', 'm', ?, 'default', '', 's', ?, x'', '', '', 0, 0, 'complete', '')",
            (f"old_{num}", float(num), title),
        )
    for num, session in ((1, "s"), (2, "t")):
        connection.execute(
            "INSERT INTO sessions (num, id, user, version, created_at, updated_at)"
            " VALUES (?, ?, '', 1, 1.0, 1.0)",
            (num, session),
        )
        payload = msgspec.json.encode(Message.user(session))
        connection.execute("INSERT INTO messages VALUES (?, ?)", ((num << 32) + 1, payload))
    connection.close()
    async with SQLiteStore(path) as store:
        old = await store.session("s")
        assert (old.messages, old.runs, old.title) == ((Message.user("s"),), ("",), "first")
        assert (await store.session("t")).title == ""
        await store.create(run_record("new", session="s"))
        await store.end("new", 0, [complete(1)], [Message.assistant("hi")])
        assert (await store.session("s")).runs == ("", "new")
    connection = connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    connection.close()


async def test_a_process_of_an_older_version_may_still_add(tmp_path: Path) -> None:
    """It has the file open while a newer one brings it up to date."""
    path = tmp_path / "runs.db"
    async with SQLiteStore(path) as store:
        await store.append_session("s", 0, [Message.user("new")])
        old = connect(path)
        payload = msgspec.json.encode(Message.user("old"))
        ((place,),) = old.execute("SELECT max(place) + 1 FROM messages").fetchall()
        old.execute("INSERT INTO messages (place, payload) VALUES (?, ?)", (place, payload))
        old.close()
        assert (await store.session("s")).runs == ("", "")
