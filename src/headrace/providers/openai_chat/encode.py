"""Makes a Chat Completions request: pure, a `ModelRequest` to the body.

Source: OpenAI API reference, "Create chat completion".
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import msgspec

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
from headrace.models.request import ModelRequest, Options, ToolSpec
from headrace.providers.data_url import data_url
from headrace.providers.features import refuse
from headrace.providers.openai_chat.dialect import COMPATIBLE, Dialect

_AUDIO = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}
_CHOICES = ("auto", "none", "required")


def encode(
    request: ModelRequest, model: str, dialect: Dialect = COMPATIBLE, *, provider: str = ""
) -> dict[str, Any]:
    """The request's body.

    Args:
        request: Messages, tools and options; ``options.extra`` wins over all else.
        model: The provider's name of the model; left out when empty.
        dialect: What the server does differently.
        provider: Whose opaque items go back; those of others are left out.

    Raises:
        UsageError: for what the server lacks, or a part that this wire cannot carry.
    """
    refuse(request, dialect.lacks, provider)
    body: dict[str, Any] = {"model": model} if model else {}
    body["messages"] = [
        entry for message in request.messages for entry in _messages(message, dialect, provider)
    ]
    if dialect.continues and request.messages and request.messages[-1].role == "assistant":
        body["messages"][-1].update(dialect.begun)
        body.update(dialect.begun_body)
    body["stream"] = True
    if dialect.stream_options:
        body["stream_options"] = {"include_usage": True}
    if request.tools:
        body.update(_tools(request.tools, request.options.tool_choice, dialect))
    body.update(_options(request.options, dialect))
    body.update(request.options.extra)
    return body


def _options(options: Options, dialect: Dialect) -> dict[str, Any]:
    values = {
        "temperature": options.temperature,
        dialect.max_tokens: options.max_tokens,
        "top_p": options.top_p,
        "stop": list(options.stop) or None,
        dialect.seed: options.seed,
        "response_format": _response_format(options.response_format),
        "reasoning_effort": options.reasoning_effort,
    }
    return {name: value for name, value in values.items() if value is not None}


def _response_format(given: str | dict[str, Any] | None) -> Any:
    if given is None:
        return None
    if isinstance(given, str):
        return {"type": given}
    if "schema" in given:
        return {"type": "json_schema", "json_schema": {"name": "answer", **given}}
    if given.get("type") in ("json_schema", "json_object", "text"):
        return given
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": given}}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
    return {"type": "function", "function": function}


def _tools(tools: tuple[ToolSpec, ...], choice: str | None, dialect: Dialect) -> dict[str, Any]:
    """``tools`` and ``tool_choice``."""
    if choice is None:
        return {"tools": [_tool(tool) for tool in tools]}
    if choice not in _CHOICES and not dialect.named_choice:
        tools = tuple(tool for tool in tools if tool.name == choice)
        if not tools:
            raise UsageError(f"tool_choice names {choice!r}, and there is no such tool.")
        choice = "required"
    return {
        "tools": [_tool(tool) for tool in tools],
        "tool_choice": _tool_choice(choice, dialect),
    }


def _tool_choice(choice: str, dialect: Dialect) -> Any:
    if choice in _CHOICES:
        return dialect.required if choice == "required" else choice
    return {"type": "function", "function": {"name": choice}}


def _messages(message: Message, dialect: Dialect, provider: str) -> Iterator[dict[str, Any]]:
    """One message as the wire has it: every tool result is a message of its own."""
    for part in message.content:
        if isinstance(part, ToolResult):
            yield {"role": "tool", "tool_call_id": part.call_id, "content": part.output}
    if message.role == "assistant":
        yield _assistant(message, dialect, provider)
    elif message.role == "system":
        yield {"role": dialect.system_role, "content": message.text}
    elif message.role == "user":
        parts = [_part(p, dialect) for p in message.content if not isinstance(p, ToolResult)]
        if parts or not message.content:
            yield {"role": "user", "content": _content(parts)}


def _content(parts: list[dict[str, Any]]) -> Any:
    """Text alone as a string, which every server takes."""
    if all(part["type"] == "text" for part in parts) and len(parts) < 2:
        return parts[0]["text"] if parts else ""
    return parts


def _assistant(message: Message, dialect: Dialect, provider: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"role": "assistant", "content": message.text or None}
    calls = {call.id: _call(call) for call in message.tool_calls}
    for part in message.content:
        if isinstance(part, Opaque) and part.provider == provider:
            _put_back(part, entry, calls)
    if not calls:
        entry["content"] = message.text
        return entry
    entry["tool_calls"] = list(calls.values())
    if dialect.reasoning_back:
        reasoning = (part.text for part in message.content if isinstance(part, Reasoning))
        entry[dialect.reasoning_back] = "".join(reasoning)
    return entry


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _put_back(item: Opaque, entry: dict[str, Any], calls: dict[str, dict[str, Any]]) -> None:
    """Put an item of `opaque_items` to where it came from."""
    value = msgspec.json.decode(item.data)
    call = calls.get(value.pop("tool_call_id", ""))
    (entry if call is None else call).update(value)


def _part(part: Part, dialect: Dialect) -> dict[str, Any]:
    match part:
        case Text():
            return {"type": "text", "text": part.text}
        case Image():
            url = part.url or data_url(part.data, part.media_type)
            return {"type": "image_url", "image_url": {"url": url}}
        case File():
            return _file(part, dialect)
    raise UsageError(f"A user's message cannot hold a {type(part).__name__} part.")


def _file(file: File, dialect: Dialect) -> dict[str, Any]:
    if file.data is not None and file.media_type in _AUDIO:
        sound = {"data": b64encode(file.data).decode(), "format": _AUDIO[file.media_type]}
        return {"type": "input_audio", "input_audio": sound}
    if file.file_id is not None:
        return {"type": "file", "file": {"file_id": file.file_id}}
    if file.url is not None and not dialect.file_urls and not file.url.startswith("data:"):
        raise UsageError(
            "This provider takes no file by its URL.", hint="Give File(data=…) or File(file_id=…)."
        )
    data = file.url or data_url(file.data, file.media_type)
    return {"type": "file", "file": {"filename": file.name or "file", "file_data": data}}
