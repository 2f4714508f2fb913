"""Nothing that a terminal would obey comes through, wherever it is cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.frontends.escapes import escape_json, one_line, visible

HOSTILE = {
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
} - {"\n", "\t"}
ANY = st.text(st.one_of(st.sampled_from(sorted(HOSTILE)), st.characters()))


@given(ANY)
def test_nothing_hostile_is_left_and_the_rest_is_as_it_was(text: str) -> None:
    shown = visible(text)
    assert not HOSTILE & set(shown)
    shown.encode()  # lone surrogates are gone too
    harmless = [c for c in text if c not in HOSTILE and not 0xD800 <= ord(c) <= 0xDFFF]
    assert [c for c in visible("".join(harmless))] == harmless


@given(ANY, ANY)
def test_it_does_not_matter_where_a_sequence_is_cut(a: str, b: str) -> None:
    assert visible(a + b) == visible(a) + visible(b)


@given(ANY)
def test_twice_is_the_same_as_once(text: str) -> None:
    assert visible(visible(text)) == visible(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("\x1b]52;c;cm0=\x07", "␛]52;c;cm0=␇"),
        ("\x9b31m\u202eabc", "�31m�abc"),
        ("dos\r\nline\ttab", "dos\nline\ttab"),
        ("\x7f\x00", "␡␀"),
        ("wörld 世界 👩‍💻", "wörld 世界 👩‍💻"),
    ],
)
def test_what_is_shown_instead(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(ANY, st.integers(10, 50))
def test_one_line_is_one_short_line(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    assert not HOSTILE & set(line)


@given(
    st.text(st.one_of(st.sampled_from(sorted(HOSTILE)), st.characters(exclude_categories=["Cs"])))
)
def test_json_keeps_its_value_and_loses_its_teeth(text: str) -> None:
    line = json.dumps({"content": text}, ensure_ascii=False).encode()
    safe = escape_json(line)
    assert json.loads(safe) == {"content": text}
    assert not HOSTILE & set(safe.decode())
