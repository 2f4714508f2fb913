"""Joining and dropping deltas: what is lost, what is said, what stays; and a policy's values."""

from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import UsageError
from headrace.events import Event, Thought, Token, ToolArgs, Warn, type_of
from headrace.runs.fold import fold
from headrace.runs.policies import (
    BLOCK_TIMEOUT,
    JOINED_MAX,
    MERGE,
    MERGE_OVER,
    Policy,
    block,
    drop_deltas,
    join_deltas,
    lag_of,
    pending_chars,
    policy_of,
    text_chars,
)
from tests.strategies import EVENTS, logs

KIB = 1024


def words(events: list[Event]) -> list[tuple[object, ...]]:
    """All text in order, a character at a time, with who said it and as what."""
    found: list[tuple[object, ...]] = []
    for event in events:
        match event:
            case Token() | Thought():
                found += [(type_of(event), event.agent, c) for c in event.content]
            case ToolArgs():
                found += [(event.call_id, event.name, event.agent, c) for c in event.delta]
            case _:
                found.append((event,))
    return found


@given(logs())
def test_joining_loses_nothing(events: list[Event]) -> None:
    joined = join_deltas(events)
    assert words(joined) == words(events)
    assert pending_chars(joined) == pending_chars(events)
    assert fold(joined) == fold(events)


@given(logs())
def test_joining_twice_joins_no_more(events: list[Event]) -> None:
    joined = join_deltas(events)
    assert join_deltas(joined) == joined


@given(logs(), st.data())
def test_joining_in_parts_loses_nothing(events: list[Event], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(events)))
    parts = join_deltas([*join_deltas(events[:cut]), *events[cut:]])
    assert words(parts) == words(events)
    assert fold(parts) == fold(events)


@given(logs())
def test_the_seq_stays_in_order_and_ends_as_it_did(events: list[Event]) -> None:
    seqs = [event.seq for event in join_deltas(events)]
    assert seqs == sorted(set(seqs))
    assert seqs[-1] == events[-1].seq


def test_a_joined_event_has_the_last_seq_and_time_and_the_first_index() -> None:
    tokens = [Token(4, 1.0, "a", "Hel", 7), Token(5, 1.5, "a", "lo", 8), Token(6, 2.0, "a", "!", 9)]
    assert join_deltas(tokens) == [Token(6, 2.0, "a", "Hello!", 7)]
    assert join_deltas([Thought(1, 1.0, "", "a"), Thought(2, 2.0, "", "b")]) == [
        Thought(2, 2.0, "", "ab")
    ]
    assert join_deltas(
        [ToolArgs(1, 1.0, "", "c", "look", "{"), ToolArgs(2, 2.0, "", "c", "look", "}")]
    ) == [ToolArgs(2, 2.0, "", "c", "look", "{}")]


def test_what_differs_is_not_joined() -> None:
    events: list[Event] = [
        Token(1, 1.0, "", "a", 0),
        Token(2, 1.0, "helper", "b", 0),
        Thought(3, 1.0, "helper", "c"),
        ToolArgs(4, 1.0, "helper", "c1", "look", "d"),
        ToolArgs(5, 1.0, "helper", "c2", "look", "e"),
        ToolArgs(6, 1.0, "", "c2", "look", "f"),
        Warn(7, 1.0, "", "w", "g"),
        Warn(8, 1.0, "", "w", "g"),
        Token(9, 1.0, "", "h", 1),
    ]
    assert join_deltas(events) == events


def test_a_joined_delta_is_at_most_64_kib() -> None:
    assert JOINED_MAX == 64 * KIB
    tokens: list[Event] = [Token(i + 1, 1.0, "", "x" * 1000, i) for i in range(1000)]
    joined = join_deltas(tokens)
    sizes = [pending_chars((event,)) for event in joined]
    assert sum(sizes) == 1_000_000
    assert max(sizes) == 65_000
    assert len(joined) == 16


def test_a_delta_above_the_limit_stays_whole() -> None:
    big = Token(1, 1.0, "", "x" * 100 * KIB, 0)
    small = Token(2, 1.0, "", "y", 1)
    assert join_deltas([big, small]) == [big, small]


def test_joining_nothing_gives_nothing() -> None:
    assert join_deltas([]) == []


@given(st.lists(EVENTS, max_size=6))
def test_a_bound_counts_at_least_what_a_viewer_waits_for(events: list[Event]) -> None:
    assert text_chars(events) >= pending_chars(events)


def is_delta(event: Event) -> bool:
    return isinstance(event, Token | Thought | ToolArgs)


def is_gap(event: Event) -> bool:
    return isinstance(event, Warn) and event.code == "gap"


@given(logs(), st.data())
def test_dropping_keeps_all_but_deltas_and_says_where_they_were(
    events: list[Event], data: st.DataObject
) -> None:
    after = data.draw(st.integers(0, len(events) - 1))
    kept = drop_deltas(events[after:], after)
    assert [e for e in kept if not is_gap(e)] == [e for e in events[after:] if not is_delta(e)]
    missing = {e.seq for e in events[after:] if is_delta(e)}
    told: set[int] = set()
    last = after
    for event in kept:
        if is_gap(event):
            assert isinstance(event, Warn)
            assert f"Events {last + 1} to {event.seq}," in event.message
            assert event.at == events[event.seq - 1].at
            told |= {*range(last + 1, event.seq + 1)}
        last = event.seq
    assert told == missing
    assert last == events[-1].seq


@given(logs())
def test_dropped_text_is_all_that_the_fold_misses(events: list[Event]) -> None:
    whole, rest = fold(events), fold(drop_deltas(events, 0))
    assert (rest.text, rest.reasoning) == ("", "")
    for field in ("answer", "status", "usage", "tools", "messages", "finish_reason", "last_seq"):
        assert getattr(rest, field) == getattr(whole, field)


def test_a_gap_behind_a_joined_delta_names_the_first_event_in_it() -> None:
    joined: list[Event] = [Token(9, 1.0, "", "nine in one", 0)]
    assert "Events 4 to 9," in repr(drop_deltas(joined, 3))


def test_the_lag_is_exact_at_the_end_and_an_estimate_before() -> None:
    tokens: list[Event] = [Token(seq, 1.0, "", "four", 0) for seq in range(11, 21)]
    assert lag_of(tokens, 10, 20) == 40
    assert lag_of(tokens, 10, 110) == 400
    assert lag_of(join_deltas(tokens), 10, 20) == 40
    assert lag_of([Warn(1, 1.0, "", "code", "words")], 0, 1000) == 0


def test_policies_are_values() -> None:
    assert (MERGE_OVER, BLOCK_TIMEOUT) == (64 * KIB, 5.0)
    assert policy_of("merge") == Policy() == MERGE
    assert policy_of("block") == Policy("block", 5.0) == block()
    assert policy_of(block(2)) == Policy("block", 2)


@pytest.mark.parametrize("name", ["", "Merge", "skip", None, 3])
def test_an_unknown_policy_names_the_known(name: str) -> None:
    with pytest.raises(UsageError, match="Known are: merge, drop, disconnect, block"):
        policy_of(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("seconds", [0, -1.0, inf, nan, "5", None])
def test_a_timeout_that_is_no_time_is_refused(seconds: float) -> None:
    with pytest.raises(UsageError, match="the default is 5"):
        block(seconds)
