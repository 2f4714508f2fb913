"""Gemini's decoder: an error in any shape, and what is no stream of Gemini's."""

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
    StreamTruncated,
)
from headrace.models.assembler import assemble
from headrace.models.deltas import Failure, Finish
from tests.providers.gemini.gemini_bodies import STOP, chunk, event, finish, thought
from tests.providers.gemini.gemini_decoding import HOT, KEY, decode, error_of, said, turn_of

SHAPES = [
    event(HOT),
    event({"error": "Too hot"}),
    event({"error": ["Too hot"]}),
    event({"errors": [{"message": "Too hot"}]}),
    event({"detail": "Too hot"}),
    event([HOT]),
    event({"error": {"error": {"message": "Too hot"}}}),
    event({"code": 503, "message": "Too hot", "status": "UNAVAILABLE"}),
    event({"message": "Too hot"}, name="error"),
    event(HOT, name="error"),
    event("Too hot", name="error"),
    event('"Too hot"', name="error"),
    chunk("", **HOT),
    json.dumps(HOT).encode(),
    json.dumps(HOT, indent=2).encode() + b"\n",
    json.dumps([HOT], indent=2).encode().replace(b"\n", b"\r\n") + b"\r\n\r\n",
    json.dumps(HOT, indent=2).encode() + b"\n\n" + STOP,
    finish("STOP") + json.dumps(HOT).encode(),
]


@pytest.mark.parametrize("body", SHAPES)
def test_an_error_in_any_shape_keeps_what_came_before_it(body: bytes) -> None:
    deltas = decode([chunk(thought("hm")) + chunk("a") + body])
    turn = assemble(deltas)
    assert (turn.text, turn.reasoning, turn.finish_reason) == ("a", "hm", "error")
    assert sum(isinstance(delta, Failure | Finish) for delta in deltas) == 1
    assert turn.error is not None
    assert "Too hot" in turn.error.message
    assert turn.error.message.startswith("gemini: ")


@pytest.mark.parametrize("body", [b"", b": hello\n\n"])
@pytest.mark.parametrize("value", [HOT, [HOT]])
@pytest.mark.parametrize("indent", [None, 2])
def test_an_error_that_is_all_there_is(body: bytes, value: object, indent: int | None) -> None:
    error = error_of(body + json.dumps(value, indent=indent).encode())
    assert isinstance(error, ProviderUnavailable)
    assert "Too hot" in error.message


def test_text_beside_an_error_is_kept() -> None:
    assert turn_of(chunk("last words", **HOT)).text == "last words"


def test_bare_json_that_is_no_error_changes_nothing() -> None:
    assert said(chunk("a", finish="STOP"), b'{"hello": 1}\n') == ("a", "stop")
    assert isinstance(error_of(chunk("a"), b"{garbage\n"), StreamTruncated)


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        ({"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "m"}, RateLimited, True),
        ({"status": "RESOURCE_EXHAUSTED", "message": "m"}, RateLimited, True),
        ({"code": 403, "status": "PERMISSION_DENIED", "message": "m"}, AuthenticationFailed, False),
        ({"code": 400, "status": "INVALID_ARGUMENT", "message": "m"}, RequestRejected, False),
        ({"status": "INVALID_ARGUMENT", "message": "m"}, RequestRejected, False),
        ({"code": 500, "status": "INTERNAL", "message": "m"}, ProviderUnavailable, True),
        ({"code": 503, "status": "UNAVAILABLE", "message": "m"}, ProviderUnavailable, True),
    ],
)
def test_an_errors_code_says_what_kind_it_is(
    error: object, kind: type[ProviderError], retryable: bool
) -> None:
    found = error_of(event({"error": error}))
    assert type(found) is kind
    assert found.retryable is retryable


def test_the_wait_in_an_errors_details_is_told() -> None:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7.5s"}
    error = {"code": 429, "message": "m", "details": [{"@type": "x"}, info]}
    assert error_of(event({"error": error})).retry_after == 7.5
    assert error_of(chunk("a"), json.dumps({"error": error}).encode()).retry_after == 7.5


def test_line_ends_controls_and_secrets_in_an_error_are_harmless() -> None:
    words = f"a\r\nb\u2028c\x1b[31md key={KEY}"
    message = error_of(event({"error": {"message": words}})).message
    assert message.isprintable()
    assert "a b c [31md key=****" in message


@pytest.mark.parametrize(
    "data", ["{", "garbage", '{"candidates":[', "7", '"words"', "[1]", "[" * 100_000, "1" * 9999]
)
def test_garbage_is_an_error_never_skipped(data: str) -> None:
    turn = turn_of(chunk("a"), event(data), chunk("b"), STOP)
    assert turn.text == "a"
    assert isinstance(turn.error, InvalidResponse)
    assert len(turn.error.message) < 300


@pytest.mark.parametrize("body", [b"\x00\xff\xfe garbage", b"<h1>Hello</h1>", b"plain words\n\n"])
def test_a_body_that_is_no_event_stream_says_so(body: bytes) -> None:
    error = error_of(body)
    assert isinstance(error, InvalidResponse)
    assert "no event stream" in error.message


def test_an_endless_line_names_the_limit_and_keeps_the_text() -> None:
    turn = assemble(decode([chunk("a"), b"data: " + b"x" * 2000, b"x" * 2000], max_line=3000))
    assert turn.text == "a"
    assert isinstance(turn.error, InvalidResponse)
    assert "3000 bytes" in turn.error.message


def test_endless_bare_json_is_bounded() -> None:
    turn = assemble(decode([chunk("a"), b"{\n", *[b"x" * 70_000 + b"\n"] * 9]))
    assert (turn.text, type(turn.error)) == ("a", StreamTruncated)


def test_a_candidates_index_may_be_written_as_text() -> None:
    body = {"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}
    other = {"index": "1", "content": {"parts": [{"text": "b"}]}, "finishReason": "SAFETY"}
    assert said(event({"candidates": [other, {"index": "0", **body}]})) == ("a", "stop")
