"""What a tool gave back, as text for the model."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from headrace.errors import ToolError

MAX_ERROR = 4096
"""Bytes of an error's text that a model is shown, at most."""


def as_text(value: Any) -> str:
    """A tool's result as text.

    Text stays as it is and None is no text. All else becomes JSON: numbers, lists and dicts,
    dataclasses, msgspec and pydantic models, dates, enums.

    Raises:
        ToolError: for bytes, and for what has no JSON form.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, bytes | bytearray | memoryview):
        raise ToolError(f"The tool gave back {type(value).__name__}; a tool gives back text.")
    try:
        plain = msgspec.to_builtins(value, str_keys=True, enc_hook=_plain)
        return encodable(json.dumps(plain, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ToolError(f"The tool's result has no JSON form: {error}.") from None


def _plain(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)  # pydantic, without importing it
    if callable(dump):
        return dump(mode="json")
    raise TypeError(f"{type(value).__name__} is not known")


def error_text(error: BaseException) -> str:
    """An exception as text for the model: its type and message, no traceback.

    A `ToolError` was written for the model, so its message goes alone. At most 4 KiB.
    """
    try:
        message = str(error).strip()
    except Exception:  # an exception that cannot even tell what it is
        message = ""
    kind = type(error).__name__
    if isinstance(error, ToolError):
        return cut(encodable(message or kind), MAX_ERROR)
    return cut(encodable(f"{kind}: {message}" if message else kind), MAX_ERROR)


def encodable(text: str) -> str:
    """The text with lone surrogates replaced, so that it can be encoded as UTF-8."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def cut(text: str, limit: int) -> str:
    """The text, cut to `limit` bytes of UTF-8 if it is longer; the cut text says so."""
    if len(text) * 4 <= limit:
        return text
    data = text.encode()
    if len(data) <= limit:
        return text
    note = f"\n[cut: the first part of {len(data)} bytes]"
    if limit < len(note):
        return data[:limit].decode("utf-8", "ignore")
    return data[: limit - len(note)].decode("utf-8", "ignore") + note
