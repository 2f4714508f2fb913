"""Faults: what is played of a recorded answer."""

from __future__ import annotations

import pytest

from headrace.errors import ConfigurationError
from headrace.providers.cassette.faults import (
    Cut,
    Duplicate,
    Fault,
    Reset,
    Slow,
    Stall,
    broken,
    check,
    parse_fault,
)
from headrace.providers.cassette.format import Piece

SSE = [Piece(1, b"data: a\n"), Piece(2, b"\ndata: b\r\n\r\nda"), Piece(3, b"ta: c\r\rrest")]
LINES = [Piece(1, b'{"a":1}\n{"b"'), Piece(2, b":2}\n"), Piece(3, b'{"c":3}')]


def played(pieces: list[Piece], fault: Fault | None, *, lines: bool = False) -> bytes:
    return b"".join(piece.data for piece in broken(pieces, fault, lines=lines)[0])


def test_without_a_fault_all_is_as_recorded() -> None:
    assert broken(SSE, None) == (SSE, "end")


def test_every_cut() -> None:
    whole = played(SSE, None)
    for at in range(len(whole)):
        pieces, ending = broken(SSE, Cut(at))
        assert (b"".join(piece.data for piece in pieces), ending) == (whole[:at], "cut")
        assert broken(SSE, Reset(at)) == (pieces, "cut")
        assert broken(SSE, Stall(at)) == (pieces, "stall")
        assert all(piece.data for piece in pieces)


@pytest.mark.parametrize("fault", [Cut(33), Reset(33), Stall(33), Cut(10_000)])
def test_a_place_behind_the_end_breaks_nothing(fault: Fault) -> None:
    assert len(played(SSE, None)) == 33
    assert broken(SSE, fault) == (SSE, "end")


def test_an_event_comes_twice() -> None:
    assert played(SSE, Duplicate(1)) == b"data: a\n\n" * 2 + played(SSE, None)[9:]
    twice = b"data: a\n\n" + b"data: b\r\n\r\n" * 2 + b"data: c\r\rrest"
    assert played(SSE, Duplicate(2)) == twice
    assert played(SSE, Duplicate(3)).endswith(b"data: c\r\rdata: c\r\rrest")
    assert broken(SSE, Duplicate(4)) == (SSE, "end")
    assert [piece.ms for piece in broken(SSE, Duplicate(2))[0]] == [1, 2, 2, 2, 3]


def test_a_line_comes_twice() -> None:
    assert played(LINES, Duplicate(1), lines=True) == b'{"a":1}\n' * 2 + b'{"b":2}\n{"c":3}'
    assert played(LINES, Duplicate(2), lines=True) == b'{"a":1}\n' + b'{"b":2}\n' * 2 + b'{"c":3}'
    assert played(LINES, Duplicate(3), lines=True) == played(LINES, None)


def test_slow_stretches_the_times() -> None:
    pieces, ending = broken(SSE, Slow(2.5))
    assert [piece.ms for piece in pieces] == [2.5, 5, 7.5]
    assert ending == "end"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("cut:123", Cut(123)),
        (" STALL:0 ", Stall(0)),
        ("reset:7", Reset(7)),
        ("duplicate:2", Duplicate(2)),
        ("slow:0.5", Slow(0.5)),
    ],
)
def test_faults_by_name(text: str, fault: Fault) -> None:
    assert parse_fault(text) == fault


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cut",
        "cut:",
        "cut:-1",
        "cut:1.5",
        "melt:3",
        "duplicate:0",
        "slow:0",
        "slow:nan",
        "slow:x",
    ],
)
def test_what_is_no_fault_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_fault(text)
    assert "cut:BYTE, stall:BYTE, reset:BYTE, duplicate:FRAME" in str(caught.value)


def test_a_fault_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        check(Cut(-1))
