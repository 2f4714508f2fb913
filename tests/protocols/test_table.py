"""The protocols by name, and the promises that each of them keeps."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import StoreUnavailable, UsageError
from headrace.events import Event
from headrace.protocols.table import FORMATS, format_of
from headrace.wire.sse_decoder import SSEDecoder
from tests.protocols.wire import cuts, encoded
from tests.strategies import logs

NAMES = ["native", "simple", "ndjson", "plain", "ai-sdk", "ag-ui", "openai"]


def test_these_are_the_protocols() -> None:
    assert [*FORMATS] == NAMES


def test_an_unknown_one_is_told_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no format 'xml'") as raised:
        format_of("xml")
    assert "ai-sdk" in raised.value.hint


@pytest.mark.parametrize("name", NAMES)
@given(log=logs(), seed=st.integers(0, 9))
@settings(max_examples=20)
def test_encoders_of_equal_keys_give_equal_bytes(name: str, log: list[Event], seed: int) -> None:
    format, batches = FORMATS[name], cuts(log, seed)
    first, second = format.make(), format.make()
    assert first.key == second.key
    shared = encoded(first, batches)
    assert shared == b"".join(second.encode(batch) for batch in batches)


@pytest.mark.parametrize("name", NAMES)
@given(log=logs(), seed=st.integers(0, 9))
@settings(max_examples=20)
def test_a_fork_changes_nothing_of_the_one_it_comes_from(
    name: str, log: list[Event], seed: int
) -> None:
    encoder = FORMATS[name].make()
    for batch in cuts(log, seed):
        expected = encoder.fork().encode(batch)
        encoder.fork().fail(StoreUnavailable("elsewhere"))
        assert encoder.encode(batch) == expected


@pytest.mark.parametrize("name", [n for n in NAMES if FORMATS[n].media_type.endswith("stream")])
def test_what_keeps_a_stream_alive_is_seen_by_no_reader(name: str) -> None:
    decoder = SSEDecoder()
    assert decoder.feed(FORMATS[name].beat) == []
    assert decoder.last_event_id == ""


def test_only_protocols_with_ids_resume() -> None:
    assert [name for name in NAMES if FORMATS[name].resumes] == ["native", "simple"]
