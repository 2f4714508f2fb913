"""Messages: what goes to a model and comes back from it, the same for every provider.

A message is a role and a tuple of parts. The parts are a tagged union, so that a conversation
is stored and sent as JSON and comes back equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from headrace.errors import UsageError

Role = Literal["system", "user", "assistant", "tool"]


class Text(Struct, frozen=True, gc=False, tag_field="type", tag="text"):
    """Plain text."""

    text: str


class Reasoning(Struct, frozen=True, gc=False, tag_field="type", tag="reasoning"):
    """Reasoning that a model showed."""

    text: str


class Image(Struct, frozen=True, gc=False, tag_field="type", tag="image", omit_defaults=True):
    """An image: a URL or the bytes, exactly one of the two.

    Attributes:
        url: ``https://…`` or a ``data:`` URL.
        data: The bytes (base64 in JSON).
        media_type: Such as ``image/png``; needed with `data`.
    """

    url: str | None = None
    data: bytes | None = None
    media_type: str = "image/png"

    def __post_init__(self) -> None:
        """Refuse an image with no source or two."""
        if (self.url is None) == (self.data is None):
            raise UsageError("An Image takes either url= or data=.")


class File(Struct, frozen=True, gc=False, tag_field="type", tag="file", omit_defaults=True):
    """A file: a URL, the bytes, or the id of one that the provider holds; exactly one of these."""

    name: str = ""
    url: str | None = None
    data: bytes | None = None
    file_id: str | None = None
    media_type: str = "application/octet-stream"

    def __post_init__(self) -> None:
        """Refuse a file with no source or several."""
        if [self.url, self.data, self.file_id].count(None) != 2:
            raise UsageError("A File takes exactly one of url=, data= and file_id=.")


class ToolCall(Struct, frozen=True, gc=False, tag_field="type", tag="tool_call"):
    """A call that a model asked for.

    Attributes:
        id: Unique within the turn.
        name: The tool's name.
        arguments: The arguments as the model wrote them: JSON text, never repaired.
    """

    id: str
    name: str
    arguments: str = "{}"


class ToolResult(
    Struct, frozen=True, gc=False, tag_field="type", tag="tool_result", omit_defaults=True
):
    """What a tool gave back for one call.

    Attributes:
        call_id: The `ToolCall.id` that it answers.
        name: The tool's name.
        output: The result as text, or the error as text.
        is_error: Whether `output` tells an error.
    """

    call_id: str
    name: str
    output: str
    is_error: bool = False


class Opaque(Struct, frozen=True, gc=False, tag_field="type", tag="opaque"):
    """A provider's own item that must go back next turn byte for byte, such as a signature.

    Attributes:
        provider: Who understands it; others leave it out.
        data: The item's JSON text exactly as it came.
    """

    provider: str
    data: str


Part = Text | Reasoning | Image | File | ToolCall | ToolResult | Opaque


class Message(Struct, frozen=True, gc=False):
    """One message of a conversation.

    Attributes:
        role: ``system``, ``user``, ``assistant`` or ``tool``.
        content: The parts, in order.
    """

    role: Role
    content: tuple[Part, ...] = ()

    @classmethod
    def system(cls, text: str) -> Message:
        """Instructions."""
        return cls("system", (Text(text),))

    @classmethod
    def user(cls, *parts: str | Part) -> Message:
        """What a person says: strings and parts in order."""
        return cls("user", tuple(Text(p) if isinstance(p, str) else p for p in parts))

    @classmethod
    def assistant(cls, *parts: str | Part) -> Message:
        """What a model said."""
        return cls("assistant", tuple(Text(p) if isinstance(p, str) else p for p in parts))

    @classmethod
    def tool(cls, *results: ToolResult) -> Message:
        """What tools gave back."""
        return cls("tool", results)

    @property
    def text(self) -> str:
        """All text parts, joined."""
        return "".join(part.text for part in self.content if isinstance(part, Text))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """All tool calls, in order."""
        return tuple(part for part in self.content if isinstance(part, ToolCall))


MessageInput = str | Message | Iterable[Message]
"""What callers may give as input: text, one message, or a conversation."""


def as_messages(value: MessageInput) -> list[Message]:
    """Normalise a caller's input to a list of messages.

    Raises:
        UsageError: when it is none of the accepted shapes.
    """
    if isinstance(value, str):
        return [Message.user(value)]
    if isinstance(value, Message):
        return [value]
    try:
        messages = list(value)
    except TypeError:
        raise UsageError(
            f"The input is text, a Message or several, not {type(value).__name__}."
        ) from None
    for message in messages:
        if not isinstance(message, Message):
            raise UsageError(
                f"A conversation holds headrace.Message items, not {type(message).__name__}.",
                hint='Write Message.user("…") or Message.assistant("…").',
            )
    return messages
