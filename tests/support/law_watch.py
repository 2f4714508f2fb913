"""Checks the laws over every run of every test: a plugin of pytest, named in `tests/conftest.py`.

Each run that begins in this process is followed from its beginning: pairs and one end over its
structural events while it runs, and where its log is in memory the whole of it, content included,
at its end. A breach fails the test in which it came to light. A run that is lost or handed over, or
that has not ended when its loop is closed, is judged only for what it did.

A test that breaks a law on purpose says so: ``@pytest.mark.breaks_laws("why")``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headrace.events import TERMINAL, Event, RunStart, type_of
from headrace.runs.log import Log
from headrace.runs.observer import Observer, watch_all
from headrace.runs.run import Run
from headrace.testing import check_events
from headrace.testing.laws import Pairs

MARKER = "breaks_laws"
LONGEST = 20_000
"""Events of a log that is read again at its end; longer ones are checked while they run."""

breaches: list[str] = []
"""What was found since the last test; a list takes appends from every thread."""


class Follower(Observer):
    """Checks one run.

    Args:
        run: The run.
        found: Where a breach is written down; the first one only.
    """

    def __init__(self, run: Run, found: list[str]) -> None:
        self._run: Run | None = run
        self._found = found
        self._pairs: Pairs | None = None

    def event(self, event: Event) -> None:
        """See `Observer`."""
        run = self._run
        if run is None:
            return
        try:
            if self._pairs is None:
                began = isinstance(event, RunStart)
                # A run that was taken up has written its first event here already, a warning.
                asked = run.writer.approvals.waiting
                self._pairs = Pairs(() if began else (*run.writer.open, *asked))
            self._pairs.take(event)
            if isinstance(event, TERMINAL):
                check_log(run)
        except AssertionError as error:
            self._found.append(
                f"run {run.id} of {run.info.agent_name!r}: {type_of(event)}: {error}"
            )
            self._run = None
        if isinstance(event, TERMINAL):
            self._run = None  # a test may look at what is left of a run


def check_log(run: Run) -> None:
    """Check a log that has ended, where all of it is in memory."""
    log = run._log
    if not isinstance(log, Log) or log._private or log.last_seq > LONGEST:
        return
    events: list[Event] = []
    while batch := log.read(len(events)):
        events += batch
    check_events(events)


def follow(run: Run) -> Observer:
    """Follow a run of whichever test."""
    return Follower(run, breaches)


def verdict(found: list[str], reasons: list[tuple[object, ...]]) -> str | None:
    """What is wrong with a test, None if nothing is.

    Args:
        found: The breaches.
        reasons: The arguments of its markers.
    """
    if not reasons:
        return "\n".join(["A law of the log was broken:", *found]) if found else None
    if not all(len(arguments) == 1 and arguments[0] for arguments in reasons):
        return f"The marker {MARKER} needs a reason."
    return None if found else f"This test is marked as {MARKER} and broke none."


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the marker."""
    config.addinivalue_line("markers", f"{MARKER}(why): its runs break a law of the log on purpose")


@pytest.fixture(scope="session", autouse=True)
def every_run_followed() -> Iterator[None]:
    """Follow every run that begins in this process."""
    stop = watch_all(follow)
    yield
    stop()


@pytest.fixture(autouse=True)
def laws_kept(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test in whose time a law was broken."""
    yield
    found, breaches[:] = list(breaches), []
    wrong = verdict(found, [mark.args for mark in request.node.iter_markers(MARKER)])
    if wrong:
        pytest.fail(wrong, pytrace=False)
