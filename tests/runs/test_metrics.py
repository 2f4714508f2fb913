"""Measures: percentiles within 5 % in bounded memory, and the figures of a run."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.runs.metrics import Gaps, Meter
from headrace.usage import Metrics, Usage


def exact(values: list[float], share: float) -> float:
    """The nearest-rank percentile."""
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]


@given(st.lists(st.floats(1e-4, 900), min_size=1, max_size=60), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_percentile_is_right_within_5_percent(seconds: list[float], share: float) -> None:
    gaps = Gaps()
    for gap in seconds:
        gaps.add(gap)
    told = gaps.percentile_ms(share)
    assert told == pytest.approx(exact(seconds, share) * 1e3, rel=0.05)


@given(st.floats(0, 1e-4))
def test_a_tiny_gap_is_right_within_5_microseconds(seconds: float) -> None:
    gaps = Gaps()
    gaps.add(seconds)
    assert gaps.percentile_ms(0.5) == pytest.approx(seconds * 1e3, abs=0.005)


def test_no_gaps_have_no_percentile() -> None:
    assert Gaps().percentile_ms(0.5) is None


def test_a_gap_counts_as_often_as_it_is_told() -> None:
    gaps = Gaps()
    gaps.add(0.0, 98)
    gaps.add(1.0, 2)
    assert gaps.percentile_ms(0.98) == 0.0
    assert gaps.percentile_ms(0.99) == pytest.approx(1000, rel=0.05)


@given(st.lists(st.lists(st.floats(1e-4, 900), max_size=20), max_size=5))
def test_what_is_merged_counts_as_if_it_had_come_here(parts: list[list[float]]) -> None:
    one, together = Gaps(), Gaps()
    for part in parts:
        apart = Gaps()
        for gap in part:
            apart.add(gap)
            one.add(gap)
        together.merge(apart)
    shares = (0.5, 0.95, 0.99)
    assert together.total == one.total == sum(map(len, parts))
    assert together.percentiles_ms(shares) == one.percentiles_ms(shares)
    assert one.percentiles_ms(shares) == [one.percentile_ms(share) for share in shares]


def test_a_clock_that_falls_counts_as_no_gap() -> None:
    gaps = Gaps()
    gaps.add(-1.0)
    assert gaps.percentile_ms(0.5) == 0.0


def test_the_buckets_are_bounded() -> None:
    gaps = Gaps()
    for i in range(100_000):
        gaps.add(i * 0.009)  # up to the whole run's 900 s
    assert len(gaps._counts) < 450


def test_the_figures_of_a_run() -> None:
    meter = Meter(started=100.0)
    meter.tokens(1, 5, 100.25)
    meter.tokens(3, 10, 100.75)
    meter.tokens(1, 1, 101.25)
    meter.step(2.0)
    metrics = meter.metrics(102.0, Usage(10, 30))
    assert (metrics.time_to_first_token_ms, metrics.duration_ms) == (250.0, 2000.0)
    assert (metrics.chunks, metrics.chars, metrics.tokens_per_second) == (5, 16, 15.0)
    assert metrics.gap_ms_p50 is not None
    assert metrics.gap_ms_p50 in (0.0, pytest.approx(500, rel=0.05))
    assert metrics.gap_ms_p99 == pytest.approx(500, rel=0.05)


def test_a_run_without_a_word_has_no_figures() -> None:
    assert Meter(5.0).metrics(6.0, Usage()) == Metrics(duration_ms=1000.0)


def test_one_token_has_no_gap() -> None:
    meter = Meter(5.0)
    meter.tokens(1, 1, 5.5)
    metrics = meter.metrics(6.0, Usage(1, 1))
    assert metrics == Metrics(time_to_first_token_ms=500.0, duration_ms=1000.0, chunks=1, chars=1)
