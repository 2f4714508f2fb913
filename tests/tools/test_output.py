"""Results and errors as text for a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from headrace.errors import InvalidArguments, ToolError
from headrace.tools.output import MAX_ERROR, as_text, cut, encodable, error_text


@dataclass
class Point:
    x: int


class Shape(msgspec.Struct):
    points: list[Point]


class Person(BaseModel):
    born: datetime


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        ("", ""),
        (None, ""),
        (3, "3"),
        (True, "true"),
        ([1, "ä"], '[1, "ä"]'),
        ({"a": {1: 2}}, '{"a": {"1": 2}}'),
        (Point(1), '{"x": 1}'),
        (Shape([Point(1)]), '{"points": [{"x": 1}]}'),
        ([Person(born=datetime(2024, 1, 2, tzinfo=UTC))], '[{"born": "2024-01-02T00:00:00Z"}]'),
        (Colour.RED, '"red"'),
    ],
)
def test_results_as_text(value: Any, text: str) -> None:
    assert as_text(value) == text


@pytest.mark.parametrize("value", [b"x", bytearray(b"x"), memoryview(b"x")])
def test_bytes_are_refused(value: object) -> None:
    with pytest.raises(ToolError, match=f"gave back {type(value).__name__}"):
        as_text(value)


def _endless() -> list[Any]:
    inner: list[Any] = []
    inner.append(inner)
    return inner


@pytest.mark.parametrize("value", [object(), {"f": print}, _endless(), iter([1])])
def test_what_has_no_json_form_is_refused(value: object) -> None:
    with pytest.raises(ToolError, match="no JSON form"):
        as_text(value)


def test_surrogates_are_made_encodable() -> None:
    assert encodable("a\ud800b") == "a\ufffdb"
    assert encodable("\ud83d\ude00") == "\U0001f600"  # a whole pair is the character
    assert json.loads(as_text({"a\udfff": "\ud800"})) == {"a\ufffd": "\ufffd"}


@given(st.text(st.characters(codec=None), max_size=300), st.integers(0, 400))
def test_cut_text_is_valid_bounded_and_a_prefix(text: str, limit: int) -> None:
    whole = encodable(text)
    part = cut(whole, limit)
    assert len(part.encode()) <= limit or part == whole == ""
    if part != whole:
        head, note, _ = part.partition("\n[cut: ") if "\n[cut: " not in whole else (part, "", "")
        assert whole.startswith(head) or note == ""
        assert len(whole.encode()) > limit


def test_a_cut_says_so() -> None:
    text = "ä" * 1000
    assert cut(text, 2000) == text
    assert cut(text, 1999).endswith("\n[cut: the first part of 2000 bytes]")


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: ValueError("no such city"), "ValueError: no such city"),
        (lambda: KeyError("k"), "KeyError: 'k'"),
        (ValueError, "ValueError"),
        (lambda: ToolError("In my own words."), "In my own words."),
        (lambda: InvalidArguments("x is wrong"), "x is wrong"),
        (lambda: ToolError("No.", hint="Try Oslo."), "No. Try Oslo."),
        (lambda: ValueError("\ud800"), "ValueError: \ufffd"),
        (Mute, "Mute"),
    ],
)
def test_errors_as_text(make: Callable[[], Exception], text: str) -> None:
    assert error_text(make()) == text


def test_error_texts_are_bounded() -> None:
    assert len(error_text(ValueError("x" * 10**6)).encode()) <= MAX_ERROR
