"""Counters and histograms, and that no one outside can make more of them than there may be."""

from __future__ import annotations

import pytest

from headrace.telemetry.families import (
    MAX_LABEL,
    MAX_SERIES,
    MORE,
    Buckets,
    Counter,
    Gauge,
    Histogram,
    Series,
)


def test_a_counter_counts_by_its_labels() -> None:
    counter = Counter("c_total", "C.", ("code",))
    counter.add(("a",))
    counter.add(("a",), 2)
    counter.add(("b",))
    assert counter.values == {("a",): 3, ("b",): 1}


def test_without_labels_there_is_a_zero_from_the_start() -> None:
    assert Counter("c_total", "C.").values == {(): 0}
    assert Counter("c_total", "C.", ("code",)).values == {}


def test_a_gauge_falls_too() -> None:
    gauge = Gauge("g", "G.")
    gauge.add((), 2)
    gauge.add((), -1)
    assert gauge.values == {(): 1}
    gauge.set(7)
    assert gauge.values == {(): 7}


@pytest.mark.parametrize(
    ("value", "counts"),
    [(0.5, [1, 0, 0]), (1.0, [1, 0, 0]), (1.5, [0, 1, 0]), (2.0, [0, 1, 0]), (2.1, [0, 0, 1])],
)
def test_a_bound_is_in_its_bucket(value: float, counts: list[int]) -> None:
    buckets = Buckets((1.0, 2.0))
    buckets.add(value)
    assert (buckets.counts, buckets.total, buckets.count) == (counts, value, 1)


def test_what_was_counted_elsewhere_is_taken_over() -> None:
    histogram, buckets = Histogram("h", "H.", (1.0, 2.0), ("model",)), Buckets((1.0, 2.0))
    buckets.add(0.5)
    buckets.add(3.0)
    histogram.add(1.5, ("m",))
    histogram.merge(buckets, ("m",))
    found = histogram.values[("m",)]
    assert (found.counts, found.total) == ([1, 1, 1], 5.0)


def test_a_model_that_writes_ever_new_names_fills_one_series() -> None:
    histogram = Histogram("h", "H.", (1.0,), ("tool", "error"))
    for nth in range(5 * MAX_SERIES):
        histogram.add(0.5, (f"tool{nth}", ""))
    assert len(histogram.values) == MAX_SERIES + 1
    assert histogram.values[(MORE, MORE)].count == 4 * MAX_SERIES
    histogram.add(0.5, ("tool0", ""))  # those that are known go on
    assert histogram.values[("tool0", "")].count == 2


def test_a_long_name_is_cut() -> None:
    series = Series(1)
    assert series.admit(("x" * 1000,)) == ("x" * MAX_LABEL,)
    assert series.admit(("x" * 2000,)) == ("x" * MAX_LABEL,)
    counter = Counter("c_total", "C.", ("tool",))
    counter.add(("x" * 1000,))
    counter.add(("x" * 2000,))
    assert list(counter.values.values()) == [2]


def test_the_bounds() -> None:
    assert (MAX_SERIES, MAX_LABEL) == (200, 128)
