"""Whole answers: JSON, errors, and the headers that every answer has."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from headrace.errors import (
    ConfigurationError,
    HeadraceError,
    IdempotencyConflict,
    InputTooLarge,
    ReplayGap,
    RequestRefused,
    RunEnded,
    RunHandedOver,
    RunNotFound,
    SessionBusy,
    SessionConflict,
    SessionNotFound,
    StoreUnavailable,
    TooManyRuns,
    UsageError,
)

SECURITY = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
}
"""On every answer: nothing here is to be sniffed, framed, or read by another origin's page."""

PAGE_SECURITY = SECURITY | {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
}
"""On a page: its own scripts and styles, nothing from another host, nothing inline."""

STATUS: tuple[tuple[type[HeadraceError], int], ...] = (
    (RunNotFound, 404),
    (SessionNotFound, 404),
    (RunEnded, 409),
    (SessionBusy, 409),
    (SessionConflict, 409),
    (ReplayGap, 410),
    (InputTooLarge, 413),
    (IdempotencyConflict, 422),
    (TooManyRuns, 429),
    (StoreUnavailable, 503),
    (RunHandedOver, 503),
    (ConfigurationError, 500),
    (UsageError, 400),
)
"""The first row that fits; whatever fits none is this server's own fault."""

RETRY_AFTER = 5.0
"""Seconds, where a 429 or 503 has no better word."""

json_of = msgspec.json.Encoder().encode


def reply(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(json_of(value), status, {**SECURITY, **(headers or {})}, "application/json")


def nothing(status: int = 204) -> Response:
    """An answer without a body."""
    return Response(None, status, SECURITY)


def status_of(error: HeadraceError) -> int:
    """The HTTP status that tells an error."""
    if isinstance(error, RequestRefused):
        return error.status
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def headers_of(error: HeadraceError) -> dict[str, str]:
    """The headers that go with an error's status."""
    status = status_of(error)
    headers = {"www-authenticate": "Bearer"} if status == 401 else {}
    if status in (429, 503):
        wait = getattr(error, "retry_after", None) or RETRY_AFTER
        headers["retry-after"] = str(max(1, math.ceil(wait)))
    return headers


def error_reply(error: HeadraceError) -> Response:
    """An error as `{"code", "message", "hint"}`."""
    body = {"code": error.code, "message": error.message, "hint": error.hint}
    return reply(body, status_of(error), headers_of(error))


def refusal_of(error: HTTPException) -> RequestRefused:
    """What the router says, in our words."""
    code, message = {
        404: ("not_found", "There is nothing at this address."),
        405: ("method_not_allowed", "This address does not take that method."),
    }.get(error.status_code, ("request_refused", str(error.detail)))
    return RequestRefused(
        error.status_code, code, message, hint="GET /openapi.json lists the addresses."
    )


UNEXPECTED = RequestRefused(
    500, "internal", "The server failed at this request.", hint="Its log says how."
)
"""What is told of an error that no one foresaw: not its words, which may hold anything."""
