"""What a request looks like on Ollama's wire."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.errors import UsageError
from headrace.messages import File, Image, Message, Opaque, Reasoning, ToolCall, ToolResult
from headrace.models.request import ModelRequest, ToolSpec
from headrace.providers.ollama.encode import encode_chat, encode_generate

ADD = ToolSpec("add", "Adds.", {"type": "object", "properties": {"x": {"type": "integer"}}})
SCHEMA = {"type": "object", "properties": {"age": {"type": "integer"}}}


def body(*messages: Message, **options: Any) -> dict[str, Any]:
    return encode_chat(ModelRequest.of(messages or "Hi", **options), "m")


def generate(*messages: Message, **options: Any) -> dict[str, Any]:
    return encode_generate(ModelRequest.of(messages or "Hi", **options), "m")


def test_a_plain_question() -> None:
    assert body() == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
    }


def test_all_options_and_tools() -> None:
    made = body(
        temperature=0.0,
        max_tokens=9,
        top_p=0.9,
        stop=["a", "b"],
        seed=0,
        tools=[ADD],
        tool_choice="auto",
        response_format="json_object",
        reasoning_effort="high",
        extra={"keep_alive": "1h", "options": {"num_ctx": 8192, "top_p": 1}},
    )
    function = {"name": "add", "description": "Adds.", "parameters": ADD.parameters}
    options = {"temperature": 0.0, "num_predict": 9, "top_p": 1, "stop": ["a", "b"], "seed": 0}
    assert made == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "tools": [{"type": "function", "function": function}],
        "options": {**options, "num_ctx": 8192},
        "format": "json",
        "think": "high",
        "keep_alive": "1h",
    }


def test_extra_wins_over_everything() -> None:
    made = body(extra={"model": "x", "options": None, "think": True}, seed=1)
    assert (made["model"], made["options"], made["think"]) == ("x", None, True)


@pytest.mark.parametrize(
    ("effort", "think"),
    [("none", False), ("off", False), ("on", True), ("minimal", "low"), ("medium", "medium")],
)
def test_reasoning_effort_is_think(effort: str, think: object) -> None:
    assert body(reasoning_effort=effort)["think"] == think


@pytest.mark.parametrize(
    "given",
    [
        SCHEMA,
        {"name": "n", "schema": SCHEMA, "strict": True},
        {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
    ],
)
def test_a_schema_is_the_format(given: dict[str, Any]) -> None:
    assert body(response_format=given)["format"] == SCHEMA


@pytest.mark.parametrize("given", ["text", {"type": "text"}, None])
def test_text_is_no_format(given: Any) -> None:
    assert "format" not in body(response_format=given)


def test_json_may_be_asked_for_as_openai_does() -> None:
    assert body(response_format={"type": "json_object"})["format"] == "json"


def test_a_tool_choice_of_none_leaves_the_tools_out() -> None:
    assert "tools" not in body(tools=[ADD], tool_choice="none")


@pytest.mark.parametrize("choice", ["required", "add"])
def test_a_tool_choice_that_forces_a_call_is_refused(choice: str) -> None:
    with pytest.raises(UsageError, match="ollama takes no forced tool_choice"):
        body(tools=[ADD], tool_choice=choice)


def test_a_conversation_with_tools() -> None:
    one, two = ToolCall("a", "add", '{"x":1}'), ToolCall("b", "add", "not json")
    assert body(
        Message.system("Be brief."),
        Message.user("Add."),
        Message.assistant(Reasoning("hm"), "Sure.", one, two, Opaque("other", "{}")),
        Message.tool(ToolResult("a", "add", "1"), ToolResult("b", "add", "no", is_error=True)),
        Message.assistant("Done."),
        Message.user("Thanks", "!"),
    )["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Add."},
        {
            "role": "assistant",
            "content": "Sure.",
            "thinking": "hm",
            "tool_calls": [
                {"function": {"name": "add", "arguments": {"x": 1}}},
                {"function": {"name": "add", "arguments": {"arguments": "not json"}}},
            ],
        },
        {"role": "tool", "tool_name": "add", "content": "1"},
        {"role": "tool", "tool_name": "add", "content": "no"},
        {"role": "assistant", "content": "Done."},
        {"role": "user", "content": "Thanks!"},
    ]


def test_images_go_in_base64() -> None:
    message = Message.user("See", Image(data=b"\x89P"), Image(url="data:image/png;base64,iVA="))
    assert body(message)["messages"] == [
        {"role": "user", "content": "See", "images": ["iVA=", "iVA="]}
    ]


@pytest.mark.parametrize(
    "part",
    [
        Image(url="https://x.example/a.png"),
        Image(url="data:image/svg+xml,<svg/>"),
        File(name="a.pdf", data=b"%P", media_type="application/pdf"),
        File(data=b"RI", media_type="audio/wav"),
        ToolCall("a", "f"),
    ],
)
def test_what_it_cannot_take_is_refused(part: Any) -> None:
    with pytest.raises(UsageError):
        body(Message.user("See", part))


def test_generate_takes_one_prompt() -> None:
    message = Message.user("See", Image(data=b"\x89P"))
    made = generate(Message.system("Be brief."), message, seed=3, extra={"raw": True})
    assert made == {
        "model": "m",
        "prompt": "See",
        "system": "Be brief.",
        "images": ["iVA="],
        "stream": True,
        "options": {"seed": 3},
        "raw": True,
    }


def test_generate_takes_no_conversation_and_no_tools() -> None:
    with pytest.raises(UsageError, match="one prompt"):
        generate(Message.user("a"), Message.assistant("b"), Message.user("c"))
    with pytest.raises(UsageError, match="takes no tools"):
        generate(tools=[ADD])
