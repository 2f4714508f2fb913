"""The tree of errors: drawn as it is, each with its code and a word of documentation."""

from __future__ import annotations

import re

import pytest

from headrace import errors
from headrace.errors import (
    DeadlineExceeded,
    HeadraceError,
    ProviderError,
    ReplayGap,
    RunCancelled,
    RunFailed,
)

CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, HeadraceError)
]
by_name = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)


def drawn() -> dict[str, str]:
    """Class to parent, as the docstring's drawing has it."""
    parents: dict[str, str] = {}
    path: list[str] = ["HeadraceError"]
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"    ((?:│   |    )*)(?:├── |└── )(\w+)", line)
        if match:
            depth = len(match[1]) // 4
            path[depth + 1 :] = [match[2]]
            parents[match[2]] = path[depth]
    return parents


def test_the_drawing_is_the_tree() -> None:
    real = {
        kind.__name__: kind.__mro__[1].__name__ for kind in CLASSES if kind is not HeadraceError
    }
    assert drawn() == real


@by_name
def test_each_error_is_documented(kind: type[HeadraceError]) -> None:
    assert kind.__dict__.get("__doc__")


@by_name
def test_each_code_is_one_snake_case_word(kind: type[HeadraceError]) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code)


def test_codes_are_the_own_of_a_class_or_inherited() -> None:
    # RunFailed has none: each of its errors takes the code of the event.
    own = [kind.__dict__["code"] for kind in CLASSES if "code" in kind.__dict__]
    assert len(own) == len(set(own))
    assert [kind for kind in CLASSES if "code" not in kind.__dict__] == [RunFailed]


def test_what_a_person_reads() -> None:
    assert str(HeadraceError("It broke.")) == "It broke."
    error = HeadraceError("It broke.", hint="Mend it.")
    assert str(error) == "It broke. Mend it."
    assert (error.message, error.hint, error.code, error.retryable) == (
        *("It broke.", "Mend it.", "internal"),
        False,
    )


RETRYABLE = {
    "ConnectionFailed",
    "RateLimited",
    "ProviderUnavailable",
    "StreamTruncated",
    "DeadlineExceeded",
    "TooManyRuns",
    "SessionBusy",
    "SessionConflict",
    "ViewerLagged",
    "StoreUnavailable",
    "RunHandedOver",
}


def test_which_errors_may_pass_by_themselves() -> None:
    assert {kind.__name__ for kind in CLASSES if kind.retryable} == RETRYABLE


def test_one_error_may_know_better_than_its_class() -> None:
    assert not errors.RateLimited("No quota left.", retryable=False).retryable
    assert errors.RequestRejected("Try again.", retryable=True).retryable
    assert errors.RateLimited.retryable
    assert not errors.RequestRejected.retryable


def test_a_provider_error_tells_who_and_what() -> None:
    error = ProviderError("Refused.", provider="openai", status=418, retry_after=1.5)
    assert (error.provider, error.status, error.retry_after) == ("openai", 418, 1.5)
    assert error.turn is None


@pytest.mark.parametrize(
    ("wait", "words"),
    [
        ("connect", "openai: connecting took more than 1.5 s."),
        ("first_content", "openai: no first content came for more than 1.5 s."),
        ("gap", "openai: no further content came for more than 1.5 s."),
        ("run", "openai: the run took more than 1.5 s."),
    ],
)
def test_a_deadline_names_its_wait_its_length_and_its_setting(wait: str, words: str) -> None:
    error = DeadlineExceeded(wait, 1.5, provider="openai")
    assert error.message == words
    assert f"`{wait}`" in error.hint
    assert (error.wait, error.seconds) == (wait, 1.5)


def test_a_failed_run_has_the_code_of_its_event() -> None:
    error = RunFailed("rate_limited", "Too many.", retryable=True, partial="so f", run_id="run_1")
    assert error.code == "rate_limited"
    assert (error.retryable, error.partial, error.run_id) == (True, "so f", "run_1")
    assert RunFailed("x", "y").code == "x"
    assert RunFailed.code == "internal"


def test_a_cancelled_run_says_why() -> None:
    assert str(RunCancelled("user pressed stop")) == "The run was cancelled: user pressed stop."
    assert str(RunCancelled("")) == "The run was cancelled."
    assert RunCancelled("x").code == "cancelled"


def test_a_gap_says_where_to_go_on() -> None:
    gap = ReplayGap(3, 9)
    assert "3 to 9" in gap.message
    assert "after 9" in gap.hint
