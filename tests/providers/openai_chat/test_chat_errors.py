"""The Chat Completions decoder: errors in every shape, and what is no event stream."""

from __future__ import annotations

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
from tests.providers.chat_bodies import DONE, STOP, chunk, event, finish
from tests.providers.openai_chat.chat_decoding import KEY, decode, error_of, said, turn_of

SHAPES: list[tuple[bytes, str]] = [
    (event({"error": {"message": "Too hot", "type": "x"}}), "Too hot"),
    (event({"error": "Too hot"}), "Too hot"),
    (event({"error": ["Too hot", "and dry"]}), "Too hot; and dry"),
    (event({"error": [{"message": "Too hot"}]}), "Too hot"),
    (event([{"error": {"message": "Too hot"}}]), "Too hot"),
    (event({"error": {"error": {"message": "Too hot"}}}), "Too hot"),
    (event({"error": {"code": 7, "metadata": {}, "msg": "Too hot"}}), "Too hot"),
    (event({"object": "error", "message": "Too hot", "code": 50001}), "Too hot"),
    (event({"type": "error", "message": "Too hot"}), "Too hot"),
    (event({"message": "Too hot", "code": "hot"}), "Too hot"),
    (event({"detail": "Too hot"}), "Too hot"),
    (event({"detail": [{"loc": ["body", "x"], "msg": "Too hot"}]}, name="error"), "Too hot"),
    (event({"message": "Too hot"}, name="error"), "Too hot"),
    (event({"error": {"message": "Too hot"}}, name="error"), "Too hot"),
    (event("Too hot", name="error"), "Too hot"),
    (event('"Too hot"', name="error"), "Too hot"),
    (chunk("", "error", error={"message": "Too hot", "code": 502}), "Too hot"),
    (chunk("", None, error="Too hot"), "Too hot"),
    (event({"choices": [], "error": {"message": "Too hot"}}), "Too hot"),
    (event({"choices": "none", "error": {"message": "Too hot"}}), "Too hot"),
    (event({"choices": [], "x_groq": {"error": "Too hot"}}), "Too hot"),
    (finish("error") + event({"error": {"message": "Too hot"}}), "Too hot"),
]


@pytest.mark.parametrize(("body", "words"), SHAPES)
def test_an_error_in_any_shape_keeps_what_came_before_it(body: bytes, words: str) -> None:
    deltas = decode([chunk({"reasoning": "hm"}) + chunk("a") + body + chunk("never") + DONE])
    turn = assemble(deltas)
    assert (turn.text, turn.reasoning, turn.finish_reason) == ("a", "hm", "error")
    assert sum(isinstance(delta, Failure | Finish) for delta in deltas) == 1
    assert turn.error is not None
    assert words in turn.error.message
    assert turn.error.message.startswith("acme: ")


def test_text_beside_an_error_is_kept() -> None:
    assert turn_of(chunk("last words", error="Too hot")).text == "last words"


def test_an_error_in_a_body_that_is_no_event_stream_is_found() -> None:
    assert "Too hot" in error_of(b'{"error": {"message": "Too hot"}}').message
    assert "Too hot" in error_of(b'\n{"message": "Too hot"}\n').message


@pytest.mark.parametrize("empty", [None, "", {}, [], False])
def test_an_empty_error_is_none(empty: object) -> None:
    assert said(chunk("a", error=empty), STOP) == ("a", "stop")


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        ({"code": 429, "message": "m"}, RateLimited, True),
        ({"code": "429", "message": "m"}, RateLimited, True),
        ({"type": "insufficient_quota", "message": "m"}, RateLimited, False),
        ({"code": "rate_limit_exceeded", "message": "m"}, RateLimited, True),
        ({"code": "invalid_api_key", "message": "m"}, AuthenticationFailed, False),
        ({"type": "invalid_request_error", "message": "m"}, RequestRejected, False),
        ({"code": "context_length_exceeded", "message": "m"}, RequestRejected, False),
        ({"type": "server_error", "message": "m"}, ProviderUnavailable, True),
        ({"code": 502, "message": "m"}, ProviderUnavailable, True),
        ("m", ProviderUnavailable, True),
        ({"code": 10**30, "message": "m"}, ProviderUnavailable, True),
    ],
)
def test_an_errors_code_says_what_kind_it_is(
    error: object, kind: type[ProviderError], retryable: bool
) -> None:
    found = error_of(event({"error": error}))
    assert type(found) is kind
    assert found.retryable is retryable


def test_line_ends_and_controls_in_an_error_are_harmless() -> None:
    message = error_of(event({"error": {"message": "a\r\nb\u2028c\x1b[31md\x00e"}})).message
    assert message.endswith("a b c [31md e")
    assert message.isprintable()


def test_an_html_error_becomes_its_title() -> None:
    page = "<html><head><title>502 Bad\nGateway</title></head><body><h1>x</h1></body></html>"
    message = error_of(event({"error": {"message": page}})).message
    assert message.endswith("502 Bad Gateway")


def test_secrets_in_an_error_are_masked() -> None:
    words = f"key {KEY} and Bearer abcdef012345 and sk-proj-ABCDEF1234 are wrong"
    error = error_of(event({"error": {"message": words}}))
    assert "key **** and Bearer **** and **** are wrong" in error.message
    assert KEY not in repr(error)


@pytest.mark.parametrize("raw", ["error", "insufficient_system_resource"])
def test_a_finish_reason_that_tells_of_trouble_is_an_error(raw: str) -> None:
    assert raw in error_of(chunk("a"), finish(raw), DONE).message


def test_geminis_malformed_call_is_an_error() -> None:
    raw = "function_call_filter: MALFORMED_FUNCTION_CALL"
    assert "MALFORMED_FUNCTION_CALL" in error_of(finish(raw), DONE).message


@pytest.mark.parametrize(
    "data",
    ["{", "garbage", '{"choices":[', "7", '"words"', "[1]", "[" * 100_000, "[DONE", "1" * 9999],
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
    assert "<" not in error.message


def test_an_endless_line_names_the_limit_and_keeps_the_text() -> None:
    turn = assemble(decode([chunk("a"), b"data: " + b"x" * 2000, b"x" * 2000], max_line=3000))
    assert turn.text == "a"
    assert isinstance(turn.error, InvalidResponse)
    assert "3000 bytes" in turn.error.message


def test_an_endless_line_that_ends_the_stream_is_found_at_the_close() -> None:
    turn = assemble(decode([chunk("a") + b"data: " + b"x" * 4000], max_line=3000))
    assert turn.text == "a"
    assert isinstance(turn.error, InvalidResponse)
