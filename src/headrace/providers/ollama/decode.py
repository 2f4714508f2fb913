"""Reads Ollama's lines: pure, bytes in any cuts to deltas.

Source: ollama/docs/api.md, "Generate a chat completion" and "Generate a completion"; the types of
Ollama's Python client. A line of plain text, nearly all there are, goes through `_feed` alone.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from headrace.errors import ProviderError, WireError
from headrace.events import FinishReason
from headrace.models.deltas import (
    Delta,
    Failure,
    Finish,
    ReasoningDelta,
    TextDelta,
    UsageDelta,
)
from headrace.providers.error_words import error_in
from headrace.providers.failures import Failures
from headrace.providers.json_text import loads, whole_count
from headrace.providers.ollama.whole_calls import WholeCalls
from headrace.usage import Usage
from headrace.wire.ndjson_decoder import NDJSONDecoder

_REASONS: dict[str, FinishReason] = {"length": "length"}
"""`done_reason`; every other one (``stop``, ``load``, ``unload``) is a plain `stop`."""

_BOM = "\ufeff"
_QUOTE = 80


class _Message(Struct, gc=False):
    """``message`` of `/api/chat`."""

    content: Any = None
    thinking: Any = None
    tool_calls: Any = None


class _Line(Struct, gc=False):
    """One line of either endpoint: `/api/generate` has ``response`` where chat has ``message``."""

    message: _Message | None = None
    response: Any = None
    thinking: Any = None
    done: Any = None
    done_reason: Any = None
    prompt_eval_count: Any = None
    eval_count: Any = None
    error: Any = None


_decode_line = msgspec.json.Decoder(_Line).decode


class OllamaDecoder:
    """Decodes one answer; make a new one for each request.

    Args:
        failures: Makes the errors.
        id_prefix: What made-up ids of tool calls begin with.
        lines: The decoder of lines, with a bound of its own if the usual one does not fit.
    """

    def __init__(
        self, failures: Failures, *, id_prefix: str = "call", lines: NDJSONDecoder | None = None
    ) -> None:
        self._failures = failures
        self._lines: NDJSONDecoder | None = lines or NDJSONDecoder()  # None once the turn is over
        self._calls = WholeCalls(id_prefix)
        self._begun = False  # whether a line has been read
        self._reason: str | None = None
        self._told: dict[str, int] = {}

    def feed(self, data: bytes) -> list[Delta]:
        """Take bytes, give the deltas that they complete; never raises."""
        out: list[Delta] = []
        if self._lines is None:
            return out
        try:
            lines = self._lines.feed(data)
        except WireError as error:
            return self._fail(out, self._failures.too_long(error))
        self._feed(lines, out)
        return out

    def close(self) -> list[Delta]:
        """The transport ended: a `Finish` or `Failure` comes now, unless one has come."""
        out: list[Delta] = []
        if self._lines is None:
            return out
        try:
            rest = self._lines.close()
        except WireError as error:
            return self._fail(out, self._failures.too_long(error))
        if rest and _is_cut(rest[0]):
            rest = []
        self._feed(rest, out)
        if self._lines is not None:
            if self._reason is not None:
                return self._finish(out)
            self._fail(out, self._failures.truncated())
        return out

    def _feed(self, lines: list[bytes], out: list[Delta]) -> None:
        for data in lines:
            try:
                line = _decode_line(data)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                self._odd(data, out)
            else:
                text = _plain_text(line)
                if text:
                    out.append(TextDelta(text))
                elif text is None and (line.error or _is_empty(line)):
                    self._odd(data, out)
                elif text is None:
                    self._take(line, out)
            if self._lines is None:
                return
            self._begun = True

    def _take(self, line: _Line, out: list[Delta]) -> None:
        """A line that holds more than a piece of text."""
        self._take_content(line, out)
        told = (("input", line.prompt_eval_count), ("output", line.eval_count))
        new = {name: count for name, value in told if (count := whole_count(value)) is not None}
        if new:
            self._told |= new
            out.append(UsageDelta(Usage(self._told.get("input", 0), self._told.get("output", 0))))
        if isinstance(line.done_reason, str) and line.done_reason:
            self._reason = line.done_reason
        if line.done is True:
            self._finish(out)

    def _take_content(self, line: _Line, out: list[Delta]) -> None:
        message = line.message or _Message()
        for thinking in (message.thinking, line.thinking):
            if isinstance(thinking, str) and thinking:
                out.append(ReasoningDelta(thinking))
        for text in (message.content, line.response):
            if isinstance(text, str) and text:
                out.append(TextDelta(text))
        if message.tool_calls is not None:
            out.extend(self._calls.take(message.tool_calls))

    def _odd(self, data: bytes, out: list[Delta]) -> None:
        """A line that is an error, or not as it should be."""
        text = data.decode("utf-8", "replace").removeprefix(_BOM)
        try:
            value = loads(text)
        except (ValueError, RecursionError):
            self._fail(out, self._garbage(text))
            return
        error = error_in(value)
        if error is not None:
            if isinstance(value, dict):  # text beside an error is kept
                self._take_content(_tolerant(value), out)
            self._fail(out, self._failures.of_value(error))
        elif isinstance(value, dict):
            self._take(_tolerant(value), out)
        elif value is not None:
            self._fail(out, self._failures.no_chunk(text))

    def _garbage(self, text: str) -> ProviderError:
        if self._begun or text.lstrip().startswith(("{", "[")):
            return self._failures.no_chunk(text)
        shown = self._failures.clean(text[:1000], _QUOTE)
        return self._failures.not_the_protocol(
            f"answered with something that is no JSON: “{shown}”."
        )

    def _finish(self, out: list[Delta]) -> list[Delta]:
        raw = self._reason or ""
        reason = _REASONS.get(raw.lower(), "stop")
        if reason == "stop" and self._calls:
            reason = "tool_calls"
        out.append(Finish(reason, raw))
        self._lines = None
        return out

    def _fail(self, out: list[Delta], error: ProviderError) -> list[Delta]:
        out.append(Failure(error))
        self._lines = None
        return out


def _is_empty(line: _Line) -> bool:
    """Whether a line holds no piece of an answer: it may be an error, flat."""
    return line.message is None and line.response is None and line.done is None


def _plain_text(line: _Line) -> str | None:
    """The text of a line that holds nothing else, or None where it may hold more."""
    if line.done or line.error is not None or line.thinking is not None:
        return None
    message = line.message
    if message is None:
        text = line.response
    elif message.thinking is None and message.tool_calls is None and line.response is None:
        text = message.content
    else:
        return None
    if type(text) is not str or line.eval_count is not None or line.done_reason is not None:
        return None
    return text if line.prompt_eval_count is None else None


def _tolerant(value: dict[str, Any]) -> _Line:
    """The line in an object whose fields may have any type."""
    known = {name: value.get(name) for name in _Line.__struct_fields__}
    message = known.pop("message")
    if not isinstance(message, dict):
        return _Line(None, **known)
    inner = {name: message.get(name) for name in _Message.__struct_fields__}
    return _Line(_Message(**inner), **known)


def _is_cut(line: bytes) -> bool:
    """Whether the last line, which had no LF, is the beginning of an object and no whole one."""
    text = line.decode("utf-8", "replace").removeprefix(_BOM)
    if not text.lstrip().startswith("{"):
        return False
    try:
        loads(text)
    except RecursionError:
        return False
    except ValueError:
        return True
    return False
