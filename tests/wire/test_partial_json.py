"""When partial JSON is parsed again: what it costs, how live it looks, what it says at the end."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import EventTooLarge
from headrace.wire.partial_json import PartialJSON, parse_json

documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=20,
)


class CountingParser:
    """The real parser, with a count of what it was given."""

    def __init__(self) -> None:
        self.characters = 0
        self.lengths: list[int] = []

    def __call__(self, text: str, partial: bool) -> object:
        self.characters += len(text)
        self.lengths.append(len(text))
        return parse_json(text, partial)


def pieces_of(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


@pytest.mark.parametrize("size", [2**10, 2**15, 2**18])
def test_the_cost_of_all_parses_is_linear(size: int) -> None:
    text = json.dumps({"text": "a word " * (size // 7)})
    parser = CountingParser()
    partial = PartialJSON(parse=parser)
    for piece in pieces_of(text, 8):
        partial.feed(piece)
    assert partial.finish()
    assert parser.characters <= 12 * len(text)


def test_a_short_document_looks_live() -> None:
    text = json.dumps({"text": "a word " * 140})
    parser = CountingParser()
    partial = PartialJSON(parse=parser)
    seen = [len(str(partial.value)) for piece in pieces_of(text, 4) if partial.feed(piece)]
    assert seen == sorted(set(seen)), "each newer value shows more"
    gaps = [b - a for a, b in zip(parser.lengths, parser.lengths[1:], strict=False)]
    assert max(gap for gap, at in zip(gaps, parser.lengths, strict=False) if at < 512) <= 64
    assert max(gaps) <= 128


def test_false_means_that_the_value_is_the_same() -> None:
    partial = PartialJSON()
    for piece in pieces_of(json.dumps({"text": "a word " * 140}), 3):
        before = partial.value
        if not partial.feed(piece):
            assert partial.value is before


def test_an_unfinished_string_is_shown_so_far() -> None:
    partial = PartialJSON()
    assert partial.feed('{"city": "Amster')
    assert partial.value == {"city": "Amster"}
    assert not partial.complete
    partial.feed('dam"}')
    assert partial.finish()
    assert partial.value == {"city": "Amsterdam"}
    assert partial.complete


def test_a_cut_escape_is_left_out() -> None:
    partial = PartialJSON()
    assert partial.feed('{"city": "Amster\\ud83d\\ud')
    assert partial.value == {"city": "Amster"}


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            '{"a": 1',
            '{"a": 1} x',
            "nope",
            '{"a": NaN}',
            "{'a': 1}",
            '{"a": 1,}',
            "[" * 9999,
        ),
        *('"\ud83d"', '"a\nb"', "1" * 5000, "01", "Infinity"),
    ],
)
def test_what_is_no_whole_json_says_so_and_raises_nothing(text: str) -> None:
    partial = PartialJSON()
    partial.feed(text)
    assert not partial.finish()
    assert not partial.complete
    assert partial.text == text


def test_a_null_is_a_value() -> None:
    partial = PartialJSON()
    partial.feed("null")
    assert partial.finish()
    assert partial.value is None


@pytest.mark.parametrize("size", [1, 3, 7, 20])
def test_the_text_has_a_bound(size: int) -> None:
    text = '"' + "x" * 199
    partial = PartialJSON(max_size=200)
    for piece in pieces_of(text, size):
        partial.feed(piece)
    for piece in ("x" * 9, "", "x"):
        with pytest.raises(EventTooLarge, match="200 characters"):
            partial.feed(piece)
    assert partial.text == text


@given(documents, st.integers(1, 40), st.booleans())
def test_the_end_is_what_a_plain_parser_says(value: object, size: int, ascii_only: bool) -> None:
    partial = PartialJSON()
    for piece in pieces_of(json.dumps(value, ensure_ascii=ascii_only), size):
        partial.feed(piece)
    assert partial.finish()
    assert partial.value == value


@given(st.lists(st.text(st.characters())))
def test_arbitrary_text_raises_nothing(pieces: list[str]) -> None:
    partial = PartialJSON()
    for piece in pieces:
        partial.feed(piece)
    partial.finish()
    assert partial.text == "".join(pieces)


def test_the_parser_is_imported_when_it_is_first_needed() -> None:
    script = (
        "import sys; from headrace.wire.partial_json import PartialJSON; p = PartialJSON();"
        "assert 'pydantic_core' not in sys.modules; p.feed('[1]'); assert p.finish();"
        "assert 'pydantic_core' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)  # noqa: S603 - our own script
