"""What the jobs of one commit share: the connection, the batches to be written, who has changed."""

from __future__ import annotations

import sqlite3
from functools import cache
from typing import Any

from headrace.errors import LogConflict, RunNotFound

SEQ_BITS = 32
"""A batch's key is its run's number, then so many bits for the seq of its first event."""

_MOST_HEADS = 10_000
_SIZES = (64, 16, 4, 1)
_SHELF_BITS = 11
_ROWS = "SELECT coalesce(max(num), 0) FROM batches"

OF_RUN = f"BETWEEN runs.num << {SEQ_BITS} AND (runs.num << {SEQ_BITS}) + {(1 << SEQ_BITS) - 1}"
"""Of a key, in a query of `runs`: whether it is the run's."""

LAST_SEQ = f"""max(cut, coalesce((
    SELECT last FROM batches WHERE first {OF_RUN} AND shelf = (
        SELECT shelf FROM shelves WHERE first {OF_RUN} ORDER BY first DESC LIMIT 1
    ) ORDER BY first DESC LIMIT 1), 0))"""  # noqa: S608 (constants)
"""The last event, in a query of `runs`."""

_HEAD = f"""
SELECT num, status = 'running', {LAST_SEQ}, coalesce((
    SELECT shelf FROM shelves WHERE first {OF_RUN} ORDER BY first DESC LIMIT 1), -1)
FROM runs WHERE id = ?
"""  # noqa: S608 (constants)


class Head:
    """Where a live run's log stands, and on which shelf."""

    __slots__ = ("last_seq", "num", "shelf")

    def __init__(self, num: int, last_seq: int = 0, shelf: int = -1) -> None:
        self.num = num
        self.last_seq = last_seq
        self.shelf = shelf


class Heads:
    """The heads of live runs that this process has written last: saves a read each append.

    True only as long as no other process has written; whoever finds out clears it.

    Attributes:
        rows: About how many batches the file has had, None where that is to be asked.
    """

    def __init__(self) -> None:
        self._heads: dict[str, Head] = {}
        self.rows: int | None = None

    def get(self, run_id: str) -> Head | None:
        """The head, if it is known."""
        return self._heads.get(run_id)

    def put(self, run_id: str, head: Head) -> None:
        """Know it; of too many, the one known longest is forgotten."""
        if len(self._heads) >= _MOST_HEADS:
            del self._heads[next(iter(self._heads))]
        self._heads[run_id] = head

    def forget(self, run_id: str) -> None:
        """The run has ended or changed."""
        self._heads.pop(run_id, None)

    def clear(self) -> None:
        """Know nothing."""
        self._heads.clear()
        self.rows = None


class Transaction:
    """One commit's work. Jobs check before they write, so that a refused one leaves no trace.

    Attributes:
        now: Unix seconds, the same for all jobs.
        changed: Ids of runs whose followers are to be woken after the commit.
    """

    def __init__(self, connection: sqlite3.Connection, heads: Heads, now: float) -> None:
        self._connection = connection
        self._batches: list[Any] = []
        self._shelves: list[Any] = []
        self.heads = heads
        self.now = now
        self.changed: set[str] = set()

    @property
    def db(self) -> sqlite3.Connection:
        """The connection, with all batches written that were added so far."""
        if self._batches:
            self.flush()
        return self._connection

    def head(self, run_id: str, expected_last_seq: int) -> Head:
        """The run's head, if it stands there.

        Raises:
            LogConflict: it stands elsewhere, or has ended.
            RunNotFound: there is no such run.
        """
        head = self.heads.get(run_id)
        if head is None:
            head = self._load(run_id, expected_last_seq)
        if head.last_seq != expected_last_seq:
            raise _conflict(head.last_seq, False, expected_last_seq)
        return head

    def add(self, run_id: str, head: Head, last_seq: int, payload: bytes) -> None:
        """Add a batch behind the head, and move it on."""
        heads = self.heads
        if heads.rows is None:
            ((heads.rows,),) = self.db.execute(_ROWS).fetchall()
        key = (head.num << SEQ_BITS) + head.last_seq + 1
        # A run's shelves never fall, even where deleting has made the rows fewer.
        shelf = heads.rows >> _SHELF_BITS
        if shelf > head.shelf:
            head.shelf = shelf
            self._shelves += (key, shelf)
        self._batches += (head.shelf, key, last_seq, payload)
        heads.rows += 1
        head.last_seq = last_seq
        self.changed.add(run_id)

    def flush(self) -> None:
        """Write the batches, many with one statement.

        Each statement lets go of the GIL, and on a busy process waits up to 5 ms to have it back.
        """
        batches, self._batches = self._batches, []
        shelves, self._shelves = self._shelves, []
        self._insert("batches (shelf, first, last, payload)", 4, batches)
        if shelves:
            self._insert("shelves (first, shelf)", 2, shelves)

    def _insert(self, table: str, width: int, values: list[Any]) -> None:
        start = 0
        for size in _SIZES:
            many = size * width
            while len(values) - start >= many:
                self._connection.execute(_insert(table, width, size), values[start : start + many])
                start += many

    def _load(self, run_id: str, expected_last_seq: int) -> Head:
        found = self.db.execute(_HEAD, (run_id,)).fetchall()
        if not found:
            raise RunNotFound(run_id)
        num, live, last_seq, shelf = found[0]
        if not live:
            raise _conflict(last_seq, True, expected_last_seq)
        head = Head(num, last_seq, shelf)
        self.heads.put(run_id, head)
        return head


@cache
def _insert(table: str, width: int, size: int) -> str:
    row = f"({', '.join('?' * width)})"
    return f"INSERT INTO {table} VALUES {', '.join([row] * size)}"  # noqa: S608 (constants)


def _conflict(last_seq: int, ended: bool, expected: int) -> LogConflict:
    return LogConflict(
        f"The log stands at {last_seq}{' and has ended' if ended else ''}; "
        f"an append after {expected} was refused."
    )
