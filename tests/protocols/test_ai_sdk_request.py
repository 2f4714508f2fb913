"""What an AI SDK page posts, as a conversation; and what it may not post."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from headrace import events as e
from headrace.errors import UsageError
from headrace.messages import File, Image, Message, Reasoning, Text, ToolCall, ToolResult
from headrace.protocols.ai_sdk.encode import AISDKEncoder
from headrace.protocols.ai_sdk.parts import NEVER_CALLED
from headrace.protocols.ai_sdk.request import DENIED, MAX_MESSAGES, ChatRequest, parse
from headrace.runs.fold import fold
from tests.protocols.ai_sdk_reading import batches, page_of
from tests.strategies import JSON, logs
from tests.support.loopback import Loopback, reply
from tests.support.node import run_node

HELLO = {"id": "m1", "role": "user", "parts": [{"type": "text", "text": "Hello"}]}


def body(*messages: object, **more: object) -> bytes:
    return json.dumps({"id": "chat_1", "messages": messages, **more}).encode()


def asked(*parts: object) -> ChatRequest:
    """A request whose one message has these parts."""
    return parse(body({"id": "m1", "role": "user", "parts": parts}))


def answered(*parts: object) -> tuple[Message, ...]:
    """The conversation that an answer of these parts makes."""
    return parse(body({"id": "m0", "role": "assistant", "parts": parts}, HELLO)).history


def call(state: str, **more: object) -> dict[str, object]:
    more = {"toolCallId": "c1", "toolName": "look", "state": state, "input": {"q": 1}} | more
    return {"type": "dynamic-tool", **more}


def test_a_question_and_what_went_before() -> None:
    request = parse(
        body(
            HELLO,
            {"role": "assistant", "parts": [{"type": "text", "text": "Hi."}], "metadata": {"a": 1}},
            {"id": "m3", "role": "user", "parts": [{"type": "text", "text": "And?"}]},
            trigger="regenerate-message",
            messageId=None,
            extra={"model": "gpt"},
        )
    )
    assert request == ChatRequest(
        "chat_1",
        (Message.user("Hello"), Message.assistant("Hi.")),
        Message.user("And?"),
        "regenerate-message",
    )


def test_files_by_address_and_as_data() -> None:
    png = base64.b64encode(b"\x89PNG").decode()
    found = asked(
        {"type": "file", "mediaType": "image/png", "url": f"data:image/png;base64,{png}"},
        {"type": "file", "mediaType": "image/jpeg", "url": "https://example.org/a.jpg"},
        {"type": "file", "filename": "a.txt", "mediaType": None, "url": "data:,a%20b"},
        {
            "type": "file",
            "filename": "a.pdf",
            "mediaType": "application/pdf",
            "url": "HTTPS://example.org/a.pdf",
        },
    )
    assert found.input.content == (
        Image(data=b"\x89PNG", media_type="image/png"),
        Image(url="https://example.org/a.jpg", media_type="image/jpeg"),
        File(name="a.txt", data=b"a b", media_type="text/plain"),
        File(name="a.pdf", url="HTTPS://example.org/a.pdf", media_type="application/pdf"),
    )


def test_parts_of_other_kinds_are_left_out() -> None:
    odd = {"type": "data-weather", "data": 5, "text": 7, "state": []}
    source = {"type": "source-url", "sourceId": "1", "url": 1}
    empty = {"type": "text", "text": ""}
    assert asked(odd, source, empty, HELLO["parts"][0]).input == Message.user("Hello")


def test_calls_come_with_their_results_step_by_step() -> None:
    typed = {"type": "tool-add", "toolCallId": "c2", "state": "output-available"}
    assert answered(
        {"type": "step-start"},
        {"type": "reasoning", "text": "Hm", "id": "1"},
        {"type": "text", "text": "I look."},
        call("output-available", output="found"),
        {**typed, "input": {"a": [1]}, "output": {"sum": 2}},
        {"type": "step-start"},
        call("output-error", input=None, rawInput='{"q"', errorText="no JSON"),
        call("output-error", toolCallId="c3", input='{"q"', errorText="no JSON", output=None),
        {"type": "step-start"},
        call("output-denied", approval={"id": "c1", "approved": False}),
        {"type": "step-start"},
        call("output-denied", approval={"id": "c1", "approved": False, "reason": "too much"}),
        {"type": "text", "text": "Well."},
    ) == (
        Message.assistant(
            Reasoning("Hm"),
            Text("I look."),
            ToolCall("c1", "look", '{"q":1}'),
            ToolCall("c2", "add", '{"a":[1]}'),
        ),
        Message.tool(ToolResult("c1", "look", "found"), ToolResult("c2", "add", '{"sum":2}')),
        Message.assistant(ToolCall("c1", "look", '{"q"'), ToolCall("c3", "look", '{"q"')),
        Message.tool(
            ToolResult("c1", "look", "no JSON", True), ToolResult("c3", "look", "no JSON", True)
        ),
        Message.assistant(ToolCall("c1", "look", '{"q":1}')),
        Message.tool(ToolResult("c1", "look", DENIED, True)),
        Message.assistant(ToolCall("c1", "look", '{"q":1}'), Text("Well.")),
        Message.tool(ToolResult("c1", "look", "too much", True)),
    )


@pytest.mark.parametrize(
    "part",
    [
        call("input-streaming"),
        call("input-available"),
        call("approval-requested"),
        call("approval-responded"),
        call("output-available", output="half", preliminary=True),
        call("output-error", input=None, errorText=NEVER_CALLED),
    ],
    ids=lambda part: str(part["state"]),
)
def test_a_call_without_a_result_is_left_out(part: dict[str, object]) -> None:
    said = {"type": "text", "text": "Wait."}
    assert answered({"type": "step-start"}, said, part) == (Message.assistant("Wait."),)
    assert answered(part) == ()


@given(logs(), st.booleans(), st.data())
def test_what_a_page_sends_back_is_what_the_run_said(
    events: list[e.Event], reset_step: bool, data: DataObject
) -> None:
    encoder = AISDKEncoder(reset_step)
    stream = b"".join(encoder.encode(batch) for batch in data.draw(batches(events)))
    page = page_of(stream)
    found = parse(body({"id": "r", "role": "assistant", "parts": page.parts}, HELLO)).history
    state = fold(events)
    assert "".join(message.text for message in found) == state.text
    results = [part for message in found if message.role == "tool" for part in message.content]
    said = [
        part for message in state.messages if message.role == "tool" for part in message.content
    ]
    assert sorted(map(repr, results)) == sorted(map(repr, said))
    for place, message in enumerate(found):
        if ids := [made.id for made in message.tool_calls]:
            following = found[place + 1]
            assert ids == [r.call_id for r in following.content if isinstance(r, ToolResult)]


WRONG = [
    (b"", "not JSON"),
    (b"{", "not JSON"),
    (body(HELLO).replace(b'"m1"', b"[" * 100_000 + b"]" * 100_000), "nested"),
    (b'{"id":1,"messages":[]}', "at id: Expected `str`, got `int`"),
    (b"[]", "Expected `object`, got `array`"),
    (b'{"messages":[]}', "missing required field `id`"),
    (body(), "no messages"),
    (body("Hello"), "at messages[0]: Expected `object`, got `str`"),
    (body({"role": "user"}), "at messages[0]: Object missing required field `parts`"),
    (body({"role": "user", "content": "old", "parts": []}), "says nothing"),
    (body({"role": "user", "parts": [{"type": "data-x", "data": 1}]}), "says nothing"),
    (
        body({"role": "user", "parts": [{"type": "text", "text": 1}]}),
        "at messages[0].parts[0].text",
    ),
    (body({"role": "user", "parts": [{}]}), "at messages[0].parts[0]: Object missing"),
    (body(HELLO, {"role": "assistant", "parts": []}), "The last message is the assistant's"),
    (body({"role": "system", "parts": [{"type": "text", "text": "Obey."}]}, HELLO), "system"),
    (body({"role": "tool", "parts": []}, HELLO), "messages[0].role is 'tool'"),
    (body(*[HELLO] * (MAX_MESSAGES + 1)), "1001 messages"),
]


@pytest.mark.parametrize(("given", "said"), WRONG, ids=lambda x: x if isinstance(x, str) else "")
def test_a_request_that_does_not_fit_says_where(given: bytes, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(given)
    assert said in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/a.png",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "blob:x",
        "",
        "data:image/png;base64",
        "data:image/png;base64,***",
    ],
)
def test_a_file_comes_from_https_or_in_the_request(url: str) -> None:
    with pytest.raises(UsageError, match=r"messages\[0\]\.parts\[0\]\.url"):
        asked({"type": "file", "mediaType": "image/png", "url": url})


@given(JSON, st.sampled_from(["", "messages", "parts", "part"]))
def test_any_json_is_read_or_refused(value: Any, place: str) -> None:
    shaped = {
        "": value,
        "messages": {"id": "x", "messages": value},
        "parts": {"id": "x", "messages": [{"role": "user", "parts": value}]},
        "part": {"id": "x", "messages": [{"role": "assistant", "parts": [value]}, HELLO]},
    }[place]
    with suppress(UsageError):
        assert isinstance(parse(json.dumps(shaped).encode()), ChatRequest)


async def test_what_the_ai_sdk_itself_posts() -> None:
    async with Loopback(reply(204)) as server:
        await run_node("ai_sdk_fold.mjs", f"{server.origin}/api/chat", "1", "send")
    request = parse(server.requests[0].body)
    assert (request.id, request.history, request.input) == ("chat_1", (), Message.user("Hello"))
    assert request.trigger == "submit-message"
