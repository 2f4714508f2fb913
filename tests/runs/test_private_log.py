"""A private log forgets what is read and joins what is not; no text is lost, memory is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import LogTooLarge, ReplayGap
from headrace.events import Event, StepStart, Thought, Token, type_of
from headrace.runs import log as log_module
from headrace.runs.fold import fold
from headrace.runs.log import Log
from tests.strategies import logs

UNREAD_MAX = log_module._UNREAD_MAX


def read(log: Log, after: int) -> list[Event]:
    """What its one viewer does."""
    batch = log.read(after)
    if batch:
        log.forget(batch[-1].seq)
    return batch


def is_delta(event: Event) -> bool:
    return type_of(event) in ("token", "thought", "tool_args")


@settings(max_examples=60)
@given(logs(), st.data())
def test_however_it_is_read_it_folds_to_the_same(events: list[Event], data: st.DataObject) -> None:
    log, got, at = Log(private=True), list[Event](), 0
    log._room = data.draw(st.integers(1, 10))  # joins early, so that short logs join too
    while at < len(events):
        step = data.draw(st.integers(1, 6))
        log.append(at, events[at : at + step])
        at += len(events[at : at + step])
        if data.draw(st.booleans()):
            got += read(log, got[-1].seq if got else 0)
            log._room = data.draw(st.integers(1, 10))
    got += read(log, got[-1].seq if got else 0)
    assert fold(got) == fold(events)
    assert [x for x in got if not is_delta(x)] == [x for x in events if not is_delta(x)]
    assert len(log._events) == 0


def test_what_is_read_is_forgotten() -> None:
    log = Log(private=True)
    for seq in range(1, 20_001):
        log.append(seq - 1, [Token(seq, 1.0, "", "x", seq)])
        assert len(read(log, seq - 1)) == 1
        assert log._events == []


def test_what_is_not_read_is_joined() -> None:
    log, count = Log(private=True), 10 * UNREAD_MAX
    for seq in range(1, count + 1):
        log.append(seq - 1, [Token(seq, 1.0, "", f"{seq} ", seq - 1)])
    assert len(log._events) <= UNREAD_MAX + 10
    got = read(log, 0)
    text = "".join(event.content for event in got if isinstance(event, Token))
    assert text == "".join(f"{seq} " for seq in range(1, count + 1))
    assert got[-1].seq == count


def test_unread_text_has_a_bound_too() -> None:
    log, seq = Log(private=True, max_bytes=10 * 1024 * 1024), 0

    def fill() -> None:
        nonlocal seq
        for _ in range(100_000):
            log.append(seq, [Thought(seq + 1, 1.0, "", "x" * 1000)])
            seq += 1

    with pytest.raises(LogTooLarge):
        fill()
    assert seq * 1000 < 2 * 10 * 1024 * 1024
    read(log, 0)
    log.append(seq, [Thought(seq + 1, 1.0, "", "x")])


def test_structural_events_that_no_one_reads_are_bounded_and_cheap() -> None:
    log = Log(private=True, max_bytes=100 * 12_000)

    def fill() -> None:
        for seq in range(100_000):
            log.append(seq, [StepStart(seq + 1, 1.0, "", 1, "m")])

    with pytest.raises(LogTooLarge):
        fill()
    assert log.last_seq < 3 * 12_000


def test_what_is_forgotten_is_said_to_be() -> None:
    log = Log(private=True)
    log.append(0, [Token(seq, 1.0, "", "x", seq) for seq in (1, 2, 3)])
    log.forget(3)
    log.append(3, [Token(4, 1.0, "", "x", 4)])
    with pytest.raises(ReplayGap) as caught:
        log.read(1)
    assert (caught.value.first, caught.value.last) == (2, 3)
    assert [event.seq for event in log.read(3)] == [4]


def test_a_log_for_many_forgets_nothing() -> None:
    log = Log()
    log.append(0, [Token(1, 1.0, "", "x", 0)])
    log.forget(1)
    assert len(log.read(0)) == 1
