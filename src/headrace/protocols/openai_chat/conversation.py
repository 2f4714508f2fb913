"""The ``messages`` of a Chat Completions request as Headrace's own: pure.

A client that adds our answer to its conversation sends back the calls of tools that ran here, and
has no results for them. No model takes a call without its result, so such calls are left out; what
the client answered itself is kept.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from headrace.errors import UsageError
from headrace.messages import File, Image, Message, Part, Text, ToolCall, ToolResult


class TextPart(Struct, tag_field="type", tag="text"):
    """Text."""

    text: str


class RefusalPart(Struct, tag_field="type", tag="refusal"):
    """A model's refusal, which is text like any other."""

    refusal: str


class ImageURL(Struct):
    """Where an image is."""

    url: str


class ImagePart(Struct, tag_field="type", tag="image_url"):
    """An image."""

    image_url: ImageURL


class AudioPart(Struct, tag_field="type", tag="input_audio"):
    """Sound; known, to be refused in our own words."""


class FileFields(Struct):
    """A file: its bytes as a ``data:`` URL, or the id of one that the provider holds."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class FilePart(Struct, tag_field="type", tag="file"):
    """A file."""

    file: FileFields


class SystemMessage(Struct, tag_field="role", tag="system"):
    """Instructions; the agent's own come before them."""

    content: str | list[TextPart]


class DeveloperMessage(Struct, tag_field="role", tag="developer"):
    """Instructions, under the newer name."""

    content: str | list[TextPart]


class UserMessage(Struct, tag_field="role", tag="user"):
    """What a person says."""

    content: str | list[TextPart | ImagePart | AudioPart | FilePart]


class FunctionFields(Struct):
    """What is called, with the arguments as JSON text."""

    name: str
    arguments: str = "{}"


class CallFields(Struct, tag_field="type", tag="function"):
    """One tool call."""

    id: str
    function: FunctionFields


class AssistantMessage(Struct, tag_field="role", tag="assistant"):
    """What a model said; SDKs send the fields that are empty along."""

    content: str | list[TextPart | RefusalPart] | None = None
    refusal: str | None = None
    tool_calls: list[CallFields] | None = None
    function_call: Any = None
    audio: Any = None


class ToolMessage(Struct, tag_field="role", tag="tool"):
    """The result of one call, right after the message that asked for it."""

    content: str | list[TextPart]
    tool_call_id: str


AnyMessage = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage


def conversation(entries: Sequence[AnyMessage]) -> list[Message]:
    """The messages, with the results that follow a message of the model in one message of tools.

    Raises:
        UsageError: a part or field that cannot be taken, or a result that answers no call. The
            message names its place, such as ``messages[2].content[0]``.
    """
    said: list[Message] = []
    at = 0
    while at < len(entries):
        entry, place, at = entries[at], f"messages[{at}]", at + 1
        match entry:
            case AssistantMessage():
                results = _results(entries, at)
                said += _turn(entry, results, at)
                at += len(results)
            case ToolMessage():
                raise _no_call(place, entry)
            case UserMessage():
                said.append(Message("user", tuple(_parts(entry, place))))
            case _:
                said.append(Message.system(_text(entry.content)))
    return said


def _results(entries: Sequence[AnyMessage], at: int) -> list[ToolMessage]:
    """The results that stand at this place."""
    found: list[ToolMessage] = []
    while at < len(entries) and isinstance(entry := entries[at], ToolMessage):
        found.append(entry)
        at += 1
    return found


def _turn(entry: AssistantMessage, results: Sequence[ToolMessage], first: int) -> Iterator[Message]:
    """What the model said and, where the client ran calls itself, what these gave.

    `first` is the place of the first result, right after the model's message.
    """
    for name in ("function_call", "audio"):
        if getattr(entry, name) is not None:
            where = f"messages[{first - 1}].{name}"
            raise UsageError(f"`{where}` cannot be taken.", hint="Leave it out.")
    calls = {call.id: call for call in entry.tool_calls or ()}
    found: dict[str, ToolResult] = {}
    for number, result in enumerate(results, first):
        call = calls.get(result.tool_call_id)
        if call is None or call.id in found:
            raise _no_call(f"messages[{number}]", result)
        found[call.id] = ToolResult(call.id, call.function.name, _text(result.content))
    text = _text(entry.content or "") + (entry.refusal or "")
    parts: list[Part] = [Text(text)] if text else []
    parts += [
        ToolCall(call.id, call.function.name, call.function.arguments)
        for call in calls.values()
        if call.id in found
    ]
    if parts:
        yield Message("assistant", tuple(parts))
    if found:
        yield Message.tool(*found.values())


def _no_call(place: str, result: ToolMessage) -> UsageError:
    return UsageError(
        f"`{place}.tool_call_id` {result.tool_call_id[:80]!r} answers no call.",
        hint="A result comes right after the assistant's message that has its call, once.",
    )


def _text(content: str | Sequence[TextPart | RefusalPart]) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.text if isinstance(part, TextPart) else part.refusal for part in content)


def _parts(entry: UserMessage, place: str) -> Iterator[Part]:
    if isinstance(entry.content, str):
        yield Text(entry.content)
        return
    for number, part in enumerate(entry.content):
        where = f"{place}.content[{number}]"
        match part:
            case TextPart():
                yield Text(part.text)
            case ImagePart():
                yield _image(part.image_url.url, f"{where}.image_url.url")
            case FilePart():
                yield _file(part.file, f"{where}.file")
            case _:
                raise UsageError(f"`{where}` is sound, which is not taken.", hint="Send text.")


def _image(url: str, where: str) -> Image:
    if not url[:8].lower().startswith(("https://", "http://", "data:")):
        raise UsageError(
            f"`{where}` is no address of an image.", hint="Send an https: or data: URL."
        )
    return Image(url=url)


def _file(file: FileFields, where: str) -> File:
    """A file by its bytes: an id would name one that belongs to the server's own account."""
    head, comma, data = (file.file_data or "").partition(",")
    kind, *parameters = head.removeprefix("data:").split(";")
    if head.startswith("data:") and comma and "base64" in parameters:
        try:
            content = b64decode(data, validate=True)
        except ValueError:  # binascii.Error, or characters beyond ASCII
            content = b""
        if content:
            name = file.filename or ""
            return File(name, data=content, media_type=kind.lower() or "text/plain")
    raise UsageError(
        f"`{where}.file_data` is no data: URL in base64.",
        hint="Send the file itself; one that was uploaded elsewhere is not known here.",
    )
