"""Messages as Gemini's `contents`: pure.

Source: the Gemini API's reference, "Content"; ai.google.dev, "Function calling" and "Thought
signatures".
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from mimetypes import guess_type
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import msgspec

from headrace.errors import UsageError
from headrace.messages import File, Image, Message, Opaque, Part, Text, ToolCall, ToolResult
from headrace.providers.gemini.parts import MADE_UP

_FILES = "https://generativelanguage.googleapis.com/v1beta/"
_UNKNOWN_TYPE = "application/octet-stream"

# What the documentation names for calls that the model did not make itself, where it wants a
# signature ("Thought signatures", questions and answers).
_UNSIGNED = "skip_thought_signature_validator"

_Wire = dict[str, Any]


def contents(messages: Iterable[Message], provider: str, *, sign: bool) -> list[_Wire]:
    """The conversation without its system messages.

    Args:
        messages: Oldest first.
        provider: Whose opaque items go back; those of others are left out.
        sign: Whether the model refuses calls without any signature (Gemini 3 and later).

    Raises:
        UsageError: for a part that this wire cannot carry.
    """
    made: list[_Wire] = []
    order: dict[str, int] = {}
    results: list[ToolResult] = []
    for message in messages:
        if message.role == "system":
            continue
        results += (part for part in message.content if isinstance(part, ToolResult))
        if message.role == "tool":
            continue
        _flush(results, order, made)
        if message.role == "assistant":
            order = {call.id: place for place, call in enumerate(message.tool_calls)}
            parts = _model_parts(message, provider, sign)
            made += [{"role": "model", "parts": parts}] if parts else []
        else:
            parts = [_part(p) for p in message.content if not isinstance(p, ToolResult)]
            made += [{"role": "user", "parts": parts}] if parts else []
    _flush(results, order, made)
    return made


def _flush(results: list[ToolResult], order: dict[str, int], made: list[_Wire]) -> None:
    """All results of a turn's calls go back as one message, in the order of the calls."""
    if results:
        results.sort(key=lambda result: order.get(result.call_id, len(order)))
        made.append({"role": "user", "parts": [_response(result) for result in results]})
        results.clear()


def _response(result: ToolResult) -> _Wire:
    response = {"error" if result.is_error else "output": result.output}
    return {"functionResponse": _with_id({"name": result.name, "response": response}, result)}


def _with_id(value: _Wire, of: ToolCall | ToolResult) -> _Wire:
    id = of.id if isinstance(of, ToolCall) else of.call_id
    return value if id.startswith(MADE_UP) else {"id": id, **value}


def _model_parts(message: Message, provider: str, sign: bool) -> list[_Wire]:
    made: list[_Wire] = []
    for part in message.content:
        match part:
            case Text() if part.text:
                made.append({"text": part.text})
            case ToolCall():
                made.append({"functionCall": _with_id(_call(part), part)})
            case Opaque() if part.provider == provider:
                _put_back(part, made)
            case Image() | File():
                made.append(_part(part))
    if sign:
        _sign(made)
    return made


def _call(call: ToolCall) -> _Wire:
    try:
        arguments = msgspec.json.decode(call.arguments)
    except (msgspec.MsgspecError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):  # the wire has no other way to tell what another wrote
        arguments = {"malformed_arguments": call.arguments}
    return {"name": call.name, "args": arguments}


def _put_back(item: Opaque, made: list[_Wire]) -> None:
    """Put a part that came with a signature into the place of what it showed.

    Where that is gone, because someone changed the message, so is what the signature signs.
    """
    part = msgspec.json.decode(item.data)
    last = made[-1] if made else {}
    if "functionCall" in part:
        if last.get("functionCall", {}).get("name") == part["functionCall"].get("name"):
            made[-1] = part
        return
    text = part.get("text")
    if text and not part.get("thought"):
        shown = last.get("text", "")
        if "thoughtSignature" in last or not shown.endswith(text):
            return
        made[-1:] = [{"text": shown[: -len(text)]}] if shown != text else []
    made.append(part)


def _sign(parts: list[_Wire]) -> None:
    calls = [part for part in parts if "functionCall" in part]
    if calls and not any("thoughtSignature" in part for part in calls):
        calls[0]["thoughtSignature"] = _UNSIGNED


def _part(part: Part) -> _Wire:
    match part:
        case Text():
            return {"text": part.text}
        case Image(url=str(url)) | File(url=str(url)):
            return _by_url(url, part.media_type)
        case Image():
            return _inline(part.data or b"", part.media_type)
        case File(file_id=str(id)):
            uri = id if "://" in id else f"{_FILES}files/{id.removeprefix('files/')}"
            return _by_uri(uri, _type_of(part.name, part.media_type))
        case File():
            return _inline(part.data or b"", _type_of(part.name, part.media_type))
    raise UsageError(f"A user's message cannot hold a {type(part).__name__} part.")


def _by_url(url: str, media_type: str) -> _Wire:
    if url.startswith("data:"):
        return _data_url(url[5:], media_type)
    guessed = guess_type(urlsplit(url).path)[0]
    return _by_uri(url, guessed or media_type)


def _data_url(rest: str, media_type: str) -> _Wire:
    """The bytes of a ``data:`` URL (RFC 2397)."""
    head, _, data = rest.partition(",")
    kind = head.removesuffix(";base64") or media_type
    if head.endswith(";base64"):
        return {"inlineData": {"mimeType": kind, "data": data}}
    return _inline(unquote_to_bytes(data), kind)


def _inline(data: bytes, media_type: str) -> _Wire:
    return {"inlineData": {"mimeType": media_type, "data": b64encode(data).decode()}}


def _by_uri(uri: str, media_type: str) -> _Wire:
    known = {} if media_type == _UNKNOWN_TYPE else {"mimeType": media_type}
    return {"fileData": {**known, "fileUri": uri}}


def _type_of(name: str, media_type: str) -> str:
    """The type that was given, or that the file's name tells where none was."""
    return media_type if media_type != _UNKNOWN_TYPE else guess_type(name)[0] or media_type
