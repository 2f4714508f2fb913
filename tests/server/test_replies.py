"""Errors as answers: status, headers and words."""

from __future__ import annotations

import json
import math

import pytest
from starlette.exceptions import HTTPException

from headrace import errors
from headrace.errors import HeadraceError, RequestRefused
from headrace.server.auth import unauthorized
from headrace.server.replies import (
    MAX_RETRY_AFTER,
    SECURITY,
    STATUS,
    UNEXPECTED,
    error_reply,
    headers_of,
    nothing,
    refusal_of,
    reply,
    status_of,
)

ERRORS = [
    (errors.RunNotFound("run_x"), 404),
    (errors.SessionNotFound("s"), 404),
    (errors.RunEnded("run_x"), 409),
    (errors.SessionBusy("s", "run_x"), 409),
    (errors.SessionConflict("x"), 409),
    (errors.ReplayGap(1, 2), 410),
    (errors.InputTooLarge("x"), 413),
    (errors.IdempotencyConflict("x"), 422),
    (errors.TooManyRuns("x"), 429),
    (errors.StoreUnavailable("x"), 503),
    (errors.StoreTooNew("x"), 503),
    (errors.RunHandedOver("run_x"), 503),
    (errors.InvalidId("x"), 400),
    (errors.InvalidCursor("x"), 400),
    (errors.AgentUnknown("x"), 400),
    (errors.UsageError("x"), 400),
    (errors.ConfigurationError("x"), 500),
    (errors.ProviderError("x"), 500),
    (errors.HeadraceError("x"), 500),
    (unauthorized(), 401),
    (RequestRefused(418, "teapot", "x"), 418),
    (UNEXPECTED, 500),
]


@pytest.mark.parametrize(("error", "status"), ERRORS)
def test_an_error_has_its_status_and_is_told_in_json(error: HeadraceError, status: int) -> None:
    assert status_of(error) == status
    answer = error_reply(error)
    assert answer.status_code == status
    told = json.loads(bytes(answer.body))
    assert told == {"code": error.code, "message": error.message, "hint": error.hint}
    assert answer.headers["content-type"] == "application/json"
    assert SECURITY.items() <= dict(answer.headers).items()
    assert ("retry-after" in answer.headers) == (status in (429, 503))
    assert ("www-authenticate" in answer.headers) == (status == 401)


def test_every_row_of_the_table_can_be_reached() -> None:
    for place, (kind, _) in enumerate(STATUS):
        assert not any(issubclass(kind, above) for above, _ in STATUS[:place])


@pytest.mark.parametrize(
    ("wait", "told"),
    [
        (None, "5"),
        (0.0, "5"),
        (0.2, "1"),
        (1.0, "1"),
        (1.01, "2"),
        (39.5, "40"),
        (math.inf, str(int(MAX_RETRY_AFTER))),
    ],
)
def test_retry_after_is_whole_seconds_and_never_too_early(wait: float | None, told: str) -> None:
    for status in (429, 503):
        error = RequestRefused(status, "busy", "x", retry_after=wait)
        assert headers_of(error)["retry-after"] == told


def test_what_no_encoder_takes_is_told_all_the_same() -> None:
    answer = error_reply(RequestRefused(400, "x", "a\ud800b", hint="\udc00"))
    assert json.loads(bytes(answer.body)) == {"code": "x", "message": "a?b", "hint": "?"}


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "not_found"), (405, "method_not_allowed"), (400, "request_refused")],
)
def test_the_routers_refusals_are_told_in_our_words(status: int, code: str) -> None:
    error = refusal_of(HTTPException(status, "Whatever", {"Allow": "GET, HEAD"}))
    assert (error.status, error.code) == (status, code)
    assert error.message
    assert error.hint
    assert headers_of(error).get("allow") == ("GET, HEAD" if status == 405 else None)


def test_answers_without_trouble() -> None:
    answer = reply({"a": 1}, 201, {"location": "/x"})
    assert (answer.status_code, answer.body, answer.headers["location"]) == (201, b'{"a":1}', "/x")
    assert SECURITY.items() <= dict(answer.headers).items()
    assert (nothing().status_code, nothing().body) == (204, b"")
    assert SECURITY.items() <= dict(nothing().headers).items()
