"""The provider's own words about a failure, out of whatever shape they came in: pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

_LONGEST = 4000  # characters of a message; the rest helps no reader
_DEEPEST = 6
_MOST_ITEMS = 5

# What tells HTML from text that merely holds "<": a page's own elements.
_PAGE = re.compile(
    r"<(?:!doctype|html|head|body|title|script|style|center|pre|h[1-6]|p|div|span|br|hr|a)\b", re.I
)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.I | re.S)
_UNSEEN = re.compile(r"<(script|style)\b.*?(?:</\1\s*>|\Z)", re.I | re.S)
_TAG = re.compile(r"<[^>]*>?")

_FIRST = ("message", "msg", "detail", "details")
_THEN = ("error", "errors", "error_message", "error_description", "reason", "description")
_LAST = ("title", "type", "code", "status")


def is_html(text: str) -> bool:
    """Whether the text is a page, or a piece of one, meant for a browser."""
    return _PAGE.search(text) is not None


def without_html(text: str) -> str:
    """A page's title, or its visible text where it has none; other text as it is."""
    if not is_html(text):
        return text
    title = _TITLE.search(text)
    words = title[1] if title and title[1].strip() else _UNSEEN.sub(" ", text)
    return unescape(_TAG.sub(" ", words)).replace("<", " ").replace(">", " ")


def on_one_line(text: str, longest: int = _LONGEST) -> str:
    """The text with line ends, controls and runs of blanks made one blank, and cut at a length."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def words_of(value: object, depth: int = 0) -> str:
    """The message in an error of any shape: object, string, list, nested, flat, FastAPI's."""
    if isinstance(value, str):
        return without_html(value).strip()
    if isinstance(value, bool) or value is None or depth > _DEEPEST:
        return ""
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        found = (words_of(item, depth + 1) for item in value[:_MOST_ITEMS])
        return "; ".join(word for word in found if word)
    return _words_of_object(value, depth) if isinstance(value, dict) else ""


def _words_of_object(value: dict[str, Any], depth: int) -> str:
    nested = ("error",) if isinstance(value.get("error"), dict | list) else ()
    for name in (*nested, *_FIRST, *_THEN, *_LAST):
        words = words_of(value.get(name), depth + 1)
        if words:
            return f"{_place(value)}{words}" if name == "msg" else words
    return ""


def _place(value: dict[str, Any]) -> str:
    """Where FastAPI found a fault: ``body.messages: ``."""
    where = value.get("loc")
    return f"{'.'.join(map(str, where))}: " if isinstance(where, list) and where else ""


def kinds_of(value: object) -> list[str]:
    """The words that classify an error (its codes, types, statuses), in lower case."""
    return [kind.lower() for kind in _kinds(value, 0)]


def _kinds(value: object, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if isinstance(value, list):
        for item in value[:_MOST_ITEMS]:
            yield from _kinds(item, depth + 1)
    elif isinstance(value, dict):
        for name in ("code", "type", "status", "status_code"):
            kind = value.get(name)
            if isinstance(kind, str | int) and not isinstance(kind, bool):
                yield str(kind)
        yield from _kinds(value.get("error"), depth + 1)


def error_in(value: Any, event: str = "message") -> Any:
    """The error in an event that may be one, in any shape; None where it is none.

    Args:
        value: The event's JSON.
        event: The event's name, for wires that have one; ``error`` makes anything an error.
    """
    if isinstance(value, list):
        objects = [item for item in value if isinstance(item, dict)]
        return next((e for item in objects if (e := error_in(item, "message"))), None)
    if not isinstance(value, dict):
        return value if event == "error" and value is not None else None
    error = value.get("error")
    if error:
        return error
    flat = event == "error" or value.get("object") == "error" or _ends_in_error(value.get("type"))
    if value.get("choices") is None and "object" not in value:
        flat = flat or is_flat_error(value)
    return value if flat else None


def is_flat_error(value: dict[str, Any]) -> bool:
    """Whether an object that is no piece of an answer tells of an error by its own fields.

    FastAPI's ``detail`` is text or a list of faults; Cloudflare and GraphQL list ``errors``.
    """
    if isinstance(value.get("message"), str) or isinstance(value.get("detail"), str):
        return True
    return any(isinstance(value.get(name), list) and value[name] for name in ("detail", "errors"))


def _ends_in_error(kind: object) -> bool:
    return isinstance(kind, str) and kind.lower().endswith("error")
