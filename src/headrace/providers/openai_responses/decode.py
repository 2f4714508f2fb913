"""Reads a Responses stream: pure, bytes in any cuts to deltas.

Source: OpenAI API reference, "Responses", "Streaming events". A piece of text, nearly all there
are, goes through `feed` alone; every other event through `_take`; what does not fit a typed event
goes through `_odd`.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import msgspec

from headrace.events import FinishReason
from headrace.models.deltas import Delta, Finish, TextDelta
from headrace.providers.error_words import error_in
from headrace.providers.failures import Failures
from headrace.providers.json_text import loads
from headrace.providers.openai_responses.event import (
    Event,
    ResponseObject,
    decode_event,
    decode_piece,
    tolerant,
)
from headrace.providers.openai_responses.turn_parts import TurnParts
from headrace.providers.sse_turn import SSETurn
from headrace.providers.stream_head import StreamHead
from headrace.wire.sse_decoder import SSEDecoder, SSEEvent

_TEXT = "response.output_text.delta"
_ENDS = {
    "response.completed": "completed",
    "response.done": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
    "response.cancelled": "cancelled",
}
"""Events that end an answer, with the status that its object has then."""

_REASONS: dict[str, FinishReason] = {
    "max_output_tokens": "length",
    "max_tokens": "length",
    "length": "length",
    "content_filter": "content_filter",
}
"""Finish reasons by ``incomplete_details.reason``; every other one is a plain `stop`."""


class ResponsesDecoder(SSETurn):
    """Decodes one answer; make a new one for each request.

    Args:
        failures: Makes the errors.
        id_prefix: What made-up ids of tool calls begin with.
        sse: The decoder of events, with bounds of its own if the usual ones do not fit.

    Attributes:
        response_id: The answer's id, ``""`` until it is told.
        sequence: The last ``sequence_number``, -1 until one is told.
        over: Whether the provider itself has ended the answer.
    """

    def __init__(
        self, failures: Failures, *, id_prefix: str = "call", sse: SSEDecoder | None = None
    ) -> None:
        super().__init__(failures, sse)
        self._parts = TurnParts(failures.provider, id_prefix)
        self._skip = -1  # events up to this number came over an earlier connection
        self.response_id = ""
        self.sequence = -1
        self.over = False

    def resume(self) -> None:
        """Take bytes of another connection to the same answer, after this one was cut.

        Events that came before the cut are skipped by their ``sequence_number``, should the
        provider send them again.
        """
        self._sse = SSEDecoder()
        self._head = StreamHead()
        self._skip = self.sequence

    def _error_in(self, value: Any) -> Any:
        return _error_in(value, "error")

    def _read(self, events: list[SSEEvent], out: list[Delta]) -> None:
        parts = self._parts
        for event in events:
            try:
                piece = decode_piece(event.data)
            except (msgspec.MsgspecError, RecursionError):
                self._any(event, out)
            else:
                number = piece.sequence_number
                if number is None:
                    number = self.sequence
                elif number <= self._skip:
                    continue
                if piece.type == _TEXT and piece.delta and parts.goes_on(piece):
                    self.sequence = number
                    out.append(TextDelta(piece.delta))
                    continue
                self._any(event, out)
            if self._sse is None:
                break

    def _any(self, event: SSEEvent, out: list[Delta]) -> None:
        """An event of any kind."""
        try:
            made = decode_event(event.data)
        except (msgspec.MsgspecError, RecursionError):
            self._odd(event, out)
            return
        kind = made.type or event.event
        if _is_ours(kind) and not made.error:
            self._take(kind, made, out)
        else:
            self._odd(event, out)

    def _odd(self, event: SSEEvent, out: list[Delta]) -> None:
        """An event whose data is not as it should be, or an error."""
        data = event.data.strip()
        ours = event.event == "message" or event.event.startswith("response.")
        if data == "[DONE]":
            self._finish("", out)
            return
        try:
            value = loads(data) if data else None
        except (ValueError, RecursionError):
            if event.event == "error":
                self._fail(out, self._failures.of_value(data))
            elif ours:
                self._fail(out, self._failures.no_chunk(data))
            return
        if isinstance(value, dict):
            self._object(value, event.event, out)
        elif event.event == "error" and value is not None:
            self._fail(out, self._failures.of_value(value))
        elif ours and value is not None:
            error = _error_in(value, event.event)
            problem = self._failures.of_value(error) if error else self._failures.no_chunk(data)
            self._fail(out, problem)

    def _object(self, value: dict[str, Any], name: str, out: list[Delta]) -> None:
        kind = value.get("type") or name
        error = _error_in(value, name)
        if _is_ours(kind):
            made = tolerant(value)
            if kind in _ENDS and error is not None:
                made.response = made.response or ResponseObject()
                made.response.error = made.response.error or error
            self._take(kind, made, out)
            if self._sse is None:
                return
        if error is not None:
            self._fail(out, self._failures.of_value(error))

    def _take(self, kind: str, event: Event, out: list[Delta]) -> None:
        number = event.sequence_number
        if isinstance(number, int):
            if number <= self._skip:
                return
            self.sequence = number
        response = event.response
        if response is None:
            if kind in _ENDS:
                response = ResponseObject()
            else:
                self._parts.take(kind, event, out)
                return
        if not self.response_id and isinstance(response.id, str):
            self.response_id = response.id
        self._parts.take_usage(response.usage, out)
        if kind in _ENDS:
            self._end(kind, response, out)

    def _end(self, kind: str, response: ResponseObject, out: list[Delta]) -> None:
        """The event that ends the answer: it holds the whole of it once more."""
        self.over = True
        self._parts.take_output(response.output, out)
        status = _ENDS[kind]
        if status == "completed" and response.status in _ENDS.values():
            status = response.status
        if status == "failed" or response.error:
            self._fail(out, self._failures.of_value(response.error or {}))
        elif status == "cancelled":
            self._fail(out, self._failures.broken_off(status))
        else:
            details = response.incomplete_details
            reason = details.get("reason") if isinstance(details, dict) else None
            self._finish(reason if isinstance(reason, str) and reason else status, out)

    def _finish(self, raw: str, out: list[Delta]) -> None:
        """A normal end; a call that was cut in the middle makes it one by length."""
        reason: FinishReason = _REASONS.get(raw, "stop")
        if reason == "stop" and raw != "completed" and self._parts.cut_call():
            reason = "length"
        self._parts.flush(out)
        if reason == "stop" and self._parts.called:
            reason = "tool_calls"
        out.append(Finish(reason, raw))
        self._sse = None


def _is_ours(kind: object) -> TypeGuard[str]:
    """Whether an event of this type is a part of the protocol, and no error."""
    return isinstance(kind, str) and kind.startswith("response.") and kind != "response.error"


def _error_in(value: Any, event: str) -> Any:
    """The error in an event that may be one; an event of another type is one by its name only."""
    kind = value.get("type") if isinstance(value, dict) else None
    if isinstance(kind, str) and event != "error" and not kind.lower().endswith("error"):
        return value.get("error") or None
    return error_in(value, event)
