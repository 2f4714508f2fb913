"""Deltas to a turn: the same however they were batched and cut, in order, in linear memory."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import StreamTruncated
from headrace.events import FinishReason
from headrace.messages import Message, Opaque, Part, Reasoning, Text, ToolCall
from headrace.models.assembler import Assembler, Turn, assemble
from headrace.models.deltas import (
    Delta,
    Failure,
    Finish,
    Note,
    OpaqueDelta,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    UsageDelta,
)
from headrace.usage import Usage
from tests.strategies import PIECES

CUT = StreamTruncated("cut")
SIGNATURE = Opaque("anthropic", '{"signature":"a+/="}')


def call(index: int, arguments: str = "") -> ToolCallDelta:
    return ToolCallDelta(index, f"id_{index}", f"tool_{index}", arguments)


DELTAS: st.SearchStrategy[Delta] = st.one_of(
    st.builds(TextDelta, PIECES),
    st.builds(ReasoningDelta, PIECES),
    st.builds(call, st.integers(0, 3), PIECES),
    st.builds(OpaqueDelta, st.builds(Opaque, st.just("fake"), PIECES)),
    st.builds(UsageDelta, st.builds(Usage, st.integers(0, 9))),
    st.just(Note("a", "b")),
)
TURNS = st.tuples(
    st.lists(DELTAS, max_size=12),
    st.sampled_from([Finish("stop"), Finish("length"), Failure(CUT)]),
).map(lambda turn: [*turn[0], turn[1]])


def naive(deltas: list[Delta]) -> tuple[str, str, dict[int, str]]:
    """Text, reasoning and each call's arguments, joined in the plainest way."""
    calls: dict[int, str] = {}
    for delta in deltas:
        if isinstance(delta, ToolCallDelta):
            calls[delta.index] = calls.get(delta.index, "") + delta.arguments
    text = "".join(d.content for d in deltas if isinstance(d, TextDelta))
    reasoning = "".join(d.content for d in deltas if isinstance(d, ReasoningDelta))
    return text, reasoning, calls


def letters(delta: Delta) -> list[Delta]:
    """The same delta, a character at a time."""
    match delta:
        case TextDelta():
            return [TextDelta(c) for c in delta.content]
        case ReasoningDelta():
            return [ReasoningDelta(c) for c in delta.content]
        case ToolCallDelta():
            return [ToolCallDelta(delta.index, delta.id, delta.name, c) for c in delta.arguments]
    return [delta]


@given(TURNS)
def test_everything_is_joined_and_nothing_is_lost(deltas: list[Delta]) -> None:
    turn = assemble(deltas)
    text, reasoning, calls = naive(deltas)
    assert (turn.text, turn.reasoning) == (text, reasoning)
    assert {c.id: c.arguments for c in turn.tool_calls} == {
        f"id_{index}": arguments for index, arguments in calls.items()
    }
    assert turn.message.text == text
    assert turn.message.tool_calls == turn.tool_calls


@settings(max_examples=60)
@given(TURNS, st.lists(st.integers(0, 13), max_size=6))
def test_the_batches_do_not_matter(deltas: list[Delta], cuts: list[int]) -> None:
    assembler, start = Assembler(), 0
    for end in [*sorted(cuts), len(deltas)]:
        assembler.add(deltas[start:end])
        start = max(start, end)
    assert assembler.turn() == assemble(deltas)


@settings(max_examples=60)
@given(TURNS)
def test_the_cuts_within_the_text_do_not_matter(deltas: list[Delta]) -> None:
    assert assemble([piece for d in deltas for piece in letters(d)]) == assemble(deltas)


def test_parts_stand_in_the_order_of_their_first_piece() -> None:
    deltas: list[Delta] = [
        ReasoningDelta("th"),
        ReasoningDelta("ink"),
        OpaqueDelta(SIGNATURE),
        TextDelta("He"),
        UsageDelta(Usage(1)),
        TextDelta("llo"),
        call(1, "{"),
        call(0, "[1"),
        call(1, "}"),
        TextDelta("!"),
        call(0, "]"),
        Finish("stop"),
    ]
    parts: tuple[Part, ...] = (
        Reasoning("think"),
        SIGNATURE,
        Text("Hello"),
        ToolCall("id_1", "tool_1", "{}"),
        ToolCall("id_0", "tool_0", "[1]"),
        Text("!"),
    )
    turn = assemble(deltas)
    assert turn.message == Message("assistant", parts)
    assert [c.id for c in turn.tool_calls] == ["id_1", "id_0"]
    assert turn.text == "Hello!"


@pytest.mark.parametrize("arguments", ["{", "nonsense", " ", '{"a":1}{'])
def test_arguments_stay_as_they_were_written(arguments: str) -> None:
    assert assemble([call(0, arguments), Finish("stop")]).tool_calls[0].arguments == arguments


def test_no_arguments_are_an_empty_object() -> None:
    assert assemble([call(0), call(0), Finish("stop")]).tool_calls[0].arguments == "{}"


@pytest.mark.parametrize(
    ("deltas", "reason"),
    [
        ([Finish("stop")], "stop"),
        ([Finish("length")], "length"),
        ([Finish("content_filter")], "content_filter"),
        ([Finish("error")], "error"),
        ([call(0), Finish("stop")], "tool_calls"),
        ([call(0), Finish("tool_calls")], "tool_calls"),
        ([call(0), Finish("length")], "length"),
        ([call(0), Finish("content_filter")], "content_filter"),
        ([call(0), Failure(CUT)], "error"),
        ([TextDelta("no end")], "error"),
        ([], "error"),
    ],
)
def test_the_finish_reason(deltas: list[Delta], reason: FinishReason) -> None:
    assert assemble(deltas).finish_reason == reason


def test_a_failure_keeps_what_came() -> None:
    turn = assemble([TextDelta("so f"), UsageDelta(Usage(4)), Failure(CUT)])
    assert (turn.text, turn.usage, turn.error) == ("so f", Usage(4), CUT)


def test_the_last_usage_counts() -> None:
    assembler = Assembler()
    assert assembler.turn().usage is None
    assembler.add([UsageDelta(Usage(9, 1)), UsageDelta(Usage(9, 5))])
    assert assembler.usage == Usage(9, 5)
    assert assembler.turn().usage == Usage(9, 5)


def test_a_call_is_complete_when_the_next_one_begins_or_the_turn_ends() -> None:
    assembler = Assembler()
    assert assembler.completed_calls() == ()
    assembler.add([call(0, '{"a"'), call(0, ":1}")])
    assert assembler.completed_calls() == ()
    assembler.add([call(1)])
    assert assembler.completed_calls() == (ToolCall("id_0", "tool_0", '{"a":1}'),)
    assembler.add([Finish("stop")])
    assert assembler.completed_calls() == assembler.turn().tool_calls


def test_a_failed_turn_is_the_turn_so_far() -> None:
    assembler = Assembler()
    assembler.add([TextDelta("a"), call(0)])
    turn: Turn = assembler.failed(CUT)
    assert (turn.text, turn.finish_reason, turn.error) == ("a", "error", CUT)


def test_the_memory_is_that_of_the_text() -> None:
    pieces = 100_000
    assembler = Assembler()
    delta = TextDelta("word ")
    tracemalloc.start()
    for _ in range(pieces):
        assembler.add((delta,))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(assembler.turn().text) == 5 * pieces
    assert held < 2 * 5 * pieces
