"""What a request looks like on Gemini's wire."""

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
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from headrace.models.assembler import Turn, assemble
from headrace.models.request import ModelRequest, ToolSpec
from headrace.providers.failures import Failures
from headrace.providers.gemini.decode import GeminiDecoder
from headrace.providers.gemini.encode import encode
from headrace.providers.json_text import encode_json
from tests.providers.gemini.gemini_bodies import STOP, call, chunk, thought

ADD = ToolSpec("add", "Adds.", {"type": "object", "properties": {"x": {"type": "integer"}}})
OLD, NEW = "gemini-2.5-flash", "gemini-3.8-flash"
SIGNATURE = "CiQB0fVvnZ+/8w=="


def body(*messages: Message, model: str = NEW, **options: Any) -> dict[str, Any]:
    return encode(ModelRequest.of(messages or "Hi", **options), model)


def contents(*messages: Message, model: str = NEW) -> Any:
    return body(*messages, model=model)["contents"]


def config(model: str = NEW, **options: Any) -> Any:
    return body(model=model, **options).get("generationConfig")


def turn_of(*wire: bytes) -> Turn:
    decoder = GeminiDecoder(Failures("gemini"))
    return assemble(decoder.feed(b"".join(wire)) + decoder.close())


def sent_back(*wire: bytes, model: str = NEW) -> Any:
    """The parts of a decoded turn as they go back."""
    (entry,) = contents(turn_of(*wire).message, model=model)
    assert entry["role"] == "model"
    return entry["parts"]


def test_a_plain_question() -> None:
    assert body() == {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "generationConfig": {"thinkingConfig": {"includeThoughts": True}},
    }


def test_all_options_and_tools() -> None:
    made = body(
        Message.system("Be brief."),
        Message.user("Hi"),
        Message.system("Be kind."),
        temperature=0.5,
        max_tokens=9,
        top_p=0.9,
        stop=["a", "b"],
        seed=3,
        tools=[ADD],
        tool_choice="required",
        response_format="json_object",
        reasoning_effort="low",
        extra={"safetySettings": [], "generationConfig": {"topK": 4, "topP": 1}},
    )
    tool = {"name": "add", "description": "Adds.", "parametersJsonSchema": ADD.parameters}
    assert made == {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]},
        "tools": [{"functionDeclarations": [tool]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        "generationConfig": {
            "temperature": 0.5,
            "maxOutputTokens": 9,
            "topP": 1,
            "topK": 4,
            "stopSequences": ["a", "b"],
            "seed": 3,
            "responseMimeType": "application/json",
            "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "low"},
        },
        "safetySettings": [],
    }


def test_a_zero_is_an_option_that_is_set() -> None:
    made = config(temperature=0.0, seed=0)
    assert (made["temperature"], made["seed"]) == (0.0, 0)


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ("add", {"mode": "ANY", "allowedFunctionNames": ["add"]}),
    ],
)
def test_tool_choice(choice: str, sent: object) -> None:
    made = body(tools=[ADD], tool_choice=choice)
    assert made["toolConfig"] == {"functionCallingConfig": sent}


def test_a_tool_choice_without_tools_is_left_out() -> None:
    assert "toolConfig" not in body(tool_choice="auto")


@pytest.mark.parametrize(
    "given",
    [
        {"name": "n", "schema": {"type": "object"}, "strict": True},
        {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
        {"type": "object"},
    ],
)
def test_a_schema_as_response_format(given: dict[str, Any]) -> None:
    made = config(response_format=given)
    assert made["responseMimeType"] == "application/json"
    assert made["responseJsonSchema"] == {"type": "object"}


@pytest.mark.parametrize(
    ("given", "kind"),
    [("json_object", "application/json"), ("text", "text/plain"), ({"type": "text"}, "text/plain")],
)
def test_response_formats_without_a_schema(given: Any, kind: str) -> None:
    made = config(response_format=given)
    assert made["responseMimeType"] == kind
    assert "responseJsonSchema" not in made


def test_a_response_format_that_there_is_not_is_refused() -> None:
    with pytest.raises(UsageError, match="no response_format 'xml'"):
        body(response_format="xml")


# --- thinking -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [
        (NEW, "minimal", {"includeThoughts": True, "thinkingLevel": "minimal"}),
        (NEW, "High", {"includeThoughts": True, "thinkingLevel": "high"}),
        ("gemini-flash-latest", "low", {"includeThoughts": True, "thinkingLevel": "low"}),
        (OLD, "none", {"includeThoughts": False, "thinkingBudget": 0}),
        (OLD, "medium", {"includeThoughts": True, "thinkingBudget": 8192}),
        ("models/gemini-2.5-pro", "high", {"includeThoughts": True, "thinkingBudget": 24576}),
        (OLD, None, {"includeThoughts": True}),
    ],
)
def test_reasoning_effort(model: str, effort: str | None, sent: object) -> None:
    assert config(model, reasoning_effort=effort)["thinkingConfig"] == sent


@pytest.mark.parametrize("model", ["gemini-2.0-flash", "gemini-2.5-flash-image", "gemma-3-27b-it"])
def test_models_that_show_no_thoughts_are_not_asked_for_any(model: str) -> None:
    assert config(model) is None


@pytest.mark.parametrize(("model", "effort"), [(NEW, "none"), (NEW, "lots"), (OLD, "xhigh")])
def test_an_effort_that_the_model_does_not_have_is_refused(model: str, effort: str) -> None:
    with pytest.raises(UsageError, match=f"{model} has no reasoning_effort '{effort}'.*minimal"):
        body(model=model, reasoning_effort=effort)


# --- conversations ------------------------------------------------------------------------------


def test_a_conversation_with_tools() -> None:
    one, two = ToolCall("a", "add", '{"x":1}'), ToolCall("b", "sub", "not json")
    assert contents(
        Message.user("Add."),
        Message.assistant(Reasoning("hm"), "Sure.", one, two),
        Message.tool(ToolResult("b", "sub", "no", is_error=True)),
        Message.tool(ToolResult("a", "add", "1")),
        Message.assistant("Done."),
        Message.user("Thanks", "!"),
        model=OLD,
    ) == [
        {"role": "user", "parts": [{"text": "Add."}]},
        {
            "role": "model",
            "parts": [
                {"text": "Sure."},
                {"functionCall": {"id": "a", "name": "add", "args": {"x": 1}}},
                {
                    "functionCall": {
                        "id": "b",
                        "name": "sub",
                        "args": {"malformed_arguments": "not json"},
                    }
                },
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "a", "name": "add", "response": {"output": "1"}}},
                {"functionResponse": {"id": "b", "name": "sub", "response": {"error": "no"}}},
            ],
        },
        {"role": "model", "parts": [{"text": "Done."}]},
        {"role": "user", "parts": [{"text": "Thanks"}, {"text": "!"}]},
    ]


def test_results_beside_a_persons_words_go_before_them() -> None:
    mixed = Message("user", (Text("And now?"), ToolResult("a", "f", "1")))
    _, results, words = contents(Message.assistant(ToolCall("a", "f")), mixed)
    assert results["parts"][0]["functionResponse"]["name"] == "f"
    assert words["parts"] == [{"text": "And now?"}]


def test_an_empty_answer_is_left_out() -> None:
    entries = contents(Message.user("a"), Message.assistant(""), Message.user("b"))
    assert [entry["role"] for entry in entries] == ["user", "user"]


def test_made_up_ids_never_go_to_the_provider_that_gave_none() -> None:
    turn = turn_of(chunk(call("f", {"a": 1}), call("g", id="own")), STOP)
    results = [ToolResult(made.id, made.name, "1") for made in turn.tool_calls]
    asked, answered = contents(turn.message, Message.tool(*results), model=OLD)
    assert asked["parts"] == [
        {"functionCall": {"name": "f", "args": {"a": 1}}},
        {"functionCall": {"id": "own", "name": "g", "args": {}}},
    ]
    assert [part["functionResponse"].get("id") for part in answered["parts"]] == [None, "own"]


# --- signatures and what else goes back as it came ----------------------------------------------


def test_signatures_go_back_on_exactly_their_parts() -> None:
    signed = call("f", {"a": 1.5, "b": "é"}, id="x", thoughtSignature=SIGNATURE)
    plain = call("g", {}, id="y")
    text = {"text": "lo", "thoughtSignature": "two"}
    empty = {"text": "", "thoughtSignature": "three"}
    hm = thought("hm", thoughtSignature="four")
    assert sent_back(
        chunk(thought("unsigned")),
        chunk(hm),
        chunk("H"),
        chunk("el"),
        chunk(text),
        chunk(empty),
        chunk("."),
        chunk(signed, plain),
        STOP,
    ) == [hm, {"text": "Hel"}, text, empty, {"text": "."}, signed, plain]


def test_two_signed_texts_stay_two() -> None:
    one, two = ({"text": "a", "thoughtSignature": sign} for sign in "12")
    assert sent_back(chunk(one), chunk(two), STOP) == [one, two]


def test_a_conversation_that_was_stored_goes_back_the_same() -> None:
    signed = call("f", {"a": 10**30}, thoughtSignature="\u00e9+/=\u2028")
    sent = json.loads(encode_json({"parts": sent_back(chunk(signed), STOP)}))
    assert sent["parts"] == [signed]


def test_server_side_tools_go_back_as_they_came() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "print(1)"}}
    result = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}
    assert sent_back(chunk(code, result, "One."), STOP) == [code, result, {"text": "One."}]


def changed(turn: Turn, *parts: Part) -> Any:
    """The turn's opaque items behind other parts than they came with."""
    items = [part for part in turn.message.content if isinstance(part, Opaque)]
    return contents(Message("assistant", (*parts, *items)), model=OLD)


def test_a_signature_whose_part_was_changed_is_left_out() -> None:
    text = turn_of(chunk({"text": "a", "thoughtSignature": "s"}), STOP)
    assert changed(text, Text("b")) == [{"role": "model", "parts": [{"text": "b"}]}]
    assert changed(text) == []
    called = turn_of(chunk(call("f", thoughtSignature="s")), STOP)
    assert changed(called) == []
    ((entry),) = changed(called, ToolCall("x", "g"))
    assert entry["parts"] == [{"functionCall": {"id": "x", "name": "g", "args": {}}}]


def test_anothers_opaque_items_stay_here() -> None:
    item = Opaque("anthropic", '{"signature":"s"}')
    (entry,) = contents(Message.assistant("Hi", item))
    assert entry["parts"] == [{"text": "Hi"}]


def test_anothers_calls_bear_the_mark_that_gemini_3_wants() -> None:
    message = Message.assistant(ToolCall("a", "f"), ToolCall("b", "g"))
    (entry,) = contents(message)
    signatures = [part.get("thoughtSignature") for part in entry["parts"]]
    assert signatures == ["skip_thought_signature_validator", None]
    (entry,) = contents(message, model=OLD)
    assert not any("thoughtSignature" in part for part in entry["parts"])


# --- images and files ---------------------------------------------------------------------------


def test_images() -> None:
    message = Message.user(
        "See",
        Image(url="https://x.example/a.jpg?size=9"),
        Image(url="https://x.example/a", media_type="image/webp"),
        Image(data=b"\x89P"),
        Image(url="data:image/gif;base64,R0lG"),
        Image(url="data:image/svg+xml,%3Csvg%2F%3E"),
    )
    assert contents(message)[0]["parts"] == [
        {"text": "See"},
        {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://x.example/a.jpg?size=9"}},
        {"fileData": {"mimeType": "image/webp", "fileUri": "https://x.example/a"}},
        {"inlineData": {"mimeType": "image/png", "data": "iVA="}},
        {"inlineData": {"mimeType": "image/gif", "data": "R0lG"}},
        {"inlineData": {"mimeType": "image/svg+xml", "data": "PHN2Zy8+"}},
    ]


def test_files() -> None:
    files = "https://generativelanguage.googleapis.com/v1beta/files"
    message = Message.user(
        File(name="a.pdf", data=b"%P"),
        File(data=b"RI", media_type="audio/wav"),
        File(url="https://x.example/a.pdf"),
        File(url="https://www.youtube.com/watch?v=x"),
        File(file_id="files/one", media_type="video/mp4"),
        File(file_id="two"),
        File(file_id=f"{files}/three"),
    )
    assert contents(message)[0]["parts"] == [
        {"inlineData": {"mimeType": "application/pdf", "data": "JVA="}},
        {"inlineData": {"mimeType": "audio/wav", "data": "Ukk="}},
        {"fileData": {"mimeType": "application/pdf", "fileUri": "https://x.example/a.pdf"}},
        {"fileData": {"fileUri": "https://www.youtube.com/watch?v=x"}},
        {"fileData": {"mimeType": "video/mp4", "fileUri": f"{files}/one"}},
        {"fileData": {"fileUri": f"{files}/two"}},
        {"fileData": {"fileUri": f"{files}/three"}},
    ]


def test_a_users_message_holds_no_calls() -> None:
    with pytest.raises(UsageError, match="ToolCall"):
        contents(Message("user", (Text("a"), ToolCall("a", "f"))))


def test_extra_wins_over_everything() -> None:
    made = body(extra={"contents": [], "generationConfig": None}, max_tokens=9)
    assert (made["contents"], made["generationConfig"]) == ([], None)
    search: list[dict[str, Any]] = [{"googleSearch": {}}]
    assert body(tools=[ADD], extra={"tools": search})["tools"] == search
