"""The logs that tests are given obey the laws."""

from __future__ import annotations

from hypothesis import given, settings

from headrace.events import Event
from headrace.testing.laws import check_events
from tests.strategies import logs


@settings(max_examples=50)
@given(logs())
def test_a_legal_log_is_legal(events: list[Event]) -> None:
    check_events(events)
