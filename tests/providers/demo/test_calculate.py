"""Arithmetic, safe and bounded."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.providers.demo.calculate import MAX_BITS, CannotCalculate, calculate


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("123 * 456", "56088"),
        ("2 ^ 10", "1024"),
        ("2 ** -1", "0.5"),
        ("7 / 2", "3.5"),
        ("4 / 2", "2"),
        ("7 // 2 + 7 % 4", "6"),
        ("0.1 + 0.2", "0.3"),
        ("-(3 - 5)", "2"),
        ("5 \u00d7 4 \u00f7 2 \u2212 1", "9"),
        ("sqrt(16) + max(1, 2)", "6"),
        ("round(pi, 2)", "3.14"),
        ("2 ** 4000 % 1000", str(2**4000 % 1000)),
        ("1e3", "1000"),
    ],
)
def test_values(expression: str, value: str) -> None:
    assert calculate(expression) == value


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("1 / 0", "division by zero"),
        ("9 ** 9 ** 9", "too large"),
        ("2 ** 4000 * 2 ** 4000", "too large"),
        ("1e308 * 10", "too large"),
        ("(-8) ** 0.5", "not a real number"),
        ("sqrt(-1)", "no value"),
        ("1, 2", "no arithmetic expression"),
        ("", "no arithmetic expression"),
        ("1 +", "no arithmetic expression"),
        ("\x00", "no arithmetic expression"),
        ("1" * 201, "longer than 200"),
        ("(" * 150, "no arithmetic expression"),
        ("__import__('os')", "no arithmetic"),
        ("(1).real", "no arithmetic"),
        ("[1][0]", "no arithmetic"),
        ("'a' * 3", "no arithmetic"),
        ("True + 1", "no arithmetic"),
        ("x + 1", "no arithmetic"),
        ("open(1)", "no arithmetic"),
        ("round(1.5, ndigits=1)", "no arithmetic"),
        ("1 if 2 else 3", "no arithmetic"),
        ("max()", "no value"),
    ],
)
def test_what_has_no_value_says_why(expression: str, why: str) -> None:
    with pytest.raises(CannotCalculate, match=re.escape(why)):
        calculate(expression)


@given(st.text(alphabet="0123456789.+-*/%^()e, sqrtmaxpi", max_size=60) | st.text(max_size=60))
def test_any_text_is_worked_out_or_refused(text: str) -> None:
    try:
        value = calculate(text)
    except CannotCalculate:
        return
    assert len(value) <= MAX_BITS
    float(value)
