"""Errors in the shape that OpenAI's SDKs raise: ``{"error": {message, type, param, code}}``.

The SDK for Python raises one in the middle of a stream as ``openai.APIError``, with `code` and
`message` (openai-python, ``_streaming.py``); that of a whole answer by its status as
``BadRequestError``, ``RateLimitError`` and so on.
"""

from __future__ import annotations

import msgspec

from headrace.errors import HeadraceError

CANCELLED = 499
"""The status of a whole answer whose run was cancelled: nginx's word for a request given up."""

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
    CANCELLED: "cancelled",
}

# A provider that refuses the server's own key is the server's trouble, not the client's.
_STATUSES = {
    "cancelled": CANCELLED,
    "usage": 400,
    "request_rejected": 400,
    "rate_limited": 429,
    "provider_error": 502,
    "connection_failed": 502,
    "authentication_failed": 502,
    "invalid_response": 502,
    "stream_truncated": 502,
    "provider_unavailable": 503,
    "deadline_exceeded": 504,
}


def type_of_status(status: int) -> str:
    """OpenAI's word for the kind of an error, from the HTTP status (400 to 599)."""
    return _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")


def status_of_code(code: str) -> int:
    """The HTTP status of a run that ended with this `code`; 500 for what has none of its own."""
    return _STATUSES.get(code, 500)


def error_json(code: str, message: str, status: int) -> bytes:
    """The JSON object, from the fields of an `error` event. A lone surrogate becomes ``?``."""
    fields = {
        "message": _clean(message) or code,  # for an empty one the SDK would say its own
        "type": type_of_status(status),
        "param": None,
        "code": code,
    }
    return msgspec.json.encode({"error": fields})


def error_body(error: HeadraceError, status: int) -> bytes:
    """The body of an answer with this status; the message ends in the hint."""
    return error_json(error.code, str(error), status)


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
