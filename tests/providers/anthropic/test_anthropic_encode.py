"""What a request looks like on the Messages wire."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from headrace.errors import UnknownOption, UsageError
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
from headrace.providers.anthropic.decode import AnthropicDecoder
from headrace.providers.anthropic.encode import MAX_TOKENS, MAX_TOKENS_REASONING, encode
from headrace.providers.failures import Failures
from headrace.providers.json_text import encode_json
from tests.providers.anthropic.messages_events import (
    CALLED,
    arguments,
    begin,
    call,
    start,
    stop,
    thought,
    words,
)

ADD = ToolSpec("add", "Adds.", {"type": "object", "properties": {"x": {"type": "integer"}}})
NEW, OLD = "claude-haiku-5-5", "claude-haiku-4-5"


def body(*messages: Message, model: str = NEW, **options: Any) -> dict[str, Any]:
    return encode(ModelRequest.of(messages or "Hi", **options), model)


def turns(*given: Message) -> Any:
    return body(*given)["messages"]


def blocks(*parts: Any) -> Any:
    (turn,) = turns(Message.user(*parts))
    return turn["content"]


def test_a_plain_question() -> None:
    assert body() == {
        "model": NEW,
        "max_tokens": MAX_TOKENS,
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
    }


def test_all_options_and_tools() -> None:
    made = body(
        model=OLD,
        temperature=0.5,
        max_tokens=4000,
        top_p=0.9,
        stop=["a", "b"],
        tools=[ADD],
        tool_choice="auto",
        response_format={"name": "n", "schema": {"type": "object"}},
        reasoning_effort="low",
        extra={"metadata": {"user_id": "u"}, "top_p": 1},
    )
    assert made == {
        "model": OLD,
        "max_tokens": 4000,
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "tools": [{"name": "add", "description": "Adds.", "input_schema": ADD.parameters}],
        "tool_choice": {"type": "auto"},
        "temperature": 0.5,
        "top_p": 1,
        "stop_sequences": ["a", "b"],
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
        "metadata": {"user_id": "u"},
    }


def test_a_zero_is_an_option_that_is_set() -> None:
    assert body(temperature=0.0)["temperature"] == 0.0


def test_no_model_leaves_the_field_out() -> None:
    assert "model" not in encode(ModelRequest.of("Hi"), "")


def test_a_conversation_with_tools() -> None:
    one, two = ToolCall("a", "add", '{"x":1}'), ToolCall("b", "add", "not json")
    made = body(
        Message.system("Be brief."),
        Message.user("Add."),
        Message.assistant(Reasoning("hm"), "Sure.", one, two),
        Message.tool(ToolResult("a", "add", "1"), ToolResult("b", "add", "no", is_error=True)),
        Message.assistant("Done."),
        Message.user("Thanks", "!"),
    )
    assert made["system"] == "Be brief."
    assert made["messages"] == [
        {"role": "user", "content": "Add."},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Sure."},
                {"type": "tool_use", "id": "a", "name": "add", "input": {"x": 1}},
                {
                    "type": "tool_use",
                    "id": "b",
                    "name": "add",
                    "input": {"INVALID_JSON": "not json"},
                },
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "1"},
                {"type": "tool_result", "tool_use_id": "b", "content": "no", "is_error": True},
            ],
        },
        {"role": "assistant", "content": "Done."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Thanks"}, {"type": "text", "text": "!"}],
        },
    ]


def test_neighbours_of_one_role_become_one_with_tool_results_first() -> None:
    made = turns(
        Message.user("a"),
        Message.user("b"),
        Message.assistant("c"),
        Message.assistant(ToolCall("t", "f")),
        Message.user("meanwhile"),
        Message.tool(ToolResult("t", "f", "")),
    )
    assert made == [
        {"role": "user", "content": [{"type": "text", "text": t} for t in "ab"]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "c"},
                {"type": "tool_use", "id": "t", "name": "f", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t"},
                {"type": "text", "text": "meanwhile"},
            ],
        },
    ]


def test_all_instructions_stand_apart_from_the_conversation() -> None:
    made = body(Message.system("One."), Message.user("a"), Message.system("Two."))
    assert made["system"] == "One.\n\nTwo."
    assert made["messages"] == [{"role": "user", "content": "a"}]


def test_what_says_nothing_is_left_out() -> None:
    made = turns(Message.user("", "a"), Message.assistant(""), Message.assistant(), Message.user())
    assert made == [{"role": "user", "content": "a"}]


@pytest.mark.parametrize("messages", [(Message.system("x"),), (Message.user(""),)])
def test_a_conversation_without_a_word_is_refused(messages: tuple[Message, ...]) -> None:
    with pytest.raises(UsageError, match="at least one message"):
        body(*messages)


def test_ids_of_other_providers_are_made_acceptable_alike() -> None:
    made = turns(
        Message.user("a"),
        Message.assistant(ToolCall("functions.f:0", "f")),
        Message.tool(ToolResult("functions.f:0", "f", "1")),
    )
    assert made[1]["content"][0]["id"] == made[2]["content"][0]["tool_use_id"] == "functions_f_0"


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("{}", {}),
        ('{"x": [1.5, null]}', {"x": [1.5, None]}),
        ("", {"INVALID_JSON": ""}),
        ("[1]", {"INVALID_JSON": "[1]"}),
        ('{"x":', {"INVALID_JSON": '{"x":'}),
        ("[" * 9999, {"INVALID_JSON": "[" * 9999}),
    ],
)
def test_arguments_are_an_object(text: str, sent: object) -> None:
    (turn,) = turns(Message.assistant(ToolCall("a", "f", text)))
    assert turn["content"][0]["input"] == sent


# --- what only Anthropic understands ------------------------------------------------------------


def test_a_whole_turn_goes_back_as_it_came() -> None:
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    found = {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"x": "E+/="}]}
    redacted = {"type": "redacted_thinking", "data": "gAAA+/=="}
    wire = (
        start()
        + thought(0, "h", "m", signature="S+/=é")
        + begin(1, redacted)
        + stop(1)
        + begin(2, search)
        + arguments(2, '{"q":1}')
        + stop(2)
        + begin(3, found)
        + stop(3)
        + words(4, "So ", "then.")
        + thought(5, "again")
        + call(6, "a", "f", '{"x":', "1}")
        + CALLED
    )
    turn = assemble(AnthropicDecoder(Failures("anthropic")).feed(wire))
    made = turns(Message.user("Hi"), turn.message, Message.tool(ToolResult("a", "f", "1")))
    assert made[1]["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "S+/=é"},
        redacted,
        {**search, "input": {"q": 1}},
        found,
        {"type": "text", "text": "So then."},
        {"type": "thinking", "thinking": "again", "signature": "Sig+/="},
        {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
    ]


def test_anothers_opaque_items_and_reasoning_stay_here() -> None:
    message = Message.assistant(Reasoning("hm"), "Hi", Opaque("openai", '{"type":"reasoning"}'))
    assert turns(message) == [{"role": "assistant", "content": "Hi"}]


@pytest.mark.parametrize("data", ["{", "7", "{}", '{"type":1}'])
def test_an_opaque_item_that_is_no_block_is_refused(data: str) -> None:
    with pytest.raises(UsageError, match="no content block"):
        turns(Message.assistant(Opaque("anthropic", data)))


# --- images and files ---------------------------------------------------------------------------


def test_images() -> None:
    png = {"type": "base64", "media_type": "image/png", "data": "iVA="}
    assert blocks(
        "See",
        Image(url="https://x.example/a.png"),
        Image(data=b"\x89P"),
        Image(url="data:image/png;base64,iVA="),
    ) == [
        {"type": "text", "text": "See"},
        {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
        {"type": "image", "source": png},
        {"type": "image", "source": png},
    ]


def test_files() -> None:
    pdf = {"type": "base64", "media_type": "application/pdf", "data": b64encode(b"%P").decode()}
    assert blocks(
        File(name="a.pdf", data=b"%P", media_type="application/pdf"),
        File(url="data:application/pdf;base64,JVA="),
        File(data="é".encode(), media_type="text/markdown", name="a.md"),
        File(url="data:,a%20b"),
        File(url="https://x.example/a.pdf"),
        File(file_id="file_1"),
        File(file_id="file_2", media_type="image/png", name="a.png"),
        File(data=b"GIF8", media_type="image/gif"),
        File(url="https://x.example/a.png", media_type="image/png"),
    ) == [
        {"type": "document", "source": pdf, "title": "a.pdf"},
        {"type": "document", "source": pdf},
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "é"},
            "title": "a.md",
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a b"}},
        {"type": "document", "source": {"type": "url", "url": "https://x.example/a.pdf"}},
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        {"type": "image", "source": {"type": "file", "file_id": "file_2"}},
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/gif", "data": "R0lGOA=="},
        },
        {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
    ]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (Image(data=b"II", media_type="image/tiff"), "image/tiff"),
        (Image(url="data:image/svg+xml,<svg/>"), "image/svg"),
        (Image(url="data:image/png;base64,§"), "data: URL"),
        (Image(url="data:image/png"), "data: URL"),
        (File(data=b"RI", media_type="audio/wav"), "audio/wav"),
        (File(data=b"x"), "application/octet-stream"),
        (File(url="https://x.example/a.txt", media_type="text/plain"), "by their URL"),
        (ToolCall("a", "f"), "ToolCall"),
        (Reasoning("hm"), "Reasoning"),
    ],
)
def test_what_the_api_does_not_take_is_refused(part: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        blocks(part)


def test_an_assistants_message_holds_no_images() -> None:
    with pytest.raises(UsageError, match="Image"):
        turns(Message.assistant(Image(url="https://x.example/a.png")))


# --- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ("add", {"type": "tool", "name": "add"}),
    ],
)
def test_tool_choice(choice: str, sent: object) -> None:
    assert body(tools=[ADD], tool_choice=choice)["tool_choice"] == sent


def test_a_tool_choice_without_tools_is_left_out() -> None:
    assert "tool_choice" not in body(tool_choice="auto")


def test_a_tool_without_arguments_has_a_schema_all_the_same() -> None:
    assert body(tools=[ToolSpec("f", "", {})])["tools"] == [
        {"name": "f", "input_schema": {"type": "object"}}
    ]


@pytest.mark.parametrize(
    "given",
    [
        {"type": "object"},
        {"name": "n", "schema": {"type": "object"}, "strict": True},
        {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    ],
)
def test_response_formats(given: Any) -> None:
    form = {"type": "json_schema", "schema": {"type": "object"}}
    assert body(response_format=given)["output_config"] == {"format": form}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seed": 3}, "seed"),
        ({"seed": 0}, "seed"),
        ({"response_format": "json_object"}, "json_object"),
        ({"response_format": {"type": "json_object"}}, "json_object"),
        ({"temperature": 1.5}, "temperature"),
        ({"reasoning_effort": "minimal"}, "minimal"),
    ],
)
def test_what_the_api_lacks_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        body(**options)


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(UnknownOption, match="temprature"):
        body(temprature=1)


@pytest.mark.parametrize(
    "model",
    [
        "claude-haiku-5-5",
        "claude-opus-4-6",
        "claude-opus-4-7",
        "claude-sonnet-4-6",
        "claude-sonnet-5",
        "claude-fable-5-1",
        "anthropic.claude-opus-4-8",
    ],
)
def test_newer_models_take_the_effort_as_a_word(model: str) -> None:
    made = body(model=model, reasoning_effort="high", response_format={"type": "object"})
    assert made["thinking"] == {"type": "adaptive", "display": "summarized"}
    form = {"type": "json_schema", "schema": {"type": "object"}}
    assert made["output_config"] == {"effort": "high", "format": form}
    assert made["max_tokens"] == MAX_TOKENS_REASONING


@pytest.mark.parametrize(
    "model",
    [
        "claude-haiku-4-5",
        "claude-haiku-4-5-20251001",
        "claude-sonnet-4-5",
        "claude-opus-4-5-20251101",
        "claude-opus-4-1-20250805",
        "claude-sonnet-4-20250514",
        "claude-sonnet-4@20250514",
        "claude-3-7-sonnet-20250219",
        "tiny.gguf",
        "",
    ],
)
def test_older_and_other_models_are_given_a_budget(model: str) -> None:
    made = body(model=model, reasoning_effort="high")
    assert made["thinking"] == {"type": "enabled", "budget_tokens": 16384}
    assert "output_config" not in made
    assert made["max_tokens"] == MAX_TOKENS_REASONING


@pytest.mark.parametrize("effort", ["low", "medium", "high", "xhigh", "max"])
@pytest.mark.parametrize("bound", [1366, 5000, 100_000])
def test_a_budget_leaves_room_for_the_answer(effort: str, bound: int) -> None:
    budget = body(model=OLD, reasoning_effort=effort, max_tokens=bound)["thinking"]["budget_tokens"]
    assert 1024 <= budget < bound


def test_a_bound_that_leaves_no_room_to_think_is_refused() -> None:
    with pytest.raises(UsageError, match="1365 leaves no room"):
        body(model=OLD, reasoning_effort="low", max_tokens=1365)


def test_no_effort_is_no_thinking() -> None:
    made = body(reasoning_effort="none")
    assert made["thinking"] == {"type": "disabled"}
    assert made["max_tokens"] == MAX_TOKENS


def test_extra_wins_over_everything() -> None:
    made = body(extra={"model": "x", "max_tokens": 1, "stream": None}, max_tokens=9)
    assert (made["model"], made["max_tokens"], made["stream"]) == ("x", 1, None)


def test_lone_surrogates_do_not_break_the_request() -> None:
    sent = json.loads(encode_json(body(Message("user", (Text("a\ud800é"),)))))
    assert sent["messages"][0]["content"] == "a?é"
