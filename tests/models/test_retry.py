"""The retry policy: pure, so it is a table."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    DeadlineExceeded,
    HeadraceError,
    ProviderUnavailable,
    RateLimited,
    UsageError,
)
from headrace.models.retry import NO_RETRY, RetryPolicy

POLICY = RetryPolicy(retries=5, base=0.5, longest=60.0)
BUSY = ProviderUnavailable("busy")


def told(seconds: float) -> RateLimited:
    return RateLimited("slow down", retry_after=seconds)


@pytest.mark.parametrize(
    ("retry", "error", "jitter", "wait"),
    [
        (1, BUSY, 1.0, 0.5),
        (2, BUSY, 1.0, 1.0),
        (3, BUSY, 1.0, 2.0),
        (5, BUSY, 1.0, 8.0),
        (1, BUSY, 0.5, 0.25),
        (1, BUSY, 0.0, 0.0),
        (6, BUSY, 1.0, None),
        (1, ConnectionFailed("x"), 1.0, 0.5),
        (1, DeadlineExceeded("first_content", 1), 1.0, 0.5),
        (1, AuthenticationFailed("x"), 1.0, None),
        (1, RateLimited("no quota", retryable=False), 1.0, None),
        (1, UsageError("x"), 1.0, None),
        (1, told(7), 0.5, 7),
        (3, told(0), 0.5, 0),
        (1, told(60), 0.1, 60),
        (1, told(60.1), 0.1, None),
        (6, told(1), 0.1, None),
        (1, RateLimited("no quota", retryable=False, retry_after=1), 0.1, None),
    ],
)
def test_the_wait(retry: int, error: HeadraceError, jitter: float, wait: float | None) -> None:
    assert POLICY.wait_before(retry, error, jitter) == wait


@pytest.mark.parametrize("wrong", [{"retries": -1}, {"base": -0.5}, {"longest": float("nan")}])
def test_a_policy_that_is_none_is_refused_where_it_is_made(wrong: Any) -> None:
    with pytest.raises(UsageError, match="at least 0"):
        RetryPolicy(**wrong)


def test_no_retry_asks_once() -> None:
    assert NO_RETRY.wait_before(1, BUSY, 0.5) is None


def test_the_defaults_are_those_of_the_contract() -> None:
    assert RetryPolicy() == RetryPolicy(retries=2, base=0.5, longest=60.0)


@given(
    st.integers(1, 10_000),
    st.floats(0, 1),
    st.floats(0, 1e6) | st.none(),
)
def test_no_wait_is_longer_than_the_longest(
    retry: int, jitter: float, retry_after: float | None
) -> None:
    patient = RetryPolicy(retries=10_000)
    wait = patient.wait_before(retry, RateLimited("x", retry_after=retry_after), jitter)
    assert wait is None or 0 <= wait <= 60
