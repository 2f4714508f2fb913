"""What a question asks for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.providers.demo.calculate import parse
from headrace.providers.demo.question import about_headrace, asks_who, long_text, zones
from headrace.providers.demo.sums import expressions, without_sums


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("What is 123 * 456?", ["123 * 456"]),
        ("What is 2+2, and 3 * (4 - 1)?", ["2+2", "3 * (4 - 1)"]),
        ("15% of 80", ["15 / 100 * 80"]),
        ("2 plus 3 times (4 minus 1)", ["2 + 3 * (4 - 1)"]),
        ("the square root of 16", ["sqrt(16)"]),
        ("5 squared", ["5 ^ 2"]),
        ("1,000 * 3 and 7/2.", ["1000 * 3", "7/2"]),
        ("Compute (1+2)*3).", ["(1+2)*3"]),
        ("max(1, 2)+1 please", ["max(1, 2)+1"]),
        ("1+1 and again 1+1", ["1+1"]),
        ("-5 + 3", ["-5 + 3"]),
        ("1/0", ["1/0"]),
        ("I have 3 apples and 4 pears", []),
        ("on 2024-01-02 at 10:30, 24/7", []),
        ("in 2-3 sentences", []),
        ("gpt-4 or e-mail, and/or", []),
        ("", []),
    ],
)
def test_sums(text: str, found: list[str]) -> None:
    assert expressions(text) == found


@given(st.text(alphabet="0123456789+-*/%^(), .esqrtpimax", max_size=80) | st.text(max_size=80))
def test_each_sum_can_be_read(text: str) -> None:
    for expression in expressions(text):
        parse(expression)


def test_finding_sums_in_a_flood_of_figures_is_quick() -> None:
    assert expressions("1 " * 200_000) == []
    assert expressions("(" * 100_000 + "1+1") == []


def test_a_search_goes_without_figures() -> None:
    assert without_sums("How does a run end, and 12 * 4?") == "How does a run end and ?"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("what time is it?", ["UTC"]),
        ("What is the date today?", ["UTC"]),
        ("What time is it in Tokyo and in Oslo?", ["Asia/Tokyo", "Europe/Oslo"]),
        ("current time in America/New_York", ["America/New_York"]),
        ("use the clock", ["UTC"]),
        ("what is the time to first token?", []),
        ("what is the timeout of a tool?", []),
        ("I like Tokyo", []),
    ],
)
def test_clocks(text: str, found: list[str]) -> None:
    assert zones(text) == found


@pytest.mark.parametrize(
    "text", ["Who are you?", "are you an LLM?", "what are you", "Are you GPT-4"]
)
def test_who(text: str) -> None:
    assert asks_who(text)
    assert not asks_who("Who are your viewers?")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Write a long text about streaming", 1300),
        ("Write 300 words about runs", 300),
        ("generate 2,000 tokens", 2000),
        ("write 999999 words", 5000),
        ("Sum it up in 50 words", 0),
        ("How long is a run?", 0),
    ],
)
def test_long_texts(text: str, count: int) -> None:
    assert long_text(text) == count


def test_what_is_about_headrace() -> None:
    assert about_headrace("How does Headrace work?")
    assert about_headrace("What are events?")
    assert about_headrace("how do I cancel")
    assert not about_headrace("Tell me a joke about cats")
