"""Messages: JSON and back, parts that refuse nonsense, what callers may give as input."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    as_messages,
)
from tests.strategies import MESSAGES


def encoded(message: Message) -> Any:
    return json.loads(msgspec.json.encode(message))


@given(MESSAGES)
def test_a_message_survives_its_json(message: Message) -> None:
    assert msgspec.json.decode(msgspec.json.encode(message), type=Message) == message


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_an_opaque_item_comes_back_byte_for_byte(data: str) -> None:
    message = Message.assistant(Opaque("anthropic", data))
    back = msgspec.json.decode(msgspec.json.encode(message), type=Message)
    assert back.content == (Opaque("anthropic", data),)


@given(st.binary(max_size=60))
def test_bytes_are_base64_in_json(data: bytes) -> None:
    message = Message.user(Image(data=data), File(data=data, name="a.bin"))
    image, file = encoded(message)["content"]
    assert base64.b64decode(image["data"], validate=True) == data
    assert image["data"] == file["data"]


def test_each_part_names_its_type() -> None:
    message = Message.assistant(
        Text("a"),
        Reasoning("b"),
        Image(url="https://x/y.png"),
        File(file_id="f1"),
        ToolCall("c1", "look"),
        ToolResult("c1", "look", "found"),
        Opaque("openai", "{}"),
    )
    types = [part["type"] for part in encoded(message)["content"]]
    assert types == ["text", "reasoning", "image", "file", "tool_call", "tool_result", "opaque"]


@pytest.mark.parametrize("fields", [{}, {"url": "https://x", "data": b"x"}], ids=["none", "two"])
def test_an_image_has_exactly_one_source(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="either url= or data="):
        Image(**fields)


@pytest.mark.parametrize(
    "names",
    [(), ("url", "data"), ("url", "file_id"), ("data", "file_id"), ("url", "data", "file_id")],
)
def test_a_file_has_exactly_one_source(names: tuple[str, ...]) -> None:
    values: dict[str, Any] = {"url": "https://x", "data": b"x", "file_id": "f1"}
    with pytest.raises(UsageError, match="exactly one of"):
        File(**{name: values[name] for name in names})


def test_an_empty_source_is_a_source() -> None:
    assert Image(data=b"").data == b""
    assert File(url="").url == ""


def test_text_and_calls_of_a_message() -> None:
    first, second = ToolCall("1", "a"), ToolCall("2", "b", '{"x":1}')
    message = Message.assistant("Hel", Reasoning("hm"), first, "lo", second)
    assert message.text == "Hello"
    assert message.tool_calls == (first, second)
    assert first.arguments == "{}"


@pytest.mark.parametrize(
    ("message", "role"),
    [
        (Message.system("x"), "system"),
        (Message.user("x"), "user"),
        (Message.assistant("x"), "assistant"),
        (Message.tool(ToolResult("1", "a", "x")), "tool"),
    ],
)
def test_roles(message: Message, role: str) -> None:
    assert message.role == role


def test_as_messages_takes_text_a_message_or_several() -> None:
    hello, hi = Message.user("hello"), Message.assistant("hi")
    assert as_messages("hello") == [hello]
    assert as_messages(hello) == [hello]
    assert as_messages([hello, hi]) == [hello, hi]
    assert as_messages(m for m in (hello, hi)) == [hello, hi]


@pytest.mark.parametrize("value", [["hello"], [Message.user("a"), None], {"role": "user"}, b"hi"])
def test_as_messages_refuses_other_items(value: Any) -> None:
    with pytest.raises(UsageError, match=r"holds headrace\.Message items") as caught:
        as_messages(value)
    assert "Message.user" in caught.value.hint


@pytest.mark.parametrize("value", [None, 5, 1.5, object()], ids=lambda v: type(v).__name__)
def test_as_messages_refuses_what_holds_nothing(value: Any) -> None:
    with pytest.raises(UsageError, match=f"not {type(value).__name__}"):
        as_messages(value)
