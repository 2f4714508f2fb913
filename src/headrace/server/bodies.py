"""Requests' bodies: read within bounds, decoded by type, refused with a hint."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from headrace.errors import InputTooLarge, RequestRefused, UsageError
from headrace.server.settings import BODY_WAIT

T = TypeVar("T")


MOST_SAID = 300
"""Characters of what a decoder says of a body: it quotes from it, however long that is."""


async def body_of(request: Request, limit: int, wait: float = BODY_WAIT) -> bytes:
    """The whole body.

    Raises:
        InputTooLarge: it is over `limit` bytes; no more than that is read.
        RequestRefused: it took longer than `wait` seconds (408), or its sender left.
    """
    told = request.headers.get("content-length", "")
    if told.isascii() and told.isdigit() and int(told[:20]) > limit:
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(wait):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise _too_large(limit)
                parts.append(part)
    except TimeoutError:
        raise RequestRefused(
            408, "request_timeout", f"The request's body took more than {wait:g} s to come."
        ) from None
    except ClientDisconnect:
        raise RequestRefused(400, "request_aborted", "The sender left.") from None
    return b"".join(parts)


def decoded(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """A body's JSON as a value of its type.

    Raises:
        RequestRefused: it is no JSON, nested too deeply, or of another shape (400).
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise bad_request("invalid_request", _said(error), _hint(decoder)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_request("invalid_json", f"The body is no JSON: {_said(error)}", _JSON) from None
    except RecursionError:
        raise bad_request("invalid_json", "The body's JSON is nested too deeply.", _JSON) from None
    except UsageError as error:  # a part that refuses its own fields, such as an empty Image
        raise bad_request("invalid_request", error.message, error.hint or _hint(decoder)) from None


def bad_request(code: str, message: str, hint: str = "") -> RequestRefused:
    """A 400."""
    return RequestRefused(400, code, message, hint=hint)


_JSON = "It is one JSON object, in UTF-8."


def _too_large(limit: int) -> InputTooLarge:
    return InputTooLarge(f"The request's body is over {limit:,} bytes.", hint="Send less at once.")


def _said(error: Exception) -> str:
    text = str(error)
    return f"{text}." if len(text) <= MOST_SAID else f"{text[:MOST_SAID]}…"


def _hint(decoder: msgspec.json.Decoder[Any]) -> str:
    fields: tuple[str, ...] = getattr(decoder.type, "__struct_encode_fields__", ())
    return f"It is an object with: {', '.join(fields)}." if fields else ""
