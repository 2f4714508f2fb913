"""`native` and `ndjson`: the log as it is."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from headrace import events as e
from headrace.errors import ReplayGap, StoreUnavailable
from headrace.events import Event
from headrace.protocols.native import NativeEncoder, NDJSONEncoder, failure
from headrace.runs.fold import fold
from headrace.wire.ndjson_decoder import NDJSONDecoder
from tests.protocols.wire import cuts, data_of, encoded, frames
from tests.strategies import EVENTS, logs


@given(logs(), st.integers(0, 9))
def test_every_cut_folds_to_the_run(log: list[Event], seed: int) -> None:
    read = frames(encoded(NativeEncoder(), cuts(log, seed)))
    assert fold(e.decode(frame.data) for frame in read) == fold(log)
    assert read[-1].id == str(log[-1].seq)


@given(st.lists(EVENTS, max_size=5))
def test_an_event_comes_back_as_it_was(events: list[Event]) -> None:
    read = frames(NativeEncoder().encode(events))
    assert [e.decode(frame.data) for frame in read] == events
    assert [frame.id for frame in read] == [str(event.seq) for event in events]
    assert {frame.event for frame in read} <= {"message"}


@given(logs(), st.integers(0, 9))
def test_lines_fold_to_the_run(log: list[Event], seed: int) -> None:
    decoder = NDJSONDecoder()
    lines = decoder.feed(encoded(NDJSONEncoder(), cuts(log, seed)))
    assert fold(map(e.decode, lines)) == fold(log)
    assert decoder.close() == []


def test_a_stream_that_ends_before_its_run_says_why_and_where() -> None:
    error = ReplayGap(3, 9)
    (frame,) = frames(NativeEncoder().fail(error))
    assert frame.event == "failure"
    assert frame.id == ""
    assert data_of(frame) == {
        "code": "replay_gap",
        "message": error.message,
        "hint": error.hint,
        "retryable": False,
    }


def test_a_failure_is_a_line_of_its_own_type() -> None:
    line = NDJSONEncoder().fail(StoreUnavailable("The disk\nis full."))
    assert line.count(b"\n") == 1
    read = msgspec.json.decode(line)
    assert (read["type"], read["message"]) == ("failure", "The disk\nis full.")
    assert read["retryable"] is True
    assert msgspec.json.decode(failure(StoreUnavailable("x")))["code"] == "store_unavailable"


def test_they_begin_anywhere_and_share_by_name() -> None:
    assert not NativeEncoder().primed
    assert not NDJSONEncoder().primed
    assert NativeEncoder().key == NativeEncoder().fork().key != NDJSONEncoder().key
