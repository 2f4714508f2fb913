"""Sessions in SQLite: their messages, and the one live run that each may have."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from headrace.errors import SessionBusy, SessionConflict, SessionNotFound
from headrace.messages import Message
from headrace.runs.stores.record import SessionRecord
from headrace.runs.stores.sqlite_transaction import SEQ_BITS, Transaction

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(tuple[Message, ...])

_RECORD = """
SELECT num, id, user, version, created_at, updated_at,
    (SELECT id FROM runs WHERE session = sessions.id AND status = 'running')
FROM sessions
"""

# Record and messages in one statement: one view of the file.
_WHOLE = f"""
SELECT id, user, version, created_at, updated_at,
    (SELECT id FROM runs WHERE session = sessions.id AND status = 'running'),
    CAST((
        SELECT group_concat(payload, ',') FROM (
            SELECT payload FROM messages
            WHERE place BETWEEN sessions.num << {SEQ_BITS}
                AND ((sessions.num + 1) << {SEQ_BITS}) - 1
            ORDER BY place
        )
    ) AS BLOB)
FROM sessions WHERE id = ?
"""  # noqa: S608 (constants)


def session(session_id: str, connection: sqlite3.Connection) -> SessionRecord:
    """See `Store.session`."""
    found = connection.execute(_WHOLE, (session_id,)).fetchall()
    if not found:
        raise SessionNotFound(session_id)
    *fields, joined = found[0]
    record = SessionRecord(*fields)
    return replace(record, messages=_decoder.decode(b"[" + (joined or b"") + b"]"))


def sessions(user: str | None, limit: int, connection: sqlite3.Connection) -> list[SessionRecord]:
    """See `Store.sessions`."""
    where, values = ("", ()) if user is None else ("WHERE user = ?", (user,))
    found = connection.execute(
        f"{_RECORD} {where} ORDER BY updated_at DESC, num DESC LIMIT ?", (*values, limit)
    )
    return [SessionRecord(*fields) for _, *fields in found.fetchall()]


def open_for_run(session_id: str, user: str, tx: Transaction) -> None:
    """Make the session if it is new.

    Raises:
        SessionBusy: it has a live run.
        SessionNotFound: it belongs to another user.
    """
    found = _found(session_id, tx)
    if found is None:
        _make(session_id, user, tx)
        return
    _check_user(found, user)
    _check_free(found)


def say(run: int, messages: Sequence[Message], instead: bool, tx: Transaction) -> None:
    """Add messages to the session of the run of this number, if it has one that is there.

    With `instead` they take the place of those that are there.
    """
    found = tx.db.execute(
        "SELECT sessions.num, version FROM runs JOIN sessions ON sessions.id = runs.session "
        "WHERE runs.num = ?",
        (run,),
    ).fetchall()
    for num, version in found:
        if instead:
            _clear(num, tx)
        _add(num, 0 if instead else version, messages, tx)


def append(
    session_id: str, expected_version: int, messages: Sequence[Message], user: str, tx: Transaction
) -> int:
    """See `Store.append_session`."""
    found = _found(session_id, tx)
    if found is None:
        if expected_version:
            raise SessionNotFound(session_id)
        return _add(_make(session_id, user, tx), 0, messages, tx)
    num, record = found
    _check_user(found, user)
    _check_free(found)
    if record.version != expected_version:
        raise SessionConflict(
            f"The session {session_id[:80]!r} stands at {record.version}; "
            f"an append after {expected_version} was refused.",
            hint="Read it again, and append to what it is now.",
        )
    return _add(num, record.version, messages, tx)


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
        _clear(found[0], tx)
        tx.db.execute("DELETE FROM sessions WHERE num = ?", (found[0],))


_Found = tuple[int, SessionRecord]


def _found(session_id: str, tx: Transaction) -> _Found | None:
    found = tx.db.execute(f"{_RECORD} WHERE id = ?", (session_id,)).fetchall()
    return (found[0][0], SessionRecord(*found[0][1:])) if found else None


def _check_user(found: _Found, user: str) -> None:
    if found[1].user != user:
        raise SessionNotFound(found[1].id)


def _check_free(found: _Found) -> None:
    if found[1].live_run is not None:
        raise SessionBusy(found[1].id, found[1].live_run)


def _make(session_id: str, user: str, tx: Transaction) -> int:
    made = tx.db.execute(
        "INSERT INTO sessions (id, user, version, created_at, updated_at) VALUES (?, ?, 0, ?, ?)",
        (session_id, user, tx.now, tx.now),
    )
    assert made.lastrowid is not None  # noqa: S101 (an INSERT has made it)
    return made.lastrowid


def _clear(num: int, tx: Transaction) -> None:
    first = num << SEQ_BITS
    last = first + (1 << SEQ_BITS) - 1
    tx.db.execute("DELETE FROM messages WHERE place BETWEEN ? AND ?", (first, last))


def _add(num: int, version: int, messages: Sequence[Message], tx: Transaction) -> int:
    if not messages:
        return version
    first = (num << SEQ_BITS) + version + 1
    rows = [(first + nth, _encoder.encode(message)) for nth, message in enumerate(messages)]
    tx.db.executemany("INSERT INTO messages (place, payload) VALUES (?, ?)", rows)
    version += len(messages)
    tx.db.execute(
        "UPDATE sessions SET version = ?, updated_at = ? WHERE num = ?", (version, tx.now, num)
    )
    return version
