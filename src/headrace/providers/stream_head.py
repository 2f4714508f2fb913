"""The beginning of an answer, kept until an event has come: it may be no event stream at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headrace.errors import ProviderError
from headrace.providers.failures import MAX_ERROR_BODY, Failures
from headrace.providers.json_text import loads

_BEGINNINGS = (b"data", b"event", b"id", b"retry", b":", b"\xef\xbb\xbf")
"""How an event stream may begin; a body that ends within one of these was cut."""


class StreamHead:
    """The first bytes of an event stream, `MAX_ERROR_BODY` of them, until its first event.

    Attributes:
        waiting: Whether no event has come yet; ask it before calling `take`, which costs more.
    """

    __slots__ = ("_bytes", "waiting")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self.waiting = True

    def take(self, data: bytes, events: bool) -> None:
        """Take what was read next, and whether it completed any event."""
        if events:
            self.waiting = False
            self._bytes.clear()
        elif len(self._bytes) < MAX_ERROR_BODY:
            self._bytes += data[:MAX_ERROR_BODY]

    def problem(self, failures: Failures, error_in: Callable[[Any], Any]) -> ProviderError | None:
        """The error in a body that held no event and does not even begin like an event stream.

        Args:
            failures: Makes the errors.
            error_in: Finds the provider's error in JSON; None where it holds none.
        """
        head = bytes(self._bytes).strip()
        if any(head.startswith(begin) or begin.startswith(head) for begin in _BEGINNINGS):
            return None
        text = head.decode("utf-8", "replace")
        try:
            value = loads(text)
        except (ValueError, RecursionError):
            shown = failures.clean(text[:1000], 80)
            return failures.not_the_protocol(
                f"answered with something that is no event stream: “{shown}”."
            )
        error = error_in(value)
        return failures.of_value(error if error is not None else value)
