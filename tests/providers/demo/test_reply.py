"""What the demo decides to say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.messages import Image, Message, Part, Text, ToolCall, ToolResult
from headrace.models.assembler import Turn, assemble
from headrace.models.deltas import CONTENT, Finish, Note, ReasoningDelta, TextDelta, ToolCallDelta
from headrace.models.request import ModelRequest, ToolSpec
from headrace.providers.demo.answer import INTRODUCTION
from headrace.providers.demo.library import Library, Passage
from headrace.providers.demo.reply import pieces, reply
from headrace.providers.demo.tools import DEMO_TOOLS

LIBRARY = Library(
    [
        Passage(
            "docs/mill.md", "Mill > Wheel", "The wheel of a run turns while water comes.\n\nSo."
        ),
        Passage("docs/weir.md", "Weir", "A weir holds an event back until the stream is high."),
    ]
)
SPECS = tuple(tool.spec for tool in DEMO_TOOLS)


def ask(
    question: str, *after: Message, tools: tuple[ToolSpec, ...] = SPECS, **options: Any
) -> Turn:
    messages = [Message.user(question), *after]
    return assemble(reply(ModelRequest.of(messages, tools=tools, **options), LIBRARY))


def called(turn: Turn) -> list[tuple[str, dict[str, Any]]]:
    return [(call.name, json.loads(call.arguments)) for call in turn.tool_calls]


def test_a_question_of_several_parts_makes_parallel_calls() -> None:
    turn = ask("What is 123 * 456, what time is it in Tokyo, and what is a run?")
    assert called(turn) == [
        ("calculator", {"expression": "123 * 456"}),
        ("clock", {"timezone": "Asia/Tokyo"}),
        ("search_docs", {"query": "what is a run"}),
    ]
    assert len({call.id for call in turn.tool_calls}) == 3
    assert turn.finish_reason == "tool_calls"
    assert turn.reasoning
    assert turn.text == ""


def test_it_answers_from_the_results_and_names_the_page() -> None:
    question = "What is 2 * 3, and what is a run?"
    first = ask(question)
    found = json.dumps(
        [{"page": p.page, "section": p.section, "text": p.text} for p in LIBRARY.passages]
    )
    results = Message.tool(
        ToolResult(first.tool_calls[0].id, "calculator", "6"),
        ToolResult(first.tool_calls[1].id, "search_docs", found),
    )
    second = ask(question, first.message, results)
    assert second.finish_reason == "stop"
    assert second.reasoning
    assert "## Sums\n\n`2 * 3` = **6**" in second.text
    assert "In **docs/mill.md**, under *Mill > Wheel*:" in second.text
    assert "> The wheel of a run turns" in second.text
    assert "- **docs/weir.md**, under *Weir*" in second.text


def test_failed_tools_and_results_of_other_shapes_are_told() -> None:
    call = ToolCall("c1", "calculator", "not json")
    failed = ToolResult("c1", "calculator", "Cannot calculate.", is_error=True)
    odd = ToolResult("c2", "search_docs", "```\nplain\n```")
    none = ToolResult("c3", "search_docs", "[]")
    text = ask("hm", Message.assistant(call), Message.tool(failed, odd, none)).text
    assert "`calculator` could not help: Cannot calculate." in text
    assert "````\n```\nplain\n```\n````" in text
    assert "found nothing" in text


def test_it_says_once_that_it_is_no_llm() -> None:
    first = ask("hello")
    assert first.text.startswith(INTRODUCTION)
    assert "not an LLM" in INTRODUCTION
    again = ask("hello", first.message, Message.user("hello again"))
    assert INTRODUCTION not in again.text
    who = ask("hello", first.message, Message.user("Are you an LLM?"))
    assert "*not an LLM*" in who.text


def test_small_talk_gets_three_examples_that_work() -> None:
    text = ask("hello").text
    examples = [line[3:-1] for line in text.splitlines() if line.startswith("- `")]
    assert len(examples) == 3
    for example in examples:
        turn = ask(example)
        assert turn.tool_calls or len(pieces(turn.text)) > 1000


def test_without_tools_it_works_things_out_itself() -> None:
    turn = ask("What is 2 * 3 and 1/0, what time is it, and what is a run?", tools=())
    assert turn.tool_calls == ()
    assert turn.finish_reason == "stop"
    for part in ("`2 * 3` = **6**", "division by zero", "I have no clock", "**docs/mill.md**"):
        assert part in turn.text


def test_the_choice_of_tools_is_kept() -> None:
    question = "What is 2 * 3, and what time is it?"
    assert ask(question, tool_choice="none").tool_calls == ()
    assert [name for name, _ in called(ask(question, tool_choice="clock"))] == ["clock"]


def _spec(name: str, **properties: Any) -> ToolSpec:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return ToolSpec(name, "", schema)


@pytest.mark.parametrize(
    ("question", "tool", "arguments"),
    [
        (
            "What is the weather in New York?",
            _spec("get_weather", city={"type": "string"}),
            {"city": "New York"},
        ),
        (
            "Find AI news",
            _spec("search", query={"type": "string"}),
            {"query": "Find AI news"},
        ),
        (
            "add 3 and 4.5",
            _spec("add", a={"type": "integer"}, b={"type": "number"}),
            {"a": 3, "b": 4.5},
        ),
        (
            'Translate "good day" to Blue',
            _spec(
                "translate",
                text={"type": "string"},
                style={"enum": ["red", "blue"]},
                loud={"type": "boolean"},
                words={"type": "array", "items": {"type": "string"}},
            ),
            {"text": "good day", "style": "blue", "loud": True, "words": ["Blue"]},
        ),
        (
            "use the calculator for 3 and 4",
            _spec("calculator", a={"type": "integer"}, b={"type": "integer"}),
            {"a": 3, "b": 4},
        ),
    ],
)
def test_tools_of_the_users_are_called_when_they_are_named(
    question: str, tool: ToolSpec, arguments: dict[str, Any]
) -> None:
    assert called(ask(question, tools=(tool,))) == [(tool.name, arguments)]
    assert called(ask("hello there", tools=(tool,))) == []


@pytest.mark.parametrize("words", [150, 1300, 5000])
def test_a_long_text_is_as_long_as_asked(words: int) -> None:
    turn = ask(f"Please write {words} words")
    assert words <= len(turn.text.split()) <= words + 60
    assert "## 1. " in turn.text


@given(st.integers(1, 400))
def test_max_tokens_cuts_exactly(limit: int) -> None:
    whole = ask("Write 100 words")
    assert whole.usage is not None
    turn = ask("Write 100 words", max_tokens=limit)
    assert turn.usage is not None
    assert turn.usage.output == min(limit, whole.usage.output)
    assert turn.finish_reason == ("length" if limit < whole.usage.output else "stop")
    assert whole.text.startswith(turn.text)


def test_a_call_cut_by_max_tokens_does_not_end_as_a_call() -> None:
    whole = ask("What is 2 * 3?")
    assert whole.usage is not None
    turn = ask("What is 2 * 3?", max_tokens=whole.usage.output - 1)
    assert turn.finish_reason == "length"
    assert turn.tool_calls


def test_stop_ends_the_text_before_it() -> None:
    whole = ask("hello").text
    turn = ask("hello", stop=["zzz", "parallel", "tricks"])
    assert turn.text == whole[: whole.index("tricks")]
    assert turn.finish_reason == "stop"


def test_an_option_that_it_does_not_know_is_noted() -> None:
    deltas = reply(ModelRequest.of("hi", response_format="json_object"), LIBRARY)
    assert isinstance(deltas[0], Note)


@given(st.text(max_size=200))
def test_pieces_join_to_the_text(text: str) -> None:
    assert "".join(pieces(text)) == text


PARTS = st.one_of(
    st.builds(Text, st.text(max_size=40) | st.sampled_from(["what is 1+1 and a run?", "hi"])),
    st.builds(ToolCall, st.sampled_from("ab"), st.sampled_from(["calculator", "x"]), st.text()),
    st.builds(ToolResult, st.sampled_from("ab"), st.sampled_from(["search_docs", "x"]), st.text()),
    st.just(Image(url="https://example.com/a.png")),
)
ROLES = st.sampled_from(["system", "user", "assistant", "tool"])


def _message(role: Any, parts: list[Part]) -> Message:
    return Message(role, tuple(parts))


@given(st.lists(st.builds(_message, ROLES, st.lists(PARTS, max_size=3)), max_size=4))
def test_any_conversation_gets_a_whole_answer_and_always_the_same(messages: list[Message]) -> None:
    request = ModelRequest.of(messages, tools=SPECS)
    deltas = reply(request, LIBRARY)
    assert deltas == reply(request, LIBRARY)
    assert isinstance(deltas[-1], Finish)
    assert isinstance(deltas[0], ReasoningDelta)
    assert any(isinstance(delta, TextDelta | ToolCallDelta) for delta in deltas)
    usage = assemble(deltas).usage
    assert usage is not None
    assert usage.output == sum(isinstance(delta, CONTENT) for delta in deltas)
    assert usage.reasoning == sum(isinstance(delta, ReasoningDelta) for delta in deltas)


def test_a_call_that_must_be_made_is_made() -> None:
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "who": {"$ref": "#/$defs/Who"},
        },
        "required": ["city", "days", "who"],
        "$defs": {
            "Who": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
                "required": ["name"],
            }
        },
    }
    spec = ToolSpec("final_answer", "", schema)
    question = 'I want 3 days in "Rome" with "Ada".'
    filled = {"city": "Rome", "days": 3, "who": {"name": "Ada"}}
    assert called(ask(question, tools=(spec,), tool_choice="required")) == [
        ("final_answer", filled)
    ]
    assert ask(question, tools=(spec,)).tool_calls == ()


def test_what_a_question_needs_is_called_before_what_must_be() -> None:
    spec = _spec("final_answer", text={"type": "string"})
    question = "What is 2 * 3?"
    first = ask(question, tools=(*SPECS, spec), tool_choice="required")
    assert [name for name, _ in called(first)] == ["calculator"]
    result = Message.tool(ToolResult(first.tool_calls[0].id, "calculator", "6"))
    after = ask(question, first.message, result, tools=(*SPECS, spec), tool_choice="required")
    assert [name for name, _ in called(after)] == ["final_answer"]
