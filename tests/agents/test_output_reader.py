"""What is the answer and what is said around it, whatever the cuts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.agents.output.reader import AnswerReader, JSONScan
from headrace.errors import StreamTruncated
from headrace.messages import Opaque
from headrace.models.assembler import Turn, assemble
from headrace.models.deltas import (
    Delta,
    Failure,
    Finish,
    Note,
    OpaqueDelta,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from tests.strategies import JSON

STOP = Finish("stop")
SIGNED = OpaqueDelta(Opaque("p", '{"signature": "s"}'))


def read(*deltas: Delta, opens: str = "{") -> Turn:
    reader = AnswerReader("final_answer", opens)
    return assemble(each for delta in deltas for each in reader.feed([delta]))


def said(text: str, opens: str = "{") -> tuple[str, str]:
    """The answer and what is around it."""
    turn = read(TextDelta(text), STOP, opens=opens)
    return turn.text, turn.reasoning


def call(name: str, arguments: str, index: int = 0) -> ToolCallDelta:
    return ToolCallDelta(index, f"c{index}", name, arguments)


@pytest.mark.parametrize(
    ("text", "answer", "around"),
    [
        ('{"a": 1}', '{"a": 1}', ""),
        ('\n  {"a": 1}\n\n', '{"a": 1}', ""),
        ('Sure!\n{"a": 1}\nBye.', '{"a": 1}', "Sure!\n\nBye."),
        ('```json\n{"a": 1}\n```', '{"a": 1}', ""),
        ('```\n{"a": 1}\n```\nDone.', '{"a": 1}', "\nDone."),
        ('```json {"a": 1}```', '{"a": 1}', ""),
        ('Here:\n\n  ```json\n  {"a": "}"}', '{"a": "}"}', "Here:\n"),
        ('{"a": "\\"}{"}{"b": 2}', '{"a": "\\"}{"}', '{"b": 2}'),
        ('It is: {"a": 1} here.', '{"a": 1}', "It is:  here."),
        ('It is: {\n  "a": 1}', '{\n  "a": 1}', "It is: "),
        ("Set {a} and {} to\n{ 1", "{ 1", "Set {a} and {} to\n"),
        ("Set {", "", "Set "),
        ('Set {\nto\n{"a": 1}', '{"a": 1}', "Set {\nto\n"),
        ("I cannot.", "", "I cannot."),
        ("`a` is b", "", "`a` is b"),
        ("```", "", ""),
        ("", "", ""),
        ('{"a": ', '{"a": ', ""),
        ("[1]", "", "[1]"),
    ],
)
def test_the_answer_is_apart_from_what_is_said_around_it(
    text: str, answer: str, around: str
) -> None:
    assert said(text) == (answer, around)


def test_a_list_begins_an_answer_where_it_may() -> None:
    assert said("So:\n[{}, 2]", "{[") == ("[{}, 2]", "So:\n")


def test_the_tools_arguments_are_the_answer() -> None:
    turn = read(
        TextDelta("Let me answer."),
        call("final_answer", '{"a"'),
        call("final_answer", ": 1}"),
        Finish("tool_calls"),
    )
    assert (turn.text, turn.reasoning, turn.finish_reason) == ('{"a": 1}', "Let me answer.", "stop")


def test_what_was_signed_for_the_call_goes_with_it() -> None:
    assert read(SIGNED, call("final_answer", "{}"), STOP).message.text == "{}"
    assert len(read(SIGNED, call("final_answer", "{}"), STOP).message.content) == 1


def test_what_was_signed_stays_before_anything_else() -> None:
    for following in (call("look", "{}"), TextDelta("{}"), TextDelta("Hm.")):
        parts = read(SIGNED, following, STOP).message.content
        assert (parts[0], len(parts)) == (SIGNED.item, 2)
    assert read(SIGNED, STOP).message.content == (SIGNED.item,)


def test_other_calls_are_left_as_they_are() -> None:
    turn = read(TextDelta("Hm."), call("look", '{"q"'), call("look", ": 1}"), STOP)
    assert [c.arguments for c in turn.tool_calls] == ['{"q": 1}']
    assert turn.finish_reason == "tool_calls"


def test_an_answer_beside_calls_that_came_first_is_none() -> None:
    turn = read(call("look", "{}"), call("final_answer", '{"a": 1}', 1), STOP)
    assert ([c.name for c in turn.tool_calls], turn.text) == (["look"], "")


def test_calls_after_the_answer_are_left_out() -> None:
    turn = read(
        call("final_answer", '{"a": 1}'),
        call("look", "{}", 1),
        call("final_answer", '{"a": 2}', 2),
        TextDelta('{"a": 3}'),
        STOP,
    )
    assert (turn.tool_calls, turn.text, turn.finish_reason) == ((), '{"a": 1}', "stop")


def test_an_answer_by_tool_after_one_in_text_is_left_out() -> None:
    turn = read(TextDelta('{"a": 1}'), call("final_answer", '{"a": 2}'), STOP)
    assert (turn.text, turn.tool_calls) == ('{"a": 1}', ())


def test_everything_else_passes() -> None:
    reader = AnswerReader("final_answer")
    passing: list[Delta] = [Note("retry", "again"), ReasoningDelta("hm")]
    assert reader.feed(passing) == passing


def test_an_answer_that_breaks_off_gives_what_was_held_back() -> None:
    reader = AnswerReader("final_answer")
    assert reader.feed([SIGNED, ReasoningDelta("hm")]) == [ReasoningDelta("hm")]
    assert reader.close() == [SIGNED]
    failure = Failure(StreamTruncated("cut"))
    assert AnswerReader("final_answer").feed([SIGNED, failure]) == [SIGNED, failure]


# Cuts ------------------------------------------------------------------------------------------

WORDS = st.text(st.sampled_from('{}[]"\\` \n\tjsa1:,é'), max_size=30)


def cut(deltas: Iterable[Delta], draw: st.DataObject) -> list[Delta]:
    pieces: list[Delta] = []
    for delta in deltas:
        match delta:
            case TextDelta(content=text):
                pieces += map(TextDelta, _pieces(text, draw))
            case ToolCallDelta():
                pieces += [
                    ToolCallDelta(delta.index, delta.id, delta.name, piece)
                    for piece in _pieces(delta.arguments, draw)
                ]
            case _:
                pieces.append(delta)
    return pieces


def _pieces(text: str, draw: st.DataObject) -> Sequence[str]:
    ends = sorted(draw.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    return [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]


DELTAS = st.lists(
    st.builds(TextDelta, WORDS)
    | st.builds(TextDelta, JSON.map(lambda value: json.dumps({"v": value})))
    | st.builds(call, st.sampled_from(["final_answer", "look"]), WORDS, st.integers(0, 2))
    | st.builds(ReasoningDelta, WORDS)
    | st.just(SIGNED),
    max_size=5,
)


def same_call(deltas: Sequence[Delta]) -> list[Delta]:
    """A call keeps its name."""
    names: dict[int, str] = {}
    return [
        call(names.setdefault(d.index, d.name), d.arguments, d.index)
        if isinstance(d, ToolCallDelta)
        else d
        for d in deltas
    ]


@given(DELTAS.map(same_call), st.sampled_from(["{", "{["]), st.data())
def test_the_cuts_change_nothing(deltas: list[Delta], opens: str, data: st.DataObject) -> None:
    whole = read(*deltas, STOP, opens=opens)
    assert read(*cut(deltas, data), STOP, opens=opens) == whole
    bytewise = [
        TextDelta(char) for d in deltas for char in (d.content if isinstance(d, TextDelta) else "")
    ]
    texts = [d for d in deltas if isinstance(d, TextDelta)]
    assert read(*bytewise, STOP, opens=opens) == read(*texts, STOP, opens=opens)


@given(JSON, st.sampled_from(["", "Sure!\n", "```json\n", "\n\n "]), st.data())
def test_any_object_is_found_whole(value: object, before: str, data: st.DataObject) -> None:
    text = json.dumps({"v": value}, ensure_ascii=data.draw(st.booleans()))
    turn = read(*cut([TextDelta(f"{before}{text}\n```\nBye.")], data), STOP)
    assert turn.text == text
    assert turn.reasoning.endswith("Bye.")


def test_a_long_run_of_white_space_costs_nothing_much() -> None:
    reader = AnswerReader("final_answer")
    for _ in range(200_000):
        assert reader.feed([TextDelta("\n")]) == []
    assert reader.feed([TextDelta("{}")]) == [TextDelta("{}")]


def test_a_text_of_many_lines_in_one_piece_costs_nothing_much() -> None:
    turn = read(TextDelta("a\n" * 500_000 + '{"a": 1}'), STOP)
    assert (turn.text, len(turn.reasoning)) == ('{"a": 1}', 1_000_000)


def test_the_scan_waits_behind_a_cut_escape() -> None:
    scan = JSONScan()
    assert [scan.end(piece) for piece in ('{"a\\', '"', '"', "}x")] == [-1, -1, -1, 1]
