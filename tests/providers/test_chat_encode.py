"""What a request looks like on the Chat Completions wire."""

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
from headrace.providers.openai_chat.decode import ChatDecoder
from headrace.providers.openai_chat.dialect import (
    COMPATIBLE,
    DEEPSEEK,
    LLAMACPP,
    LMSTUDIO,
    MISTRAL,
    OPENAI,
    OPENROUTER,
    WITHOUT_FILES,
    Dialect,
)
from headrace.providers.openai_chat.encode import encode
from tests.providers.chat_bodies import CALLED, call, calls, chunk

ADD = ToolSpec("add", "Adds.", {"type": "object", "properties": {"x": {"type": "integer"}}})


def body(
    *messages: Message, dialect: Dialect = COMPATIBLE, provider: str = "acme", **options: Any
) -> dict[str, Any]:
    request = ModelRequest.of(messages or "Hi", **options)
    return encode(request, "m", dialect, provider=provider)


def messages(*given: Message, dialect: Dialect = COMPATIBLE) -> Any:
    return body(*given, dialect=dialect)["messages"]


def test_a_plain_question() -> None:
    assert body() == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_all_options_and_tools() -> None:
    made = body(
        temperature=0.5,
        max_tokens=9,
        top_p=0.9,
        stop=["a", "b"],
        seed=3,
        tools=[ADD],
        tool_choice="required",
        response_format="json_object",
        reasoning_effort="low",
        extra={"user": "u", "top_p": 1},
    )
    function = {"name": "add", "description": "Adds.", "parameters": ADD.parameters}
    assert made == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [{"type": "function", "function": function}],
        "tool_choice": "required",
        "temperature": 0.5,
        "max_tokens": 9,
        "top_p": 1,
        "stop": ["a", "b"],
        "seed": 3,
        "response_format": {"type": "json_object"},
        "reasoning_effort": "low",
        "user": "u",
    }


def test_a_zero_is_an_option_that_is_set() -> None:
    made = body(temperature=0.0, seed=0)
    assert (made["temperature"], made["seed"]) == (0.0, 0)


def test_no_model_leaves_the_field_out() -> None:
    assert "model" not in encode(ModelRequest.of("Hi"), "")


@pytest.mark.parametrize(
    ("choice", "dialect", "sent"),
    [
        ("auto", COMPATIBLE, "auto"),
        ("none", COMPATIBLE, "none"),
        ("required", MISTRAL, "any"),
        ("add", COMPATIBLE, {"type": "function", "function": {"name": "add"}}),
    ],
)
def test_tool_choice(choice: str, dialect: Dialect, sent: object) -> None:
    assert body(dialect=dialect, tools=[ADD], tool_choice=choice)["tool_choice"] == sent


def test_a_tool_choice_without_tools_is_left_out() -> None:
    assert "tool_choice" not in body(tool_choice="auto")


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("json_object", {"type": "json_object"}),
        (
            {"name": "n", "schema": {"type": "object"}, "strict": True},
            {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True},
            },
        ),
        (
            {"schema": {"type": "object"}},
            {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": {"type": "object"}},
            },
        ),
        (
            {"type": "object"},
            {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": {"type": "object"}},
            },
        ),
        ({"type": "json_object"}, {"type": "json_object"}),
    ],
)
def test_response_formats(given: Any, sent: object) -> None:
    assert body(response_format=given)["response_format"] == sent


def test_a_conversation_with_tools() -> None:
    one, two = ToolCall("a", "add", '{"x":1}'), ToolCall("b", "add", "not json")
    assert messages(
        Message.system("Be brief."),
        Message.user("Add."),
        Message.assistant(Reasoning("hm"), "Sure.", one, two),
        Message.tool(ToolResult("a", "add", "1"), ToolResult("b", "add", "no", is_error=True)),
        Message.assistant("Done."),
        Message.user("Thanks", "!"),
    ) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Add."},
        {
            "role": "assistant",
            "content": "Sure.",
            "tool_calls": [
                {
                    "id": "a",
                    "type": "function",
                    "function": {"name": "add", "arguments": '{"x":1}'},
                },
                {
                    "id": "b",
                    "type": "function",
                    "function": {"name": "add", "arguments": "not json"},
                },
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "no"},
        {"role": "assistant", "content": "Done."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Thanks"}, {"type": "text", "text": "!"}],
        },
    ]


def test_an_assistant_that_only_calls_says_null() -> None:
    (entry,) = messages(Message.assistant(ToolCall("a", "f")))
    assert entry["content"] is None


def test_an_empty_answer_stays_an_empty_text() -> None:
    assert messages(Message.assistant()) == [{"role": "assistant", "content": ""}]


def test_images() -> None:
    message = Message.user("See", Image(url="https://x.example/a.png"), Image(data=b"\x89P"))
    assert messages(message)[0]["content"] == [
        {"type": "text", "text": "See"},
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVA="}},
    ]


def test_files_and_sounds() -> None:
    message = Message.user(
        File(name="a.pdf", data=b"%P", media_type="application/pdf"),
        File(file_id="file-1"),
        File(url="data:application/pdf;base64,JVA="),
        File(data=b"RI", media_type="audio/wav"),
    )
    assert messages(message)[0]["content"] == [
        {
            "type": "file",
            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVA="},
        },
        {"type": "file", "file": {"file_id": "file-1"}},
        {
            "type": "file",
            "file": {"filename": "file", "file_data": "data:application/pdf;base64,JVA="},
        },
        {"type": "input_audio", "input_audio": {"data": "Ukk=", "format": "wav"}},
    ]


def test_a_files_url_goes_only_where_it_is_understood() -> None:
    message = Message.user(File(name="a.pdf", url="https://x.example/a.pdf"))
    with pytest.raises(UsageError, match="no file by its URL"):
        messages(message)
    (entry,) = messages(message, dialect=OPENROUTER)
    assert entry["content"][0]["file"]["file_data"] == "https://x.example/a.pdf"


def test_a_users_message_holds_no_calls() -> None:
    with pytest.raises(UsageError, match="ToolCall"):
        messages(Message("user", (Text("a"), ToolCall("a", "f"))))


def test_openai_bounds_tokens_by_the_newer_field() -> None:
    made = body(dialect=OPENAI, max_tokens=9)
    assert made["max_completion_tokens"] == 9
    assert "max_tokens" not in made


def test_mistral_gets_no_field_that_it_refuses() -> None:
    made = body(dialect=MISTRAL, seed=3)
    assert "stream_options" not in made
    assert "seed" not in made
    assert made["random_seed"] == 3


def test_deepseek_gets_its_reasoning_back_with_calls_only() -> None:
    called = Message.assistant(Reasoning("h"), Reasoning("m"), ToolCall("a", "f"))
    silent = Message.assistant(ToolCall("a", "f"))
    plain = Message.assistant(Reasoning("hm"), "Hi")
    made = messages(called, silent, plain, dialect=DEEPSEEK)
    assert [entry.get("reasoning_content") for entry in made] == ["hm", "", None]


def test_opaque_items_go_back_to_where_they_came_from() -> None:
    detail = {"type": "reasoning.encrypted", "index": 0, "data": "gAAA=="}
    extra = {"google": {"thought_signature": "CiQ="}}
    wire = (
        chunk({"reasoning_details": [detail]})
        + calls({**call(0, "a", "f", "{}"), "extra_content": extra}, call(1, "b", "g", "{}"))
        + CALLED
    )
    turn = assemble(ChatDecoder(Failures("acme")).feed(wire))
    (entry,) = messages(turn.message)
    assert entry["reasoning_details"] == [detail]
    assert [made.get("extra_content") for made in entry["tool_calls"]] == [extra, None]


def test_anothers_opaque_items_stay_here() -> None:
    item = Opaque("other", '{"reasoning_details":[1]}')
    assert messages(Message.assistant("Hi", item)) == [{"role": "assistant", "content": "Hi"}]


def test_extra_wins_over_everything() -> None:
    made = body(extra={"model": "x", "stream_options": None, "max_tokens": 1}, max_tokens=9)
    assert (made["model"], made["stream_options"], made["max_tokens"]) == ("x", None, 1)


def test_lone_surrogates_do_not_break_the_request() -> None:
    sent = json.loads(encode_json(body(Message.user("a\ud800é"))))
    assert sent["messages"][0]["content"] == "a?é"


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(UsageError, match="not JSON"):
        encode_json(body(extra={"x": object()}))


SUM = ToolSpec("sum", "Sums.", {"type": "object"})


@pytest.mark.parametrize("dialect", [LLAMACPP, LMSTUDIO])
def test_a_tool_is_named_by_sending_it_alone_where_a_choice_is_a_word(dialect: Dialect) -> None:
    made = body(dialect=dialect, tools=[ADD, SUM], tool_choice="sum")
    assert [tool["function"]["name"] for tool in made["tools"]] == ["sum"]
    assert made["tool_choice"] == "required"
    assert len(body(dialect=dialect, tools=[ADD, SUM], tool_choice="auto")["tools"]) == 2
    with pytest.raises(UsageError, match="no such tool"):
        body(dialect=dialect, tools=[ADD], tool_choice="sum")


PAPER = Message.user(File(name="a.pdf", data=b"%P", media_type="application/pdf"))


@pytest.mark.parametrize(
    ("dialect", "wish", "words"),
    [
        (WITHOUT_FILES, {"input": PAPER}, "acme takes no files"),
        (MISTRAL, {"input": PAPER}, "files"),
        (DEEPSEEK, {"response_format": {"type": "object"}}, "JSON Schema"),
        (DEEPSEEK, {"seed": 0}, "seed"),
        (LMSTUDIO, {"response_format": "json_object"}, "json_object"),
    ],
)
def test_what_a_server_lacks_is_refused(dialect: Dialect, wish: dict[str, Any], words: str) -> None:
    given = (wish.pop("input"),) if "input" in wish else ()
    with pytest.raises(UsageError, match=words) as caught:
        body(*given, dialect=dialect, **wish)
    assert "extra" in caught.value.hint


def test_a_sound_is_no_file() -> None:
    sound = Message.user(File(data=b"RI", media_type="audio/wav"))
    assert messages(sound, dialect=WITHOUT_FILES)[0]["content"][0]["type"] == "input_audio"


def test_extra_is_the_way_around() -> None:
    assert body(dialect=DEEPSEEK, extra={"seed": 3})["seed"] == 3
