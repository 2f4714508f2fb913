"""What HTTP answers that are no success mean, by value."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import (
    AuthenticationFailed,
    InvalidResponse,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRejected,
)
from headrace.providers.failures import Failures
from headrace.providers.secret import Secret

KEY = "canary-0123456789abcdef"
FAILURES = Failures("acme", Secret(KEY), key_variable="ACME_API_KEY")


def of(status: int, body: object = b"", headers: dict[str, str] | None = None) -> ProviderError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return FAILURES.of_answer(status, headers or {}, data, 0.0)


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, RequestRejected, False),
        (401, AuthenticationFailed, False),
        (402, RequestRejected, False),
        (403, AuthenticationFailed, False),
        (404, RequestRejected, False),
        (408, ProviderUnavailable, True),
        (409, ProviderUnavailable, True),
        (413, RequestRejected, False),
        (422, RequestRejected, False),
        (429, RateLimited, True),
        (499, RequestRejected, False),
        (500, ProviderUnavailable, True),
        (501, ProviderUnavailable, True),
        (502, ProviderUnavailable, True),
        (503, ProviderUnavailable, True),
        (529, ProviderUnavailable, True),
        (599, ProviderUnavailable, True),
        (301, InvalidResponse, False),
        (307, InvalidResponse, False),
        (600, InvalidResponse, False),
    ],
)
def test_statuses(status: int, kind: type[ProviderError], retryable: bool) -> None:
    error = of(status)
    assert type(error) is kind
    assert error.retryable is retryable
    assert error.status == status
    assert error.provider == "acme"
    assert str(status) in error.message
    assert error.hint


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "m", "code": "insufficient_quota"}},
        {"error": {"message": "m", "type": "insufficient_quota"}},
        {"code": "insufficient_quota"},
        {"message": "insufficient_quota: pay"},
    ],
)
def test_a_spent_quota_is_not_retried(body: object) -> None:
    error = of(429, body, {"x-should-retry": "true"})
    assert isinstance(error, RateLimited)
    assert error.retryable is False
    assert "billing" in error.hint


@pytest.mark.parametrize(
    ("status", "should", "retryable"),
    [(500, "false", False), (429, "False", False), (400, "true", True), (500, "maybe", True)],
)
def test_x_should_retry_is_obeyed(status: int, should: str, retryable: bool) -> None:
    assert of(status, b"", {"X-Should-Retry": should}).retryable is retryable


def test_the_wait_told_is_kept() -> None:
    assert of(429, b"", {"Retry-After": "7"}).retry_after == 7.0
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3s"}
    assert of(429, {"error": {"details": [info]}}).retry_after == 3.0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "No such model"}}, "No such model"),
        ({"error": "No such model"}, "No such model"),
        ({"errors": ["No such model"]}, "No such model"),
        ([{"error": {"message": "No such model", "status": "X"}}], "No such model"),
        ({"message": "No such model", "error": "Bad Request"}, "No such model"),
        ({"detail": "No such model"}, "No such model"),
        (
            {"detail": [{"loc": ["body", "model"], "msg": "No such model"}]},
            "body.model: No such model",
        ),
        (
            {"object": "error", "message": {"detail": [{"msg": "No such model"}]}},
            "No such model",
        ),
        ({"error": {"error": {"error": {"message": "No such model"}}}}, "No such model"),
        ({"title": "No such model", "status": 404}, "No such model"),
        (b"No such model", "No such model"),
        (b'"No such model"', "No such model"),
        (b"No such\r\n\tmodel\x00\n", "No such model"),
        (b"<h1>No such model</h1>", "No such model"),
    ],
)
def test_the_providers_own_words_in_any_shape(body: object, words: str) -> None:
    message = of(404, body).message
    assert words in message
    assert message.startswith("acme: answered 404 Not Found")
    assert message.isprintable()


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"   "])
def test_an_empty_body_says_just_the_status(body: bytes) -> None:
    assert of(500, body).message == "acme: answered 500 Internal Server Error."


def test_a_page_is_told_by_its_title() -> None:
    page = (
        b"<!DOCTYPE html><html><head><style>b{}</style><title>Just a\nmoment &amp; wait</title>"
        b"</head><body><script>alert(1)</script><b>x</b></body></html>"
    )
    assert of(503, page).message == (
        "acme: answered 503 Service Unavailable with an HTML page (“Just a moment & wait”)."
    )


def test_a_page_without_a_title_is_told_by_its_words() -> None:
    page = b"<html><script>evil()</script><body><h1>502</h1><hr>nginx</body></html>"
    assert "“502 nginx”" in of(502, page).message


def test_angle_brackets_in_words_stay() -> None:
    assert "a < b <|im_end|>" in of(400, {"error": "a < b <|im_end|>"}).message


def test_a_long_body_is_cut() -> None:
    assert len(of(400, b"word " * 12_000).message) < 4_100


def test_a_redirect_names_the_host_and_shows_no_more_of_the_address() -> None:
    error = of(307, b"", {"Location": f"https://elsewhere.example/v1?key={KEY}"})
    assert "elsewhere.example" in error.message
    assert "base_url" in error.hint
    assert KEY not in str(error)
    assert "another path" in of(308, b"", {"location": "/v2"}).message
    assert of(302, b"", {"location": "http://[broken"}).message


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_the_key_never_shows(status: int) -> None:
    for body in ({"error": {"message": f"bad {KEY}!"}}, f"bad {KEY}".encode(), {"code": KEY}):
        error = of(status, body)
        assert KEY not in f"{error} {error!r} {error.args} {vars(error)}"
        assert "****" in error.message


def test_a_wrong_key_says_where_it_is_set() -> None:
    assert "ACME_API_KEY" in of(401).hint
    assert "api_key" in Failures("acme").of_answer(401, {}, b"", 0.0).hint


@given(st.integers(300, 999), st.binary(max_size=200))
def test_any_answer_gives_one_printable_line(status: int, body: bytes) -> None:
    error = of(status, body)
    assert str(error).isprintable()
    assert str(error).encode()


def test_tokens_are_masked_as_the_key_is_and_only_the_last_few_are_kept() -> None:
    failures = Failures("acme", Secret("the-own-key"))
    for number in range(50):
        failures.mask(Secret(f"token-{number:04}"))
    failures.mask(Secret("token-0049"))
    shown = failures.clean("the-own-key token-0049 token-0048 token-0000")
    assert shown == "**** **** **** token-0000"
    assert len(failures._secrets) == 5
