"""The file of a cassette: what is written is read again, and damage is named."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConfigurationError
from headrace.providers.cassette.format import (
    MAX_CASSETTE,
    MAX_LINE,
    End,
    Head,
    Header,
    Piece,
    heard,
    line,
    may_become_cassette,
    read_tape,
)

HEADER = Header(1, "openai", "openai_chat", "m")
HEAD = Head(1, 10.5, 200, {"content-type": "text/event-stream"}, "sha256:0")


def tape(*records: Head | End | bytes | tuple[int, float, bytes]) -> bytes:
    """A file: a tuple is bytes that were heard, bytes are a raw line."""
    out = line(HEADER)
    for record in records:
        if isinstance(record, tuple):
            out += b"".join(line(one) for one in heard(*record))
        else:
            out += record + b"\n" if isinstance(record, bytes) else line(record)
    return out


def refused(data: bytes) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read_tape(data, "a.cassette")
    return str(caught.value)


def test_the_first_line_tells_the_version() -> None:
    first = json.loads(tape().split(b"\n")[0])
    assert first["headrace_cassette"] == 1
    assert (first["provider"], first["wire"]) == ("openai", "openai_chat")


def test_text_stands_as_text_and_other_bytes_as_base64() -> None:
    lines = tape(HEAD, (1, 11, "é\r\n".encode()), (1, 12, b"\xff\x00")).splitlines()[2:]
    assert [json.loads(text) for text in lines] == [
        {"type": "bytes", "of": 1, "ms": 11.0, "text": "é\r\n"},
        {"type": "bytes", "of": 1, "ms": 12.0, "base64": "/wA="},
    ]


@given(st.lists(st.tuples(st.floats(0, 1e6), st.binary(min_size=1))))
def test_what_is_written_is_read_again(pieces: list[tuple[float, bytes]]) -> None:
    read = read_tape(tape(HEAD, *((1, ms, data) for ms, data in pieces)), "a")
    assert read.header == HEADER
    (answer,) = read.answers
    assert answer.head == HEAD
    assert answer.pieces == tuple(Piece(ms, data) for ms, data in pieces)


def test_very_many_bytes_are_lines_that_fit() -> None:
    data = b"\x00" * (3 * 1024 * 1024)
    written = tape(HEAD, (1, 1, data))
    assert all(len(text) <= MAX_LINE for text in written.split(b"\n"))
    assert b"".join(p.data for p in read_tape(written, "a").answers[0].pieces) == data


def test_answers_that_came_together_are_told_apart() -> None:
    second = Head(2, 1, 200)
    read = read_tape(tape(second, HEAD, (1, 11, b"a"), (2, 12, b"b"), (1, 13, b"c")), "a")
    assert [answer.head.of for answer in read.answers] == [1, 2]
    assert [[p.data for p in answer.pieces] for answer in read.answers] == [[b"a", b"c"], [b"b"]]


def test_blank_lines_and_unknown_fields_do_not_matter() -> None:
    more = b'{"type":"bytes","of":1,"ms":1,"text":"a","mood":"good"}'
    assert read_tape(tape(HEAD, b"", more, b" "), "a").answers[0].pieces == (Piece(1, b"a"),)


def test_a_newer_version_is_refused_by_its_number() -> None:
    told = refused(b'{"headrace_cassette":2,"provider":5}\n')
    assert "a.cassette has format 2; this Headrace reads up to 1" in told
    assert "newer Headrace" in told


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"# Headrace\n",
        b"[1]",
        b"{}",
        b'{"headrace_cassette":"1"}',
        b'{"headrace_cassette":true}',
        b'{"headrace_cassette":0}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_another_file_is_no_cassette(data: bytes) -> None:
    assert "a.cassette is no cassette" in refused(data)


def test_a_header_without_a_wire_is_damage_in_line_1() -> None:
    assert "damaged in line 1" in refused(b'{"headrace_cassette":1,"provider":"openai"}\n')


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'{"type":"bytes","of":1,"ms":1,"te', "truncated"),
        (b"hello", "malformed"),
        (b'{"type":"noise","of":1,"ms":1}', "noise"),
        (b'{"type":"bytes","of":9,"ms":1,"text":"a"}', "answer 9 has not begun"),
        (b'{"type":"end","of":9,"ms":1,"by":"server"}', "answer 9 has not begun"),
        (b'{"type":"answer","of":1,"ms":1,"status":200}', "answer 1 begins a second time"),
        (b'{"type":"bytes","of":1,"ms":-1,"text":"a"}', "no time of arrival"),
        (b'{"type":"bytes","of":1,"ms":1e300,"text":"a"}', "no time of arrival"),
        (b'{"type":"bytes","of":1,"ms":1}', "no bytes"),
        (b'{"type":"bytes","of":1,"ms":1,"base64":"a b"}', "base64"),
        (b'{"type":"bytes","of":1,"ms":1,"base64":"\xc3\xa9"}', "ASCII"),
        (b'{"type":"bytes","of":1,"ms":1,"text":"\\ud800"}', ""),
        (b'{"type":"bytes","of":1,"ms":1,"text":"\xff"}', ""),
        (b'{"type":"end","of":1,"ms":1,"by":"nobody"}', "nobody"),
        (b"[" * 100_000, ""),
    ],
)
def test_a_damaged_line_is_named(text: bytes, why: str) -> None:
    told = refused(tape(HEAD, (1, 11, b"a"), text))
    assert "a.cassette is damaged in line 4: " in told
    assert why in told


def test_bounds() -> None:
    assert "line 3: it is over 8388608 bytes" in refused(tape(HEAD, b" " * MAX_LINE + b"x"))
    assert "over 67108864 bytes" in refused(b"x" * (MAX_CASSETTE + 1))


@given(st.binary())
def test_garbage_is_refused_or_read_and_never_anything_else(data: bytes) -> None:
    for whole in (data, tape(HEAD) + data):
        try:
            read_tape(whole, "a")
        except ConfigurationError:
            pass


def test_what_may_be_replaced() -> None:
    assert may_become_cassette(tape()[:64])
    assert may_become_cassette(b"")
    assert not may_become_cassette(b"# Headrace")
