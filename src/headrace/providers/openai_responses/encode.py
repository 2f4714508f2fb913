"""Makes a Responses request: pure, a `ModelRequest` to the body.

Source: OpenAI API reference, "Responses", "Create a model response".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
from headrace.providers.features import is_sound, refuse

LACKS = frozenset({"stop", "seed"})
"""Features (`features.FEATURES`) that this wire has no field for."""

_CHOICES = ("auto", "none", "required")
_NOT_REASONING = ("gpt-3.5", "gpt-4", "chatgpt-")
"""Models that refuse to be asked for encrypted reasoning, which they do not have."""

_MERGED = ("text", "reasoning")
"""Fields that hold several settings: `extra` sets some of them and leaves the others."""


def encode(
    request: ModelRequest,
    model: str,
    *,
    provider: str = "openai-responses",
    background: bool = False,
) -> dict[str, Any]:
    """The request's body.

    The provider keeps nothing (``store: false``), and so gives its reasoning along, encrypted, to
    be sent back with the conversation. A response in the background must be kept.

    Args:
        request: Messages, tools and options; ``options.extra`` wins over all else.
        model: The provider's name of the model; left out when empty.
        provider: Whose opaque items go back; those of others are left out.
        background: Whether the answer goes on without the connection.

    Raises:
        UsageError: for something that this wire cannot carry.
    """
    refuse(request, LACKS, provider)
    instructions, messages = _instructions(request.messages)
    body: dict[str, Any] = {"model": model} if model else {}
    if instructions:
        body["instructions"] = instructions
    body["input"] = [entry for message in messages for entry in _items(message, provider)]
    body["stream"] = True
    body["store"] = background
    if background:
        body["background"] = True
    if not model.startswith(_NOT_REASONING):
        body["include"] = ["reasoning.encrypted_content"]
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        if request.options.tool_choice is not None:
            body["tool_choice"] = _tool_choice(request.options.tool_choice)
    body.update(_options(request.options))
    for name, value in request.options.extra.items():
        both = name in _MERGED and isinstance(value, dict) and name in body
        body[name] = {**body[name], **value} if both else value
    return body


def _instructions(messages: tuple[Message, ...]) -> tuple[str, tuple[Message, ...]]:
    """The system messages that stand first, as one text, and the messages after them."""
    count = 0
    while count < len(messages) and messages[count].role == "system":
        count += 1
    texts = (message.text for message in messages[:count])
    return "\n\n".join(text for text in texts if text), messages[count:]


def _options(options: Options) -> dict[str, Any]:
    form, effort = options.response_format, options.reasoning_effort
    values = {
        "temperature": options.temperature,
        "max_output_tokens": options.max_tokens,
        "top_p": options.top_p,
        "text": None if form is None else {"format": _format(form)},
        "reasoning": None if effort is None else {"effort": effort},
    }
    return {name: value for name, value in values.items() if value is not None}


def _format(given: str | dict[str, Any]) -> dict[str, Any]:
    """``text.format``: unlike in Chat Completions the schema's name stands beside its type."""
    if isinstance(given, str):
        return {"type": given}
    nested = given.get("json_schema")
    if isinstance(nested, dict):
        given = nested
    if "schema" in given:
        return {"name": "answer", **given, "type": "json_schema"}
    if given.get("type") in ("json_object", "text"):
        return given
    return {"type": "json_schema", "name": "answer", "schema": given}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    # Without `strict` the provider would make the schema strict, and optional arguments needed.
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": False,
    }


def _tool_choice(choice: str) -> Any:
    return choice if choice in _CHOICES else {"type": "function", "name": choice}


def _items(message: Message, provider: str) -> Iterator[Any]:
    """One message as the wire has it: calls and their results are items of their own."""
    for part in message.content:
        if isinstance(part, ToolResult):
            yield {"type": "function_call_output", "call_id": part.call_id, "output": part.output}
    if message.role == "assistant":
        yield from _said(message.content, provider)
    elif message.role == "system":
        yield {"role": "system", "content": message.text}
    elif message.role == "user":
        parts = [_part(part) for part in message.content if not isinstance(part, ToolResult)]
        if parts or not message.content:
            yield {"role": "user", "content": _content(parts)}


def _content(parts: list[dict[str, Any]]) -> Any:
    """Text alone as a string, which every server takes."""
    if len(parts) < 2 and all(part["type"] == "input_text" for part in parts):
        return parts[0]["text"] if parts else ""
    return parts


def _said(parts: Iterable[Part], provider: str) -> Iterator[Any]:
    """What the model said, in its order: reasoning must stand before what followed from it."""
    text: dict[str, Any] = {}  # the message that is still open
    for part in parts:
        if isinstance(part, Text):
            text = text or {"type": "message", "role": "assistant", "content": ""}
            text["content"] += part.text
            continue
        item = _item(part, provider)
        if item is None:
            continue
        phase = _phase(part)
        if text.get("content"):
            yield {**text, **phase}
        text = {}
        if not phase:
            yield item
    if text.get("content"):
        yield text


def _item(part: Part, provider: str) -> Any:
    """A part of an assistant's message as an item of its own; None where it does not go back."""
    if isinstance(part, ToolCall):
        return {
            "type": "function_call",
            "call_id": part.id,
            "name": part.name,
            "arguments": part.arguments,
        }
    if isinstance(part, Opaque):
        return msgspec.Raw(part.data.encode()) if part.provider == provider else None
    if isinstance(part, Reasoning | ToolResult):
        return None
    raise UsageError(f"An assistant's message cannot hold a {type(part).__name__} part.")


def _phase(part: Part) -> dict[str, Any]:
    """The phase of the text before this part, where the part is an item that tells it."""
    if not isinstance(part, Opaque):
        return {}
    try:
        value = msgspec.json.decode(part.data)
    except (msgspec.MsgspecError, RecursionError):
        raise UsageError("An opaque item of the conversation is no JSON.") from None
    told = isinstance(value, dict) and value.get("type") == "message"
    return {"phase": value["phase"]} if told and "phase" in value else {}


def _part(part: Part) -> dict[str, Any]:
    match part:
        case Text():
            return {"type": "input_text", "text": part.text}
        case Image():
            url = part.url or data_url(part.data, part.media_type)
            return {"type": "input_image", "image_url": url, "detail": "auto"}
        case File():
            return _file(part)
    raise UsageError(f"A user's message cannot hold a {type(part).__name__} part.")


def _file(file: File) -> dict[str, Any]:
    if is_sound(file):
        raise UsageError(
            "This provider takes no sounds.", hint="The provider `openai` does, for some models."
        )
    if file.file_id is not None:
        return {"type": "input_file", "file_id": file.file_id}
    if file.url is not None and not file.url.startswith("data:"):
        return {"type": "input_file", "file_url": file.url}
    data = file.url or data_url(file.data, file.media_type)
    return {"type": "input_file", "filename": file.name or "file", "file_data": data}
