"""Deadlines of a model call: every wait has one, only content resets the gap (law 8)."""

from __future__ import annotations

import asyncio
from math import inf

from msgspec import Struct

from headrace.errors import UsageError


class Deadlines(Struct, frozen=True):
    """How long to wait for what, in seconds; None waits for ever.

    Attributes:
        connect: For the connection to the provider.
        first_content: From the request to the first content.
        gap: From one content to the next. Keep-alive bytes do not count as content.
        tool: For one tool call.
        run: For a whole run, or a whole model call outside one.

    Raises:
        UsageError: one is no number of seconds above 0.
    """

    connect: float | None = 10.0
    first_content: float | None = 120.0
    gap: float | None = 60.0
    tool: float | None = 60.0
    run: float | None = 900.0

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            seconds = getattr(self, name)
            if seconds is not None and not (isinstance(seconds, int | float) and seconds > 0):
                raise UsageError(
                    f"The deadline {name} is {seconds!r}.",
                    hint="Give seconds above 0, or None to wait for ever.",
                )


class Watchdog:
    """Interrupts the task that waits in `watch` when its time has run out.

    One timer serves the whole stream: content only moves `due`, and the timer looks at it when
    it fires. (Re-arming a timer at each content costs more than decoding the content.) Time that
    the reader spends elsewhere does not count.

    It interrupts by cancelling the task and taking the cancellation back, as `asyncio.timeout`
    does; a cancel that comes from elsewhere at the same moment wins.
    """

    __slots__ = (
        "_armed",
        "_cancelling",
        "_due",
        "_expired",
        "_gap",
        "_handle",
        "_left",
        "_loop",
        "_task",
        "_time",
        "_whole",
        "seconds",
        "wait",
    )

    def __init__(self, run: float | None, gap: float | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._time = self._loop.time
        self._whole = self._time() + (inf if run is None else run)
        self._gap = inf if gap is None else gap
        self._due = inf
        self._left: float | None = 0.0  # when the reader went elsewhere; None: content restarts
        self._handle: asyncio.TimerHandle | None = None
        self._armed = inf  # when the timer fires
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._expired = False
        self.wait = ""
        self.seconds = 0.0

    def expect(self, wait: str, seconds: float | None) -> None:
        """From now on `wait` may take `seconds`."""
        self.wait, self.seconds = wait, seconds or 0.0
        self._left = self._time()
        self._due = inf if seconds is None else self._left + seconds

    def enter(self) -> None:
        """The current task begins to wait."""
        now = self._time()
        if self._left is None:
            due = now + self._gap
        else:
            due = self._due + now - self._left
        self._due = due
        task = self._task = asyncio.current_task(self._loop)
        if task is not None:
            self._cancelling = task.cancelling()
        if due > self._whole:
            due = self._whole
        if due < self._armed:
            self._arm(due)

    def leave(self, content: bool) -> None:
        """The wait is over; `content` says whether it brought any."""
        if self._expired and self._task is not None:
            # What was awaited swallowed the interruption: take it back, or it would count as a
            # cancel of the task for ever.
            self._expired = False
            self._task.uncancel()
        self._task = None
        if content:
            self.wait, self.seconds = "gap", self._gap
            self._left = None
        else:
            self._left = self._time()

    def expired(self) -> bool:
        """Whether the cancellation that just arrived is ours; takes it back if so."""
        task, self._task = self._task, None
        if not self._expired or task is None:
            return False
        self._expired = False
        return task.uncancel() <= self._cancelling

    @property
    def left(self) -> float:
        """Seconds until the time of the whole call has run out; 0 or less when it has."""
        return self._whole - self._time()

    def stop(self) -> None:
        """Let go of the timer."""
        self._armed = inf
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self, due: float) -> None:
        self.stop()
        self._armed = due
        self._handle = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        self._handle, self._armed = None, inf
        task = self._task
        if task is None:
            return  # the reader is elsewhere; `enter` arms again
        due = min(self._due, self._whole)
        if self._time() >= due:
            self._expired = True
            task.cancel()
        elif due < inf:
            self._arm(due)
