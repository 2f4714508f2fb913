"""The Responses decoder: errors in every shape."""

from __future__ import annotations

import json

import pytest

from headrace.errors import (
    AuthenticationFailed,
    InvalidResponse,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    RequestRejected,
)
from headrace.models.assembler import assemble
from headrace.models.deltas import Failure, Finish
from tests.providers.openai_responses.responses_bodies import (
    END,
    added,
    call,
    completed,
    event,
    failed,
    raw,
    summary,
    text,
)
from tests.providers.openai_responses.responses_decoding import (
    KEY,
    decode,
    error_of,
    turn_of,
)

HOT = {"message": "Too hot", "code": "server_error"}
SHAPES: list[bytes] = [
    event("error", code="server_error", message="Too hot", param=None, sequence_number=3),
    event("error", error=HOT),
    event("error", error="Too hot"),
    event("error", error=[HOT]),
    event("error", error={"error": HOT}),
    raw(json.dumps(HOT), "error"),
    raw("Too hot", "error"),
    raw('"Too hot"', "error"),
    raw(json.dumps({"error": HOT})),
    raw(json.dumps([{"error": HOT}])),
    raw(json.dumps({"message": "Too hot"})),
    raw(json.dumps({"detail": "Too hot"})),
    raw(json.dumps({"detail": [{"loc": ["body"], "msg": "Too hot"}]}), "error"),
    raw(json.dumps({"type": "server_error", "message": "Too hot"})),
    raw(json.dumps({"type": "error", "message": "Too hot"})),
    raw(json.dumps({"object": "error", "message": "Too hot"})),
    event("response.error", error=HOT),
    event("response.error", message="Too hot"),
    event("in_progress", error=HOT),
    failed(HOT),
    failed("Too hot"),
    failed([HOT]),
    event("failed", error=HOT),
    event("failed", response=None, error=HOT),
    event("failed", response={"error": None, "output": "odd"}, error=HOT),
    completed(status="failed", error=HOT),
    completed(error=HOT),
    event("error", message="Too hot") + failed(HOT),
]


@pytest.mark.parametrize("body", SHAPES)
def test_an_error_in_any_shape_keeps_what_came_before_it(body: bytes) -> None:
    before = summary("hm", 0) + text("a", 1) + added(call("a", "f"), 2)
    deltas = decode([before + body + text("never", 1) + END])
    turn = assemble(deltas)
    assert (turn.text, turn.reasoning, turn.finish_reason) == ("a", "hm", "error")
    assert sum(isinstance(delta, Failure | Finish) for delta in deltas) == 1
    assert turn.error is not None
    assert "Too hot" in turn.error.message
    assert turn.error.message.startswith("acme: ")


@pytest.mark.parametrize(
    "end",
    [
        failed(None),
        event("failed"),
        event("failed", response={}),
        completed(status="failed"),
        event("cancelled", response={"status": "cancelled"}),
        completed(status="cancelled"),
    ],
)
def test_a_failure_without_words_is_one_all_the_same(end: bytes) -> None:
    assert isinstance(error_of(text("a"), end), ProviderUnavailable)


def test_an_error_in_a_body_that_is_no_event_stream_is_found() -> None:
    assert "Too hot" in error_of(b'{"error": {"message": "Too hot"}}').message
    assert "Too hot" in error_of(b'\n{"message": "Too hot"}\n').message


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        ({"code": "rate_limit_exceeded", "message": "m"}, RateLimited, True),
        ({"code": "insufficient_quota", "message": "m"}, RateLimited, False),
        ({"type": "invalid_request_error", "message": "m"}, RequestRejected, False),
        ({"code": "invalid_prompt", "message": "m"}, RequestRejected, False),
        ({"code": "bio_policy", "message": "m"}, RequestRejected, False),
        ({"code": "invalid_image_url", "message": "m"}, RequestRejected, False),
        ({"code": "image_file_not_found", "message": "m"}, RequestRejected, False),
        ({"code": "invalid_api_key", "message": "m"}, AuthenticationFailed, False),
        ({"code": "server_error", "message": "m"}, ProviderUnavailable, True),
        ({"code": "vector_store_timeout", "message": "m"}, ProviderUnavailable, True),
        ({"code": 429, "message": "m"}, RateLimited, True),
    ],
)
def test_an_errors_code_says_what_kind_it_is(
    error: dict[str, object], kind: type[ProviderError], retryable: bool
) -> None:
    for body in (failed(error), event("error", error=error), event("error", **error)):
        found = error_of(body)
        assert type(found) is kind
        assert found.retryable is retryable


def test_line_ends_in_an_error_are_harmless_and_secrets_in_it_masked() -> None:
    words = f"a\r\nb\u2028c key {KEY} and Bearer abcdef012345"
    error = error_of(event("error", message=words))
    assert error.message.endswith("a b c key **** and Bearer ****")
    assert KEY not in repr(error)


@pytest.mark.parametrize(
    "data", ["{", "garbage", '{"type":', "7", '"words"', "[1]", "[" * 100_000, "[DONE", "1" * 9999]
)
@pytest.mark.parametrize("name", ["", "response.output_text.delta"])
def test_garbage_is_an_error_never_skipped(data: str, name: str) -> None:
    turn = turn_of(text("a"), raw(data, name), text("b"), END)
    assert turn.text == "a"
    assert isinstance(turn.error, InvalidResponse)
    assert len(turn.error.message) < 300


@pytest.mark.parametrize("body", [b"\x00\xff\xfe garbage", b"<h1>Hello</h1>", b"plain words\n\n"])
def test_a_body_that_is_no_event_stream_says_so(body: bytes) -> None:
    assert "no event stream" in error_of(body).message


def test_an_endless_line_names_the_limit_and_keeps_the_text() -> None:
    turn = assemble(decode([text("a"), b"data: " + b"x" * 2000, b"x" * 2000], max_line=3000))
    assert turn.text == "a"
    assert "3000 bytes" in str(turn.error)
    turn = assemble(decode([text("a") + b"data: " + b"x" * 4000], max_line=3000))
    assert isinstance(turn.error, InvalidResponse)
