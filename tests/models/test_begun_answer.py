"""An answer that another model goes on with: what it is given, and what of it counts."""

from __future__ import annotations

import pytest

from headrace.messages import Message, Opaque, Reasoning, Text
from headrace.models.assembler import assemble
from headrace.models.begun_answer import Seam, can_go_on, with_answer
from headrace.models.deltas import (
    Delta,
    Finish,
    OpaqueDelta,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    UsageDelta,
)
from headrace.models.request import ModelRequest
from headrace.usage import Usage
from tests.support.fake_model import ASK, STOP

TEXTS = (
    "The wheel turns.",
    "a  b \n\n c\t",
    "ha ha ha ha",
    "  leading",
    "aaaaaaaa",
    "無理 🌊\u2028 x",
    "    ",
)
CALL = ToolCallDelta(0, "a", "look", "{}")
SIGNED = OpaqueDelta(Opaque("fake", "{}"))


@pytest.mark.parametrize(
    ("deltas", "can"),
    [
        ([TextDelta("so far")], True),
        ([ReasoningDelta("hm"), TextDelta("so far")], True),
        ([TextDelta("so"), UsageDelta(Usage(1, 1)), TextDelta(" far")], True),
        ([], False),
        ([ReasoningDelta("hm")], False),
        ([TextDelta("so far"), ReasoningDelta("hm")], False),
        ([TextDelta("so far"), CALL], False),
        ([CALL, TextDelta("so far")], False),
        ([ReasoningDelta("hm"), SIGNED, TextDelta("so far")], False),
    ],
)
def test_only_plain_text_can_be_gone_on_with(deltas: list[Delta], can: bool) -> None:
    assert can_go_on(assemble(deltas)) is can


def test_the_answer_so_far_is_the_last_message_without_space_at_its_end() -> None:
    asked = with_answer(ASK, "So far \n")
    assert asked.messages == (*ASK.messages, Message.assistant("So far"))
    assert with_answer(ASK, " \n") == ASK


def test_an_answer_that_the_caller_began_is_gone_on_with_too() -> None:
    begun = ModelRequest((*ASK.messages, Message.assistant("Well,")))
    (*_, last) = with_answer(begun, " so far").messages
    assert (last.role, last.text) == ("assistant", "Well, so far")
    assert len(with_answer(begun, " so far").messages) == 2


def cuts(text: str) -> list[list[str]]:
    """The text whole, a character at a time, and in two at every place."""
    whole = [text] if text else []
    return [whole, list(text), *([text[:n], text[n:]] for n in range(1, len(text)))]


def shown(seam: Seam, pieces: list[str]) -> str:
    deltas: list[Delta] = []
    for piece in pieces:
        deltas += seam.take([TextDelta(piece)])
    deltas += seam.take([UsageDelta(Usage(1, 1)), STOP])
    assert deltas[-1] == STOP
    assert TextDelta("") not in deltas
    return "".join(d.content for d in deltas if isinstance(d, TextDelta))


@pytest.mark.parametrize("text", TEXTS)
def test_there_is_no_seam_wherever_the_first_model_was_cut(text: str) -> None:
    for at in range(len(text) + 1):
        first = text[:at]
        rest = text[len(first.rstrip()) :]
        for pieces in cuts(rest):
            assert first + shown(Seam(first), pieces) == text


@pytest.mark.parametrize("text", TEXTS)
def test_a_model_that_repeats_what_it_was_given_is_not_shown_to_repeat_it(text: str) -> None:
    for at in range(len(text) + 1):
        first = text[:at]
        for pieces in cuts(text if first.strip() else text[len(first.rstrip()) :]):
            assert first + shown(Seam(first, echoes=True), pieces) == text


@pytest.mark.parametrize("rest", ["and on", "So", "So fine", "S", "So far and"])
def test_what_only_looks_like_a_repetition_is_kept(rest: str) -> None:
    for pieces in cuts(rest):
        kept = shown(Seam("So far ", echoes=True), pieces)
        assert kept == (" and" if rest == "So far and" else rest).lstrip(" ")


def test_a_model_that_forgets_the_space_is_joined_as_it_stands() -> None:
    assert shown(Seam("So far "), ["and on"]) == "and on"
    assert shown(Seam("So far\n\n"), ["\nNext"]) == "Next"
    assert shown(Seam("So far "), ["\nNext"]) == "\nNext"


def test_other_deltas_stand_where_they_stood() -> None:
    seam = Seam("So far ", echoes=True)
    deltas: list[Delta] = [
        ReasoningDelta("hm"),
        TextDelta("So"),
        TextDelta("fa"),
        CALL,
        Finish("stop"),
    ]
    assert seam.take(deltas) == [ReasoningDelta("hm"), TextDelta("Sofa"), CALL, Finish("stop")]


def test_the_parts_that_go_back_are_one_text() -> None:
    deltas: list[Delta] = [ReasoningDelta("hm"), TextDelta("So "), TextDelta("far")]
    assert assemble(deltas).message.content == (Reasoning("hm"), Text("So far"))
