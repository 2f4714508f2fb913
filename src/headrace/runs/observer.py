"""Observers: measurements taken where a run is written, which cost a token next to nothing.

A viewer sees every event; an observer is told of each structural event and of each batch of
content as one call, so that it costs the same for one token as for a hundred. It sees events
before they are committed: it may count them, never show them (law 5).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from headrace.events import TERMINAL, Event

if TYPE_CHECKING:
    from headrace.runs.run import Run

_TERMINAL = frozenset(TERMINAL)
_logger = logging.getLogger("headrace.runs")


class Observer:
    """Follows one run; its methods do nothing until they are overridden.

    They are called in the run's event loop and shall return at once. One that raises is logged
    and told nothing more: no measurement ends a run. The last that it is told is the terminal
    event, or `lost`.
    """

    def event(self, event: Event) -> None:
        """A structural event (any but `token`, `thought` and `tool_args`) was written.

        `step_start` and `step_end` are told in the context (`contextvars`) of the task that asks
        the model, `tool_start` in that of the call's own task, unless someone else ends them for
        that task.
        """

    def content(self, agent: str, count: int, at: float) -> None:
        """`count` pieces of content of this agent came in one batch at `at` (Unix seconds).

        A batch is what one read of the model's answer held. A `warning` of the same read is told
        before.
        """

    def lost(self) -> None:
        """Nothing more comes, and no end: the run goes on elsewhere, or its log has failed."""


Watch = Callable[["Run"], Observer | None]
"""Called when a run begins here, before its first event; None for a run that is not followed.

A run that was taken up again begins here with the events that its recovery writes: what was before
them is told to no one.
"""

_watches: list[Watch] = []


def watch_all(watch: Watch) -> Callable[[], None]:
    """Follow every run that begins in this process from now on; call what this gives to stop.

    A run that is followed already is followed to its end.
    """
    _watches.append(watch)
    watching = True

    def stop() -> None:
        nonlocal watching
        if watching:
            watching = False
            _watches.remove(watch)

    return stop


class Observers:
    """Those who follow one run; false where no one does."""

    __slots__ = ("_all", "_begun")

    def __init__(self) -> None:
        self._all: tuple[Observer, ...] = ()
        self._begun = False

    def __bool__(self) -> bool:
        return bool(self._all)

    def begin(self, run: Run, own: Iterable[Watch] = ()) -> None:
        """Ask all who watch every run, and this run's `own`, whether they follow it; once."""
        if self._begun:
            return
        self._begun = True
        found = []
        for watch in (*_watches, *own):
            try:
                observer = watch(run)
            except Exception:
                _logger.exception("Run %s is not observed", run.id)
                continue
            if observer is not None:
                found.append(observer)
        self._all = tuple(found)

    def event(self, event: Event) -> None:
        """Tell each of them; after the terminal event they are told nothing more."""
        for observer in self._all:
            try:
                observer.event(event)
            except Exception:
                self._drop(observer)
        if type(event) in _TERMINAL:
            self._all = ()

    def content(self, agent: str, count: int, at: float) -> None:
        """Tell each of them."""
        for observer in self._all:
            try:
                observer.content(agent, count, at)
            except Exception:
                self._drop(observer)

    def lost(self) -> None:
        """Tell each of them; they are told nothing more."""
        told, self._all = self._all, ()
        for observer in told:
            try:
                observer.lost()
            except Exception:
                self._drop(observer)

    def _drop(self, failed: Observer) -> None:
        _logger.exception("%s failed and is told no more", type(failed).__name__)
        self._all = tuple(observer for observer in self._all if observer is not failed)
