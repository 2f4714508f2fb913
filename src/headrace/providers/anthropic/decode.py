"""Reads a Messages stream: pure, bytes in any cuts to deltas.

Source: Anthropic API reference, "Streaming messages", "Errors", "Handling stop reasons". A piece
of plain text, nearly all there is, goes through `feed` alone; every other event through `_take`;
what does not fit the typed event, through `_odd`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from headrace.events import FinishReason
from headrace.models.deltas import Delta, Finish, TextDelta, UsageDelta
from headrace.providers.anthropic.blocks import Blocks
from headrace.providers.anthropic.event import EventDelta, StreamEvent, decode_event, tolerant
from headrace.providers.anthropic.usage_counts import UsageCounts
from headrace.providers.error_words import error_in
from headrace.providers.failures import Failures
from headrace.providers.json_text import loads
from headrace.providers.sse_turn import SSETurn
from headrace.wire.sse_decoder import SSEDecoder, SSEEvent

_REASONS: dict[str, FinishReason] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}
"""Stop reasons by the provider's word; every other one (`end_turn`, `stop_sequence`, `tool_use`,
`pause_turn`, new ones) is a normal end."""

_KNOWN = (
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
    "ping",
)


class AnthropicDecoder(SSETurn):
    """Decodes one answer; make a new one for each request.

    Args:
        failures: Makes the errors.
        id_prefix: What made-up ids of tool calls begin with.
        sse: The decoder of events, with bounds of its own if the usual ones do not fit.
    """

    def __init__(
        self, failures: Failures, *, id_prefix: str = "call", sse: SSEDecoder | None = None
    ) -> None:
        super().__init__(failures, sse)
        self._blocks = Blocks(failures.provider, id_prefix)
        self._usage = UsageCounts()
        self._reason: str | None = None
        self._explanation = ""
        self._spoke = False  # whether any text has come

    def _read(self, events: list[SSEEvent], out: list[Delta]) -> None:
        blocks = self._blocks
        for event in events:
            try:
                piece = decode_event(event.data)
            except (msgspec.MsgspecError, RecursionError):
                self._odd(event, out)
            else:
                delta = piece.delta
                # A piece of text and nothing else; once a token, so it calls nothing.
                if (
                    delta is not None
                    and delta.type == "text_delta"
                    and piece.index == blocks.text_index
                    and piece.type == "content_block_delta"
                    and event.event != "error"
                    and piece.error is None
                    and piece.usage is None
                    and type(delta.text) is str
                ):
                    if delta.text:
                        out.append(TextDelta(delta.text))
                    continue
                self._take(piece, event, out)
            if self._sse is None:
                break
        if not self._spoke and out:
            self._spoke = any(type(delta) is TextDelta for delta in out)

    def _cut(self, out: list[Delta]) -> list[Delta]:
        return self._finish(out) if self._reason is not None else super()._cut(out)

    def _error_in(self, value: Any) -> Any:
        return _error_in(value, "error")

    def _take(self, piece: StreamEvent, event: SSEEvent, out: list[Delta]) -> None:
        """An event that is more than a piece of text."""
        kind = piece.type if isinstance(piece.type, str) and piece.type else event.event
        if event.event == "error" or kind not in _KNOWN:
            self._take_other(event, out)
            return
        match kind:
            case "content_block_delta" if piece.delta is not None:
                out.extend(self._blocks.take(piece.index, piece.delta))
            case "content_block_start":
                out.extend(self._blocks.open(piece.index, bytes(piece.content_block)))
            case "content_block_stop":
                out.extend(self._blocks.close(piece.index))
            case "message_delta" if piece.delta is not None:
                self._take_end(piece.delta)
        self._take_usage(piece, out)
        if piece.error:
            self._fail(out, self._failures.of_value(piece.error))
        elif kind == "message_stop":
            self._finish(out)

    def _take_end(self, delta: EventDelta) -> None:
        if isinstance(delta.stop_reason, str) and delta.stop_reason:
            self._reason = delta.stop_reason
        details = delta.stop_details
        explanation = details.get("explanation") if isinstance(details, dict) else None
        if isinstance(explanation, str):
            self._explanation = explanation

    def _take_usage(self, piece: StreamEvent, out: list[Delta]) -> None:
        message = piece.message if isinstance(piece.message, dict) else {}
        if any([self._usage.take(usage) for usage in (message.get("usage"), piece.usage)]):
            out.append(UsageDelta(self._usage.usage()))

    def _odd(self, event: SSEEvent, out: list[Delta]) -> None:
        """An event whose data is no event as it should be."""
        data = event.data.strip()
        if data == "[DONE]":  # gateways put OpenAI's end mark behind
            self._finish(out)
            return
        if not data:
            return
        try:
            value = loads(data)
        except (ValueError, RecursionError):
            self._take_garbage(event, out)
            return
        error = _error_in(value, event.event)
        if isinstance(value, dict) and value.get("type") in _KNOWN and event.event != "error":
            self._take(tolerant(value), event, out)
        elif error is not None:
            self._fail(out, self._failures.of_value(error))
        elif isinstance(value, dict):
            self._take(tolerant(value), event, out)
        elif value is not None:
            self._take_garbage(event, out)

    def _take_other(self, event: SSEEvent, out: list[Delta]) -> None:
        """An event of an unknown type: an error in some shape, or nothing for us."""
        try:
            value = loads(event.data)
        except (ValueError, RecursionError):  # such as an integer that Python finds too long
            value = event.data
        error = _error_in(value, event.event)
        if error is not None:
            self._fail(out, self._failures.of_value(error))

    def _take_garbage(self, event: SSEEvent, out: list[Delta]) -> None:
        if event.event == "error":
            self._fail(out, self._failures.of_value(event.data))
        elif event.event in (*_KNOWN[:-1], "message"):
            self._fail(out, self._failures.no_chunk(event.data))

    def _finish(self, out: list[Delta]) -> list[Delta]:
        raw = self._reason or ""
        reason: FinishReason = _REASONS.get(raw, "stop")
        out.extend(self._blocks.flush())
        if reason == "content_filter" and self._explanation and not self._has_spoken(out):
            out.append(TextDelta(self._explanation))
        if reason == "stop" and self._blocks.calls:
            reason = "tool_calls"
        out.append(Finish(reason, raw))
        self._sse = None
        return out

    def _has_spoken(self, out: list[Delta]) -> bool:
        return self._spoke or any(type(delta) is TextDelta for delta in out)


def _error_in(value: Any, name: str) -> Any:
    """The error in an event that may be one, in any shape; None where it is none.

    Args:
        value: The event's data.
        name: The event's name.
    """
    if isinstance(value, dict) and name != "error" and not value.get("error"):
        kind = value.get("type")
        if kind and not str(kind).lower().endswith("error"):
            return None
        if not kind and name not in (*_KNOWN, "message"):
            return None
    return error_in(value, name)
