"""The Responses decoder: how a turn ends, usage, and reading on after a cut."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.errors import (
    StreamTruncated,
)
from headrace.models.assembler import assemble
from headrace.models.deltas import Failure, Finish
from headrace.usage import Usage
from tests.providers.openai_responses.responses_bodies import (
    DONE,
    END,
    added,
    arguments,
    call,
    called,
    completed,
    created,
    done,
    event,
    failed,
    incomplete,
    message,
    text,
    usage,
)
from tests.providers.openai_responses.responses_decoding import (
    calls_of,
    decoder,
    said,
    turn_of,
)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (completed(), "stop"),
        (event("completed"), "stop"),
        (event("completed", response={}), "stop"),
        (event("done", response={"status": "completed"}), "stop"),
        (incomplete("max_output_tokens"), "length"),
        (incomplete("content_filter"), "content_filter"),
        (incomplete("max_messages"), "stop"),
        (incomplete(None), "stop"),
        (incomplete({"odd": 1}), "stop"),
        (event("incomplete", response={"incomplete_details": "odd"}), "stop"),
        (completed(status="incomplete", incomplete_details={"reason": "content_filter"}), None),
        (completed(incomplete_details={"reason": "max_output_tokens"}), "length"),
        (DONE, "stop"),
    ],
)
def test_finish_reasons(end: bytes, reason: str | None) -> None:
    assert said(text("a"), end) == ("a", reason or "content_filter")


@pytest.mark.parametrize("end", [completed(), incomplete(None), incomplete("odd"), DONE])
def test_a_normal_end_with_a_call_is_tool_calls(end: bytes) -> None:
    assert calls_of(called("a", "f", "{}"), end) == [("a", "f", "{}")]


@pytest.mark.parametrize(
    ("end", "reason"),
    [(incomplete(), "length"), (incomplete("content_filter"), "content_filter")],
)
def test_a_cut_turn_with_a_call_keeps_its_reason(end: bytes, reason: str) -> None:
    assert turn_of(added(call("a", "f")), arguments("{"), end).finish_reason == reason


@pytest.mark.parametrize(
    "end",
    [DONE, incomplete(None), incomplete("odd", call("a", "f", "{", status="incomplete"))],
)
def test_a_call_that_was_cut_never_looks_whole(end: bytes) -> None:
    assert turn_of(added(call("a", "f")), arguments("{"), end).finish_reason == "length"


def test_done_as_a_text_of_the_model_is_text() -> None:
    assert said(text("[DONE]"), text("."), END, DONE) == ("[DONE].", "stop")


def test_nothing_comes_after_the_end() -> None:
    made = decoder()
    assert made.feed(text("a") + END + text("b") + DONE)[-1] == Finish("stop", "completed")
    assert made.feed(text("c") + event("error", message="late")) == []
    assert made.close() == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        created(),
        text("a"),
        text("a") + done(message("a")),
        text("a") + b'data: {"type":"response.output_text.delta","delta":"b',
        text("a") + text("b")[:-1],
        b'event: response.created\ndata: {"cho',
        b"ev",
        b": only comments\n\n",
        called("a", "f", "{}"),
    ],
)
def test_a_transport_that_ends_early_is_an_error_and_keeps_the_text(body: bytes) -> None:
    turn = turn_of(body)
    assert turn.finish_reason == "error"
    assert isinstance(turn.error, StreamTruncated)
    assert turn.text == ("a" if body.startswith(text("a")) else "")


# --- usage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [completed, incomplete])
def test_usage_comes_with_the_end(end: Any) -> None:
    assert turn_of(text("a"), end(usage=usage(9, 8, 4, 5))).usage == Usage(9, 8, 4, 5)


def test_usage_of_a_failure_is_told() -> None:
    assert turn_of(failed({"message": "no"}, usage=usage(9, 1))).usage == Usage(9, 1)


def test_no_usage_is_none() -> None:
    assert turn_of(created(), completed(usage=None)).usage is None
    assert turn_of(event("created", response={"usage": {}}), END).usage is None


def test_repeated_usage_is_cumulative_never_summed() -> None:
    progress = event("in_progress", response={"usage": usage(9, 1)})
    assert turn_of(progress, progress, completed(usage=usage(9, 3))).usage == Usage(9, 3)


@pytest.mark.parametrize("bad", [-1, "7", True, 1.5, 1e300, [3], {"x": 1}, None])
def test_counts_that_are_none_are_ignored(bad: object) -> None:
    assert turn_of(completed(usage=usage(bad, 3))).usage == Usage(0, 3)


# --- reading on -----------------------------------------------------------------------------------


def numbered(*bodies: bytes) -> list[bytes]:
    """The events with sequence numbers from 0."""
    return [
        body.replace(b'{"type"', b'{"sequence_number": %d, "type"' % number)
        for number, body in enumerate(bodies)
    ]


@pytest.mark.parametrize("again", [0, 2, 3])
@pytest.mark.parametrize("cut", [0, 10, -1])
def test_another_connection_goes_on_without_a_seam(again: int, cut: int) -> None:
    events = numbered(
        created(), text("a"), text("b"), text("c"), called("a", "f", "{}", 1), completed(message())
    )
    made = decoder()
    deltas = made.feed(b"".join(events[:3]) + events[3][:cut])
    lost = made.close()
    assert [type(delta) for delta in lost] == [Failure]
    assert (made.response_id, made.sequence, made.over) == ("resp_1", 2, False)
    made.resume()
    deltas += made.feed(b"".join(events[again:])) + made.close()
    turn = assemble(deltas)
    assert (turn.text, turn.finish_reason) == ("abc", "tool_calls")
    assert [made.id for made in turn.tool_calls] == ["a"]
    assert made.over


def test_numbers_that_repeat_on_one_connection_lose_nothing() -> None:
    assert said(text("a", sequence_number=0), text("b", sequence_number=0), END) == ("ab", "stop")
