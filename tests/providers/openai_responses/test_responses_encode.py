"""What a request looks like on the Responses wire."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headrace.errors import UsageError
from headrace.messages import (
    File,
    Image,
    Message,
    Opaque,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from headrace.models.assembler import assemble
from headrace.models.request import ModelRequest, ToolSpec
from headrace.providers.failures import Failures
from headrace.providers.json_text import encode_json
from headrace.providers.openai_responses.decode import ResponsesDecoder
from headrace.providers.openai_responses.encode import encode
from tests.providers.openai_responses.responses_bodies import (
    END,
    called,
    done,
    message,
    raw,
    reasoning,
    text,
)

ADD = ToolSpec("add", "Adds.", {"type": "object", "properties": {"x": {"type": "integer"}}})
SCHEMA = {"type": "object", "properties": {}}
ITEM = '{"id": "rs_1","type":"reasoning", "summary":[],"encrypted_content":"gA\\u00e9+/="}'


def body(*messages: Message, model: str = "m", **options: Any) -> dict[str, Any]:
    """The body as the provider reads it."""
    request = ModelRequest.of(messages or "Hi", **options)
    made: dict[str, Any] = json.loads(encode_json(encode(request, model, provider="acme")))
    return made


def items(*given: Message) -> Any:
    return body(*given)["input"]


def test_a_plain_question() -> None:
    assert body() == {
        "model": "m",
        "input": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }


def test_all_options_and_tools() -> None:
    made = body(
        temperature=0.5,
        max_tokens=9,
        top_p=0.9,
        tools=[ADD],
        tool_choice="required",
        response_format="json_object",
        reasoning_effort="low",
        extra={"user": "u", "top_p": 1},
    )
    assert made == {
        "model": "m",
        "input": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "tools": [
            {
                "type": "function",
                "name": "add",
                "description": "Adds.",
                "parameters": ADD.parameters,
                "strict": False,
            }
        ],
        "tool_choice": "required",
        "temperature": 0.5,
        "max_output_tokens": 9,
        "top_p": 1,
        "text": {"format": {"type": "json_object"}},
        "reasoning": {"effort": "low"},
        "user": "u",
    }


def test_in_the_background_the_answer_is_kept() -> None:
    made = encode(ModelRequest.of("Hi"), "m", background=True)
    assert (made["background"], made["store"], made["stream"]) == (True, True, True)


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1-mini", "gpt-3.5-turbo", "chatgpt-4o-latest"])
def test_models_without_reasoning_are_not_asked_for_it(model: str) -> None:
    assert "include" not in body(model=model)


def test_no_model_leaves_the_field_out() -> None:
    assert "model" not in body(model="")


@pytest.mark.parametrize("given", [{"stop": ["x"]}, {"seed": 0}])
def test_what_the_wire_lacks_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"acme .* {next(iter(given))}"):
        body(**given)


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("add", {"type": "function", "name": "add"}),
    ],
)
def test_tool_choice(choice: str, sent: object) -> None:
    assert body(tools=[ADD], tool_choice=choice)["tool_choice"] == sent
    assert "tool_choice" not in body(tool_choice=choice)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("json_object", {"type": "json_object"}),
        ({"type": "json_object"}, {"type": "json_object"}),
        ("text", {"type": "text"}),
        (SCHEMA, {"type": "json_schema", "name": "answer", "schema": SCHEMA}),
        ({"schema": SCHEMA}, {"type": "json_schema", "name": "answer", "schema": SCHEMA}),
        (
            {"name": "n", "schema": SCHEMA, "strict": True},
            {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True},
        ),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
            {"type": "json_schema", "name": "n", "schema": SCHEMA},
        ),
    ],
)
def test_response_formats(given: Any, sent: object) -> None:
    assert body(response_format=given)["text"] == {"format": sent}


def test_a_conversation_with_tools() -> None:
    one, two = ToolCall("a", "add", '{"x":1}'), ToolCall("b", "add", "not json")
    made = body(
        Message.system("Be brief."),
        Message.system("Be kind."),
        Message.user("Add."),
        Message.assistant(Reasoning("hm"), "Su", "re.", one, two),
        Message.tool(ToolResult("a", "add", "1"), ToolResult("b", "add", "no", is_error=True)),
        Message.assistant("Done."),
        Message.system("Now be long."),
        Message.user("Thanks", "!"),
    )
    assert made["instructions"] == "Be brief.\n\nBe kind."
    assert made["input"] == [
        {"role": "user", "content": "Add."},
        {"type": "message", "role": "assistant", "content": "Sure."},
        {"type": "function_call", "call_id": "a", "name": "add", "arguments": '{"x":1}'},
        {"type": "function_call", "call_id": "b", "name": "add", "arguments": "not json"},
        {"type": "function_call_output", "call_id": "a", "output": "1"},
        {"type": "function_call_output", "call_id": "b", "output": "no"},
        {"type": "message", "role": "assistant", "content": "Done."},
        {"role": "system", "content": "Now be long."},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Thanks"},
                {"type": "input_text", "text": "!"},
            ],
        },
    ]


def test_results_within_a_users_message_go_first() -> None:
    mixed = Message("user", (ToolResult("a", "add", "1"), Text("So?")))
    assert items(mixed) == [
        {"type": "function_call_output", "call_id": "a", "output": "1"},
        {"role": "user", "content": "So?"},
    ]


def test_an_empty_answer_is_left_out() -> None:
    assert items(Message.user("Hi"), Message.assistant(), Message.assistant("")) == [
        {"role": "user", "content": "Hi"}
    ]


def test_images() -> None:
    sent = items(Message.user("See", Image(url="https://x.example/a.png"), Image(data=b"\x89P")))
    assert sent[0]["content"] == [
        {"type": "input_text", "text": "See"},
        {"type": "input_image", "image_url": "https://x.example/a.png", "detail": "auto"},
        {"type": "input_image", "image_url": "data:image/png;base64,iVA=", "detail": "auto"},
    ]


def test_files() -> None:
    sent = items(
        Message.user(
            File(name="a.pdf", data=b"%P", media_type="application/pdf"),
            File(file_id="file-1"),
            File(url="https://x.example/a.pdf", name="a.pdf"),
            File(url="data:application/pdf;base64,JVA="),
        )
    )
    data = "data:application/pdf;base64,JVA="
    assert sent[0]["content"] == [
        {"type": "input_file", "filename": "a.pdf", "file_data": data},
        {"type": "input_file", "file_id": "file-1"},
        {"type": "input_file", "file_url": "https://x.example/a.pdf"},
        {"type": "input_file", "filename": "file", "file_data": data},
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Message.user(File(data=b"RI", media_type="audio/wav")), "no sounds"),
        (Message("user", (ToolCall("a", "f"),)), "ToolCall"),
        (Message("assistant", (Image(data=b"x"),)), "Image"),
        (Message.assistant(Opaque("acme", "no json")), "no JSON"),
    ],
)
def test_what_the_wire_cannot_carry_is_refused(given: Message, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        items(given)


def test_opaque_items_go_back_byte_for_byte_and_in_their_place() -> None:
    wire = (
        raw(f'{{"type":"response.output_item.done","output_index":0,"item":{ITEM}}}')
        + called("a", "f", "{}", 1)
        + done({"type": "web_search_call", "id": "ws_1"}, 2)
        + text("Hi", 3)
        + done(message("Hi"), 3)
        + END
    )
    turn = assemble(ResponsesDecoder(Failures("acme")).feed(wire))
    request = ModelRequest.of([turn.message])
    sent = encode_json(encode(request, "m", provider="acme"))
    assert ITEM.encode() in sent
    assert json.loads(sent)["input"] == [
        json.loads(ITEM),
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "web_search_call", "id": "ws_1"},
        {"type": "message", "role": "assistant", "content": "Hi"},
    ]


def test_phases_go_back_with_their_texts() -> None:
    wire = (
        text("Let me see.", 0)
        + done(message("Let me see.", phase="commentary"), 0)
        + done(reasoning(encrypted_content="gA"), 1)
        + text("So.", 2)
        + done(message("So.", id="2", phase="final_answer"), 2)
        + END
    )
    turn = assemble(ResponsesDecoder(Failures("acme")).feed(wire))
    assert items(turn.message) == [
        {"type": "message", "role": "assistant", "content": "Let me see.", "phase": "commentary"},
        reasoning(encrypted_content="gA"),
        {"type": "message", "role": "assistant", "content": "So.", "phase": "final_answer"},
    ]


def test_anothers_opaque_items_stay_here() -> None:
    said = Message.assistant("H", Opaque("other", "no json"), "i")
    assert items(said) == [{"type": "message", "role": "assistant", "content": "Hi"}]


def test_extra_wins_and_leaves_the_other_settings_of_a_field() -> None:
    made = body(
        extra={"store": True, "text": {"verbosity": "low"}, "reasoning": {"summary": "auto"}},
        response_format="json_object",
        reasoning_effort="low",
    )
    assert made["store"] is True
    assert made["text"] == {"format": {"type": "json_object"}, "verbosity": "low"}
    assert made["reasoning"] == {"effort": "low", "summary": "auto"}
    assert body(extra={"reasoning": None}, reasoning_effort="low")["reasoning"] is None
    assert body(extra={"reasoning": {"summary": "auto"}})["reasoning"] == {"summary": "auto"}


def test_lone_surrogates_do_not_break_the_request() -> None:
    sent = items(Message.user("a\ud800é"), Message.assistant(Opaque("acme", ITEM), "b"))
    assert sent[0]["content"] == "a?é"
    assert sent[1] == json.loads(ITEM)
