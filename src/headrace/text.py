"""A text that grows piece by piece."""

from __future__ import annotations

_JOIN_AT = 1024
"""Pieces kept apart before they are joined: a million one-word pieces would cost 60 MB."""


class TextBuffer:
    """A growing text: appending is cheap, memory is that of the text."""

    __slots__ = ("_blocks", "_pieces")

    def __init__(self) -> None:
        self._blocks: list[str] = []
        self._pieces: list[str] = []

    def append(self, piece: str) -> None:
        """Add a piece."""
        self._pieces.append(piece)
        if len(self._pieces) >= _JOIN_AT:
            self._blocks.append("".join(self._pieces))
            self._pieces.clear()

    def cut(self, chars: int) -> None:
        """Keep the first `chars` characters."""
        self._blocks = [str(self)[:chars]]
        self._pieces.clear()

    def __len__(self) -> int:
        return sum(map(len, self._blocks)) + sum(map(len, self._pieces))

    def __str__(self) -> str:
        text = "".join((*self._blocks, *self._pieces))
        self._blocks, self._pieces = [text], []  # asked again, it is the same object
        return text
