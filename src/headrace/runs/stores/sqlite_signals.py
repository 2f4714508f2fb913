"""Signals in SQLite: what was left for the owner of a run, until it is settled."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from headrace.errors import RunEnded, RunNotFound
from headrace.runs.stores.record import Signal
from headrace.runs.stores.sqlite_transaction import Transaction

_AT_ONCE = 1000
"""Signals that one asking gives, at most; those behind come when these are settled."""

# Signals first: there is hardly ever one, and then asking costs a few microseconds.
_OF_OWNER = """
SELECT runs.id, kind, content, signals.id FROM signals CROSS JOIN runs
WHERE runs.num = signals.run AND runs.owner = ? AND runs.status = 'running'
ORDER BY signals.id LIMIT ?
"""


def post(signal: Signal, tx: Transaction) -> None:
    """See `Store.post`."""
    found = tx.db.execute("SELECT num, status FROM runs WHERE id = ?", (signal.run_id,)).fetchall()
    if not found:
        raise RunNotFound(signal.run_id)
    num, status = found[0]
    if status != "running":
        raise RunEnded(signal.run_id)
    tx.db.execute(
        "INSERT INTO signals (run, kind, content) VALUES (?, ?, ?)",
        (num, signal.kind, signal.content),
    )


def signals(owner: str, connection: sqlite3.Connection) -> list[Signal]:
    """See `Store.signals`."""
    found = connection.execute(_OF_OWNER, (owner, _AT_ONCE)).fetchall()
    return [Signal(*row) for row in found]


def settle(ids: Sequence[int], tx: Transaction) -> None:
    """See `Store.settle`."""
    tx.db.executemany("DELETE FROM signals WHERE id = ?", [(one,) for one in ids])
