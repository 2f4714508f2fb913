"""The records of runs in SQLite, and who owns them. Functions of a connection, no state."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from headrace.errors import LogConflict, RunNotFound
from headrace.events import Event
from headrace.messages import Message
from headrace.runs.stores import sqlite_log, sqlite_sessions
from headrace.runs.stores.record import RunRecord, RunStatus, ending_of
from headrace.runs.stores.sqlite_transaction import LAST_SEQ, OF_RUN, Head, Transaction
from headrace.usage import Usage

_KEPT = (
    "id", "agent", "model", "created_at", "host", "user", "session", "parent", "title", "spec",
    "idempotency_key", "fingerprint", "owner", "lease_until", "recoveries", "status", "reason",
    "ended_at", "usage",
)  # fmt: skip
"""Columns that are a record's fields as they are (`usage` as JSON)."""

_COLUMNS = f"{', '.join(_KEPT)}, cut, {LAST_SEQ} AS last_seq"
_FIELDS = (*_KEPT, "cut", "last_seq")

_INSERT = f"INSERT INTO runs ({', '.join(_KEPT)}) VALUES ({', '.join('?' * len(_KEPT))})"  # noqa: S608

_MOST_LISTED = 1000
_PRUNED_AT_ONCE = 100

_encoder = msgspec.json.Encoder()
_usage_decoder = msgspec.json.Decoder(Usage)


def create(record: RunRecord, tx: Transaction) -> RunRecord:
    """See `Store.create`."""
    made = _of_key(record, tx)
    if made is not None:
        return made
    if tx.db.execute("SELECT 1 FROM runs WHERE id = ?", (record.id,)).fetchall():
        raise LogConflict(f"There is a run {record.id[:80]} already.")
    if record.session is not None:
        sqlite_sessions.open_for_run(record.session, record.user, record.title, tx)
    values = [getattr(record, field) for field in _KEPT]
    values[-1] = None if record.usage is None else _encoder.encode(record.usage)
    num = tx.db.execute(_INSERT, values).lastrowid
    if record.live and num is not None:
        tx.heads.put(record.id, Head(num))
    return record


def _of_key(record: RunRecord, tx: Transaction) -> RunRecord | None:
    if record.idempotency_key is None:
        return None
    key = (record.user, record.idempotency_key)
    found = _select(tx.db, "WHERE user = ? AND idempotency_key = ?", key)
    return found[0] if found else None


def end(
    run_id: str,
    expected_last_seq: int,
    terminal: Event,
    payload: bytes,
    said: Sequence[Message],
    instead: bool,
    tx: Transaction,
) -> None:
    """Add the last batch, whose terminal event this is, with what it means."""
    ending = ending_of(terminal)
    if ending is None:
        raise LogConflict(f"The event {terminal.seq} ends no run.")
    status, reason, usage = ending
    head = tx.head(run_id, expected_last_seq)
    tx.add(run_id, head, terminal.seq, payload)
    tx.heads.forget(run_id)
    if said:
        sqlite_sessions.say(head.num, said, instead, tx)
    tx.db.execute(
        "UPDATE runs SET status = ?, reason = ?, usage = ?, ended_at = ?, owner = '', "
        "lease_until = 0 WHERE num = ?",
        (status, reason, None if usage is None else _encoder.encode(usage), terminal.at, head.num),
    )
    tx.db.execute("DELETE FROM signals WHERE run = ?", (head.num,))


def run(run_id: str, connection: sqlite3.Connection) -> RunRecord:
    """See `Store.run`."""
    found = _select(connection, "WHERE id = ?", (run_id,))
    if not found:
        raise RunNotFound(run_id)
    return found[0]


def runs(
    user: str | None,
    session: str | None,
    status: RunStatus | None,
    before: float | None,
    limit: int,
    connection: sqlite3.Connection,
) -> list[RunRecord]:
    """See `Store.runs`."""
    asked = {
        "user = ?": user,
        "session = ?": session,
        "status = ?": status,
        "created_at < ?": before,
    }
    given = {term: value for term, value in asked.items() if value is not None}
    where = f"WHERE {' AND '.join(given)}" if given else ""
    rest = f"{where} ORDER BY created_at DESC, num DESC LIMIT ?"
    values = (*given.values(), listed(limit))
    return _select(connection, rest, values, _COLUMNS.replace(" spec,", " x'' AS spec,"))


def delete(run_id: str, tx: Transaction) -> None:
    """See `Store.delete_run`."""
    found = tx.db.execute("SELECT num, status FROM runs WHERE id = ?", (run_id,)).fetchall()
    if not found:
        return
    num, status = found[0]
    if status == "running":
        raise LogConflict(f"The run {run_id} is live.")
    remove(num, run_id, tx)


def remove(num: int, run_id: str, tx: Transaction) -> None:
    """Forget a finished run, its events and signals."""
    sqlite_log.forget(num, run_id, sqlite_log.SEQ_MAX, tx)
    tx.db.execute("DELETE FROM signals WHERE run = ?", (num,))
    tx.db.execute("DELETE FROM runs WHERE num = ?", (num,))


def orphans(host: str, limit: int, now: float, connection: sqlite3.Connection) -> list[str]:
    """See `Store.orphans`."""
    found = connection.execute(
        "SELECT id FROM runs WHERE status = 'running' AND host = ? AND lease_until <= ? "
        "ORDER BY created_at, num LIMIT ?",
        (host, now, listed(limit)),
    )
    return [run_id for (run_id,) in found.fetchall()]


def claim(run_id: str, owner: str, seconds: float, tx: Transaction) -> RunRecord | None:
    """See `Store.claim`."""
    claimed = tx.db.execute(
        "UPDATE runs SET owner = ?, lease_until = ?, recoveries = recoveries + 1 "
        "WHERE id = ? AND status = 'running' AND (lease_until <= ? OR owner = ?)",
        (owner, tx.now + seconds, run_id, tx.now, owner),
    )
    return run(run_id, tx.db) if claimed.rowcount else None


def renew(owner: str, seconds: float, tx: Transaction) -> None:
    """See `Store.renew`."""
    tx.db.execute(
        "UPDATE runs SET lease_until = ? WHERE owner = ? AND status = 'running'",
        (tx.now + seconds, owner),
    )


def release(owner: str, tx: Transaction) -> None:
    """See `Store.release`."""
    tx.db.execute(
        "UPDATE runs SET owner = '', lease_until = 0 WHERE owner = ? AND status = 'running'",
        (owner,),
    )


def prune(events_before: float, records_before: float, tx: Transaction) -> int:
    """A part of `Store.prune`, so that appends need not wait for all of it; 0 when it is done."""
    removed = tx.db.execute(
        "SELECT num, id FROM runs WHERE ended_at < ? LIMIT ?", (records_before, _PRUNED_AT_ONCE)
    ).fetchall()
    for num, run_id in removed:
        remove(num, run_id, tx)
    emptied = tx.db.execute(
        "SELECT num, id FROM runs WHERE ended_at < ? "  # noqa: S608 (a constant)
        f"AND EXISTS (SELECT 1 FROM shelves WHERE first {OF_RUN}) LIMIT ?",
        (events_before, _PRUNED_AT_ONCE - len(removed)),
    ).fetchall()
    for num, run_id in emptied:
        sqlite_log.forget(num, run_id, sqlite_log.SEQ_MAX, tx)
    return len(removed) + len(emptied)


def listed(limit: int) -> int:
    """How many a list gives at most."""
    return min(max(limit, 1), _MOST_LISTED)


def _select(
    connection: sqlite3.Connection, rest: str, values: Sequence[Any], columns: str = _COLUMNS
) -> list[RunRecord]:
    rows = connection.execute(f"SELECT {columns} FROM runs {rest}", values)  # noqa: S608 (constants)
    return [_record(row) for row in rows.fetchall()]


def _record(row: tuple[Any, ...]) -> RunRecord:
    fields = dict(zip(_FIELDS, row, strict=True))
    if fields["usage"] is not None:
        fields["usage"] = _usage_decoder.decode(fields["usage"])
    return RunRecord(**fields)
