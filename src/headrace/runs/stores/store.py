"""`Store`: where logs, runs and sessions live. The whole protocol, on one page.

A store keeps, for each run, an append-only log of events (in batches) and one `RunRecord`. What
it promises, and `headrace.testing.store_laws` checks of any store:

- An append that has returned survives the process being killed (not for the memory store).
- An append gets in whole or not at all, and only behind the event that its writer saw last.
- Reading gives the events as they were written: same order, no gap, or a named `ReplayGap`.

Every method may raise `StoreUnavailable` when the store is full, locked, broken or closed; it
works again once the cause is gone. Methods may be called from one event loop or several. A
call that is cancelled may have been carried out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Protocol, runtime_checkable

from headrace.events import Event
from headrace.messages import Message
from headrace.runs.stores.record import RunRecord, RunStatus, SessionRecord, Signal

READ_BYTES = 256 * 1024
"""About how much of a log one read gives: a viewer that catches up never holds more."""


@runtime_checkable
class Store(Protocol):
    """Logs, runs, sessions."""

    # Logs ---------------------------------------------------------------------------------

    async def create(self, record: RunRecord) -> RunRecord:
        """Keep a new run, and its session if that is new.

        Returns the record; or, where the user has used its `idempotency_key` before, the record
        of the run that it was used for, and nothing is made: that is looked at first.

        Raises:
            SessionBusy: the session has a live run.
            SessionNotFound: the session belongs to another user.
            LogConflict: there is a run of this id.
        """
        ...

    async def append(self, run_id: str, expected_last_seq: int, events: Sequence[Event]) -> None:
        """Add events behind `expected_last_seq`; returns when they are committed.

        None of the events is terminal (see `end`); their seqs go on without a gap.

        Raises:
            LogConflict: the log stands elsewhere, has ended, or the events leave a gap.
            RunNotFound: there is no such run.
        """
        ...

    async def end(
        self,
        run_id: str,
        expected_last_seq: int,
        events: Sequence[Event],
        said: Sequence[Message] = (),
        *,
        instead: bool = False,
    ) -> None:
        """`append` of events whose last is terminal, in one commit with what it means.

        The record gets its status, reason and usage, ends `at` the terminal event, and has no
        owner any more; signals left for the run are dropped; `said` is added to the run's
        session, if it has one that is still there. With `instead` it is put in place of all that
        the session holds: the messages that both begin with stay as they are, with the runs that
        they came from, and the rest is replaced. Nothing said changes nothing.

        Raises:
            LogConflict: as `append`; or the last event is not terminal, or another one is.
            RunNotFound: there is no such run.
        """
        ...

    async def read(self, run_id: str, after: int, max_bytes: int = READ_BYTES) -> list[Event]:
        """The next events behind `after`: at least one batch, if there is any; else ``[]``.

        Raises:
            ReplayGap: some of them are no longer kept.
            RunNotFound: there is no such run.
        """
        ...

    def follow(self, run_id: str, after: int = 0) -> AsyncIterator[list[Event]]:
        """The events behind `after` as any process commits them, to the run's end.

        Raises (from the iteration):
            ReplayGap: some of them are no longer kept.
            RunNotFound: there is no such run, or it was removed meanwhile.
        """
        ...

    # Runs ---------------------------------------------------------------------------------

    async def run(self, run_id: str) -> RunRecord:
        """The run's record.

        Raises:
            RunNotFound: there is no such run.
        """
        ...

    async def runs(
        self,
        *,
        user: str | None = None,
        session: str | None = None,
        status: RunStatus | None = None,
        before: float | None = None,
        limit: int = 50,
    ) -> list[RunRecord]:
        """Records, newest first, without their `spec`.

        Args:
            user: Only this user's.
            session: Only this session's.
            status: Only such.
            before: Only those created before this time (Unix seconds): the next page.
            limit: At most so many; what is not from 1 to 1,000 is taken as the nearest of these.
        """
        ...

    async def delete_run(self, run_id: str) -> None:
        """Forget a finished run and its events; one that is not there is no error.

        Raises:
            LogConflict: it is live.
        """
        ...

    # Ownership ----------------------------------------------------------------------------

    async def orphans(self, host: str, limit: int = 100) -> list[str]:
        """Ids of live runs of this host whose lease has run out, oldest first."""
        ...

    async def claim(self, run_id: str, owner: str, seconds: float) -> RunRecord | None:
        """Take a live run whose lease has run out; of several that try, one gets it.

        Its `recoveries` grow by one. An owner may claim its own again, as after a failure of the
        store. None when it has ended, is gone, or someone else has it.
        """
        ...

    async def renew(self, owner: str, seconds: float) -> None:
        """Lengthen the leases of all live runs of this owner to `seconds` from now."""
        ...

    async def release(self, owner: str) -> None:
        """Give up all live runs of this owner: whoever looks next may claim them at once."""
        ...

    # Signals to the owner of a run, from another process ----------------------------------

    async def post(self, signal: Signal) -> None:
        """Leave a signal for the run's owner.

        Raises:
            RunNotFound: there is no such run.
            RunEnded: it has ended.
        """
        ...

    async def signals(self, owner: str) -> list[Signal]:
        """The signals for live runs of this owner that are not settled, oldest first.

        Cheap enough to ask ten times a second.
        """
        ...

    async def settle(self, ids: Iterable[int]) -> None:
        """These signals are dealt with."""
        ...

    # Sessions -----------------------------------------------------------------------------

    async def session(self, session: str) -> SessionRecord:
        """The session with its messages.

        Raises:
            SessionNotFound: there is no such session.
        """
        ...

    async def sessions(self, *, user: str | None = None, limit: int = 50) -> list[SessionRecord]:
        """Sessions without their messages, last used first."""
        ...

    async def append_session(
        self, session: str, expected_version: int, messages: Sequence[Message], *, user: str = ""
    ) -> int:
        """Add messages outside a run; gives the new version. Version 0 makes a new session.

        Raises:
            SessionConflict: the session stands elsewhere.
            SessionBusy: it has a live run.
            SessionNotFound: it belongs to another user, or `expected_version` is not 0 and
                there is none.
        """
        ...

    async def delete_session(self, session: str) -> None:
        """Forget a session, its messages, its runs and their events.

        Raises:
            SessionBusy: it has a live run.
            SessionNotFound: there is no such session.
        """
        ...

    # Retention ----------------------------------------------------------------------------

    async def cut(self, run_id: str, upto: int) -> None:
        """Forget the run's events up to this seq; who asks for them gets a `ReplayGap`.

        Batches are forgotten whole, so that the last one or a part of it may stay; the record's
        `cut` tells what is gone.

        Raises:
            RunNotFound: there is no such run.
        """
        ...

    async def prune(self, events_before: float, records_before: float) -> int:
        """Retention of finished runs, by the time of their end; gives how many were touched.

        Those that ended before `events_before` lose their events, those before `records_before`
        their record too. Sessions keep their messages.
        """
        ...

    async def close(self) -> None:
        """Commit what is waiting and let go of everything; again is no error."""
        ...
