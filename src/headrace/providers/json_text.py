"""JSON in both directions, for whatever models and callers put into it: pure."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from headrace.errors import UsageError


def loads(text: str) -> Any:
    """Any JSON, also with lone surrogates (made U+FFFD) and raw controls in strings.

    Raises:
        ValueError: for what is not JSON.
        RecursionError: for absurd nesting.
    """
    value = json.loads(text, strict=False)
    return _encodable(value) if "\\u" in text else value


def encode_json(body: dict[str, Any]) -> bytes:
    """A request's body as JSON; lone surrogates, which UTF-8 cannot carry, become ``?``.

    Raises:
        UsageError: for something in ``extra`` or a tool's schema that is no JSON.
    """
    try:
        try:
            return msgspec.json.encode(body)
        except UnicodeEncodeError:
            text = json.dumps(body, ensure_ascii=False, default=_value)
            return text.encode("utf-8", "replace")
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"The request is not JSON: {error}.") from None


def as_arguments(value: object) -> str:
    """A call's arguments as text: an object's JSON, text as it is and never repaired, "" for none.

    Not by msgspec, which writes NaN as null: what is no JSON must not become JSON. For the same
    reason what cannot be written (absurd nesting) becomes words that are no JSON.
    """
    if value is None or isinstance(value, str):
        return value or ""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        return "arguments that cannot be written as JSON"


def whole_count(value: object) -> int | None:
    """A count of tokens, or None for what is none: negative, broken, or past what JSON keeps."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not 0 <= value <= _BELIEVABLE or value != int(value):
        return None
    return int(value)


def _value(value: object) -> Any:
    """What `json` does not know: JSON that goes into a body as it is."""
    if isinstance(value, msgspec.Raw):
        return json.loads(bytes(value))
    raise TypeError(f"{type(value).__name__} is none of its types")


_BELIEVABLE = 2**53  # above it JSON numbers are no longer whole


def _encodable(value: Any) -> Any:
    """The value with every lone surrogate replaced, so that UTF-8 can encode it."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    return value
