"""A kept conversation as text: JSON with everything, or Markdown to be read. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.messages import Message, Part
    from headrace.runs.stores.record import SessionRecord


def as_json(record: SessionRecord) -> str:
    """The record as JSON; its messages are those of `headrace.messages`, whole."""
    import msgspec

    from headrace.frontends.escapes import escape_json

    whole = msgspec.structs.asdict(record)
    del whole["live_run"]
    text = msgspec.json.format(msgspec.json.encode(whole), indent=2)
    return escape_json(text).decode()


def as_markdown(record: SessionRecord) -> str:
    """A heading for the session and one for each message, with nothing that steers a terminal."""
    from headrace.frontends.escapes import one_line, visible

    parts = [f"# {one_line(record.id)}", *(_message(message) for message in record.messages)]
    return visible("\n\n".join(parts))


def _message(message: Message) -> str:
    parts = [_part(part) for part in message.content]
    return "\n\n".join([f"## {message.role}", *(part for part in parts if part)])


def _part(part: Part) -> str:
    from headrace.frontends.escapes import one_line
    from headrace.messages import File, Image, Reasoning, Text, ToolCall, ToolResult

    match part:
        case Text():
            return part.text.strip("\n")
        case Reasoning():
            return "\n".join(f"> {line}" for line in part.text.strip("\n").split("\n"))
        case ToolCall():
            return f"Calls {one_line(part.name)}:\n\n{_fenced(part.arguments)}"
        case ToolResult():
            how = "failed" if part.is_error else "gave"
            return f"{one_line(part.name)} {how}:\n\n{_fenced(part.output)}"
        case Image():
            return f"(an image: {one_line(part.url or part.media_type)})"
        case File():
            return f"(a file: {one_line(part.name or part.url or part.file_id or part.media_type)})"
        case _:  # a provider's own item means nothing to a reader
            return ""


def _fenced(text: str) -> str:
    """In a fence that is longer than any in the text (CommonMark 0.31 §4.5)."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text}\n{fence}"
