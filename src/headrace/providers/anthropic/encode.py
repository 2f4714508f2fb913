"""Makes a Messages request: pure, a `ModelRequest` to the body.

Source: Anthropic API reference, "Create a message".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

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
from headrace.providers.anthropic.reasoning import reasoning_fields
from headrace.providers.anthropic.schema import supported
from headrace.providers.anthropic.sources import file_block, image_block
from headrace.providers.features import format_of, refuse, schema_of
from headrace.providers.json_text import loads

MAX_TOKENS = 8192
"""The API wants a bound; this one is sent where none was asked for."""

MAX_TOKENS_REASONING = 32_000
"""The same with `reasoning_effort`: thinking counts. Every model that thinks can give so much."""

LACKS = frozenset({"json", "seed"})
"""JSON comes by a schema only (docs, "Structured outputs")."""

_CHOICES = {"auto": "auto", "none": "none", "required": "any"}
_NO_ID = re.compile(r"[^a-zA-Z0-9_-]")

Block = dict[str, Any]


def encode(request: ModelRequest, model: str, *, provider: str = "anthropic") -> dict[str, Any]:
    """The request's body.

    Args:
        request: Messages, tools and options; ``options.extra`` wins over all else.
        model: The provider's name of the model; left out when empty.
        provider: Whose opaque items go back; those of others are left out.

    Raises:
        UsageError: for a part or an option that this wire cannot carry.
    """
    refuse(request, LACKS, provider)
    options = request.options
    body: dict[str, Any] = {"model": model} if model else {}
    body["max_tokens"] = _max_tokens(options)
    system = [m.text for m in request.messages if m.role == "system" and m.text]
    if system:
        body["system"] = "\n\n".join(system)
    body["messages"] = _turns(request.messages, provider)
    body["stream"] = True
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        if options.tool_choice is not None:
            body["tool_choice"] = _tool_choice(options.tool_choice)
    body.update(_options(options, model, body["max_tokens"]))
    body.update(options.extra)
    if not body["messages"]:
        raise UsageError("Anthropic wants at least one message that says something.")
    return body


def _max_tokens(options: Options) -> int:
    if options.max_tokens is not None:
        return options.max_tokens
    thinks = options.reasoning_effort not in (None, "none")
    return MAX_TOKENS_REASONING if thinks else MAX_TOKENS


def _options(options: Options, model: str, max_tokens: int) -> dict[str, Any]:
    if options.temperature is not None and options.temperature > 1:
        raise UsageError(f"Anthropic's temperature is from 0 to 1, not {options.temperature}.")
    values: dict[str, Any] = {
        "temperature": options.temperature,
        "top_p": options.top_p,
        "stop_sequences": list(options.stop) or None,
    }
    made = {name: value for name, value in values.items() if value is not None}
    if options.reasoning_effort is not None:
        made.update(reasoning_fields(options.reasoning_effort, model, max_tokens))
    given = options.response_format
    if isinstance(given, dict) and format_of(given) == "schema":
        form = {"type": "json_schema", "schema": supported(schema_of(given))}
        made["output_config"] = {**made.get("output_config", {}), "format": form}
    return made


def _tool(tool: ToolSpec) -> dict[str, Any]:
    made: dict[str, Any] = {"name": tool.name}
    if tool.description:
        made["description"] = tool.description
    return {**made, "input_schema": {"type": "object", **tool.parameters}}


def _tool_choice(choice: str) -> dict[str, Any]:
    if choice in _CHOICES:
        return {"type": _CHOICES[choice]}
    return {"type": "tool", "name": choice}


def _turns(messages: Iterable[Message], provider: str) -> list[dict[str, Any]]:
    """The conversation: user and assistant by turns, neighbours of one role made one."""
    turns: list[tuple[str, list[Block]]] = []
    for message in messages:
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = list((_assistant if role == "assistant" else _user)(message, provider))
        if blocks and turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        elif blocks:
            turns.append((role, blocks))
    return [{"role": role, "content": _content(blocks)} for role, blocks in turns]


def _content(blocks: list[Block]) -> Any:
    """Tool results first, as the API wants them; a single text as a string."""
    if len(blocks) == 1 and blocks[0]["type"] == "text":
        return blocks[0]["text"]
    return sorted(blocks, key=lambda block: block["type"] != "tool_result")


def _user(message: Message, provider: str) -> Iterator[Block]:
    for part in message.content:
        match part:
            case Text():
                if part.text:  # empty text is refused with 400
                    yield {"type": "text", "text": part.text}
            case Image():
                yield image_block(part)
            case File():
                yield file_block(part)
            case ToolResult():
                yield _result(part)
            case _:
                raise _misplaced("user", part)


def _assistant(message: Message, provider: str) -> Iterator[Block]:
    """What the model said. Its reasoning goes back as opaque items, with signatures, or not."""
    for part in message.content:
        match part:
            case Text():
                if part.text:
                    yield {"type": "text", "text": part.text}
            case ToolCall():
                yield _call(part)
            case Opaque():
                if part.provider == provider:
                    yield _put_back(part)
            case Reasoning():
                pass
            case _:
                raise _misplaced("assistant", part)


def _result(result: ToolResult) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": _id(result.call_id)}
    if result.output:
        block["content"] = result.output
    if result.is_error:
        block["is_error"] = True
    return block


def _call(call: ToolCall) -> Block:
    return {
        "type": "tool_use",
        "id": _id(call.id),
        "name": call.name,
        "input": _input(call.arguments),
    }


def _input(arguments: str) -> Any:
    """The arguments as the object that the API wants; what is none stays readable within one.

    Source of the wrapping: docs, "Fine-grained tool streaming", invalid JSON.
    """
    try:
        value = loads(arguments)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"INVALID_JSON": arguments}


def _put_back(item: Opaque) -> Block:
    try:
        value = loads(item.data)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise UsageError("An Opaque item of the conversation is no content block of Anthropic's.")
    return value


def _id(id: str) -> str:
    """An id that the API takes: another provider's may hold more than letters and digits."""
    return _NO_ID.sub("_", id)


def _misplaced(role: str, part: Part) -> UsageError:
    return UsageError(f"A message of the {role} cannot hold a {type(part).__name__} part.")
