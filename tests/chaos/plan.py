"""When a round's worker is killed: decided by the seed."""

from __future__ import annotations

from random import Random
from typing import Literal

from msgspec import Struct

When = Literal["begun", "accepted", "events", "ended"]


class Kill(Struct, frozen=True):
    """One kill.

    Attributes:
        when: What is counted: hundredths of a second since the worker ``begun``, runs
            ``accepted``, ``events`` that viewers have seen since the worker began, runs that have
            ``ended``.
        count: The kill comes when it is reached…
        later: …and so many seconds have passed.
    """

    when: When
    count: int
    later: float


def kills_of(seed: int, runs: int) -> list[Kill]:
    """One to three kills, so that all moments of a run are met over the seeds."""
    random = Random(seed)  # noqa: S311
    kills = []
    for _ in range(random.choice((1, 1, 2, 3))):
        when: When = random.choices(("begun", "accepted", "events", "ended"), (2, 2, 5, 3))[0]
        count = {
            # From before the first commit to some after it.
            "begun": random.randint(10, 90),
            "accepted": random.randint(1, runs),
            "events": random.randint(1, 50 * runs),
            # Around the terminal commits of the others.
            "ended": random.randint(1, max(1, runs * 4 // 5)),
        }[when]
        kills.append(Kill(when, count, random.uniform(0, 0.06)))
    return kills
