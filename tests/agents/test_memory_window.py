"""What a model is shown of a conversation: always one that it may be shown."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import Message
from headrace.agents.memory import last_messages, token_budget
from headrace.agents.memory.window import ATTACHED, blocks_of, newest, tokens_of, tokens_of_tools
from headrace.errors import UsageError
from headrace.messages import Image, ToolCall, ToolResult
from headrace.models.request import ToolSpec
from tests.agents.conversations import (
    Part,
    anything,
    begins_with_a_person,
    conversations,
    is_whole,
    paired,
    places_in,
    systems,
)

USER = Message.user("q")
ANSWER = Message.assistant("a")


def fresh(messages: Part) -> Part:
    """The same messages, no two of them one object."""
    return tuple(msgspec.structs.replace(message) for message in messages)


def call(id: str) -> Message:
    return Message.assistant(ToolCall(id, "look"))


def result(*ids: str) -> Message:
    return Message.tool(*(ToolResult(id, "look", "seen") for id in ids))


def roles(messages: Part) -> str:
    return "".join(message.role[0] for message in messages)


@given(conversations().map(fresh), st.integers(1, 30))
def test_a_window_is_a_conversation(whole: Part, count: int) -> None:
    part = tuple(last_messages(count).recall(whole))
    assert is_whole(whole)
    assert is_whole(part)
    assert begins_with_a_person(part)
    assert systems(part) == systems(whole)
    assert (places := places_in(part, whole)) == sorted(set(places))
    assert part[-1] is next(m for m in reversed(whole) if m.role != "system" or m is part[-1])


@given(conversations().map(fresh), st.integers(1, 200))
def test_a_budget_is_a_conversation(whole: Part, tokens: int) -> None:
    part = tuple(token_budget(tokens).recall(whole))
    assert is_whole(part)
    assert begins_with_a_person(part)
    assert systems(part) == systems(whole)


@given(conversations(), st.integers(1, 30))
def test_no_more_than_asked_for_but_the_last_word_and_the_step_after_it(
    whole: Part, count: int
) -> None:
    part = last_messages(count).recall(whole)
    least = last_messages(1).recall(whole)
    said = len(part) - len(systems(part))
    assert said <= max(count, len(least) - len(systems(least)))


@given(conversations(), st.integers(1, 30))
def test_more_room_never_shows_less(whole: Part, count: int) -> None:
    less, more = (last_messages(n).recall(whole) for n in (count, count + 1))
    assert len(less) <= len(more)
    assert set(map(id, less)) <= set(map(id, more))


@given(conversations())
def test_what_fits_is_not_touched(whole: Part) -> None:
    assert last_messages(len(whole)).recall(whole) == whole
    assert token_budget(sum(map(tokens_of, whole))).recall(whole) == whole


@given(anything.map(fresh), st.integers(1, 10))
def test_of_whatever_a_program_gives_no_result_loses_its_call(whole: Part, count: int) -> None:
    part = tuple(newest(whole, count, lambda _: 1))
    kept = set(places_in(part, whole))
    for at, asked in paired(whole):
        if asked is not None:
            assert (at in kept) == (asked in kept)


@given(anything)
def test_blocks_hold_every_message_once(whole: Part) -> None:
    places = [place for block in blocks_of(whole) for place in block.places]
    assert places == [at for at, message in enumerate(whole) if message.role != "system"]


def test_the_newest_turns_are_shown() -> None:
    whole = (USER, ANSWER) * 5
    assert roles(tuple(last_messages(4).recall(whole))) == "uaua"
    assert roles(tuple(last_messages(5).recall(whole))) == "uaua"
    assert roles(tuple(last_messages(1).recall((*whole, USER)))) == "u"


def test_of_a_long_turn_the_question_and_the_newest_steps_are_shown() -> None:
    whole = (USER, call("1"), result("1"), call("2"), result("2"), call("3"), result("3"))
    shown = last_messages(5).recall(whole)
    assert shown == (USER, *whole[3:])
    assert last_messages(1).recall(whole) == (USER, *whole[5:])  # the step that is under way


def test_of_a_long_turn_before_question_and_answer_are_shown() -> None:
    whole = (USER, call("1"), result("1"), call("2"), result("2"), ANSWER, USER)
    assert last_messages(4).recall(whole) == (USER, ANSWER, USER)


def test_parallel_calls_and_late_results_stay_together() -> None:
    asked = Message.assistant(ToolCall("1", "look"), ToolCall("2", "look"))
    whole = (USER, asked, result("1"), USER, result("2"), ANSWER, USER)
    assert last_messages(6).recall(whole) == (USER, ANSWER, USER)  # what is left out has four
    assert last_messages(7).recall(whole) == whole


def test_what_a_model_said_first_goes_whole() -> None:
    whole = (ANSWER, USER, ANSWER, USER)
    assert last_messages(3).recall(whole) == whole[1:]
    assert last_messages(4).recall(whole) == whole


def test_nothing_is_nothing() -> None:
    assert last_messages(3).recall(()) == ()
    assert token_budget(3).recall((Message.system("Be brief."),)) == (Message.system("Be brief."),)


def test_a_budget_counts_instructions_and_what_the_provider_counted() -> None:
    whole = (Message.system("x" * 40), *[Message.user("y" * 36), Message.assistant("z" * 36)] * 3)
    assert [tokens_of(message) for message in whole] == [14, *[13] * 6]
    assert len(token_budget(14 + 26 + 25).recall(whole)) == 3
    assert len(token_budget(14 + 26 + 26).recall(whole)) == 5
    assert len(token_budget(14 + 26 + 26).recall(whole, 2.0)) == 3  # each has twice as many


def test_tokens_are_counted_by_bytes() -> None:
    assert tokens_of(Message.user("abcd")) == 5
    assert tokens_of(Message.user("日本語日")) == 7
    assert (
        tokens_of(Message.user("", Image(url="https://example.com/" + "x" * 400))) == 4 + ATTACHED
    )
    assert tokens_of(Message.assistant(ToolCall("1234", "look", "{}" * 20))) == 16
    assert tokens_of(Message.tool(ToolResult("1234", "look", "x" * 40))) == 16
    assert tokens_of(Message.user("\udcff")) == 5
    assert tokens_of_tools([ToolSpec("look", "x" * 400, {})]) > 100


@pytest.mark.parametrize("make", [last_messages, token_budget])
def test_a_memory_of_nothing_is_refused(make: type) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        make(0)
