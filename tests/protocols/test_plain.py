"""`plain`: the text alone, and never one that looks whole where it is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import events as e
from headrace.errors import StoreUnavailable
from headrace.events import Event
from headrace.protocols.encoder import Encoder
from headrace.protocols.plain import INTERRUPTED, PlainEncoder
from headrace.runs.fold import fold
from tests.protocols.wire import cuts, ended
from tests.strategies import Scribe, logs


def fed(log: list[Event], seed: int = 0) -> tuple[bytes, Encoder]:
    encoder: Encoder = PlainEncoder()
    data = b""
    for batch in cuts(log, seed):
        encoder = encoder.fork()
        data += encoder.encode(batch)
    return data, encoder


def has_withdrawn(log: list[Event]) -> bool:
    """Whether text of the answer that was shown does not count."""
    spoken = "".join(ev.content for ev in log if isinstance(ev, e.Token) and not ev.agent)
    return fold(log).text != spoken


@given(logs(), st.integers(0, 9))
def test_it_is_the_text_or_it_is_cut(log: list[Event], seed: int) -> None:
    data, encoder = fed(log, seed)
    if has_withdrawn(log):
        assert encoder.cut
        assert data.endswith(INTERRUPTED.encode())
    else:
        assert not encoder.cut
        assert data.decode() == fold(log).text


@pytest.mark.parametrize("end", [e.Error, e.Cancelled])
def test_an_answer_that_is_not_whole_is_cut(end: type[Event]) -> None:
    scribe = Scribe()
    scribe.put(e.RunStart, "run_x", "a", "m")
    scribe.put(e.StepStart, 1, "m")
    scribe.put(e.Token, "Half", 0)
    data, encoder = fed(ended(scribe.events, end))
    assert data == b"Half\n[Error: Stream interrupted]\n"
    assert encoder.cut


def test_a_stream_that_fails_is_cut_and_says_no_more() -> None:
    encoder = PlainEncoder()
    assert encoder.fail(StoreUnavailable("gone")) == INTERRUPTED.encode()
    assert encoder.cut
    assert encoder.encode([e.Token(9, 1.0, "", "late", 0)]) == b""
