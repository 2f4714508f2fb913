"""What `DefaultChatTransport` of npm `ai` posts, made into a conversation.

The body is ``{"id", "messages", "trigger", "messageId", …}``; each message has `parts`
(ai-sdk.dev/docs/reference/ai-sdk-core/ui-message). It was put together in a page, so nothing in it
is trusted: no instructions are taken from it, and no address but ``https:`` and ``data:``.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import Raw, Struct

from headrace.errors import UsageError
from headrace.messages import File, Image, Message, Part, Reasoning, Text, ToolCall, ToolResult
from headrace.protocols.ai_sdk.parts import NEVER_CALLED

MAX_MESSAGES = 1000
"""Messages of one request."""

DENIED = "A person refused this call."
"""What the model reads of such a call where the page has no reason."""


class ChatRequest(Struct, frozen=True):
    """A question and what went before.

    Attributes:
        id: The page's name for the chat.
        history: What was said before `input`: only text and calls that still stand, and only
            calls with their results.
        input: The user's message to answer.
        trigger: ``submit-message`` or ``regenerate-message``, as the page says; the same here, as
            the page has cut its messages off behind the one to answer again.
    """

    id: str
    history: tuple[Message, ...]
    input: Message
    trigger: str = "submit-message"


class _Body(Struct):
    id: str
    messages: list[_Message]
    trigger: str = "submit-message"


class _Message(Struct):
    role: str
    parts: list[Raw]


class _Head(Struct):
    type: str


class _Text(Struct):
    text: str


# What a page had no value for comes as null where its messages went through a database.
class _File(Struct, rename="camel"):
    url: str
    media_type: str | None = None
    filename: str | None = None


class _Approval(Struct):
    reason: str | None = None


class _Tool(Struct, rename="camel"):
    tool_call_id: str
    state: str
    tool_name: str | None = None
    input: Any = None
    raw_input: Any = None
    output: Any = None
    error_text: str | None = None
    preliminary: bool | None = None
    approval: _Approval | None = None


class _Withdrawn(Struct):
    steps: int = 0


class _Retract(Struct):
    data: _Withdrawn


class _StepStart(Struct):
    pass


_Read = Part | _Tool | _Retract | _StepStart
_T = TypeVar("_T")

_body = msgspec.json.Decoder(_Body)
_head = msgspec.json.Decoder(_Head)
_text = msgspec.json.Decoder(_Text)
_tool = msgspec.json.Decoder(_Tool)
_attached = msgspec.json.Decoder(_File)
_retract = msgspec.json.Decoder(_Retract)


def parse(body: bytes) -> ChatRequest:
    """Read a request's body; parts of kinds that are not known are left out.

    Args:
        body: JSON, of a size that the caller has bounded.

    Raises:
        UsageError: it is no such request; the message says where.
    """
    request = _decoded(_body.decode, body, "")
    if not request.messages:
        raise UsageError("There are no messages.", hint="Send the user's message last.")
    if len(request.messages) > MAX_MESSAGES:
        raise UsageError(
            f"There are {len(request.messages)} messages; {MAX_MESSAGES} are the most.",
            hint="Send the last ones.",
        )
    said = [
        message
        for place, given in enumerate(request.messages)
        for message in _messages(given, f"messages[{place}]")
    ]
    if request.messages[-1].role != "user":
        raise UsageError(
            f"The last message is the {request.messages[-1].role}'s.",
            hint="Send a user's message last; tools run on the server, and go on by themselves.",
        )
    if not said[-1].content:
        raise UsageError("The last message says nothing.", hint="Give it a part of text or a file.")
    history = tuple(message for message in said[:-1] if message.content)
    return ChatRequest(request.id, history, said[-1], request.trigger)


def _decoded(decode: Callable[[Any], _T], data: bytes | Raw, where: str) -> _T:
    try:
        return decode(data)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$")
        place = where + path.rstrip("`")
        at = f" at {place.removeprefix('.')}" if place else ""
        raise UsageError(
            f"The request does not fit{at}: {reason}.",
            hint="Send what DefaultChatTransport of npm `ai` sends.",
        ) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise UsageError(
            "The request is not JSON, or nested too deeply.", hint=str(error)[:200]
        ) from None


def _messages(given: _Message, where: str) -> Iterator[Message]:
    """A page's message as the messages of a conversation: one, or two for each step."""
    parts = _parts(given, where)
    match given.role:
        case "user":
            yield Message("user", tuple(_user_parts(parts)))
        case "assistant":
            for step in _steps(parts):
                yield from _step(step)
        case "system":
            raise UsageError(
                f"{where} is a system message.",
                hint="The agent's instructions are the server's; say it as the user, or not.",
            )
        case role:
            raise UsageError(f"{where}.role is {role[:40]!r}.", hint="Known are: user, assistant.")


def _parts(given: _Message, where: str) -> list[_Read]:
    """The parts of known kinds, each read by its kind."""
    found: list[_Read] = []
    for place, raw in enumerate(given.parts):
        at = f"{where}.parts[{place}]"
        kind = _decoded(_head.decode, raw, at).type
        match kind:
            case "text":
                found.append(Text(_decoded(_text.decode, raw, at).text))
            case "reasoning":
                found.append(Reasoning(_decoded(_text.decode, raw, at).text))
            case "file":
                found.append(_file(_decoded(_attached.decode, raw, at), at))
            case "step-start":
                found.append(_StepStart())
            case "data-retract":
                found.append(_decoded(_retract.decode, raw, at))
            case _ if kind == "dynamic-tool" or kind.startswith("tool-"):
                tool = _decoded(_tool.decode, raw, at)
                tool.tool_name = tool.tool_name or kind.removeprefix("tool-")
                found.append(tool)
    return found


def _file(part: _File, where: str) -> Image | File:
    """An image or another file."""
    scheme = part.url[:6].lower()
    if scheme.startswith("data:"):
        kind, data = _data_url(part.url, where)
        kind = part.media_type or kind
        if kind.startswith("image/"):
            return Image(data=data, media_type=kind)
        return File(name=part.filename or "", data=data, media_type=kind)
    if scheme != "https:":
        raise UsageError(
            f"{where}.url is {part.url[:40]!r}.", hint="Give a file by an https: or data: URL."
        )
    kind = part.media_type or "application/octet-stream"
    if kind.startswith("image/"):
        return Image(url=part.url, media_type=kind)
    return File(name=part.filename or "", url=part.url, media_type=kind)


def _data_url(url: str, where: str) -> tuple[str, bytes]:
    """Media type and bytes (RFC 2397)."""
    head, comma, body = url[5:].partition(",")
    kind, *options = head.split(";")
    try:
        if not comma:
            raise ValueError("it has no comma")
        data = unquote_to_bytes(body)
        if "base64" in (option.strip().lower() for option in options):
            data = b64decode(data, validate=True)
    except ValueError as error:
        raise UsageError(
            f"{where}.url is no data: URL: {error}.", hint="Write data:image/png;base64,…"
        ) from None
    return kind or "text/plain", data


def _user_parts(parts: Iterable[_Read]) -> Iterator[Part]:
    for part in parts:
        if isinstance(part, Image | File) or (isinstance(part, Text) and part.text):
            yield part


def _steps(parts: Iterable[_Read]) -> list[list[_Read]]:
    """An answer's steps, without what a `data-retract` in it has withdrawn (see `encode.py`)."""
    steps: list[list[_Read]] = [[]]
    for part in parts:
        if isinstance(part, _StepStart):
            steps.append([])
        elif isinstance(part, _Retract):
            del steps[max(1, len(steps) - max(0, part.data.steps)) :]
            steps[-1] = []
        else:
            steps[-1].append(part)
    return steps


def _step(parts: Iterable[_Read]) -> Iterator[Message]:
    """What the model said and asked for in one step, and what the tools gave back."""
    said: list[Part] = []
    results: list[ToolResult] = []
    for part in parts:
        if isinstance(part, _Tool):
            if (result := _result(part)) is not None:
                said.append(_call(part))
                results.append(result)
        elif isinstance(part, Text | Reasoning) and part.text:
            said.append(part)
    if said:
        yield Message("assistant", tuple(said))
    if results:
        yield Message.tool(*results)


def _call(part: _Tool) -> ToolCall:
    given = part.raw_input if part.input is None else part.input
    if given is None:
        given = {}
    return ToolCall(part.tool_call_id, part.tool_name or "", _as_text(given))


def _result(part: _Tool) -> ToolResult | None:
    """None for a call that has none: no provider takes a call without its result."""
    match part.state:
        case "output-available" if not part.preliminary:
            output, is_error = _as_text(part.output), False
        case "output-error" if part.error_text != NEVER_CALLED:
            output, is_error = part.error_text or "", True
        case "output-denied":
            reason = part.approval.reason if part.approval else None
            output, is_error = reason or DENIED, True
        case _:
            return None
    return ToolResult(part.tool_call_id, part.tool_name or "", output, is_error)


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
