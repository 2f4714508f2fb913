"""Reads a Chat Completions stream: pure, bytes in any cuts to deltas.

Source: OpenAI API reference, "Chat completions streaming", and what compatible servers are known
to send. A chunk of plain text, nearly all there are, goes through `feed` alone; whatever else a
chunk may hold goes through `_take`; what does not fit the typed chunk, through `_odd`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from headrace.events import FinishReason
from headrace.messages import Opaque
from headrace.models.deltas import (
    Delta,
    Finish,
    OpaqueDelta,
    ReasoningDelta,
    TextDelta,
    UsageDelta,
)
from headrace.providers.error_words import error_in
from headrace.providers.failures import Failures
from headrace.providers.json_text import loads
from headrace.providers.openai_chat.chunk import (
    Choice,
    Chunk,
    ChunkDelta,
    decode_chunk,
    tolerant,
)
from headrace.providers.openai_chat.joined_calls import JoinedCalls
from headrace.providers.openai_chat.opaque_items import ReasoningDetails, opaque_items
from headrace.providers.openai_chat.parts import reasoning_of, texts_of
from headrace.providers.openai_chat.usage_fields import UsageFields
from headrace.providers.sse_turn import SSETurn
from headrace.wire.sse_decoder import SSEDecoder, SSEEvent

_REASONS: dict[str, FinishReason] = {
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",  # Mistral
    "model_context_window_exceeded": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
}
"""Finish reasons by the provider's word; every other one is a plain `stop`."""

_BROKEN = ("error", "insufficient_system_resource")
"""Words for an answer that was cut: OpenRouter and Mistral; DeepSeek (API reference). Gemini's
compatible endpoint tells a malformed call by a longer word that holds ``MALFORMED``."""


class ChatDecoder(SSETurn):
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
        self._calls = JoinedCalls(id_prefix)
        self._details = ReasoningDetails()
        self._usage = UsageFields()
        self._reason: str | None = None

    def _read(self, events: list[SSEEvent], out: list[Delta]) -> None:
        for event in events:
            try:
                chunk = decode_chunk(event.data)
            except (msgspec.MsgspecError, RecursionError):
                self._odd(event, out)
            else:
                text = _plain_text(chunk)
                if text is not None and event.event == "message":
                    if text:
                        out.append(TextDelta(text))
                    continue
                self._take(chunk, event, out)
            if self._sse is None:
                break

    def _cut(self, out: list[Delta]) -> list[Delta]:
        return self._finish(out) if self._reason is not None else super()._cut(out)

    def _take(self, chunk: Chunk, event: SSEEvent, out: list[Delta]) -> None:
        """A chunk that holds more than a piece of text."""
        if event.event == "error" or (chunk.choices is None and chunk.error is None):
            self._odd(event, out)
            return
        choice = _first_choice(chunk)
        if choice is not None:
            if choice.delta is not None:
                self._take_delta(choice.delta, out)
            if isinstance(choice.finish_reason, str) and choice.finish_reason:
                # A word for a failure stands, whatever a gateway puts behind it.
                if not _is_broken(self._reason):
                    self._reason = choice.finish_reason
                out.extend(self._calls.flush())
        groq = chunk.x_groq if isinstance(chunk.x_groq, dict) else {}
        self._take_usage((choice and choice.usage, groq.get("usage"), chunk.usage), out)
        error = chunk.error or (choice and choice.error) or groq.get("error")
        if error:
            self._fail(out, self._failures.of_value(error))

    def _take_delta(self, delta: ChunkDelta, out: list[Delta]) -> None:
        reasoning = reasoning_of(delta)
        if reasoning:
            out.append(ReasoningDelta(reasoning))
        if delta.content:
            out.extend(texts_of(delta.content, with_reasoning=not reasoning))
        if isinstance(delta.refusal, str) and delta.refusal:
            out.append(TextDelta(delta.refusal))
        if delta.reasoning_details is not None:
            self._details.take(delta.reasoning_details)
        if delta.tool_calls is not None:
            out.extend(self._calls.take(delta.tool_calls))
        elif delta.function_call is not None:
            out.extend(self._calls.take_legacy(delta.function_call))

    def _take_usage(self, told: tuple[object, ...], out: list[Delta]) -> None:
        # Each is taken: the same usage told in two places must count once.
        if any([self._usage.take(usage) for usage in told if usage]):
            out.append(UsageDelta(self._usage.usage()))

    def _odd(self, event: SSEEvent, out: list[Delta]) -> None:
        """An event whose data is no chunk as it should be."""
        data = event.data.strip()
        if data == "[DONE]":
            self._finish(out)
            return
        if not data:
            return
        try:
            value = loads(data)
        except (ValueError, RecursionError):
            self._take_garbage(event, data, out)
            return
        error = error_in(value, event.event)
        if error is not None and not (isinstance(value, dict) and value.get("choices")):
            self._fail(out, self._failures.of_value(error))
        elif isinstance(value, dict):
            self._take(_with_error(tolerant(value), error), _AS_MESSAGE, out)
        elif value is not None and event.event == "message":
            self._fail(out, self._failures.no_chunk(data))

    def _take_garbage(self, event: SSEEvent, data: str, out: list[Delta]) -> None:
        if event.event == "error":
            self._fail(out, self._failures.of_value(data))
        elif event.event == "message":
            self._fail(out, self._failures.no_chunk(data))

    def _finish(self, out: list[Delta]) -> list[Delta]:
        raw = self._reason or ""
        word = raw.lower()
        if _is_broken(raw):
            return self._fail(out, self._failures.broken_off(raw))
        reason = _REASONS.get(word.split(":")[0].strip(), "stop")
        out.extend(self._calls.flush())
        for item in opaque_items(self._details, self._calls):
            out.append(OpaqueDelta(Opaque(self._failures.provider, item)))
        if reason in ("stop", "tool_calls"):
            reason = "tool_calls" if self._calls else "stop"
        out.append(Finish(reason, raw))
        self._sse = None
        return out


_AS_MESSAGE = SSEEvent("")


def _is_broken(reason: str | None) -> bool:
    word = (reason or "").lower()
    return word in _BROKEN or "malformed" in word


def _plain_text(chunk: Chunk) -> str | None:
    """The text of a chunk that holds nothing else, or None where it may hold more.

    It runs once a token, so it looks at each field once and calls nothing.
    """
    choices = chunk.choices
    if not choices or len(choices) != 1 or chunk.usage is not None or chunk.error is not None:
        return None
    choice = choices[0]
    delta = choice.delta
    if delta is None or choice.finish_reason is not None or choice.index:
        return None
    content = delta.content
    if type(content) is not str:
        return None
    if (
        delta.reasoning_content is None
        and delta.reasoning is None
        and delta.tool_calls is None
        and delta.refusal is None
        and delta.function_call is None
        and delta.reasoning_details is None
        and delta.thinking is None
        and chunk.x_groq is None
        and choice.usage is None
        and choice.error is None
    ):
        return content
    return None


def _first_choice(chunk: Chunk) -> Choice | None:
    """Choice 0: only it makes the turn. Without an index, the place in the list counts."""
    for place, choice in enumerate(chunk.choices or ()):
        if choice.index in (0, "0") or (choice.index is None and place == 0):
            return choice
    return None


def _with_error(chunk: Chunk, error: Any) -> Chunk:
    if error is not None:
        chunk.error = error
    elif chunk.choices is None:
        chunk.choices = []
    return chunk
