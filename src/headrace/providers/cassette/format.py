r"""The file of a cassette, pure: NDJSON, a line for whose it is, then a line for each thing heard.

    {"headrace_cassette":1,"provider":"openai","wire":"openai_chat","model":"gpt-5-mini",…}
    {"type":"answer","of":1,"ms":212.1,"status":200,"headers":{…},"request":"sha256:…"}
    {"type":"bytes","of":1,"ms":212.4,"text":"data: {…}\n\n"}
    {"type":"bytes","of":1,"ms":230.9,"base64":"w6k="}
    {"type":"end","of":1,"ms":231.0,"by":"server"}

``of`` is the number of the request, from 1; answers that came at the same time lie interleaved.
``ms`` counts from the moment that its request was made. Bytes stand as text where they are valid
UTF-8. An answer without an ``end`` is one whose recording was killed.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec
from msgspec import Struct

from headrace.errors import ConfigurationError

VERSION = 1
MAX_CASSETTE = 64 * 1024 * 1024
"""Bytes of a whole cassette, written or read."""
MAX_LINE = 8 * 1024 * 1024
"""Bytes of one line; what is heard is cut into pieces that fit."""

_PIECE = 1024 * 1024  # JSON makes a byte six at worst, so a line of a piece stays below MAX_LINE
_LONGEST_MS = 1e9  # eleven days


class Header(Struct, frozen=True, omit_defaults=True):
    """The first line.

    Attributes:
        headrace_cassette: The format's version.
        provider: Whose bytes, as in the provider table.
        wire: Which decoder reads them: the provider's package, as ``openai_chat``.
        model: The model's name.
        recorded_at: Unix seconds.
    """

    headrace_cassette: int
    provider: str
    wire: str
    model: str = ""
    recorded_at: float = 0.0


class Head(Struct, frozen=True, tag="answer", omit_defaults=True):
    """The head of an answer.

    Attributes:
        of: The request's number, from 1.
        ms: When it came.
        status: The HTTP status.
        headers: Without cookies and keys.
        request: Digest of the request's body.
        asked: The body itself, where that was wanted.
    """

    of: int
    ms: float
    status: int
    headers: dict[str, str] = {}
    request: str = ""
    asked: str | None = None


class Heard(Struct, frozen=True, tag="bytes", omit_defaults=True):
    """Bytes of an answer's body: `text` or `base64`."""

    of: int
    ms: float
    text: str | None = None
    base64: str | None = None


class End(Struct, frozen=True, tag="end"):
    """No more came: the server ended it (or the connection broke), or the client left."""

    of: int
    ms: float
    by: Literal["server", "client"]


Record = Head | Heard | End


class Piece(Struct, frozen=True):
    """Bytes, and when they came: milliseconds since the request."""

    ms: float
    data: bytes


class RecordedAnswer(Struct, frozen=True):
    """One answer, whole: its head and its bytes."""

    head: Head
    pieces: tuple[Piece, ...]


class Tape(Struct, frozen=True):
    """A cassette that was read: whose it is, and its answers in the order of their requests."""

    header: Header
    answers: tuple[RecordedAnswer, ...]


def line(record: Header | Record) -> bytes:
    """A record as a line of the file."""
    return msgspec.json.encode(record) + b"\n"


def heard(of: int, ms: float, data: bytes) -> Iterator[Heard]:
    """Bytes as records: one, or several where there are very many."""
    for start in range(0, len(data), _PIECE):
        piece = data[start : start + _PIECE]
        try:
            yield Heard(of, ms, text=piece.decode("utf-8"))
        except UnicodeDecodeError:
            yield Heard(of, ms, base64=base64.b64encode(piece).decode("ascii"))


def read_tape(data: bytes, name: str) -> Tape:
    """Read a cassette.

    Args:
        data: The file's bytes.
        name: What errors call it.

    Raises:
        ConfigurationError: no cassette, one of a newer version or past a bound, or a damaged one;
            the message names the line.
    """
    if len(data) > MAX_CASSETTE:
        raise ConfigurationError(f"The cassette {name} is over {MAX_CASSETTE} bytes.")
    first, _, rest = data.partition(b"\n")
    header = _header(first, name)
    answers: dict[int, tuple[Head, list[Piece]]] = {}
    for number, text in enumerate(rest.split(b"\n"), start=2):
        if not text.strip():
            continue
        try:
            _take(_record(text), answers)
        except ValueError as error:  # what msgspec and binascii raise are ValueErrors
            raise _damaged(name, number, str(error)) from None
    return Tape(
        header,
        tuple(RecordedAnswer(answers[of][0], tuple(answers[of][1])) for of in sorted(answers)),
    )


def _header(text: bytes, name: str) -> Header:
    if len(text) > MAX_LINE:
        raise _no_cassette(name)
    try:
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        raise _no_cassette(name) from None
    version = value.get("headrace_cassette") if isinstance(value, dict) else None
    if type(version) is not int or version < 1:
        raise _no_cassette(name)
    if version > VERSION:
        raise ConfigurationError(
            f"The cassette {name} has format {version}; this Headrace reads up to {VERSION}.",
            hint="Play it with a newer Headrace, or record it again.",
        )
    try:
        return msgspec.convert(value, Header)
    except msgspec.ValidationError as error:
        raise _damaged(name, 1, str(error)) from None


def may_become_cassette(first: bytes) -> bool:
    """Whether a file that begins so may be replaced: a cassette of any version, or nothing."""
    return not first or first.startswith(b'{"headrace_cassette":')


def _record(text: bytes) -> Record:
    if len(text) > MAX_LINE:
        raise ValueError(f"it is over {MAX_LINE} bytes")
    try:
        record = _decode(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if not 0 <= record.ms <= _LONGEST_MS:
        raise ValueError(f"{record.ms:g} ms is no time of arrival")
    return record


_decode: Callable[[bytes], Record] = msgspec.json.Decoder(Record).decode


def _take(record: Record, answers: dict[int, tuple[Head, list[Piece]]]) -> None:
    if isinstance(record, Head):
        if record.of in answers:
            raise ValueError(f"answer {record.of} begins a second time")
        answers[record.of] = (record, [])
    elif record.of not in answers:
        raise ValueError(f"answer {record.of} has not begun")
    elif isinstance(record, Heard):
        answers[record.of][1].append(Piece(record.ms, _bytes(record)))


def _bytes(record: Heard) -> bytes:
    if record.text is not None:
        return record.text.encode("utf-8")
    if record.base64 is None:
        raise ValueError("it holds no bytes")
    try:
        return base64.b64decode(record.base64, validate=True)
    except binascii.Error:
        raise ValueError("its base64 is broken") from None


def _no_cassette(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"{name} is no cassette.", hint='Record one with headrace record FILE "…".'
    )


def _damaged(name: str, line: int, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"The cassette {name} is damaged in line {line}: {why.rstrip('.')}.",
        hint="Record it again, or take the line and all after it away.",
    )
