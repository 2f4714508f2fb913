"""A viewer: a cursor over a run's log, with a policy for when it lags."""

from __future__ import annotations

from types import TracebackType

from headrace.errors import BackpressureTimeout, InvalidCursor, ReplayGap, ViewerLagged
from headrace.events import Event
from headrace.runs.backpressure import Hold
from headrace.runs.log import RunLog
from headrace.runs.policies import (
    MERGE,
    MERGE_OVER,
    Policy,
    PolicyName,
    drop_deltas,
    join_deltas,
    lag_of,
    pending_chars,
    policy_of,
)

_FEW = 256
"""So few events, and no more behind them, are not worth joining, nor measuring for that."""


class Viewer:
    """Batches (lists) of events after a `seq`, to the run's end. An async iterator.

    It holds no events, only its place. A batch has about 128 Ki characters of text or 1,024
    events at most (`log.take`). What it gets when it lags, and whether the run waits for it, is
    its policy's (see `headrace.runs.policies`); by default no viewer holds up the run or another
    viewer, and each gets every structural event and all text (law 6).

    A viewer that blocks begins to with its first batch. It lets the run go on when it is closed
    (``async with``, `aclose`), when nobody refers to it any more (a reader that was cancelled),
    or when it has read nothing for the policy's timeout.

    Args:
        log: What it reads.
        after: The last event that was seen before; 0 for none.
        policy: A `Policy` or its name.

    Attributes:
        after: The last event that it has given.

    Raises:
        InvalidCursor: no event of the log has this `after`.
        UsageError: there is no such policy.

    Raises (from the iteration):
        ReplayGap: what this viewer asks for is kept no longer.
        ViewerLagged: its policy is ``disconnect`` and it lags; again, as long as it does.
        BackpressureTimeout: its policy is ``block`` and it read nothing for too long.
        HeadraceError: the log's `failure`, once everything that was shown is read.
    """

    __slots__ = ("_came", "_closed", "_hold", "_log", "_policy", "after")

    def __init__(self, log: RunLog, after: int = 0, policy: Policy | PolicyName = MERGE) -> None:
        check_cursor(after, log.written)
        self._log = log
        self.after = after
        self._policy = policy_of(policy)
        self._came = log.last_seq
        self._hold: Hold | None = None
        self._closed = False

    async def __aenter__(self) -> Viewer:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End this viewer: it gives nothing more and holds nothing up."""
        self._closed = True
        if self._hold is not None:
            self._log.holds.drop(self._hold)

    def __aiter__(self) -> Viewer:
        return self

    async def __anext__(self) -> list[Event]:
        log = self._log
        if self._closed:
            raise StopAsyncIteration
        if self._hold is not None and self._hold.timed_out:
            raise self._timed_out()
        while log.last_seq <= self.after:
            if log.ended:
                raise StopAsyncIteration
            await log.wait(self.after)
        try:
            batch = log.read(self.after)
        except ReplayGap:
            batch = await log.recall(self.after)
            if not batch:
                raise
        if len(batch) > _FEW or batch[-1].seq < log.last_seq or self._policy.name != "merge":
            batch = self._measured(batch)
        self.after = batch[-1].seq
        log.forget(self.after)
        return batch

    def _measured(self, batch: list[Event]) -> list[Event]:
        """What the policy makes of a batch that may lag."""
        lag = lag_of(batch, self.after, self._log.last_seq)
        policy = self._policy.name
        if policy == "block":
            self._block(lag - pending_chars(batch))
        elif lag <= MERGE_OVER:
            pass
        elif policy == "merge":
            return join_deltas(batch)
        elif self.after < self._came:
            return [event for event in batch if event.seq <= self._came] or batch
        elif policy == "drop":
            return drop_deltas(batch, self.after)
        else:
            raise self._lagged(lag)
        return batch

    def _block(self, behind: int) -> None:
        """Hold the run up while so much is left to read."""
        if self._hold is None:
            self._hold = Hold(self._policy.timeout, behind)
            self._log.holds.add(self._hold)
        else:
            self._log.holds.read_on(self._hold, behind)

    def _lagged(self, lag: int) -> ViewerLagged:
        return ViewerLagged(
            f"This viewer is {lag // 1024} KiB of text behind, at event {self.after} of "
            f"{self._log.last_seq}; the policy `disconnect` allows {MERGE_OVER // 1024} KiB.",
            hint=f"Read on with after={self.after}, or take the policy `merge`.",
        )

    def _timed_out(self) -> BackpressureTimeout:
        return BackpressureTimeout(
            f"This viewer held its run up and read nothing for {self._policy.timeout:g} s; "
            "the run goes on without waiting for it.",
            hint=f"Read on with after={self.after}, and take events faster, give `block` a longer "
            "timeout, or take the policy `merge`.",
        )


def check_cursor(after: object, written: int) -> None:
    """Whether a viewer may begin behind `after` in a log of `written` events.

    Raises:
        InvalidCursor: it is no number, negative, or past the log's end.
    """
    hint = "Give the seq of the last event that you have seen, or 0 for none."
    if not isinstance(after, int) or isinstance(after, bool):
        raise InvalidCursor(f"A cursor is a whole number, not {repr(after)[:80]}.", hint=hint)
    if after < 0:
        raise InvalidCursor("A cursor is not negative.", hint=hint)
    if after > written:
        # The number itself may be too long to be shown.
        raise InvalidCursor(f"The cursor is past the run's last event, {written}.", hint=hint)
