"""Server-sent events as bytes (WHATWG HTML, 9.2.5), framed with LF.

What is written here, `SSEDecoder` reads back, with line ends made LF and a type of ``""`` read as
``message``.
"""

from __future__ import annotations

from headrace.errors import UsageError


def encode_event(
    data: str,
    *,
    event: str | None = None,
    id: str | None = None,
    retry_ms: int | None = None,
) -> bytes:
    """Return one whole event, with the blank line that dispatches it.

    Args:
        data: Any text. CR LF, LF and CR begin a new `data` line; no other character does
            (U+2028 is text). A lone surrogate, which UTF-8 cannot hold, becomes ``?``.
        event: The event's type; none is written for None.
        id: The event's ID; ``""`` resets the reader's last event ID.
        retry_ms: The wait before a reconnect, in whole milliseconds from 0.

    Raises:
        UsageError: CR, LF or NUL in `event` or `id`, or a negative `retry_ms`.
    """
    head = ""
    if event is not None:
        head = f"event: {_one_line('event', event)}\n"
    if id is not None:
        head += f"id: {_one_line('id', id)}\n"
    if retry_ms is not None:
        if retry_ms < 0:
            raise UsageError(f"`retry_ms` is {retry_ms}; it cannot be negative.")
        head += f"retry: {retry_ms:d}\n"
    return f"{head}data: {_lines(data, 'data: ')}\n\n".encode("utf-8", "replace")


def encode_comment(text: str = "") -> bytes:
    """Return a comment and a blank line: what keeps a connection alive and no reader sees.

    Args:
        text: Any text; each of its lines becomes one of the comment.
    """
    return f": {_lines(text, ': ')}\n\n".encode("utf-8", "replace")


def _lines(text: str, prefix: str) -> str:
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.replace("\n", "\n" + prefix) if "\n" in text else text


def _one_line(field: str, value: str) -> str:
    if "\n" in value or "\r" in value or "\0" in value:
        raise UsageError(
            f"The event stream's `{field}` cannot hold CR, LF or NUL: {value[:80]!r}.",
            hint="Put free text into `data`.",
        )
    return value
