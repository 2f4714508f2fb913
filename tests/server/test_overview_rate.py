"""Pieces a second, as of now."""

from __future__ import annotations

import pytest

from headrace.server.overview_run import LAST_SECONDS, Rate

NOW = 1_000_000.0


@pytest.mark.parametrize("pace", [1.0, 20.0, 300.0])
@pytest.mark.parametrize("seconds", [3, 30])
def test_a_steady_pace_is_told_as_it_is(pace: float, seconds: int) -> None:
    rate = Rate()
    for i in range(int(pace * seconds)):
        rate.add(1, NOW + i / pace)
    assert rate.per_second(NOW + seconds) == pytest.approx(pace, rel=0.25)


def test_a_pace_that_changes_is_told_within_seconds_and_none_is_0() -> None:
    rate = Rate()
    assert rate.per_second(NOW) == 0.0
    for i in range(100):
        rate.add(10, NOW + i / 10)
    fast = rate.per_second(NOW + 10.0)
    assert fast == pytest.approx(100, rel=0.05)
    assert rate.per_second(NOW + 10.0 + LAST_SECONDS) == pytest.approx(fast / 2.718, rel=0.15)
    assert rate.per_second(NOW + 100.0) == 0.0


def test_a_first_burst_is_no_pace() -> None:
    rate = Rate()
    rate.add(50, NOW)
    assert rate.per_second(NOW) == pytest.approx(50, rel=0.15)
