"""What a scanner holds back: what may still become a match, and never more than a window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.agents.guards.pattern import Pattern
from headrace.agents.guards.scanner import Match, Scanner

KEY = Pattern(r"sk-[a-z0-9]+")


def held(pattern: str, text: str, window: int = 256) -> str:
    scanner = Scanner(Pattern(pattern), window)
    scanner.feed(text)
    return text[scanner.clear :]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The key", ""),
        ("The keys", "s"),
        ("ask", "sk"),
        ("task-", "sk-"),
        ("a sk-a1", "sk-a1"),
        ("a sk-a1 b", ""),
        ("so it is", "s"),
        ("so it is.", ""),
    ],
)
def test_only_what_may_become_a_match_is_held(text: str, expected: str) -> None:
    assert held(KEY.text, text) == expected


def test_an_email_holds_a_word_and_no_line() -> None:
    assert held(r"[\w.+-]+@[\w-]+\.\w+", "I wrote to bob") == "bob"
    assert held(r"[\w.+-]+@[\w-]+\.\w+", "I wrote to bob ") == ""


def test_what_is_no_match_within_the_window_is_let_go() -> None:
    assert held("<.*>", "<" + "a" * 300, window=256) == ""
    assert held("<.*>", "<" + "a" * 255, window=256) == "<" + "a" * 255
    scanner = Scanner(Pattern("<.*>"), window=4)
    assert scanner.feed("<ab>x<abc>") == [Match(0, 4)]
    assert scanner.close() == []


def test_a_match_may_go_on_past_the_window() -> None:
    scanner = Scanner(KEY, window=8)
    assert scanner.feed("sk-" + "a" * 5000) == []
    assert scanner.pending == (0, 5003)
    assert scanner.feed("a.") == [Match(0, 5004)]


@given(st.lists(st.text(st.sampled_from("sk-a1 "), max_size=30), max_size=30))
def test_memory_is_the_windows(pieces: list[str]) -> None:
    scanner = Scanner(KEY, window=8, keep=True)
    for piece in pieces:
        scanner.feed(piece)
        assert len(scanner._text) <= 2 * 8 + 2


def test_a_long_match_is_not_kept_in_memory() -> None:
    scanner = Scanner(KEY, window=8, keep=True)
    scanner.feed("sk-")
    for _ in range(1000):
        scanner.feed("a" * 100)
        assert len(scanner._text) <= 20


@given(st.lists(st.text(st.sampled_from("sk-a1 "), max_size=5), max_size=8))
def test_what_is_clear_is_in_no_later_match(pieces: list[str]) -> None:
    scanner, clear = Scanner(KEY), 0
    for piece in pieces:
        found = scanner.feed(piece)
        assert all(match.start >= clear for match in found)
        clear = scanner.clear
    assert all(match.start >= clear for match in scanner.close())


def test_a_pause_tells_what_an_end_would() -> None:
    scanner = Scanner(Pattern(r"\bkey\b"))
    assert scanner.feed("a key") == []
    assert scanner.pause() == [Match(2, 5)]
    assert scanner.feed("s") == []  # it was none, as it goes on
    assert scanner.close() == []


def test_the_text_of_a_match_is_there_where_it_is_wanted() -> None:
    scanner = Scanner(KEY, window=8, keep=True)
    found = [match for char in "x sk-ab sk-abcdefgh." for match in scanner.feed(char)]
    assert found == [Match(2, 7, "sk-ab"), Match(8, 19, "")]
