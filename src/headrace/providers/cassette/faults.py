"""Ways to break a recorded answer, pure: pieces in, pieces out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from headrace.errors import ConfigurationError
from headrace.providers.cassette.format import Piece

_BLANK_LINE = re.compile(rb"(?>\r\n|\r|\n){2}")  # a CR LF is one line end, never two
_LINE_END = re.compile(rb"\n")


class Cut(Struct, frozen=True):
    """The answer ends after `at` bytes of its body, in good order."""

    at: int


class Stall(Struct, frozen=True):
    """Nothing comes any more after `at` bytes, and the connection stays open."""

    at: int


class Reset(Struct, frozen=True):
    """The connection breaks after `at` bytes; with 0 it breaks before the answer's head."""

    at: int


class Duplicate(Struct, frozen=True):
    """Frame number `frame`, from 1, comes twice: an SSE event, or a line of NDJSON."""

    frame: int


class Slow(Struct, frozen=True):
    """Everything takes `factor` times as long."""

    factor: float


Fault = Cut | Stall | Reset | Duplicate | Slow

_BY_WORD: dict[str, type[Fault]] = {
    "cut": Cut,
    "stall": Stall,
    "reset": Reset,
    "duplicate": Duplicate,
    "slow": Slow,
}

Ending = Literal["end", "cut", "stall"]
"""After the last byte that is played: the recorded end, an early one, or nothing at all."""


def parse_fault(text: str) -> Fault:
    """The fault that ``cut:123`` and the like mean.

    Raises:
        ConfigurationError: for one that there is not.
    """
    word, _, number = text.strip().partition(":")
    kind = _BY_WORD.get(word.strip().lower())
    try:
        if kind is None:
            raise ValueError(word)
        fault: Fault = Slow(float(number)) if kind is Slow else kind(int(number))
    except ValueError:
        raise _unknown(text) from None
    check(fault)
    return fault


def check(fault: Fault) -> None:
    """Look whether its number makes sense.

    Raises:
        ConfigurationError: it does not.
    """
    match fault:
        case Slow(factor=factor):
            fine = 0 < factor < 1e6
        case Duplicate(frame=frame):
            fine = frame >= 1
        case Cut(at=at) | Stall(at=at) | Reset(at=at):
            fine = at >= 0
    if not fine:
        raise _unknown(repr(fault))


def broken(
    pieces: Iterable[Piece], fault: Fault | None, *, lines: bool = False
) -> tuple[list[Piece], Ending]:
    """What is to be played of an answer, and how it goes on after that.

    Args:
        pieces: As recorded.
        fault: How to break it.
        lines: Whether its frames are lines (NDJSON) and not events (SSE).
    """
    kept = list(pieces)
    match fault:
        case Slow(factor=factor):
            return [Piece(piece.ms * factor, piece.data) for piece in kept], "end"
        case Duplicate(frame=frame):
            return _twice(kept, frame, _LINE_END if lines else _BLANK_LINE), "end"
        case Cut(at=at) | Reset(at=at) if at < _size(kept):
            return _first(kept, at), "cut"
        case Stall(at=at) if at < _size(kept):
            return _first(kept, at), "stall"
    return kept, "end"


def _size(pieces: Iterable[Piece]) -> int:
    return sum(len(piece.data) for piece in pieces)


def _first(pieces: Iterable[Piece], count: int) -> list[Piece]:
    """The first so many bytes."""
    kept = []
    for piece in pieces:
        data = piece.data[:count]
        if data:
            kept.append(Piece(piece.ms, data))
        count -= len(data)
    return kept


def _twice(pieces: list[Piece], frame: int, end: re.Pattern[bytes]) -> list[Piece]:
    """With a copy of the frame right behind it."""
    data = b"".join(piece.data for piece in pieces)
    ends = [0, *(match.end() for match in end.finditer(data))]
    if frame >= len(ends):
        return pieces
    start, stop = ends[frame - 1], ends[frame]
    before = _first(pieces, stop)
    copy = Piece(before[-1].ms, data[start:stop])
    return [*before, copy, *_without(pieces, stop)]


def _without(pieces: Iterable[Piece], count: int) -> list[Piece]:
    """All but the first so many bytes."""
    kept = []
    for piece in pieces:
        data = piece.data[count:]
        count = max(0, count - len(piece.data))
        if data:
            kept.append(Piece(piece.ms, data))
    return kept


def _unknown(text: str) -> ConfigurationError:
    return ConfigurationError(
        f"There is no fault {text!r}.",
        hint="There are cut:BYTE, stall:BYTE, reset:BYTE, duplicate:FRAME (from 1), slow:FACTOR.",
    )
