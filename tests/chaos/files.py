"""What the worker and whoever kills it have agreed on: files and the names of runs."""

from __future__ import annotations

DATABASE = "runs.db"
EFFECTS = "effects"
SHOWN = "shown"
"""Of each life of the worker a file, ``shown-PID``: a kill may tear the last line of each."""
ERRORS = "stderr"


def key_of(seed: int, number: int) -> str:
    """The idempotency key of a round's run, from 0; unique over all rounds."""
    return f"s{seed}r{number}"


def asked_of(seed: int, number: int) -> str:
    """What the run is asked: one in ten has a long answer."""
    return key_of(seed, number) + (" fat" if number % 10 == 0 else "")


def session_of(seed: int, number: int) -> str | None:
    """One in five belongs to a session."""
    return f"session of {key_of(seed, number)}" if number % 5 == 1 else None
