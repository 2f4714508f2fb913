"""What an AG-UI client posts to start a run (`RunAgentInput`), as our own messages.

What is taken: `threadId`, `runId` and `messages`. Left out, because they are the client's own or
because no client may give an agent instructions: `system` and `developer` messages (clients do
send them: refusing would shut them out), `reasoning` and `activity` messages, what sub-agents
said, `state`, `context`, `forwardedProps`, `resume`. `tools`, which run in the client, are not
offered to the model. Unknown fields are skipped.

The conversation is put into the order that models take: each call's result right after the
message that asks for it, calls without a result and results without a call left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from headrace.errors import UsageError
from headrace.messages import File, Image, Message, Part, Text, ToolCall, ToolResult

_Id = Annotated[str, Meta(min_length=1, max_length=256)]


class AGUIRequest(Struct, frozen=True):
    """A run that a client asks for.

    Attributes:
        thread_id: The conversation, as the client names it; 1 to 256 characters.
        run_id: The run, as the client names it; 1 to 256 characters.
        history: The conversation before.
        input: The person's new message.
        call_ids: Ids of all calls in the client's conversation, for `AGUIEncoder`.
    """

    thread_id: str
    run_id: str
    history: tuple[Message, ...]
    input: Message
    call_ids: frozenset[str]


class _Data(Struct, tag_field="type", tag="data", rename="camel"):
    value: bytes  # base64
    mime_type: str


class _URL(Struct, tag_field="type", tag="url", rename="camel"):
    value: Annotated[str, Meta(pattern=r"^(https?://|data:)")]
    mime_type: str | None = None


_Source = _Data | _URL
"""No `file`: a provider's handle would be looked up with our key, whoever it belongs to."""


class _Text(Struct, tag_field="type", tag="text"):
    text: str


class _Image(Struct, tag_field="type", tag="image"):
    source: _Source


class _Document(Struct, tag_field="type", tag="document"):
    source: _Source


_Part = _Text | _Image | _Document


class _User(Struct, tag_field="role", tag="user"):
    content: str | list[_Part]


class _Function(Struct):
    name: str
    arguments: str = "{}"


class _Call(Struct):
    id: str
    function: _Function
    type: Literal["function"] = "function"


class _Assistant(Struct, tag_field="role", tag="assistant", rename="camel"):
    content: str | None = None
    tool_calls: list[_Call] | None = None
    subagent_run_id: str | None = None


class _Tool(Struct, tag_field="role", tag="tool", rename="camel"):
    content: str | list[_Part]
    tool_call_id: str
    error: str | None = None
    metadata: dict[str, msgspec.Raw] | None = None


class _System(Struct, tag_field="role", tag="system"):
    pass


class _Developer(Struct, tag_field="role", tag="developer"):
    pass


class _Reasoning(Struct, tag_field="role", tag="reasoning"):
    pass


class _Activity(Struct, tag_field="role", tag="activity"):
    pass


_Message = _User | _Assistant | _Tool | _System | _Developer | _Reasoning | _Activity
_Said = _User | _Assistant | _Tool


class _Input(Struct, rename="camel"):
    thread_id: _Id
    run_id: _Id
    messages: list[_Message]


class _Ours(Struct):
    error: str | None = None


_decoder = msgspec.json.Decoder(_Input)

_HINT = "Post a RunAgentInput: threadId, runId, and messages of which the last is the user's."


def read_request(body: bytes) -> AGUIRequest:
    """Read the body of a request.

    Args:
        body: JSON. Its size is for the server to bound.

    Raises:
        UsageError: it is no `RunAgentInput` (the message tells where), holds what cannot be
            passed on (audio, video, a provider's file), or ends in no message of the user.
    """
    try:
        given = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"This is no AG-UI request: {error}.", hint=_HINT) from None
    said = [m for m in given.messages if isinstance(m, _Said) and not _is_subagents(m)]
    if not said or not isinstance(said[-1], _User) or not said[-1].content:
        raise UsageError("The last message is not one of the user that says something.", hint=_HINT)
    return AGUIRequest(
        thread_id=given.thread_id,
        run_id=given.run_id,
        history=tuple(_history(said[:-1])),
        input=_user(said[-1]),
        call_ids=frozenset(call.id for m in given.messages for call in _calls(m)),
    )


def _is_subagents(message: _Said) -> bool:
    return isinstance(message, _Assistant) and message.subagent_run_id is not None


def _calls(message: _Message) -> list[_Call]:
    return (message.tool_calls or []) if isinstance(message, _Assistant) else []


def _history(said: list[_Said]) -> Iterator[Message]:
    results = {m.tool_call_id: m for m in said if isinstance(m, _Tool)}
    for message in said:
        if isinstance(message, _User):
            yield _user(message)
        elif isinstance(message, _Assistant):
            calls = [call for call in _calls(message) if call.id in results]
            parts: list[Part] = [Text(message.content)] if message.content else []
            parts += [ToolCall(c.id, c.function.name, c.function.arguments or "{}") for c in calls]
            if parts:
                yield Message("assistant", tuple(parts))
            if calls:
                yield Message.tool(*(_result(call, results[call.id]) for call in calls))


def _user(message: _User) -> Message:
    if isinstance(message.content, str):
        return Message.user(message.content)
    return Message.user(*map(_part, message.content))


def _part(part: _Part) -> Part:
    if isinstance(part, _Text):
        return Text(part.text)
    source = part.source
    if isinstance(part, _Image):
        if isinstance(source, _Data):
            return Image(data=source.value, media_type=source.mime_type)
        return Image(url=source.value, media_type=source.mime_type or "image/png")
    if isinstance(source, _Data):
        return File(data=source.value, media_type=source.mime_type)
    return File(url=source.value, media_type=source.mime_type or "application/octet-stream")


def _result(call: _Call, given: _Tool) -> ToolResult:
    content = given.content
    if not isinstance(content, str):
        content = "".join(part.text for part in content if isinstance(part, _Text))
    error = given.error or _own_error(given)
    return ToolResult(call.id, call.function.name, content or error or "", error is not None)


def _own_error(given: _Tool) -> str | None:
    """The error that `AGUIEncoder` noted with the result: the client keeps it there."""
    raw = (given.metadata or {}).get("headrace")
    try:
        return None if raw is None else msgspec.json.decode(raw, type=_Ours).error
    except msgspec.ValidationError:
        return None
