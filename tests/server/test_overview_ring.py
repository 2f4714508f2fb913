"""Time in slots: what counts where, what is let go of, and that all of it is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.server.overview import RECENT, SLOT, WINDOW, SlotFigures
from headrace.server.overview_ring import (
    CODES,
    MODELS,
    OTHER,
    Ring,
    count,
    provider_of,
    slot_of,
)

NOW = 1_000_000.0
"""The begin of a slot."""


def rows(ring: Ring, model: str = "") -> list[SlotFigures]:
    return [row for row in ring.rows(0.0) if row.model == model]


def say(ring: Ring, at: float, tokens: int = 1, model: str = "demo:demo") -> None:
    ring.slot(at).figures(model).tokens += tokens


def test_the_sizes_are_ten_seconds_an_hour_and_five_minutes() -> None:
    assert (SLOT, WINDOW, RECENT) == (10.0, 3600.0, 300.0)
    assert slot_of(NOW) == slot_of(NOW + 9.999) == NOW
    assert slot_of(NOW + 10.0) == NOW + 10.0


def test_what_happens_counts_in_its_slot_and_with_its_model() -> None:
    ring = Ring(NOW)
    say(ring, NOW, 1)
    say(ring, NOW + 9.9, 2)
    say(ring, NOW + 10.0, 4)
    say(ring, NOW + 10.0, 8, "other:one")
    told = [(row.at - NOW, row.model, row.provider, row.tokens) for row in ring.rows(0.0)]
    assert told == [
        (0, "", "", 3),
        (0, "demo:demo", "demo", 3),
        (10, "", "", 12),
        (10, "demo:demo", "demo", 4),
        (10, "other:one", "other", 8),
    ]
    assert [row.at for row in ring.rows(NOW + 10.0)] == [NOW + 10.0] * 3


def test_what_comes_a_little_late_counts_when_it_was_and_later_as_of_now() -> None:
    ring = Ring(NOW)
    say(ring, NOW + RECENT)
    say(ring, NOW + SLOT)  # a slot that no one has told of before
    say(ring, NOW)  # too late: its slot is closed
    say(ring, NOW - 50.0)  # a clock that was put back
    assert [(row.at - NOW, row.tokens) for row in rows(ring)] == [(SLOT, 1), (RECENT, 3)]


def test_slots_without_anything_are_left_out() -> None:
    ring = Ring(NOW)
    assert ring.rows(0.0) == []
    say(ring, NOW + 500)
    assert len(rows(ring)) == 1


@given(st.lists(st.floats(0, 3 * WINDOW), min_size=1, max_size=50))
def test_an_hour_is_kept_and_no_more(times: list[float]) -> None:
    ring = Ring(NOW)
    for at in sorted(times):
        say(ring, NOW + at)
    newest = slot_of(NOW + max(times))
    kept = [at for at in times if slot_of(NOW + at) > newest - WINDOW]
    assert sum(row.tokens for row in rows(ring)) == len(kept)
    assert len(ring._slots) <= WINDOW / SLOT
    held = [slot for slot in ring._slots.values() if slot._models]
    assert all(slot.at > newest - RECENT for slot in held)  # histograms of the last minutes only


def test_percentiles_are_right_within_5_percent_of_each_model_and_of_all() -> None:
    ring = Ring(NOW)
    for i in range(1, 1001):
        ring.slot(NOW).figures("a").gaps.add(i / 1000)
        ring.slot(NOW).figures("b").gaps.add(1.0 + i / 1000)
        ring.slot(NOW).figures("b").ttft.add(i / 100)
    together, a, b = ring.rows(0.0)
    for row, p50, p95, p99 in (
        (a, 500, 950, 990),
        (b, 1500, 1950, 1990),
        (together, 1000, 1900, 1980),
    ):
        told = (row.gap_ms.p50, row.gap_ms.p95, row.gap_ms.p99)
        assert told == pytest.approx((p50, p95, p99), rel=0.05)
    assert (a.gap_ms.count, b.gap_ms.count, together.gap_ms.count) == (1000, 1000, 2000)
    assert b.ttft_ms.p95 == pytest.approx(9500, rel=0.05)
    assert together.ttft_ms.count == 1000
    assert (a.ttft_ms.p50, a.ttft_ms.count) == (None, 0)


def test_a_slot_that_is_closed_shows_what_it_showed() -> None:
    ring = Ring(NOW)
    figures = ring.slot(NOW).figures("a")
    figures.gaps.add(0.2)
    count(figures.errors, "overloaded")
    figures.seen(3, 17)
    ring.slot(NOW).seen(3, 17)
    before = ring.rows(0.0)
    say(ring, NOW + 1000.0)
    assert ring.rows(0.0)[: len(before)] == before
    assert not ring._slots[int(NOW // SLOT)]._models
    assert (before[0].viewers, before[0].lag, before[0].errors) == (3, 17, {"overloaded": 1})


def test_the_most_viewers_that_were_seen_are_told() -> None:
    ring = Ring(NOW)
    for viewers, lag in ((2, 5), (7, 0), (1, 90)):
        ring.slot(NOW).figures("a").seen(viewers, lag)
        ring.slot(NOW).seen(viewers + 1, lag + 1)
    together, a = ring.rows(0.0)
    assert (a.viewers, a.lag) == (7, 90)
    assert (together.viewers, together.lag) == (8, 91)


def test_models_and_words_beyond_the_bounds_are_one() -> None:
    ring = Ring(NOW)
    for i in range(MODELS + 50):
        say(ring, NOW, 1, f"m:{i:03}")
    say(ring, NOW, 1, "m:000")
    found = {row.model: row.tokens for row in ring.rows(0.0)}
    assert len(found) == MODELS + 2  # and all together
    assert (found["m:000"], found[OTHER], found[""]) == (2, 50, MODELS + 51)
    counts: dict[str, int] = {}
    for i in range(CODES + 50):
        count(counts, f"code_{i}")
    count(counts, "code_0")
    assert len(counts) == CODES + 1
    assert (counts["code_0"], counts[OTHER]) == (2, 50)


def test_words_of_several_models_stay_bounded_together() -> None:
    ring = Ring(NOW)
    for model in "abc":
        for i in range(CODES):
            count(ring.slot(NOW).figures(model).retracts, f"{model}_{i}", 2)
    together = ring.rows(0.0)[0]
    assert len(together.retracts) == CODES + 1
    assert sum(together.retracts.values()) == 3 * CODES * 2


def test_what_is_recent_goes_back_so_far() -> None:
    ring = Ring(NOW)
    for at in (0.0, 245.0, 255.0, 299.0):
        say(ring, NOW + at)
    assert ring.recent(NOW + 299.0).tokens == 4
    assert ring.recent(NOW + 299.0, 60.0).tokens == 3
    assert ring.recent(NOW + 299.0, 50.0).tokens == 2
    assert ring.recent(NOW + 300.0).tokens == 3  # without anything new, too
    assert ring.recent(NOW + 900.0).tokens == 0


def test_the_past_is_kept_before_the_begin() -> None:
    ring = Ring(NOW + 5.0)
    for at in (-0.1, 0.0, 3.0):  # the slot of the begin has what happened since
        slot = ring.past(NOW + at)
        assert slot is not None
        slot.figures("a").tokens += 1
    far = ring.past(NOW - 3000.0)
    assert far is not None
    far.figures("a").tokens += 1
    assert ring.past(NOW - WINDOW) is None
    ring.tidy()
    say(ring, NOW + 6.0, 10, "a")
    told = [(row.at - NOW, row.tokens) for row in rows(ring, "a")]
    assert told == [(-3000, 1), (-10, 3), (0, 10)]
    assert ring.recent(NOW + 6.0).tokens == 13


@pytest.mark.parametrize(
    ("model", "provider"),
    [("openai:gpt-5", "openai"), ("ollama:llama3.2:1b", "ollama"), ("mine", ""), ("", "")],
)
def test_a_provider_stands_before_the_colon(model: str, provider: str) -> None:
    assert provider_of(model) == provider
