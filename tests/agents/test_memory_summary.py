"""What is summarised, what stands in its place, and which summaries are found again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import Message
from headrace.agents.memory.summaries import (
    MAX_PIECE,
    MAX_SUMMARIES,
    MAX_TOLD,
    Summary,
    summary,
)
from headrace.errors import UsageError
from headrace.messages import File, Image, ToolCall, ToolResult
from tests.agents.conversations import (
    Part,
    begins_with_a_person,
    conversations,
    is_whole,
    systems,
)


def turns(count: int) -> Part:
    return tuple(
        message
        for number in range(1, count + 1)
        for message in (Message.user(f"q{number}"), Message.assistant(f"a{number}"))
    )


def make(memory: Summary, messages: Part, text: str) -> str:
    """Let the memory learn the summary that is due; what was asked."""
    missing = memory.missing(messages)
    assert missing is not None
    memory.learn(missing, text)
    return missing.request.messages[-1].text


def texts(messages: Part) -> list[str]:
    return [message.text for message in messages]


@given(conversations(), st.integers(1, 8), st.integers(1, 8), st.text(min_size=1))
def test_with_a_summary_it_is_a_conversation(whole: Part, keep: int, every: int, text: str) -> None:
    memory = summary(keep=keep, every=every)
    for learned in (False, True):
        if learned and (missing := memory.missing(whole)) is not None:
            memory.learn(missing, text)
        part = tuple(memory.recall(whole))
        assert is_whole(part)
        assert begins_with_a_person(part)
        assert systems(part) == systems(whole)
    assert memory.missing(whole) is None  # what is learned is found


@given(conversations(), st.integers(1, 8), st.integers(1, 8))
def test_nothing_is_summarised_while_it_fits(whole: Part, keep: int, every: int) -> None:
    memory = summary(keep=keep, every=every)
    if len(whole) - len(systems(whole)) <= keep + every:
        assert memory.missing(whole) is None
        assert memory.recall(whole) == whole


@given(conversations(), st.integers(1, 8))
def test_each_message_is_told_or_shown(whole: Part, keep: int) -> None:
    memory = summary(keep=keep, every=1)
    missing = memory.missing(whole)
    shown = memory.recall(whole)
    told = "" if missing is None else missing.request.messages[-1].text
    for message in whole:
        assert message in shown or message.text in told


def test_a_summary_is_made_of_what_is_old_and_stands_before_what_is_new() -> None:
    memory = summary(keep=2, every=2)
    assert memory.missing(turns(2)) is None
    asked = make(memory, turns(3), "They greeted.")
    assert asked == "user: q1\n\nassistant: a1\n\nuser: q2\n\nassistant: a2"
    first, answer = memory.recall(turns(3))
    assert first.text == "[What was said before, in short: They greeted.]\n\nq3"
    assert answer == Message.assistant("a3")


def test_it_holds_for_some_turns_and_the_next_one_goes_on_from_it() -> None:
    memory = summary(keep=2, every=2)
    make(memory, turns(3), "One.")
    assert memory.missing(turns(4)) is None
    assert texts(tuple(memory.recall(turns(4))))[1:] == ["a3", "q4", "a4"]
    asked = make(memory, turns(5), "Two.")
    assert asked == (
        "Your summary so far:\nOne.\n\n"
        "Said since then:\nuser: q3\n\nassistant: a3\n\nuser: q4\n\nassistant: a4"
    )
    assert "Two." in memory.recall(turns(5))[0].text


def test_another_conversation_has_another_summary() -> None:
    memory = summary(keep=2, every=1)
    make(memory, turns(3), "One.")
    other = (Message.user("something else"), *turns(3)[1:])
    assert "One." not in memory.recall(other)[0].text
    assert memory.missing(other) is not None


def test_where_none_could_be_made_what_is_old_is_left_out() -> None:
    memory = summary(keep=2, every=1)
    assert memory.recall(turns(3)) == turns(3)[4:]
    make(memory, turns(3), "One.")
    later = tuple(memory.recall(turns(6)))  # due again, and missing: the old one still stands
    assert texts(later) == ["[What was said before, in short: One.]\n\nq6", "a6"]


def test_in_the_middle_of_a_turn_its_question_stays() -> None:
    call, result = Message.assistant(ToolCall("1", "look")), Message.tool(ToolResult("1", "", "x"))
    whole = (*turns(2), Message.user("go"), call, result, call, result)
    memory = summary(keep=2, every=1)
    make(memory, whole, "Much.")
    shown = tuple(memory.recall(whole))
    assert shown[0].text == "[What was said before, in short: Much.]\n\ngo"
    assert shown[1:] == (call, result)


def test_what_a_person_never_asked_gets_the_summary_as_their_word() -> None:
    whole = tuple(Message.assistant(f"a{number}") for number in range(5))
    memory = summary(keep=1, every=1)
    make(memory, whole, "Talk.")
    assert [m.role for m in memory.recall(whole)] == ["user", "assistant"]


def test_everything_that_was_said_is_told() -> None:
    said = (
        Message.user("Look:", Image(url="https://example.com/a.png"), File("b.pdf", data=b"1")),
        Message.assistant("I see.", ToolCall("1", "look", '{"at": 1}'), ToolCall("2", "look")),
        Message.tool(ToolResult("1", "look", "a cat"), ToolResult("2", "look", "no", True)),
    )
    asked = make(summary(keep=1, every=1), (*said, Message.user("So?")), "A cat.")
    assert asked == (
        "user: Look:\n[an image]\n[a file b.pdf]\n\n"
        'assistant: I see.\n[calls look with {"at": 1}]\n[calls look with {}]\n\n'
        "tool: [look gave: a cat]\n[look failed: no]"
    )


def test_what_is_told_has_a_bound() -> None:
    long = tuple(Message.user(f"{number} {'x' * MAX_PIECE}") for number in range(60))
    asked = make(summary(keep=1, every=1), long, "Long.")
    assert MAX_TOLD - 2 * MAX_PIECE < len(asked) < MAX_TOLD + 1000
    assert asked.startswith("[…]\n\nuser: ")
    assert "user: 58 x" in asked
    assert asked.endswith("x […]")


def test_the_summaries_that_are_kept_have_a_bound() -> None:
    memory = summary(keep=1, every=1)
    many = [(Message.user(str(n)), *turns(2)) for n in range(MAX_SUMMARIES + 1)]
    make(memory, many[0], "0")
    for number, whole in enumerate(many[1:-1], 1):
        make(memory, whole, str(number))
    memory.recall(many[0])  # used: so it is not the oldest
    make(memory, many[-1], "last")
    assert memory.missing(many[0]) is None
    assert memory.missing(many[1]) is not None
    assert memory.missing(many[-1]) is None


@pytest.mark.parametrize("wrong", [{"keep": 0}, {"every": 0}, {"seconds": 0}])
def test_a_summary_of_nothing_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        summary(**wrong)  # type: ignore[arg-type]


def test_it_says_what_it_is() -> None:
    assert repr(summary("demo", keep=4)) == "summary('demo', keep=4, every=4, show=False)"
