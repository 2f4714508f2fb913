"""Makes Ollama's requests: pure, a `ModelRequest` to the body.

Source: ollama/docs/api.md, "Generate a chat completion" and "Generate a completion".
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import msgspec

from headrace.errors import UsageError
from headrace.messages import Image, Message, Reasoning, Text, ToolCall, ToolResult
from headrace.models.request import ModelRequest, Options, ToolSpec
from headrace.providers.features import format_of, refuse, schema_of

LACKS = frozenset({"tool_choice", "files"})

_THINK: dict[str, bool | str] = {"none": False, "off": False, "on": True, "minimal": "low"}
"""What `reasoning_effort` is as ``think``, where it is not the same word."""


def encode_chat(request: ModelRequest, model: str, *, provider: str = "ollama") -> dict[str, Any]:
    """The body for `/api/chat`.

    Args:
        request: Messages, tools and options; ``options.extra`` wins over all else.
        model: The model's name.
        provider: Who, for errors.

    Raises:
        UsageError: for something that this wire cannot carry.
    """
    refuse(request, LACKS, provider)
    body: dict[str, Any] = {"model": model}
    body["messages"] = [entry for message in request.messages for entry in _messages(message)]
    body["stream"] = True
    if request.tools and request.options.tool_choice != "none":
        body["tools"] = [_tool(tool) for tool in request.tools]
    return _with_options(body, request.options)


def encode_generate(
    request: ModelRequest, model: str, *, provider: str = "ollama"
) -> dict[str, Any]:
    """The body for `/api/generate`: one prompt, with instructions and images if there are any.

    Raises:
        UsageError: for tools, a conversation, or something else that this wire cannot carry.
    """
    refuse(request, LACKS | {"tools"}, provider)
    asked = [message for message in request.messages if message.role != "system"]
    if [message.role for message in asked] != ["user"]:
        raise UsageError(
            f"{provider}: the endpoint “generate” takes one prompt, no conversation.",
            hint='Take the endpoint "chat".',
        )
    (entry,) = _messages(asked[0])
    body: dict[str, Any] = {"model": model, "prompt": entry["content"], "stream": True}
    system = "\n\n".join(m.text for m in request.messages if m.role == "system")
    if system:
        body["system"] = system
    if "images" in entry:
        body["images"] = entry["images"]
    return _with_options(body, request.options)


def _with_options(body: dict[str, Any], options: Options) -> dict[str, Any]:
    values = {
        "temperature": options.temperature,
        "num_predict": options.max_tokens,
        "top_p": options.top_p,
        "stop": list(options.stop) or None,
        "seed": options.seed,
    }
    told = {name: value for name, value in values.items() if value is not None}
    extra = dict(options.extra)
    if isinstance(extra.get("options"), dict):  # so that num_ctx does not take temperature away
        told |= extra.pop("options")
    effort = options.reasoning_effort
    fields = {
        "options": told or None,
        "format": _format(options.response_format),
        "think": None if effort is None else _THINK.get(effort, effort),
    }
    return {**body, **{name: v for name, v in fields.items() if v is not None}, **extra}


def _format(given: str | dict[str, Any] | None) -> Any:
    kind = format_of(given)
    if kind == "schema" and isinstance(given, dict):
        return schema_of(given)
    return "json" if kind else None


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _messages(message: Message) -> list[dict[str, Any]]:
    """One message as the wire has it: every tool result is a message of its own."""
    entries = [
        {"role": "tool", "tool_name": part.name, "content": part.output}
        for part in message.content
        if isinstance(part, ToolResult)
    ]
    if message.role == "assistant":
        entries.append(_assistant(message))
    elif message.role == "system":
        entries.append({"role": "system", "content": message.text})
    elif message.role == "user" and (not entries or len(entries) < len(message.content)):
        entries.append(_user(message))
    return entries


def _user(message: Message) -> dict[str, Any]:
    entry: dict[str, Any] = {"role": "user", "content": message.text}
    for part in message.content:
        if isinstance(part, Image):
            entry.setdefault("images", []).append(_image(part))
        elif not isinstance(part, Text | ToolResult):
            raise UsageError(f"A user's message cannot hold a {type(part).__name__} part.")
    return entry


def _image(image: Image) -> str:
    """The image in base64, the only form there is."""
    if image.data is not None:
        return b64encode(image.data).decode()
    head, comma, data = (image.url or "").partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        raise UsageError(
            "Ollama takes no image by its URL.", hint="Give Image(data=…), or a data: URL."
        )
    return data


def _assistant(message: Message) -> dict[str, Any]:
    entry: dict[str, Any] = {"role": "assistant", "content": message.text}
    thinking = "".join(part.text for part in message.content if isinstance(part, Reasoning))
    if thinking:
        entry["thinking"] = thinking
    if message.tool_calls:
        entry["tool_calls"] = [_call(call) for call in message.tool_calls]
    return entry


def _call(call: ToolCall) -> dict[str, Any]:
    """A call as it goes back: Ollama refuses arguments that are no object."""
    try:
        arguments = msgspec.json.decode(call.arguments)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        arguments = call.arguments
    if not isinstance(arguments, dict):
        arguments = {"arguments": arguments}
    return {"function": {"name": call.name, "arguments": arguments}}
