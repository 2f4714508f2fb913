"""How much one user may begin: live runs, and new runs in a minute."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from time import monotonic

from headrace.errors import RequestRefused
from headrace.server.settings import Settings

MINUTE = 60.0


class Admission:
    """A place that was given to a run which is about to begin.

    Attributes:
        run_id: Set once the run is there; a place without one is free again afterwards.
    """

    run_id: str | None = None


class Limits:
    """Counts each user's runs of this process: as much memory as they may begin in a minute.

    Args:
        settings: `live_runs` and `new_runs`.
        live: Gives the ids of the runs that are live now.
        clock: Seconds that never fall.
    """

    def __init__(
        self,
        settings: Settings,
        live: Callable[[], Set[str]],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._settings = settings
        self._live = live
        self._clock = clock
        self._runs: dict[str, set[str]] = {}
        self._pending: dict[str, int] = {}
        self._begun: dict[str, deque[float]] = {}

    @contextmanager
    def admit(self, user: str) -> Iterator[Admission]:
        """Take a place for a new run of this user.

        Raises:
            RequestRefused: 429, with the seconds to wait.
        """
        self._check_live(user)
        begun = self._check_rate(user)
        admission = Admission()
        # No await between the checks and this: of those who come at once, none slips past.
        self._pending[user] = self._pending.get(user, 0) + 1
        now = self._clock()
        begun.append(now)
        try:
            yield admission
        finally:
            self._pending[user] -= 1
            if admission.run_id is not None:
                self._runs.setdefault(user, set()).add(admission.run_id)
            elif now in begun:
                begun.remove(now)

    def _check_live(self, user: str) -> None:
        runs = self._runs.get(user, set()) & self._live()
        self._runs[user] = set(runs)
        most = self._settings.live_runs
        if len(runs) + self._pending.get(user, 0) >= most:
            raise RequestRefused(
                429,
                "too_many_live_runs",
                f"{most} of your runs are live, and no more are taken at once.",
                hint="Wait for one to end, or cancel one: POST /v1/runs/{id}/cancel.",
                retry_after=2.0,
            )

    def _check_rate(self, user: str) -> deque[float]:
        begun = self._begun.setdefault(user, deque())
        now, most = self._clock(), self._settings.new_runs
        while begun and begun[0] <= now - MINUTE:
            begun.popleft()
        if len(begun) >= most:
            wait = begun[0] + MINUTE - now
            raise RequestRefused(
                429,
                "too_many_new_runs",
                f"You began {most} runs within a minute, and no more are taken.",
                hint=f"Try again in {math.ceil(wait)} s.",
                retry_after=wait,
            )
        return begun
