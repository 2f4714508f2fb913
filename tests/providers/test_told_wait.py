"""How long a provider asked to wait."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.providers.told_wait import told_wait

NOW = 1_760_000_000.0


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after-ms": "1500"}, 1.5),
        ({"Retry-After-Ms": " 250.5 "}, 0.2505),
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": formatdate(NOW + 30, usegmt=True)}, 30.0),
        ({"retry-after": "Sunday, 12-Oct-25 08:53:20 GMT"}, 259_200.0),
        ({"retry-after-ms": "100", "retry-after": "7"}, 0.1),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
    ],
)
def test_headers(headers: dict[str, str], wait: float) -> None:
    assert told_wait(headers, None, NOW) == pytest.approx(wait)


@pytest.mark.parametrize(
    "text",
    ["", " ", "-1", "+1", "nan", "inf", "Infinity", "1e3", "1_000", "0x10", "soon", "7 s", "7,8",
     "\u0667", "9" * 400, "." , "1.", formatdate(NOW - 1, usegmt=True), "Sun, 99 Zzz 2025"],
)  # fmt: skip
def test_garbage_and_negative_values_are_no_wait_told(text: str) -> None:
    assert told_wait({"retry-after": text, "retry-after-ms": text}, None, NOW) is None


def retry_info(delay: object) -> dict[str, object]:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    return {"error": {"code": 429, "details": [{"@type": "other"}, info]}}


@pytest.mark.parametrize(
    ("delay", "wait"),
    [("34s", 34.0), ("0.5s", 0.5), ("34.074824224s", 34.074824224), ({"seconds": 3}, 3.0),
     ("-3s", None), ("soon", None), (None, None), ("", None), ([1], None)],
)  # fmt: skip
def test_googles_retry_info(delay: object, wait: float | None) -> None:
    assert told_wait({}, retry_info(delay), NOW) == wait
    assert told_wait({}, [retry_info(delay)], NOW) == wait


@given(st.text(), st.text(), st.recursive(st.none() | st.text(), st.lists))
def test_anything_gives_a_wait_or_none(one: str, two: str, body: object) -> None:
    wait = told_wait({"retry-after": one, "retry-after-ms": two}, body, NOW)
    assert wait is None or wait >= 0
