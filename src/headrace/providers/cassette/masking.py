"""Keeps secrets out of a cassette, pure: bytes in any cuts, masked before anything is kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from headrace.errors import LineTooLong
from headrace.providers.cassette.format import Piece
from headrace.providers.secret import MASK, masked

MAX_HELD = 8 * 1024 * 1024
"""Bytes of one line of an answer that are held back; no decoder reads a longer one."""

_SHORTEST = 8  # local servers are given keys such as "none"; to mask those would eat the answer

_SHORTEST_PART = 4  # of a secret in which an answer breaks off

_SECRET_NAMES = re.compile(
    r"(?i)cookie|auth|key|secret|session|signature|credential|password|\bsig\b|token(?!s)"
)
_MOST_HEADERS = 100
_LONGEST_HEADER = 1000  # characters


def secret_values(headers: Iterable[tuple[str, str]]) -> list[str]:
    """The secrets in a request's headers or query: the values of names that mean one."""
    found = []
    for name, value in headers:
        if _SECRET_NAMES.search(name):
            scheme, blank, rest = value.strip().partition(" ")
            found.append(rest.strip() if blank and scheme.isalpha() else value.strip())
    return [value for value in found if len(value) >= _SHORTEST]


class Masker:
    """Masks texts: these secrets, as they are and escaped, and what looks like a key.

    Args:
        secrets: The values that were sent.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted(set(secrets), key=len, reverse=True)
        forms = [_any_form(secret) for secret in self._secrets]
        self._sent = re.compile("|".join(forms)) if forms else None

    def text(self, text: str) -> str:
        """The text, masked."""
        if self._sent is not None:
            text = self._sent.sub(MASK, text)
        return masked(text)

    def raw(self, data: bytes) -> bytes:
        """The bytes, masked; those that are not UTF-8 stay as they are."""
        text = data.decode("utf-8", "surrogateescape")
        clean = self.text(text)
        return data if clean == text else clean.encode("utf-8", "surrogateescape")

    def cut(self, data: bytes) -> bytes:
        """Masked bytes, without the beginning of a secret that they may break off in."""
        for secret in self._secrets:
            whole = secret.encode("utf-8", "surrogateescape")
            for size in range(len(whole) - 1, _SHORTEST_PART - 1, -1):
                if data.endswith(whole[:size]):
                    return data[:-size] + MASK.encode()
        return data

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers with lower-case names, masked: whole where the name means a secret."""
        return {
            self.text(name).lower(): MASK
            if _SECRET_NAMES.search(name)
            else self.text(value)[:_LONGEST_HEADER]
            for name, value in list(headers.items())[:_MOST_HEADERS]
        }


class LineMask:
    """Masks a stream of bytes that comes in any cuts.

    A line is held back until it is whole, because a secret may be cut over two reads. A line that
    holds none comes out in the pieces that it came in; another comes out masked, in one piece, with
    the time of its last one: no decoder makes anything of a line before its end.
    """

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held: list[Piece] = []
        self._size = 0

    def take(self, ms: float, data: bytes) -> list[Piece]:
        """Take bytes and give those that may be kept.

        Raises:
            LineTooLong: more than `MAX_HELD` bytes without a line end.
        """
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        out: list[Piece] = []
        if end:
            out = self._whole([*self._held, Piece(ms, data[:end])])
            self._held, self._size = [], 0
        if end < len(data):
            self._held.append(Piece(ms, data[end:]))
            self._size += len(data) - end
        if self._size > MAX_HELD:
            raise LineTooLong(f"A line is over {MAX_HELD} bytes.")
        return out

    def close(self) -> list[Piece]:
        """The last line, where it had no end."""
        held, self._held, self._size = self._held, [], 0
        if not held:
            return []
        data = b"".join(piece.data for piece in held)
        clean = self._masker.cut(self._masker.raw(data))
        return held if clean == data else [Piece(held[-1].ms, clean)]

    def _whole(self, pieces: list[Piece]) -> list[Piece]:
        data = b"".join(piece.data for piece in pieces)
        # Line by line: what is masked must not depend on how many lines came at once.
        clean = b"".join(map(self._masker.raw, data.splitlines(keepends=True)))
        return pieces if clean == data else [Piece(pieces[-1].ms, clean)]


def _any_form(secret: str) -> str:
    """A pattern of a secret, however JSON or a URL escapes its characters."""
    return "".join(
        rf"(?:{re.escape(char)}|\\+{re.escape(char)}|(?i:\\+u{ord(char):04x}|%{ord(char):02x}))"
        for char in secret
    )
