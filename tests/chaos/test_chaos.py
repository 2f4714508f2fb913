"""A process with 50 live runs is killed at random moments; nothing is lost (see `chaos`)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.chaos.chaos import Round
from tests.chaos.plan import Kill, kills_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SEEDS = 20
AT_ONCE = 2


@pytest.mark.parametrize("first", range(1, SEEDS + 1, AT_ONCE))
async def test_each_event_is_seen_once_and_each_run_ends_once(first: int, tmp_path: Path) -> None:
    rounds = []
    for seed in range(first, first + AT_ONCE):
        folder = tmp_path / f"seed-{seed}"
        folder.mkdir()
        rounds.append(Round(seed, folder))
    reports = await asyncio.gather(*(one.play() for one in rounds))
    faults = [f"seed {report.seed}: {fault}" for report in reports for fault in report.faults]
    assert not faults, "\n".join([*faults, f"Their files are in {tmp_path}."])
    assert [report.runs for report in reports] == [50] * AT_ONCE
    assert all(report.events and report.outside.seen for report in reports)


def test_the_seeds_meet_all_moments() -> None:
    kills = [kill for seed in range(1, SEEDS + 1) for kill in kills_of(seed, 50)]
    assert {kill.when for kill in kills} == {"begun", "accepted", "events", "ended"}
    assert len(kills) > SEEDS


# The first moments and the last ones, whatever the seeds say.
@pytest.mark.parametrize(
    "kills",
    [
        # From the interpreter's start to the first commits.
        [Kill("begun", hundredths, 0.0) for hundredths in (5, 15, 20, 25, 30, 35)],
        [Kill("accepted", 1, 0.0), Kill("accepted", 2, 0.0), Kill("accepted", 3, 0.002)],
        # One run after the other ends: each kill comes with some commit of an end.
        [Kill("ended", count, 0.0) for count in (1, 3, 5, 7, 8)],
    ],
    ids=["begun", "accepted", "ended"],
)
async def test_the_first_and_the_last_moments(kills: list[Kill], tmp_path: Path) -> None:
    one = Round(sum(kill.count for kill in kills) + 1000, tmp_path, runs=10, kills=kills)
    report = await one.play()
    assert not report.faults, "\n".join([*report.faults, f"Its files are in {tmp_path}."])
    assert report.kills >= 2
    assert report.runs == 10
