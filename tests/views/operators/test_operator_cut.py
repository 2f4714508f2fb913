"""`by_chars` and `smooth`: where text is cut."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import UsageError
from headrace.events import Thought, Token, ToolArgs, ToolStart
from headrace.models.chunk import StreamChunk
from headrace.testing.clock import run_with_fake_clock
from headrace.views.operators import by_chars, smooth
from tests.views.operators.sources import Source, timed


def cut(stream: Any) -> list[Any]:
    async def main() -> list[Any]:
        return [item async for item in stream]

    return run_with_fake_clock(main())


def smoothed(*pieces: str, unit: Literal["word", "line"] = "word") -> list[str]:
    return cut(smooth(Source(pieces), unit, 0))


@given(st.lists(st.text(max_size=30), max_size=10), st.integers(1, 60))
@settings(deadline=None)
def test_every_piece_has_its_length_but_the_last(pieces: list[str], chars: int) -> None:
    got = cut(by_chars(Source(pieces), chars))
    assert "".join(got) == "".join(pieces)
    assert all(len(piece) == chars for piece in got[:-1])
    assert all(1 <= len(piece) <= chars for piece in got)


def test_fifty_characters_by_default() -> None:
    assert [len(piece) for piece in cut(by_chars(Source(["x" * 33] * 4)))] == [50, 50, 32]


@pytest.mark.parametrize("chars", [0, -1])
def test_less_than_one_character_is_refused(chars: int) -> None:
    with pytest.raises(UsageError, match=str(chars)):
        by_chars(Source(["a"]), chars)


def test_an_unknown_unit_is_refused() -> None:
    with pytest.raises(UsageError, match="word, line"):
        smooth(Source(["a"]), "page")  # type: ignore[arg-type]


def test_words_come_whole_with_the_space_after_them() -> None:
    assert smoothed("Hel", "lo, wor", "ld! How", " are you") == [
        "Hello, ",
        "world! ",
        "How ",
        "are ",
        "you",
    ]


def test_leading_space_stays_with_the_first_word() -> None:
    assert smoothed("  a", " b") == ["  a ", "b"]


def test_lines_come_whole() -> None:
    assert smoothed("a b\r", "\nc\n\nd", unit="line") == ["a b\r\n", "c\n", "\n", "d"]


def test_scripts_without_spaces_come_character_by_character() -> None:
    assert smoothed("\u4f60\u597d", "\u3002ok ") == ["\u4f60", "\u597d", "\u3002", "ok "]
    assert smoothed("\u304b\u306a") == ["\u304b", "\u306a"]
    assert smoothed("\uc548\ub155 \uc138\uacc4") == ["\uc548\ub155 ", "\uc138\uacc4"]


def test_a_word_without_end_is_let_out_unfinished() -> None:
    pieces = smoothed(*["x" * 8] * 100)
    assert {len(piece) for piece in pieces[:-1]} == {64}
    assert sum(map(len, pieces)) == 800


def test_a_line_without_end_is_let_out_unfinished() -> None:
    pieces = smoothed(*["x" * 8] * 1000, unit="line")
    assert [len(piece) for piece in pieces] == [4096, 3904]


def test_words_keep_their_distance_and_a_slow_source_is_not_slowed() -> None:
    async def main() -> None:
        source = Source(["a b c ", "d "], [0.0, 5.0])
        got = await timed(smooth(source, delay=0.1))
        assert got == [(0.0, "a "), (0.1, "b "), (0.2, "c "), (5.2, "d ")]

    run_with_fake_clock(main())


def test_the_rest_comes_before_whatever_is_no_text_of_its_kind() -> None:
    items = [
        Thought(1, 1.0, "", "hm"),
        Token(2, 1.0, "", "one t", 0),
        Token(3, 1.0, "", "wo", 1),
        ToolArgs(4, 1.0, "", "c1", "look", '{"a": 1, "b": 2}'),
        ToolStart(5, 1.0, "", "c1", "look", {}),
        Token(6, 1.0, "", "three", 0),
    ]
    assert cut(smooth(Source(items), delay=0)) == [
        items[0],
        Token(2, 1.0, "", "one ", 0),
        Token(3, 1.0, "", "two", 0),
        *items[3:],
    ]


def test_chunks_are_counted_anew_and_the_final_one_stays_whole() -> None:
    final = StreamChunk("the end", 1, True, "stop", {"model": "m"})
    got = cut(by_chars(Source([StreamChunk("abcde", 0, timestamp=3.0), final]), 2))
    assert [(c.content, c.index, c.is_final) for c in got] == [
        ("ab", 0, False),
        ("cd", 1, False),
        ("e", 2, False),
        ("the end", 3, True),
    ]
    assert got[0].timestamp == 3.0
    assert got[-1].metadata == {"model": "m"}
