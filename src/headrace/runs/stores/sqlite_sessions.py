"""Sessions in SQLite: their messages, and the one live run that each may have."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from headrace.errors import SessionBusy, SessionConflict, SessionNotFound
from headrace.messages import Message
from headrace.runs.stores.record import SessionRecord
from headrace.runs.stores.sqlite_transaction import SEQ_BITS, Transaction

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(tuple[Message, ...])

_RECORD = """
SELECT num, title, id, user, version, created_at, updated_at,
    (SELECT id FROM runs WHERE session = sessions.id AND status = 'running')
FROM sessions
"""

_OF_SESSION = f"BETWEEN num << {SEQ_BITS} AND ((num + 1) << {SEQ_BITS}) - 1"

# Record and messages in one statement: one view of the file. A run's id has no comma.
_WHOLE = f"""
WITH session AS ({_RECORD} WHERE id = ?),
said AS (
    SELECT payload, run FROM session JOIN messages ON place {_OF_SESSION} ORDER BY place
)
SELECT session.*,
    CAST((SELECT group_concat(payload, ',') FROM said) AS BLOB),
    (SELECT group_concat(run, ',') FROM said)
FROM session
"""  # noqa: S608 (constants)


def session(session_id: str, connection: sqlite3.Connection) -> SessionRecord:
    """See `Store.session`."""
    found = connection.execute(_WHOLE, (session_id,)).fetchall()
    if not found:
        raise SessionNotFound(session_id)
    *record, joined, runs = found[0]
    return replace(
        _record(record),
        messages=_decoder.decode(b"[" + (joined or b"") + b"]"),
        runs=() if runs is None else tuple(runs.split(",")),
    )


def sessions(user: str | None, limit: int, connection: sqlite3.Connection) -> list[SessionRecord]:
    """See `Store.sessions`."""
    where, values = ("", ()) if user is None else ("WHERE user = ?", (user,))
    found = connection.execute(
        f"{_RECORD} {where} ORDER BY updated_at DESC, num DESC LIMIT ?", (*values, limit)
    )
    return [_record(row) for row in found.fetchall()]


def open_for_run(session_id: str, user: str, title: str, tx: Transaction) -> None:
    """Make the session if it is new; one without a title gets the run's.

    Raises:
        SessionBusy: it has a live run.
        SessionNotFound: it belongs to another user.
    """
    found = _found(session_id, tx)
    if found is None:
        _make(session_id, user, tx, title)
        return
    _check_user(found, user)
    _check_free(found)
    num, record = found
    if title and not record.title:
        tx.db.execute("UPDATE sessions SET title = ? WHERE num = ?", (title, num))


def say(run: int, messages: Sequence[Message], instead: bool, tx: Transaction) -> None:
    """Add messages to the session of the run of this number, if it has one that is there.

    With `instead` they take the place of those that are there, but for those that both begin with.
    """
    found = tx.db.execute(
        "SELECT sessions.num, version, runs.id, runs.title "
        "FROM runs JOIN sessions ON sessions.id = runs.session WHERE runs.num = ?",
        (run,),
    ).fetchall()
    for num, version, run_id, title in found:
        said = [_encoder.encode(message) for message in messages]
        if instead:
            version = _common(num, said, tx)
            _cut(num, version, tx)
            del said[:version]
            if not version:
                tx.db.execute("UPDATE sessions SET title = ? WHERE num = ?", (title, num))
        _add(num, version, said, tx, run_id)


def append(
    session_id: str, expected_version: int, messages: Sequence[Message], user: str, tx: Transaction
) -> int:
    """See `Store.append_session`."""
    found = _found(session_id, tx)
    if found is None:
        if expected_version:
            raise SessionNotFound(session_id)
        return _append(_make(session_id, user, tx), 0, messages, tx)
    num, record = found
    _check_user(found, user)
    _check_free(found)
    if record.version != expected_version:
        raise SessionConflict(
            f"The session {session_id[:80]!r} stands at {record.version}; "
            f"an append after {expected_version} was refused.",
            hint="Read it again, and append to what it is now.",
        )
    return _append(num, record.version, messages, tx)


def check_removable(session_id: str, tx: Transaction) -> list[tuple[int, str]]:
    """Numbers and ids of the runs of a session that can be forgotten.

    Raises:
        SessionBusy: it has a live run.
        SessionNotFound: there is no such session.
    """
    found = _found(session_id, tx)
    if found is None:
        raise SessionNotFound(session_id)
    _check_free(found)
    return tx.db.execute("SELECT num, id FROM runs WHERE session = ?", (session_id,)).fetchall()


def remove(session_id: str, tx: Transaction) -> None:
    """Forget a session and its messages."""
    found = _found(session_id, tx)
    if found is not None:
        _cut(found[0], 0, tx)
        tx.db.execute("DELETE FROM sessions WHERE num = ?", (found[0],))


_Found = tuple[int, SessionRecord]


def _found(session_id: str, tx: Transaction) -> _Found | None:
    found = tx.db.execute(f"{_RECORD} WHERE id = ?", (session_id,)).fetchall()
    return (found[0][0], _record(found[0])) if found else None


def _record(row: Sequence[Any]) -> SessionRecord:
    _, title, *fields = row
    return replace(SessionRecord(*fields), title=title)


def _check_user(found: _Found, user: str) -> None:
    if found[1].user != user:
        raise SessionNotFound(found[1].id)


def _check_free(found: _Found) -> None:
    if found[1].live_run is not None:
        raise SessionBusy(found[1].id, found[1].live_run)


def _make(session_id: str, user: str, tx: Transaction, title: str = "") -> int:
    made = tx.db.execute(
        "INSERT INTO sessions (id, user, title, version, created_at, updated_at) "
        "VALUES (?, ?, ?, 0, ?, ?)",
        (session_id, user, title, tx.now, tx.now),
    )
    assert made.lastrowid is not None  # noqa: S101 (an INSERT has made it)
    return made.lastrowid


def _places(num: int, keep: int = 0) -> tuple[int, int]:
    """The places of a session's messages behind the first `keep`."""
    return (num << SEQ_BITS) + keep + 1, ((num + 1) << SEQ_BITS) - 1


def _common(num: int, said: Sequence[bytes], tx: Transaction) -> int:
    """How many messages the session and `said` both begin with."""
    held = tx.db.execute(
        "SELECT payload FROM messages WHERE place BETWEEN ? AND ? ORDER BY place", _places(num)
    )
    count = 0
    for (payload,), mine in zip(held, said, strict=False):
        if payload != mine:
            break
        count += 1
    held.close()
    return count


def _cut(num: int, keep: int, tx: Transaction) -> None:
    tx.db.execute("DELETE FROM messages WHERE place BETWEEN ? AND ?", _places(num, keep))


def _append(num: int, version: int, messages: Sequence[Message], tx: Transaction) -> int:
    if not messages:
        return version
    return _add(num, version, [_encoder.encode(message) for message in messages], tx)


def _add(num: int, version: int, said: Sequence[bytes], tx: Transaction, run_id: str = "") -> int:
    first, _ = _places(num, version)
    rows = [(first + nth, payload, run_id) for nth, payload in enumerate(said)]
    tx.db.executemany("INSERT INTO messages (place, payload, run) VALUES (?, ?, ?)", rows)
    version += len(said)
    tx.db.execute(
        "UPDATE sessions SET version = ?, updated_at = ? WHERE num = ?", (version, tx.now, num)
    )
    return version
