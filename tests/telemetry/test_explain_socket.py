"""How far behind a viewer is: only the differences count, and only what came while it was there."""

from __future__ import annotations

import pytest

from headrace.telemetry.explain_socket import LATE_MS, Arrivals, Lag, socket_words


def arrived(*delays: float) -> Arrivals:
    """Events a second apart, each so many seconds on the way."""
    arrivals = Arrivals()
    for seq, delay in enumerate(delays, start=1):
        arrivals.add(seq, 1000.0 + seq, 1000.0 + seq + delay)
    return arrivals


def test_lateness_is_measured_against_the_quickest() -> None:
    lag = arrived(0.5, 0.51, 0.5, 0.8).lag(0)
    assert lag is not None
    assert lag.arrivals == 4
    assert lag.worst_ms == pytest.approx(300)
    assert lag.p50_ms == 0.0
    assert lag.p99_ms == pytest.approx(300, rel=0.05)


def test_two_clocks_are_never_compared() -> None:
    """Only rounding of a float of Unix seconds may differ."""
    here = arrived(0.5, 0.51, 0.8).lag(0)
    ahead = arrived(-5000.5, -5000.49, -5000.2).lag(0)
    assert here is not None
    assert ahead is not None
    assert here.worst_ms == pytest.approx(ahead.worst_ms)


def test_what_was_there_before_the_stream_was_open_says_nothing() -> None:
    arrivals = arrived(30.0, 20.0, 0.1, 0.2, 0.1)
    lag = arrivals.lag(2)
    assert lag is not None
    assert lag.arrivals == 3
    assert lag.worst_ms == pytest.approx(100)


@pytest.mark.parametrize("after", [4, 5, 9])
def test_fewer_than_two_arrivals_tell_nothing(after: int) -> None:
    assert arrived(1, 2, 3, 4, 5).lag(after) is None


def test_no_percentile_is_above_the_worst() -> None:
    lag = arrived(0, *[0.1] * 9).lag(0)
    assert lag is not None
    assert lag.p50_ms <= lag.p99_ms <= lag.worst_ms


@pytest.mark.parametrize(
    ("lag", "live", "says"),
    [
        (None, False, "The run has ended: how far viewers were behind is in no log."),
        (None, True, "Too little came within 10 s"),
        (Lag(40, 0.7, 3.0, 12.0), True, "at most 0.7 ms later than the quickest one, the latest"),
        (Lag(40, 0.7, 3.0, 12.0), True, "12 ms (40 reads of the stream)."),
        (Lag(40, 90.0, 300.0, LATE_MS), True, "headrace doctor"),
    ],
)
def test_the_words(lag: Lag | None, live: bool, says: str) -> None:
    assert says in socket_words(lag, live, 10.0)


def test_nothing_is_blamed_for_what_no_reader_sees() -> None:
    assert "doctor" not in socket_words(Lag(40, 1.0, 2.0, LATE_MS - 1), True, 10.0)
