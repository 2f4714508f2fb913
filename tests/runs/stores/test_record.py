"""What a store keeps beside the events: names that are taken, ends, batches as JSON."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import events as e
from headrace.errors import InvalidId
from headrace.events import AnyEvent, Event
from headrace.runs.stores.record import (
    RunRecord,
    check_name,
    check_run_id,
    encode_batch,
    ending_of,
)
from headrace.usage import Metrics, Receipt, Usage
from tests.strategies import EVENTS, KINDS

USAGE = Usage(3, 4)


@pytest.mark.parametrize("run_id", ["r", "run_01-X", "x" * 64, "-", "0"])
def test_a_runs_id(run_id: str) -> None:
    assert check_run_id(run_id) == run_id


@pytest.mark.parametrize(
    "run_id",
    ["", "x" * 65, "../x", "a/b", "a b", "a\n", "a\x00", "ä", "²", "a.b", "%2e", None, 1, b"run"],
)
def test_what_cannot_be_a_runs_id(run_id: object) -> None:
    with pytest.raises(InvalidId, match="cannot be a run's id"):
        check_run_id(run_id)


@given(st.text())
def test_whatever_is_a_runs_id_is_safe_in_paths_headers_and_urls(run_id: str) -> None:
    try:
        check_run_id(run_id)
    except InvalidId:
        return
    assert run_id.isascii()
    assert run_id.replace("-", "").replace("_", "").isalnum() or set(run_id) <= set("-_")
    assert 1 <= len(run_id) <= 64


@pytest.mark.parametrize("name", ["s", "someone@example.org", "x" * 200, "größer 🤦", "a/b"])
def test_a_name(name: str) -> None:
    assert check_name(name, "a session") == name


@pytest.mark.parametrize(
    "name", ["", "x" * 201, " a", "a ", "a\nb", "a\x00", "\u2028", "\ud800", "\u202e", None, 3]
)
def test_what_cannot_be_a_name(name: object) -> None:
    with pytest.raises(InvalidId, match="cannot name a session"):
        check_name(name, "a session")


def test_a_refusal_is_short_however_long_the_name() -> None:
    with pytest.raises(InvalidId) as long_name:
        check_name("x" * 10_000, "a user")
    with pytest.raises(InvalidId) as long_id:
        check_run_id("x" * 10_000)
    assert all(len(str(caught.value)) < 250 for caught in (long_name, long_id))


@pytest.mark.parametrize(
    ("event", "ending"),
    [
        (e.Complete(1, 1.0, "", "length", USAGE, Metrics()), ("complete", "length", USAGE)),
        (e.Error(1, 1.0, "", "rate_limited", "", True, Metrics()), ("error", "rate_limited", None)),
        (
            e.Cancelled(1, 1.0, "", "enough", USAGE, Metrics(), Receipt()),
            ("cancelled", "enough", USAGE),
        ),
        (e.Answer(1, 1.0, "", "x"), None),
    ],
)
def test_what_a_terminal_event_means(event: Event, ending: object) -> None:
    assert ending_of(event) == ending


@given(EVENTS)
def test_every_terminal_event_and_no_other_has_an_ending(event: Event) -> None:
    assert (ending_of(event) is not None) == isinstance(event, e.TERMINAL)
    assert type(event) in KINDS


@given(st.lists(st.lists(EVENTS, min_size=1, max_size=3), min_size=1, max_size=3))
def test_batches_joined_by_commas_are_one_array(batches: list[list[Event]]) -> None:
    payload = b"[" + b",".join(encode_batch(batch) for batch in batches) + b"]"
    decoded = msgspec.json.decode(payload, type=list[AnyEvent])
    assert decoded == [event for batch in batches for event in batch]


def test_no_events_are_no_bytes() -> None:
    assert encode_batch([]) == b""


def test_a_record_is_live_until_it_has_ended() -> None:
    record = RunRecord(id="r", agent="a", model="m", created_at=1.0)
    assert record.live
    assert not msgspec.structs.replace(record, status="error").live
