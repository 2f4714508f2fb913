"""Backpressure: how a viewer with the policy `block` holds up the run that it reads."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from weakref import ref

from headrace.events import Event
from headrace.runs.policies import MERGE_OVER, pending_chars
from headrace.runs.waiters import Waiters, wake


class Hold:
    """One viewer's hold on its run: it holds the run up while it is too far behind.

    Args:
        timeout: Seconds that it may hold the run up without reading on.
        behind: Characters of text that it has not read.

    Attributes:
        behind: The same, kept up to date.
        timed_out: Whether it has held the run up for too long; then it does so no more.
    """

    __slots__ = ("__weakref__", "_loop", "_since", "_timeout", "behind", "timed_out")

    def __init__(self, timeout: float, behind: int = 0) -> None:
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._timeout = timeout
        self.behind = behind
        self.timed_out = False

    @property
    def lags(self) -> bool:
        """Whether it holds the run up."""
        return self.behind > MERGE_OVER

    def show(self, chars: int) -> None:
        """So much text more waits for the viewer."""
        lagged = self.lags
        self.behind += chars
        if self.lags and not lagged:
            self._since = self._loop.time()

    def read_on(self, behind: int) -> None:
        """The viewer has read on; so much is left."""
        self.behind = behind
        self._since = self._loop.time()

    def deadline(self, entered: float) -> float:
        """Until when who waits since `entered` waits for it, in the loop's time."""
        return max(entered, self._since) + self._timeout


class Holds:
    """The holds on one log.

    They are the viewers' own and known here only weakly: a viewer that is gone, because its
    reader was cancelled or forgot it, holds nothing up any more.

    Args:
        held_up: Who waits in the log's `room`.

    Attributes:
        refs: Empty where no viewer blocks, which is nearly always.
    """

    __slots__ = ("_held_up", "refs")

    def __init__(self, held_up: Waiters) -> None:
        self._held_up = held_up
        self.refs: list[ref[Hold]] = []

    @property
    def lag(self) -> bool:
        """Whether one of them holds the run up."""
        return bool(self.refs) and any(hold.lags for hold in self._live())

    def add(self, hold: Hold) -> None:
        """A viewer begins to block."""
        self.refs.append(ref(hold, self._gone))

    def drop(self, hold: Hold) -> None:
        """A viewer blocks no more."""
        self.refs = [known for known in self.refs if known() is not hold]
        wake(self._held_up)

    def read_on(self, hold: Hold, behind: int) -> None:
        """A viewer has read on: who waits looks again, be it only to wait anew."""
        hold.read_on(behind)
        if self._held_up:
            wake(self._held_up)

    def show(self, events: Sequence[Event]) -> None:
        """Viewers may see these."""
        chars = pending_chars(events)
        for hold in self._live():
            hold.show(chars)

    def deadline(self, entered: float) -> float | None:
        """When the first of those that lag times out; None where none does."""
        return min((hold.deadline(entered) for hold in self._live() if hold.lags), default=None)

    def time_out(self, entered: float, deadline: float) -> None:
        """The deadline has passed: whoever has not read on since holds nothing up any more."""
        # The deadlines are compared, not the clock: a timer may fire a little early.
        for hold in self._live():
            if hold.lags and hold.deadline(entered) <= deadline:
                hold.timed_out = True
                self.drop(hold)

    def _live(self) -> list[Hold]:
        return [hold for known in self.refs if (hold := known()) is not None]

    def _gone(self, gone: ref[Hold]) -> None:
        self.refs = [known for known in self.refs if known is not gone]
        if self._held_up:
            # The collector runs in whichever thread it likes.
            loop = self._held_up[0].get_loop()
            if not loop.is_closed():
                loop.call_soon_threadsafe(wake, self._held_up)
