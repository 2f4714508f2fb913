"""The cursor: whatever is cut and sent again, the log comes out, in order, once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import EventTooLarge, InvalidResponse, ServerRefused
from headrace.events import Event
from headrace.frontends.remote_cursor import Cursor
from headrace.wire.sse_encoder import encode_event
from tests import strategies
from tests.frontends.remote_server import frame, story


def read(cursor: Cursor, *pieces: bytes) -> list[Event]:
    """What one connection brings."""
    cursor.connected()
    return [event for piece in pieces for event in cursor.feed(piece)]


@given(st.data())
def test_any_cuts_and_repeats_give_the_log_once(data: st.DataObject) -> None:
    log = data.draw(strategies.logs())
    cursor = Cursor()
    got: list[Event] = []
    for _ in range(20):
        # A server may begin earlier than it was asked to, and the connection end anywhere.
        start = data.draw(st.integers(0, cursor.position))
        body = b"".join(frame(event) for event in log[start:])
        end = data.draw(st.integers(0, len(body)))
        middle = data.draw(st.integers(0, end))
        got += read(cursor, body[:middle], body[middle:end])
        assert cursor.position == (got[-1].seq if got else 0)
        if cursor.ended:
            break
    got += [] if cursor.ended else read(cursor, b"".join(frame(event) for event in log))
    assert got == log
    assert cursor.over


def test_a_cursor_begins_after_what_is_known() -> None:
    log = story("a", "b")
    cursor = Cursor(after=2)
    assert read(cursor, b"".join(map(frame, log))) == log[2:]


def test_joined_deltas_leave_gaps_that_are_none() -> None:
    log = story("a", "b", "c")
    cursor = Cursor()
    assert read(cursor, frame(log[0]), frame(log[3]), frame(log[4])) == [log[0], log[3], log[4]]
    assert cursor.ended


def test_nothing_is_read_behind_the_end() -> None:
    log = story("a")
    cursor = Cursor()
    assert read(cursor, b"".join(map(frame, log)) + encode_event("garbage", id="9")) == log
    assert cursor.failure is None


def test_a_failure_comes_after_what_stood_before_it_in_the_servers_words() -> None:
    log = story("a", "b")
    told = '{"code":"replay_gap","message":"Gone.","hint":"Look.","retryable":false}'
    cursor = Cursor()
    assert read(cursor, frame(log[0]) + encode_event(told, event="failure") + frame(log[1])) == [
        log[0]
    ]
    error = cursor.failure
    assert isinstance(error, ServerRefused)
    assert (error.code, error.message, error.hint) == ("replay_gap", "Gone.", "Look.")
    assert not error.retryable
    assert not cursor.ended


def test_the_servers_wait_is_heard() -> None:
    cursor = Cursor()
    assert read(cursor, b"retry: 1500\n\n") == []
    assert cursor.retry_ms == 1500


def test_what_is_no_event_is_a_failure_and_no_exception() -> None:
    event = frame(story()[0])
    for wrong in (
        encode_event("{}", id="1"),
        encode_event("[" * 5000, id="1"),
        encode_event('{"type":"new","seq":1}', id="1"),
        encode_event("{}"),
        encode_event("{}", id="x"),
        encode_event("{}", id="9" * 30),
        encode_event("{}", id="٣"),
        encode_event("no words", event="failure"),
    ):
        cursor = Cursor()
        assert read(cursor, wrong + event) == []
        assert isinstance(cursor.failure, InvalidResponse)


def test_an_event_past_the_bound_is_a_failure() -> None:
    cursor = Cursor()
    piece = b"data: " + b"x" * 1_000_000 + b"\n"
    assert read(cursor, *[piece] * 9) == []
    assert isinstance(cursor.failure, EventTooLarge)
