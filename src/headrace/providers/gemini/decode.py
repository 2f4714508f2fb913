"""Reads a Gemini stream: pure, bytes in any cuts to deltas.

Source: the Gemini API's reference, "GenerateContentResponse", and its `FinishReason`s. A chunk of
words, nearly all there are, goes through `_take`; whatever else there is, through `_odd`. The wire
has no end mark, so a turn ends where the transport does: with a finish reason it is whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from headrace.errors import (
    InvalidResponse,
    ProviderError,
    ProviderUnavailable,
    RequestRejected,
)
from headrace.events import FinishReason
from headrace.models.deltas import (
    Delta,
    Finish,
    Note,
    ReasoningDelta,
    TextDelta,
    UsageDelta,
)
from headrace.providers.error_words import is_flat_error
from headrace.providers.failures import Failures
from headrace.providers.gemini.chunk import Candidate, Chunk, UsageMetadata, decode_chunk
from headrace.providers.gemini.parts import MADE_UP, Parts
from headrace.providers.gemini.raw_error import RawError
from headrace.providers.gemini.usage_counts import UsageCounts
from headrace.providers.json_text import loads
from headrace.providers.sse_turn import SSETurn
from headrace.wire.sse_decoder import SSEDecoder, SSEEvent

_FILTERED = frozenset(
    "SAFETY RECITATION BLOCKLIST PROHIBITED_CONTENT SPII LANGUAGE IMAGE_SAFETY IMAGE_RECITATION "
    "IMAGE_PROHIBITED_CONTENT MODEL_ARMOR ESCALATION PUP_LIMITED_DISABLED".split()
)
_CUT = frozenset(("MAX_TOKENS", "CONTINUATION"))
_BROKEN = frozenset(("UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE"))
"""With every word that holds ``MALFORMED``; reasons in none of these sets are a plain `stop`."""

_PLAIN = ("STOP", "FINISH_REASON_UNSPECIFIED")
"""Reasons that a later one replaces: some models tell STOP in every chunk."""


class GeminiDecoder(SSETurn):
    """Decodes one answer; make a new one for each request.

    Args:
        failures: Makes the errors.
        id_prefix: What made-up ids of calls begin with; itself begins with `MADE_UP`.
        sse: The decoder of events, with bounds of its own if the usual ones do not fit.
    """

    def __init__(
        self,
        failures: Failures,
        *,
        id_prefix: str = f"{MADE_UP}call",
        sse: SSEDecoder | None = None,
    ) -> None:
        super().__init__(failures, sse)
        self._parts = Parts(failures, id_prefix)
        self._usage = UsageCounts()
        self._reason: str | None = None
        self._message = ""  # the provider's words about why it stopped
        self._blocked = ""  # why the prompt was blocked
        self._raw = RawError()

    def feed(self, data: bytes) -> list[Delta]:
        """Take bytes, give the deltas that they complete; never raises."""
        self._raw.take(data)
        return super().feed(data)

    def _read(self, events: list[SSEEvent], out: list[Delta]) -> None:
        for event in events:
            try:
                chunk = decode_chunk(event.data)
            except (msgspec.MsgspecError, RecursionError):
                self._odd(event, out)
            else:
                if event.event == "error" or chunk.error or chunk.prompt_feedback:
                    self._odd(event, out)
                else:
                    self._take(chunk, out)
            if self._sse is None:
                break
        else:
            self._tell_usage(out)

    def _cut(self, out: list[Delta]) -> list[Delta]:
        bare = _error_in(self._raw.value(), "message")
        if bare is not None:
            return self._fail(out, self._failures.of_value(bare))
        if self._reason is not None or self._blocked:
            return self._finish(out)
        return super()._cut(out)

    def _error_in(self, value: Any) -> Any:
        return _error_in(value, "error")

    def _take(self, chunk: Chunk, out: list[Delta]) -> None:
        """A chunk that holds words only, and maybe why it stopped."""
        candidate = _first(chunk.candidates)
        if candidate is not None:
            if candidate.content is not None:
                for part in candidate.content.parts:
                    if part.text:
                        kind = ReasoningDelta if part.thought else TextDelta
                        out.append(kind(part.text))
            if candidate.finish_reason:
                self._stopped(candidate.finish_reason, candidate.finish_message)
        if chunk.usage_metadata is not None:
            self._usage.take(chunk.usage_metadata)

    def _odd(self, event: SSEEvent, out: list[Delta]) -> None:
        """An event whose data is no chunk of words."""
        data = event.data.strip()
        if data == "[DONE]":  # no mark of this wire, but gateways like to add it
            self._finish(out)
            return
        try:
            value = _json(data) if data else None
            if isinstance(value, dict):
                self._take_object(value, out)
            error = _error_in(value, event.event)
        except (ValueError, RecursionError):
            value = error = data if event.event == "error" else None
            if error is None and event.event == "message":
                self._fail(out, self._failures.no_chunk(data))
        if error is not None and self._sse is not None:
            self._fail(out, self._failures.of_value(error))
        elif value is not None and not isinstance(value, dict) and event.event == "message":
            self._fail(out, self._failures.no_chunk(data))

    def _take_object(self, value: dict[str, Any], out: list[Delta]) -> None:
        """A chunk whose fields may have any type."""
        feedback = value.get("promptFeedback")
        if isinstance(feedback, dict) and isinstance(feedback.get("blockReason"), str):
            self._blocked = feedback["blockReason"]
            self._message = _text(feedback.get("blockReasonMessage")) or self._message
        candidate = _first_object(value.get("candidates"))
        for part in _parts_of(candidate):
            self._parts.take(part, out)
        reason = candidate.get("finishReason")
        if isinstance(reason, str) and reason:
            self._stopped(reason, candidate.get("finishMessage"))
        usage = value.get("usageMetadata")
        if isinstance(usage, dict):
            self._usage.take(msgspec.convert(usage, UsageMetadata))
        if self._parts.problem:
            self._fail(out, self._failures.make(InvalidResponse, self._parts.problem))

    def _stopped(self, reason: str, message: object) -> None:
        if self._reason is None or self._reason.upper() in _PLAIN:
            self._reason = reason
        self._message = _text(message) or self._message

    def _tell_usage(self, out: list[Delta]) -> None:
        """Tell what the chunks of one read told, once; it is cumulative."""
        usage = self._usage.news()
        if usage is not None:
            out.append(UsageDelta(usage))

    def _finish(self, out: list[Delta]) -> list[Delta]:
        raw = self._blocked or self._reason or ""
        word = raw.upper()
        if not self._blocked and (word in _BROKEN or "MALFORMED" in word):
            return self._fail(out, self._broken_off(raw))
        self._tell_usage(out)
        reason = self._meaning(word)
        if reason == "content_filter" and self._message:
            out.append(Note(reason, self._failures.clean(self._message)))
        out.append(Finish(reason, raw))
        self._sse = None
        return out

    def _fail(self, out: list[Delta], error: ProviderError) -> list[Delta]:
        self._tell_usage(out)
        return super()._fail(out, error)

    def _meaning(self, word: str) -> FinishReason:
        if self._blocked or word in _FILTERED:
            return "content_filter"
        if word in _CUT:
            return "length"
        return "tool_calls" if self._parts.called else "stop"

    def _broken_off(self, raw: str) -> ProviderError:
        told = f": {self._message}" if self._message else "."
        what = f"broke the answer off with the finish reason “{raw}”{told}"
        if raw.upper() == "MISSING_THOUGHT_SIGNATURE":
            hint = "Send the conversation back with the opaque items that it came with."
            return self._failures.make(RequestRejected, what, hint=hint)
        return self._failures.make(ProviderUnavailable, what, hint="Ask again a little later.")


def _first(candidates: list[Candidate]) -> Candidate | None:
    """Candidate 0: only it makes the turn. Without an index, the place in the list counts."""
    if len(candidates) == 1 and not candidates[0].index:  # nearly always
        return candidates[0]
    for place, candidate in enumerate(candidates):
        if candidate.index == 0 or (candidate.index is None and place == 0):
            return candidate
    return None


def _first_object(candidates: object) -> dict[str, Any]:
    listed = candidates if isinstance(candidates, list) else [candidates]
    for place, candidate in enumerate(listed):
        if isinstance(candidate, dict):
            index = candidate.get("index")
            if index in (0, "0") or (index is None and place == 0):
                return candidate
    return {}


def _parts_of(candidate: dict[str, Any]) -> Iterator[dict[str, Any]]:
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    for part in parts if isinstance(parts, list) else [parts]:
        if isinstance(part, dict):
            yield part


def _error_in(value: Any, event: str) -> Any:
    """The error in an event that may be one, in any shape; None where it is none."""
    if isinstance(value, list):
        return next((e for item in value if (e := _error_in(item, "message")) is not None), None)
    if not isinstance(value, dict):
        return value if event == "error" else None
    if value.get("error"):
        return value["error"]
    flat = "candidates" not in value and is_flat_error(value)
    return value if flat or event == "error" else None


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return loads(text)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
