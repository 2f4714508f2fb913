"""What a model without tool calling is asked: the form, and the conversation in it."""

from __future__ import annotations

import pytest

from headrace.errors import UsageError
from headrace.messages import Image, Message, Opaque, Reasoning, Text, ToolCall, ToolResult
from headrace.models.react.prompt import MAX_STOPS, REMINDER, STOP, in_form
from headrace.models.react.reader import UNREADABLE
from headrace.models.request import ModelRequest, ToolSpec

SCHEMA = {"type": "object", "properties": {"query": {"type": "string", "description": "Für was?"}}}
SEARCH = ToolSpec("search", "Search the handbook.", SCHEMA)
CLOCK = ToolSpec("clock", "", {"type": "object", "properties": {}})
CALL = ToolCall("c1", "search", '{"query": "pumps"}')


def asked(*messages: Message, **options: object) -> list[tuple[str, str]]:
    """Role and text of what the model is asked, the form left out."""
    request = in_form(ModelRequest.of(messages, tools=[SEARCH], **options))
    return [(message.role, message.text) for message in request.messages[1:]]


def form(*messages: Message, tools: tuple[ToolSpec, ...] = (SEARCH, CLOCK), **options: str) -> str:
    request = in_form(ModelRequest.of(messages or "Hi", tools=tools, **options))
    assert request.messages[0].role == "system"
    return request.messages[0].text


def test_the_form_and_the_tools_stand_in_the_system_message() -> None:
    said = form(Message.system("Be brief."), Message.user("Hi"))
    assert said.startswith("Be brief.\n\n")
    assert "- search: Search the handbook.\n  Arguments (JSON Schema): {" in said
    assert '"description": "Für was?"' in said
    assert "- clock\n" in said
    assert "one of search, clock" in said
    for mark in ("Thought:", "Action:", "Action Input:", "Observation:", "Final Answer:"):
        assert mark in said


def test_without_tools_there_is_no_action() -> None:
    for said in (form(tools=()), form(tool_choice="none")):
        assert "Final Answer:" in said
        assert "Action" not in said


def test_no_tools_go_out_and_no_choice_of_them() -> None:
    request = in_form(ModelRequest.of("Hi", tools=[SEARCH], tool_choice="search", temperature=0.5))
    assert (request.tools, request.options.tool_choice) == ((), None)
    assert request.options.temperature == 0.5


def test_a_forced_choice_is_asked_for_in_words() -> None:
    assert "uses the tool search" in form(tool_choice="search")
    assert "uses a tool" in form(tool_choice="required")
    assert "Do not answer yet" not in form(tool_choice="auto")


def test_the_models_turn_ends_at_an_observation() -> None:
    def stops(*own: str) -> tuple[str, ...]:
        return in_form(ModelRequest.of("Hi", tools=[SEARCH], stop=list(own))).options.stop

    assert stops() == (STOP,)
    assert stops("END") == ("END", STOP)
    assert stops(STOP) == (STOP,)
    own = [str(n) for n in range(MAX_STOPS)]
    assert stops(*own) == tuple(own)
    assert in_form(ModelRequest.of("Hi", tools=[SEARCH]), stop=False).options.stop == ()
    assert in_form(ModelRequest.of("Hi")).options.stop == ()


def test_calls_and_results_are_text() -> None:
    said = Message.assistant(Reasoning("I must look."), Opaque("other", "{}"), CALL)
    result = Message.tool(ToolResult("c1", "search", "Page 3."))
    answer = Message.assistant(Reasoning("I know."), "On page 3.")
    assert asked(Message.user("Where?"), said, result, answer, Message.user("Thanks")) == [
        ("user", "Where?"),
        ("assistant", 'Thought: I must look.\nAction: search\nAction Input: {"query": "pumps"}'),
        ("user", "Observation: Page 3."),
        ("assistant", "Thought: I know.\nFinal Answer: On page 3."),
        ("user", "Thanks"),
    ]


def test_a_conversation_of_an_agent_with_tools_is_text_too() -> None:
    said = Message.assistant("Let me look.", CALL, ToolCall("c2", "clock", "{}"))
    results = Message.tool(ToolResult("c1", "search", "none"), ToolResult("c2", "clock", "noon"))
    assert asked(Message.user("?"), said, results, Message.user("Go on")) == [
        ("user", "?"),
        (
            "assistant",
            'Thought: Let me look.\nAction: search\nAction Input: {"query": "pumps"}\n'
            "Action: clock\nAction Input: {}",
        ),
        ("user", "Observation: none\nObservation: noon\n\nGo on"),
    ]


def test_what_could_not_be_read_is_told_without_a_call() -> None:
    unreadable = ToolCall("c1", UNREADABLE, "{}")
    told = Message.tool(ToolResult("c1", UNREADABLE, REMINDER, is_error=True))
    thought = Message.assistant(Reasoning("Hm."), unreadable)
    assert asked(Message.user("?"), thought, told)[1:] == [
        ("assistant", "Thought: Hm."),
        ("user", f"Observation: {REMINDER}"),
    ]
    assert asked(Message.user("?"), Message.assistant(unreadable), told) == [
        ("user", f"?\n\nObservation: {REMINDER}")
    ]


def test_what_is_no_text_stays() -> None:
    image = Image(url="https://example.com/a.png")
    result = Message.tool(ToolResult("c1", "search", "x"))
    messages = [Message.user("?", image), Message.assistant(CALL), result, Message.user(image)]
    request = in_form(ModelRequest.of(messages, tools=[SEARCH]))
    assert request.messages[1].content == (Text("?"), image)
    assert request.messages[-1].content == (Text("Observation: x"), image)


def test_a_format_of_its_own_is_refused() -> None:
    with pytest.raises(UsageError, match="response_format"):
        in_form(ModelRequest.of("Hi", response_format="json_object"))
