"""Time shared out: nothing twice, nothing left over, the most urgent kind first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.telemetry.explain_timeline import Kind, Span, in_turn, micros, shares, union

KINDS: list[Kind] = [
    "queue", "interrupted", "streaming", "waiting", "lost", "person", "tools",
]  # fmt: skip
TIMES = st.integers(-20, 120)
SPANS = st.lists(st.builds(Span, st.sampled_from(KINDS), TIMES, TIMES), max_size=12)
PAIRS = st.lists(st.tuples(TIMES, TIMES).map(lambda pair: (min(pair), max(pair))), max_size=8)


def told(*spans: Span, begin: int = 0, end: int = 100) -> dict[Kind, int]:
    return {kind: us for kind, us in shares(spans, begin, end).items() if us}


@given(SPANS)
def test_each_instant_goes_to_the_first_kind_that_has_it(spans: list[Span]) -> None:
    expected: dict[str, int] = dict.fromkeys([*KINDS, "store", "headrace"], 0)
    for instant in range(100):
        here = {span.kind for span in spans if span.start <= instant < span.end}
        expected[next((kind for kind in KINDS if kind in here), "headrace")] += 1
    assert shares(spans, 0, 100) == expected


def test_what_no_span_covers_is_headraces() -> None:
    assert told() == {"headrace": 100}
    assert told(Span("tools", 10, 30), Span("tools", 20, 40)) == {"tools": 30, "headrace": 70}


def test_a_model_that_streams_has_the_time_of_a_tool_beside_it() -> None:
    spans = (Span("tools", 0, 100), Span("streaming", 20, 60), Span("waiting", 0, 30))
    assert told(*spans) == {"waiting": 20, "streaming": 40, "tools": 40}


def test_what_lies_outside_is_left_out() -> None:
    assert told(Span("lost", -5, 10), Span("lost", 95, 200)) == {"lost": 15, "headrace": 85}
    assert shares([Span("lost", 0, 10)], 5, 5) == dict.fromkeys(shares([], 0, 0), 0)


@given(PAIRS)
def test_a_union_counts_each_instant_once(pairs: list[tuple[int, int]]) -> None:
    assert union(pairs) == len({i for start, end in pairs for i in range(start, end)})


@pytest.mark.parametrize(
    ("spans", "found"),
    [
        ([], False),
        ([(0, 1)], False),
        ([(0, 1), (1, 2)], True),
        ([(3, 4), (0, 1)], True),
        ([(0, 2), (1, 3)], False),
        ([(0, 1), (1, 3), (2, 4)], False),
    ],
)
def test_in_turn_is_each_after_the_one_before(spans: list[tuple[int, int]], found: bool) -> None:
    assert in_turn(spans) is found


def test_microseconds_of_today_are_exact_to_one() -> None:
    now = 1_795_851_166.370843
    assert micros(now) == 1_795_851_166_370_843
    assert micros(now + 0.000001) - micros(now) == 1
