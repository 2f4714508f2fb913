"""An error that stands in the stream as bare JSON, with no ``data:`` before it.

Google's server ends a stream that fails midway with the error's pretty-printed JSON: to a decoder
of server-sent events these lines are unknown fields, and the error would be lost. Google's own
SDK gathers them too (python-genai, `_api_client`).
"""

from __future__ import annotations

import json
from typing import Any

from headrace.providers.failures import MAX_ERROR_BODY

_BARE = (b"{", b"[")
_BARE_LINES = (b"\n{", b"\n[")


class RawError:
    """Keeps what comes from the first line on that begins as JSON does, up to a bound."""

    __slots__ = ("_bytes", "_line_ended")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._line_ended = True

    def take(self, data: bytes) -> None:
        """Take what was read next."""
        if not self._bytes:
            begin = self._begin(data)
            self._line_ended = data.endswith(b"\n") or (self._line_ended and not data)
            if begin < 0:
                return
            data = data[begin:]
        if len(self._bytes) < MAX_ERROR_BODY:
            self._bytes += data[:MAX_ERROR_BODY]

    def _begin(self, data: bytes) -> int:
        """Where the first line begins that no event stream has; -1 where there is none."""
        if self._line_ended and data.startswith(_BARE):
            return 0
        begins = [at + 1 for at in map(data.find, _BARE_LINES) if at >= 0]
        return min(begins, default=-1)

    def value(self) -> Any:
        """The first JSON value among it; None where there is none."""
        if not self._bytes:
            return None
        text = self._bytes.decode("utf-8", "replace")
        try:
            return json.JSONDecoder(strict=False).raw_decode(text)[0]
        except (ValueError, RecursionError):
            return None
