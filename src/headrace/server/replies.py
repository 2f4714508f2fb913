"""Whole answers: JSON, errors, and the headers that every answer has."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from headrace.errors import (
    ApprovalChanged,
    ConfigurationError,
    HeadraceError,
    IdempotencyConflict,
    InputTooLarge,
    InvalidArguments,
    NoApprovalNeeded,
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
    "cache-control": "no-store",
}
"""On every answer: nothing is to be sniffed, framed, kept, or read by another origin's page."""

PAGE_SECURITY = SECURITY | {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types dompurify"
    ),
    "cross-origin-opener-policy": "same-origin",
}
"""On a page: its own scripts and styles, nothing from another host, nothing inline.

And no text becomes HTML or a script but through DOMPurify (W3C Trusted Types).
"""

STATUS: tuple[tuple[type[HeadraceError], int], ...] = (
    (RunNotFound, 404),
    (SessionNotFound, 404),
    (RunEnded, 409),
    (NoApprovalNeeded, 409),
    (ApprovalChanged, 409),
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
    (InvalidArguments, 400),
)
"""The first row that fits; whatever fits none is this server's own fault."""

RETRY_AFTER = 5.0
"""Seconds, where a 429 or 503 has no better word."""

MAX_RETRY_AFTER = 3600.0
"""Seconds; who asks to wait longer, or for ever, gets this."""

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
        headers["retry-after"] = str(math.ceil(min(max(wait, 1.0), MAX_RETRY_AFTER)))
    if isinstance(error, _WrongMethod):
        headers["allow"] = error.allow
    return headers


def error_reply(error: HeadraceError) -> Response:
    """An error as `{"code", "message", "hint"}`."""
    body = {"code": error.code, "message": _text(error.message), "hint": _text(error.hint)}
    return reply(body, status_of(error), headers_of(error))


def refusal_of(error: HTTPException) -> RequestRefused:
    """What the router says, in our words."""
    hint = "GET /openapi.json lists the addresses."
    if error.status_code == 405:
        return _WrongMethod((error.headers or {}).get("Allow", ""), hint)
    code, message = {404: ("not_found", "There is nothing at this address.")}.get(
        error.status_code, ("request_refused", str(error.detail))
    )
    return RequestRefused(error.status_code, code, message, hint=hint)


class _WrongMethod(RequestRefused):
    """A 405, which names the methods that there are (RFC 9110, 15.5.6)."""

    def __init__(self, allow: str, hint: str) -> None:
        message = "This address does not take that method."
        super().__init__(405, "method_not_allowed", message, hint=hint)
        self.allow = allow


def _text(said: str) -> str:
    """What UTF-8 can carry: a lone surrogate, quoted from somewhere, becomes ``?``."""
    return said.encode("utf-8", "replace").decode()


UNEXPECTED = RequestRefused(
    500, "internal", "The server failed at this request.", hint="Its log says how."
)
"""What is told of an error that no one foresaw: not its words, which may hold anything."""
