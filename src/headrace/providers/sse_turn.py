"""What the decoders of all event-stream wires share: bytes to events, and exactly one end. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from headrace.errors import ProviderError, WireError
from headrace.models.deltas import Delta, Failure
from headrace.providers.error_words import error_in
from headrace.providers.failures import Failures
from headrace.providers.stream_head import StreamHead
from headrace.wire.sse_decoder import SSEDecoder, SSEEvent


class SSETurn(ABC):
    """Decodes one answer (a `models.deltas.Decoder`); make a new one for each request.

    Args:
        failures: Makes the errors.
        sse: The decoder of events, with bounds of its own if the usual ones do not fit.
    """

    def __init__(self, failures: Failures, sse: SSEDecoder | None = None) -> None:
        self._failures = failures
        self._sse: SSEDecoder | None = sse or SSEDecoder()  # None once the turn is over
        self._head = StreamHead()

    def feed(self, data: bytes) -> list[Delta]:
        """Take bytes, give the deltas that they complete; never raises."""
        out: list[Delta] = []
        sse = self._sse
        if sse is None:
            return out
        try:
            events = sse.feed(data)
        except WireError as error:
            return self._fail(out, self._failures.too_long(error))
        if self._head.waiting:
            self._head.take(data, bool(events))
        self._read(events, out)
        return out

    def close(self) -> list[Delta]:
        """The transport ended: a `Finish` or `Failure` comes now, unless one has come."""
        out: list[Delta] = []
        sse = self._sse
        if sse is None:
            return out
        try:
            sse.close()
        except WireError as error:
            return self._fail(out, self._failures.too_long(error))
        return self._cut(out)

    @abstractmethod
    def _read(self, events: list[SSEEvent], out: list[Delta]) -> None:
        """Take events until the turn is over, that is until `_sse` is None."""

    def _cut(self, out: list[Delta]) -> list[Delta]:
        """The transport ended before the wire's end mark: an error, where nothing else is known."""
        problem = self._head.problem(self._failures, self._error_in)
        return self._fail(out, problem or self._failures.truncated())

    def _error_in(self, value: Any) -> Any:
        """The provider's error in a body that is JSON and no event stream, None without one."""
        return error_in(value, "error")

    def _fail(self, out: list[Delta], error: ProviderError) -> list[Delta]:
        out.append(Failure(error))
        self._sse = None
        return out
