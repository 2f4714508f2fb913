"""`simple`: tokens, tools and an end, for `EventSource`."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from headrace import events as e
from headrace.errors import StoreUnavailable
from headrace.events import Event
from headrace.protocols.simple import SimpleEncoder
from headrace.runs.fold import fold
from headrace.usage import Metrics, Usage
from headrace.wire.sse_decoder import SSEEvent
from tests.protocols.wire import cuts, data_of, encoded, ended, frames
from tests.strategies import Scribe, logs

PREFIX = "run_x:"


def shown(read: list[SSEEvent], unit: str = "characters") -> str:
    """The text that a page shows at the end."""
    text = ""
    for frame in read:
        if frame.event == "token":
            text += frame.data
        elif frame.event == "retract":
            count = data_of(frame)[unit]
            text = text[: len(text) - count]
    return text


def with_lf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_back(log: list[Event], seed: int = 0) -> list[SSEEvent]:
    return frames(encoded(SimpleEncoder(PREFIX), cuts(log, seed)))


@given(logs(), st.integers(0, 9))
def test_every_cut_folds_to_the_run(log: list[Event], seed: int) -> None:
    state, read = fold(log), read_back(log, seed)
    assert shown(read) == with_lf(state.text)
    end = read[-1]
    assert end.event == "done"
    assert data_of(end)["finish_reason"] == state.finish_reason
    assert data_of(end)["usage"]["output"] == state.usage.output
    assert end.id == f"{PREFIX}{log[-1].seq}"


@given(logs())
def test_tools_come_in_the_order_of_the_run(log: list[Event]) -> None:
    read = read_back(log)
    starts = [data_of(frame) for frame in read if frame.event == "tool_start"]
    ends = [data_of(frame) for frame in read if frame.event == "tool_complete"]
    asked = [event for event in log if isinstance(event, e.ToolStart)]
    done = [event for event in log if isinstance(event, e.ToolEnd)]
    assert [(s["call_id"], s["input"]) for s in starts] == [(a.call_id, a.input) for a in asked]
    assert [(s["output"], s["error"]) for s in ends] == [(d.output, d.error) for d in done]


@given(logs(), st.sampled_from([e.Error, e.Cancelled]))
def test_an_end_that_is_none_of_a_whole_answer_is_a_failure(
    log: list[Event], end: type[Event]
) -> None:
    read = read_back(ended(log, end))
    assert [frame.event for frame in read].count("done") == 0
    assert read[-1].event == "failure"
    assert data_of(read[-1])["code"] == ("gap" if end is e.Error else "cancelled")


def test_a_reader_knows_its_run_before_the_first_token() -> None:
    scribe = Scribe()
    scribe.put(e.RunStart, "run_x", "a", "m")
    assert SimpleEncoder(PREFIX).encode(scribe.events) == b"id: run_x:1\n\n"


def tokens(*pieces: str) -> list[Event]:
    scribe = Scribe()
    scribe.put(e.RunStart, "run_x", "a", "m")
    scribe.put(e.StepStart, 1, "m")
    for index, piece in enumerate(pieces):
        scribe.put(e.Token, piece, index)
    return scribe.events


def test_a_line_end_in_two_tokens_is_one() -> None:
    assert shown(read_back(tokens("a\r", "\nb", "\n", "c\r", "\r\n", " d"))) == "a\nb\nc\n\n d"


def test_a_retract_counts_what_javascript_counts() -> None:
    scribe = Scribe()
    scribe.put(e.RunStart, "run_x", "a", "m")
    scribe.put(e.StepStart, 1, "m")
    scribe.put(e.Token, "kept", 0)
    start = scribe.put(e.StepStart, 2, "m")
    scribe.put(e.Token, "lost 😀\r\n", 0)
    scribe.put(e.Retract, start.seq + 1, "gap")
    (frame,) = [f for f in read_back(scribe.events) if f.event == "retract"]
    assert data_of(frame) == {"characters": 7, "utf16_units": 8}
    assert shown(read_back(scribe.events)) == "kept"


def test_a_sub_agents_tool_says_whose_it_is_and_its_text_is_not_shown() -> None:
    scribe = Scribe()
    scribe.put(e.RunStart, "run_x", "a", "m")
    scribe.put(e.Token, "inner", 0, agent="helper")
    scribe.put(e.ToolStart, "c", "look", {}, agent="helper")
    scribe.put(e.ToolStart, "d", "look", {})
    read = read_back(scribe.events)
    assert shown(read) == ""
    told: list[Any] = [data_of(f).get("agent") for f in read if f.event == "tool_start"]
    assert told == ["helper", None]


def test_a_failure_has_no_id() -> None:
    (frame,) = frames(SimpleEncoder().fail(StoreUnavailable("gone")))
    assert (frame.event, frame.id) == ("failure", "")


def test_the_prefix_tells_encoders_apart() -> None:
    assert SimpleEncoder("a:").key != SimpleEncoder("b:").key
    done = e.Complete(9, 1.0, "", "stop", Usage(), Metrics())
    assert SimpleEncoder("b:").encode([done]).startswith(b"id: b:9\n")


@given(st.lists(st.text(), max_size=6))
def test_no_text_forges_a_frame(pieces: list[str]) -> None:
    pieces = [piece for piece in pieces if piece]
    log = tokens(*pieces)
    read = read_back(log)
    assert {frame.event for frame in read} <= {"token"}
    assert shown(read) == with_lf("".join(pieces)).encode("utf-8", "replace").decode()
