"""A viewer: a cursor over a run's log."""

from __future__ import annotations

from headrace.events import Event
from headrace.runs.log import Log
from headrace.runs.policies import MERGE_OVER, join_deltas, pending_chars

_FEW = 256
"""So few events are handed on without measuring: at 64 KiB they would be pages each."""


class Viewer:
    """Batches (lists) of events after a `seq`, to the run's end. An async iterator.

    A viewer that lags more than 64 KiB of text behind gets neighbouring deltas joined; it never
    misses a structural event, and never holds up the run or another viewer (law 6).

    Raises (from the iteration):
        ReplayGap: a private log has already forgotten what this viewer asks for.
    """

    __slots__ = ("_log", "after")

    def __init__(self, log: Log, after: int = 0) -> None:
        self._log = log
        self.after = after

    def __aiter__(self) -> Viewer:
        return self

    async def __anext__(self) -> list[Event]:
        log = self._log
        while log.last_seq <= self.after:
            if log.ended:
                raise StopAsyncIteration
            await log.wait(self.after)
        batch = log.read(self.after)
        self.after = batch[-1].seq
        log.forget(self.after)
        if len(batch) > _FEW and pending_chars(batch) > MERGE_OVER:
            return join_deltas(batch)
        return batch
