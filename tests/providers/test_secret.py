"""Secrets are shown nowhere."""

from __future__ import annotations

import pickle

import pytest

from headrace.providers.secret import Secret, masked

KEY = "canary-0123456789abcdef"


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret(KEY)
    shown = f"{secret} {secret!r} {secret!s} {[secret]} {secret:>9}"
    assert KEY not in shown
    assert "****" in shown
    assert secret.reveal() == KEY
    assert not hasattr(secret, "__dict__")


def test_a_secret_is_not_pickled() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret(KEY))


def test_secrets_compare_by_value() -> None:
    assert Secret(KEY) == Secret(KEY)
    assert len({Secret(KEY), Secret(KEY), Secret("other")}) == 2
    assert not Secret("")


def test_the_key_itself_is_masked_wherever_it_stands() -> None:
    secret = Secret("a b/+c=d")
    assert masked("x a b/+c=d y a%20b%2F%2Bc%3Dd z", (secret,)) == "x **** y **** z"


def test_a_very_short_key_does_not_eat_the_text() -> None:
    assert masked("abc", (Secret("a"),)) == "abc"


@pytest.mark.parametrize(
    "text",
    [
        "sk-proj-abcDEF_012345",
        "sk-ab**********wxyz",
        "gsk_abcdefghi1jkl",
        "xai-abcdefghi1jkl",
        "AIzaSyA-1234567890abc",
        "Bearer abc.def-ghi",
        "Authorization: Basic dXNlcjpwYXNz",
        "https://user:secretpass@host/",
        "api_key=abcdef",
        '"x-api-key": "abcdef"',
        "/v1?key=abcdef&x=1",
        "eyJhbGciOi.eyJzdWIiOi.sig-nature",
    ],
)
def test_what_looks_like_a_key_is_masked(text: str) -> None:
    shown = masked(f"wrong: {text} end")
    assert "****" in shown
    assert shown.endswith(" end")
    for hidden in ("abc", "dXNl", "secretpass", "SyA", "eyJ", "wxyz"):
        assert hidden not in shown


@pytest.mark.parametrize(
    "text",
    [
        "The task-runner is a risk-free key-management tool for sk-learn-pipelines",
        "Bearer of news",
        "see https://host:8080/path?q=1",
        "The model gpt-5-mini does not exist",
        "max_tokens is too large: 4096",
    ],
)
def test_usual_words_stay(text: str) -> None:
    assert masked(text) == text
