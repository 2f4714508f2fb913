"""Requests of Chat Completions: what is understood, passed over and refused."""

from __future__ import annotations

import json
from base64 import b64encode
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import UsageError
from headrace.messages import File, Image, Message, Text, ToolCall, ToolResult
from headrace.protocols.openai_chat.request import CompletionRequest, parse_request
from tests.strategies import JSON, TEXT

USER = {"role": "user", "content": "Hi"}
PDF = "data:application/pdf;base64," + b64encode(b"%PDF-").decode()


def parse(*messages: Any, **fields: Any) -> CompletionRequest:
    body = {"model": "assistant", "messages": messages or [USER], **fields}
    return parse_request(json.dumps(body).encode())


def said(*messages: Any) -> list[Message]:
    request = parse(*messages)
    return [*request.history, request.input]


def refused(*messages: Any, **fields: Any) -> UsageError:
    with pytest.raises(UsageError) as caught:
        parse(*messages, **fields)
    assert caught.value.hint
    return caught.value


def call(call_id: str, name: str = "look", arguments: str = "{}") -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def result(call_id: str, content: Any = "found") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def test_the_least_request() -> None:
    assert parse() == CompletionRequest("assistant", (), Message.user("Hi"), False, False)


def test_a_stream_with_usage() -> None:
    request = parse(stream=True, stream_options={"include_usage": True})
    assert (request.stream, request.include_usage) == (True, True)
    request = parse(stream=None, stream_options=None)
    assert (request.stream, request.include_usage) == (False, False)


def test_every_role() -> None:
    assert said(
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Be "}, text("kind.")]},
        {"role": "user", "content": "Hi", "name": "ann"},
        {"role": "assistant", "content": "Hello"},
        USER,
    ) == [
        Message.system("Be brief."),
        Message.system("Be kind."),
        Message.user("Hi"),
        Message.assistant("Hello"),
        Message.user("Hi"),
    ]


def text(content: str) -> dict[str, str]:
    return {"type": "text", "text": content}


def test_parts_of_a_users_message() -> None:
    [message] = said(
        {
            "role": "user",
            "content": [
                text("Look:"),
                {"type": "image_url", "image_url": {"url": "https://a.b/c.png", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}},
            ],
        }
    )
    assert message.content == (
        Text("Look:"),
        Image(url="https://a.b/c.png"),
        Image(url="data:image/png;base64,AA=="),
        File("a.pdf", data=b"%PDF-", media_type="application/pdf"),
    )


def test_calls_that_the_client_answered_are_kept() -> None:
    calls = [call("a", arguments='{"q": 1}'), call("b", "find")]
    assert said(
        USER,
        {"role": "assistant", "content": "Hm.", "tool_calls": calls},
        result("b"),
        result("a", [text("fo"), text("und")]),
        USER,
    )[1:3] == [
        Message.assistant("Hm.", ToolCall("a", "look", '{"q": 1}'), ToolCall("b", "find", "{}")),
        Message.tool(ToolResult("b", "find", "found"), ToolResult("a", "look", "found")),
    ]


def test_a_conversation_may_end_with_results() -> None:
    request = parse(USER, {"role": "assistant", "tool_calls": [call("a")]}, result("a"))
    assert request.input == Message.tool(ToolResult("a", "look", "found"))


def test_calls_that_no_one_answered_are_left_out() -> None:
    calls = [call("a"), call("b")]
    assert said(
        USER,
        {"role": "assistant", "content": "Hm.", "tool_calls": calls},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "assistant", "content": None, "tool_calls": calls},
        result("b"),
        USER,
    ) == [
        Message.user("Hi"),
        Message.assistant("Hm."),
        Message.assistant(ToolCall("b", "look", "{}")),
        Message.tool(ToolResult("b", "look", "found")),
        Message.user("Hi"),
    ]


def test_a_refusal_is_text() -> None:
    parts = [text("I "), {"type": "refusal", "refusal": "will not."}]
    answers: list[Any] = [{"content": parts}, {"content": None, "refusal": "I will not."}]
    for answer in answers:
        assert said({"role": "assistant", **answer}, USER)[0] == Message.assistant("I will not.")


def test_what_an_sdk_sends_along_with_an_answer_is_passed_over() -> None:
    empty: Any = {"refusal": None, "audio": None, "function_call": None, "annotations": []}
    own = {"reasoning_content": "Hm.", "headrace": {"finish_reason": "stop"}}
    answer = {"role": "assistant", "content": "Hello", "tool_calls": None, **empty, **own}
    assert said(answer, USER)[0] == Message.assistant("Hello")


@pytest.mark.parametrize("messages", [[result("a")], [USER, result("a")]])
def test_a_result_needs_its_call(messages: list[Any]) -> None:
    assert f"messages[{len(messages) - 1}].tool_call_id" in refused(*messages).message


def test_a_result_comes_once_and_at_once() -> None:
    asks = {"role": "assistant", "tool_calls": [call("a")]}
    assert "messages[2]" in refused(asks, result("a"), result("a")).message
    assert "messages[2]" in refused(asks, USER, result("a")).message
    assert "messages[1]" in refused(asks, result("b")).message


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0.2, "top_p": 1, "seed": 7, "max_tokens": 5, "max_completion_tokens": 5},
        {"presence_penalty": 1, "frequency_penalty": 1, "user": "x", "metadata": {"a": "b"}},
        {"reasoning_effort": "low", "verbosity": "low", "store": True, "service_tier": "auto"},
        {"n": 1, "tools": [], "tool_choice": "auto", "response_format": {"type": "text"}},
        {"n": None, "tools": None, "tool_choice": None, "response_format": None, "stop": None},
        {"logprobs": False, "top_logprobs": 0, "logit_bias": {}, "modalities": ["text"]},
        {"some_day": {"a": [1]}, "parallel_tool_calls": False, "stop": []},
    ],
)
def test_harmless_options_are_passed_over(fields: dict[str, Any]) -> None:
    assert parse(**fields) == parse()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 2),
        ("n", 0),
        ("tools", [{"type": "function", "function": {"name": "mine"}}]),
        ("tool_choice", "required"),
        ("tool_choice", {"type": "function", "function": {"name": "mine"}}),
        ("functions", [{"name": "mine"}]),
        ("function_call", {"name": "mine"}),
        ("web_search_options", {}),
        ("response_format", {"type": "json_object"}),
        ("response_format", {"type": "json_schema", "json_schema": {}}),
        ("modalities", ["text", "audio"]),
        ("logprobs", True),
        ("top_logprobs", 3),
        ("logit_bias", {"50256": -100}),
        ("stop", ["\n"]),
        ("stop", "END"),
        ("moderation", {"model": "m"}),
    ],
)
def test_options_that_change_the_meaning_are_refused(name: str, value: Any) -> None:
    assert f"`{name}`" in refused(**{name: value}).message


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


@pytest.mark.parametrize(
    ("message", "where"),
    [
        ({"role": "function", "name": "a", "content": "b"}, "messages[0].role"),
        ({"content": "b"}, "messages[0]"),
        ({"role": "user"}, "messages[0]"),
        ({"role": "user", "content": 5}, "messages[0].content"),
        ({"role": "user", "content": None}, "messages[0].content"),
        ({"role": "system", "content": [{"type": "image_url"}]}, "messages[0].content[0].type"),
        (user({"type": "video_url"}), "messages[0].content[0].type"),
        (
            user({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}),
            "messages[0].content[0]",
        ),
        (
            user(text("a"), {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}),
            "messages[0].content[1].image_url.url",
        ),
        (user({"type": "image_url", "image_url": "x"}), "messages[0].content[0].image_url"),
        (user({"type": "file", "file": {"file_id": "f"}}), "messages[0].content[0].file"),
        (
            user({"type": "file", "file": {"file_data": "data:a/b;base64,***"}}),
            "messages[0].content[0].file.file_data",
        ),
        (
            user({"type": "file", "file": {"file_data": "data:a/b;base64,é"}}),
            "messages[0].content[0].file.file_data",
        ),
        ({"role": "assistant", "content": "a", "audio": {"id": "x"}}, "messages[0].audio"),
        ({"role": "assistant", "function_call": {"name": "x"}}, "messages[0].function_call"),
        ({"role": "assistant", "tool_calls": [{"type": "custom"}]}, "messages[0].tool_calls[0]"),
        ({"role": "tool", "content": "a"}, "messages[0]"),
    ],
)
def test_messages_that_cannot_be_taken(message: Any, where: str) -> None:
    assert f"`{where}" in refused(message).message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"5",
        b"\xff",
        b'{"model":"m","messages":[]}',
        b'{"model":"m","messages":[{"role":"assistant","content":""}]}',
        b'{"messages":[{"role":"user","content":"Hi"}]}',
        b'{"model":5,"messages":[]}',
        b'{"model":"m","messages":"Hi"}',
        b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}',
        b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"model":"m","messages":[],"stream":"yes"}',
        b'{"model":"m","messages":[],"stop":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"model":"m","messages":[],"x":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    ],
)
def test_bodies_that_cannot_be_read(body: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        parse_request(body)
    assert caught.value.hint


def test_a_fault_is_told_in_few_words() -> None:
    error = refused({"role": "x" * 1_000_000, "content": "Hi"})
    assert len(error.message) < 600
    assert "`messages[0].role`" in error.message


BITS = JSON | st.sampled_from(["user", "assistant", "tool", "text", "function", "image_url", "a"])
ENTRIES = st.dictionaries(
    st.sampled_from(["role", "content", "tool_calls", "tool_call_id", "type", "text", "id"]), BITS
)


@given(messages=st.lists(ENTRIES, max_size=4), fields=st.dictionaries(TEXT, JSON, max_size=3))
def test_anything_else_is_a_usage_error(messages: list[Any], fields: dict[str, Any]) -> None:
    body = json.dumps({"model": "m", **fields, "messages": messages}).encode()
    with suppress(UsageError):
        assert parse_request(body).input.role in ("user", "assistant", "tool", "system")


@given(body=st.binary(max_size=50))
def test_no_bytes_break_it(body: bytes) -> None:
    with pytest.raises(UsageError):
        parse_request(body)
