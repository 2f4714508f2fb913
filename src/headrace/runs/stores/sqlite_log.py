"""A run's log in SQLite: adding, reading, cutting. Functions of a connection, no state."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import cast

import msgspec

from headrace.errors import LogConflict, ReplayGap, RunNotFound, StoreUnavailable, UsageError
from headrace.events import TERMINAL, AnyEvent, Event
from headrace.runs.stores.sqlite_transaction import SEQ_BITS, Transaction

_TERMINAL = frozenset(TERMINAL)
SEQ_MAX = (1 << SEQ_BITS) - 1
"""The largest seq that a log can have."""

_LEAST = 64
"""Bytes that the JSON of an event has at least: so many rows are enough to look at."""

_decoder = msgspec.json.Decoder(list[AnyEvent])

_KEY = f"runs.num << {SEQ_BITS}"

# Where reading begins: low is the run's first key, shelf that of the shelf where `after` is, start
# that of the batch behind it.
_START = f"""
SELECT *, coalesce((
    SELECT first FROM batches WHERE shelf = (SELECT shelf FROM shelves WHERE first = here.shelf)
    AND first BETWEEN here.low AND here.low + :after + 1 ORDER BY first DESC LIMIT 1
), here.low) AS start
FROM (
    SELECT cut, status, {_KEY} AS low, coalesce((
        SELECT first FROM shelves WHERE first BETWEEN {_KEY} AND ({_KEY}) + :after + 1
        ORDER BY first DESC LIMIT 1), {_KEY}) AS shelf
    FROM runs WHERE id = :run_id LIMIT 1
) AS here WHERE low
"""  # noqa: S608 (constants)

# Where it ends. The length of a payload is read without the payload.
_SPAN = f"""
SELECT *, (
    SELECT coalesce(max(CASE WHEN size <= :max_bytes THEN first END), min(first)) FROM (
        SELECT first, sum(length) OVER (ROWS UNBOUNDED PRECEDING) AS size FROM (
            SELECT batches.first, length(payload) AS length
            FROM shelves CROSS JOIN batches ON batches.shelf = shelves.shelf
            WHERE shelves.first BETWEEN here.shelf AND here.low + {SEQ_MAX}
            AND batches.first BETWEEN here.start AND here.low + {SEQ_MAX} AND last > :after
            ORDER BY shelves.first, batches.first LIMIT :rows
        )
    )
) AS upto
FROM ({_START} LIMIT 1) AS here WHERE low
"""  # noqa: S608 (constants)

# In one statement: one view of the file, and one wait for the GIL however many rows. What is
# joined are JSON texts, which hold no NUL. "LIMIT 1 … WHERE low", here and above, has SQLite work
# the inner query out once, where it would else ask it anew for every shelf.
_READ = f"""
SELECT cut, status = 'running', CAST((
    SELECT group_concat(payload, ',') FROM (
        SELECT payload FROM shelves CROSS JOIN batches ON batches.shelf = shelves.shelf
        WHERE shelves.first BETWEEN here.shelf AND here.upto
        AND batches.first BETWEEN here.start AND here.upto AND last > :after
        ORDER BY shelves.first, batches.first
    )
) AS BLOB)
FROM ({_SPAN} LIMIT 1) AS here WHERE low
"""  # noqa: S608 (constants)

_UPTO = f"""
FROM shelves CROSS JOIN batches ON batches.shelf = shelves.shelf
WHERE shelves.first BETWEEN :low AND :low + :upto
AND batches.first BETWEEN :low AND :low + {SEQ_MAX} AND last <= :upto
"""
_CUT = f"""
UPDATE runs SET cut = max(cut, coalesce((SELECT max(last) {_UPTO}), 0)) WHERE num = :num
"""  # noqa: S608 (constants)
_DELETE = f"DELETE FROM batches WHERE num IN (SELECT batches.num {_UPTO})"  # noqa: S608
_DELETE_EMPTY = f"""
DELETE FROM shelves WHERE first BETWEEN :low AND :low + {SEQ_MAX} AND NOT EXISTS (
    SELECT 1 FROM batches
    WHERE batches.shelf = shelves.shelf AND batches.first BETWEEN :low AND :low + {SEQ_MAX}
)
"""  # noqa: S608 (constants)


def check(expected_last_seq: int, events: Sequence[Event], *, end: bool) -> None:
    """Whether events can stand behind `expected_last_seq`: no gap, terminal last or not at all.

    Raises:
        LogConflict: they cannot.
    """
    due = expected_last_seq
    ends = 0
    for event in events:
        due += 1
        if event.seq != due:
            raise LogConflict(f"An event of seq {event.seq} cannot stand where {due} is due.")
        if type(event) in _TERMINAL:
            ends += 1
    if ends != end or (end and type(events[-1]) not in _TERMINAL):
        raise LogConflict("The last event of an end, and no other event, is terminal.")


def append(
    run_id: str, expected_last_seq: int, last_seq: int, payload: bytes, tx: Transaction
) -> None:
    """Add a batch that was checked; none where `last_seq` says so.

    Raises:
        LogConflict: the log stands elsewhere, or has ended.
        RunNotFound: there is no such run.
    """
    head = tx.head(run_id, expected_last_seq)
    if last_seq != expected_last_seq:
        tx.add(run_id, head, last_seq, payload)


def read(
    run_id: str, after: int, max_bytes: int, connection: sqlite3.Connection
) -> tuple[list[Event], bool]:
    """The next events behind `after`, and whether the run is live.

    Raises:
        ReplayGap: some of them are no longer kept.
        RunNotFound: there is no such run.
        StoreUnavailable: what is kept is not what was written.
    """
    after = min(max(after, 0), SEQ_MAX - 1)
    rows = max(max_bytes, 0) // _LEAST + 1
    values = {"run_id": run_id, "after": after, "max_bytes": max_bytes, "rows": rows}
    found = connection.execute(_READ, values).fetchall()
    if not found:
        raise RunNotFound(run_id)
    cut, live, joined = found[0]
    if after < cut:
        raise ReplayGap(after + 1, cut)
    return (_decoded(run_id, after, joined) if joined else []), bool(live)


def _decoded(run_id: str, after: int, joined: bytes) -> list[Event]:
    try:
        events = cast("list[Event]", _decoder.decode(b"[" + joined + b"]"))
    except (msgspec.DecodeError, UsageError) as error:
        raise _damaged(run_id, str(error)) from error
    if events and events[0].seq <= after:
        events = events[after + 1 - events[0].seq :]
    if not events or events[0].seq != after + 1 or events[-1].seq != after + len(events):
        raise _damaged(run_id, f"there is a gap behind event {after}")
    return events


def _damaged(run_id: str, said: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"The log of the run {run_id} is damaged: {said}.",
        hint="Look at the disk, and take the store from a backup.",
    )


def cut(run_id: str, upto: int, tx: Transaction) -> None:
    """Forget the batches that end at `upto` or before.

    Raises:
        RunNotFound: there is no such run.
    """
    found = tx.db.execute("SELECT num FROM runs WHERE id = ?", (run_id,)).fetchall()
    if not found:
        raise RunNotFound(run_id)
    forget(found[0][0], run_id, upto, tx)


def forget(num: int, run_id: str, upto: int, tx: Transaction) -> None:
    """Forget the batches that end at `upto` or before, of this run."""
    values = {"num": num, "low": num << SEQ_BITS, "upto": min(max(upto, 0), SEQ_MAX)}
    for statement in (_CUT, _DELETE, _DELETE_EMPTY):
        tx.db.execute(statement, values)
    tx.heads.forget(run_id)  # its shelf may be gone
    tx.changed.add(run_id)
