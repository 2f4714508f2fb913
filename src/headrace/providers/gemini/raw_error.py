"""An error that stands in the stream as bare JSON, with no ``data:`` before it.

Google's server ends a stream that fails midway with the error's pretty-printed JSON: to a decoder
of server-sent events these lines are unknown fields, and the error would be lost. Google's own
SDK gathers them too (python-genai, `_api_client`).
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from headrace.providers.failures import MAX_ERROR_BODY

_BARE = (b"{", b"[")
_BARE_LINES = (b"\n{", b"\n[")


class RawError:
    """Keeps the end of the stream, where such an error stands: at least `MAX_ERROR_BODY` bytes."""

    __slots__ = ("_pieces", "_size", "_whole")

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._whole = True  # whether the pieces are all that came

    def take(self, data: bytes) -> None:
        """Take what was read next. Nothing is searched here: it runs once a read."""
        self._pieces.append(data)
        self._size += len(data)
        while self._size - len(self._pieces[0]) > MAX_ERROR_BODY:
            self._size -= len(self._pieces.popleft())
            self._whole = False

    def value(self) -> Any:
        """The first JSON value that begins a line; None where there is none."""
        end = b"".join(self._pieces)
        begins = [at + 1 for at in map(end.find, _BARE_LINES) if at >= 0]
        if self._whole and end.startswith(_BARE):
            begins.append(0)
        if not begins:
            return None
        text = end[min(begins) :][:MAX_ERROR_BODY].decode("utf-8", "replace")
        try:
            return json.JSONDecoder(strict=False).raw_decode(text)[0]
        except (ValueError, RecursionError):
            return None
