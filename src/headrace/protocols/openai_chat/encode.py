"""A run as a stream of chat completion chunks.

The tools of a run are the server's: it runs them itself. Their calls are shown by index, as the
model writes them, but the last chunk's ``finish_reason`` is the run's (``stop``), so that a client
has nothing to run. A sub-agent's text and calls are not the answer's and are left out.

This wire cannot take text back. Where a `retract` withdraws text or a call that was shown, the
stream ends with an error; a server starts such runs with ``retract=False``, so that it comes only
after a lost process. Reasoning is no part of the answer: reasoning that is withdrawn just stays.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import msgspec

from headrace.errors import HeadraceError
from headrace.events import (
    Cancelled,
    Complete,
    Error,
    Event,
    Retract,
    RunStart,
    StepStart,
    Thought,
    Token,
    ToolArgs,
    ToolEnd,
    ToolStart,
)
from headrace.protocols.encoder import Encoder
from headrace.protocols.openai_chat.errors import error_json, status_of_code
from headrace.protocols.openai_chat.fields import (
    arguments_text,
    call_fields,
    finish_reason,
    result_fields,
    usage_fields,
)

WITHDRAWN = "withdrawn"
"""The code of the error that ends a stream whose text was withdrawn."""

_DONE = b"data: [DONE]\n\n"

_json = msgspec.json.Encoder().encode


def completion_id(run_id: str) -> str:
    """The id of a run's completion."""
    return "chatcmpl-" + run_id


class OpenAIChatEncoder(Encoder):
    """Frames of ``data``, one chunk each, then ``[DONE]``; an error frame ends it without that.

    Args:
        model: What the chunks name as the model; the run's own by default.
        include_usage: Whether a last chunk without choices tells the usage, as the request's
            ``stream_options.include_usage`` asks for.
    """

    def __init__(self, model: str | None = None, *, include_usage: bool = False) -> None:
        self.key: Hashable = ("openai", model, include_usage)
        self._model = model
        self._include_usage = include_usage
        self._head = self._content = self._tail = b""  # around a delta; known with the run
        self._calls: Mapping[str, int] = {}  # of the step: call id to index; never changed in place
        self._started: frozenset[str] = frozenset()  # those of them that run or ran
        self._count = 0  # calls shown in the whole run
        self._results = 0
        self._shown = 0  # seq of the last text or call that was shown
        self._over = False

    def encode(self, events: Sequence[Event]) -> bytes:
        """Chunks for what this protocol shows; nothing once the stream is over."""
        parts: list[bytes] = []
        for event in () if self._over else events:
            kind = type(event)
            if kind is Token:
                text: str = event.content  # type: ignore[attr-defined]
                if text and not event.agent:
                    parts += (self._content, _json(text), self._tail)
                    self._shown = event.seq
            elif (write := _WRITERS.get(kind)) is not None and not event.agent:
                parts.append(write(self, event))
                if self._over:
                    break
        return _one_line(b"".join(parts))

    def fail(self, error: HeadraceError) -> bytes:
        """An error frame, the last."""
        if self._over:
            return b""
        return _one_line(self._fail(error.code, str(error)))

    def _chunk(self, delta: bytes, finish: bytes = b"null") -> bytes:
        usage = b',"usage":null' if self._include_usage else b""
        choice = b'[{"index":0,"delta":%b,"finish_reason":%b}]' % (delta, finish)
        return b"%b%b%b}\n\n" % (self._head, choice, usage)

    def _fail(self, code: str, message: str) -> bytes:
        self._over = True
        return b"data: %b\n\n" % error_json(code, message, status_of_code(code))

    def _start(self, event: RunStart) -> bytes:
        fields = {
            "id": completion_id(event.run_id),
            "object": "chat.completion.chunk",
            "created": int(event.at),
            "model": event.model if self._model is None else self._model,
        }
        self._head = b'data: %b,"choices":' % _json(fields)[:-1]
        # A token's chunk is its text between two constants.
        before, after = self._chunk(b'{"content":""}').split(b'""')
        self._content, self._tail = before, after
        return self._chunk(b'{"role":"assistant","content":""}')

    def _step(self, event: StepStart) -> bytes:
        self._calls, self._started = {}, frozenset()  # another step may use the same ids again
        return b""

    def _thought(self, event: Thought) -> bytes:
        # DeepSeek's name, which vLLM and others took over (api-docs.deepseek.com, "Thinking Mode").
        return self._chunk(b'{"reasoning_content":%b}' % _json(event.content))

    def _args(self, event: ToolArgs) -> bytes:
        if not event.delta:
            return b""
        index = self._calls.get(event.call_id)
        if index is None:
            return self._call(event, event.delta)
        self._shown = event.seq
        return self._chunk(
            b'{"tool_calls":[{"index":%d,"function":{"arguments":%b}}]}'
            % (index, _json(event.delta))
        )

    def _tool_start(self, event: ToolStart) -> bytes:
        known = event.call_id in self._calls and event.call_id not in self._started
        self._started |= {event.call_id}
        self._shown = event.seq
        # Arguments that never streamed, or a second call that the model gave the same id.
        return b"" if known else self._call(event, arguments_text(event.input))

    def _call(self, event: ToolArgs | ToolStart, arguments: str) -> bytes:
        index, self._count = self._count, self._count + 1
        self._calls = {**self._calls, event.call_id: index}
        self._shown = event.seq
        call = {"index": index, **call_fields(event.call_id, event.name, arguments)}
        return self._chunk(_json({"tool_calls": [call]}))

    def _tool_end(self, event: ToolEnd) -> bytes:
        index, self._results = self._results, self._results + 1
        result = result_fields(index, event.call_id, event.output, event.error)
        return self._chunk(_json({"headrace": {"tool_results": [result]}}))

    def _retract(self, event: Retract) -> bytes:
        if event.since > self._shown:
            return b""
        return self._fail(
            WITHDRAWN, f"Text that was shown was withdrawn ({event.reason}). Ask again."
        )

    def _complete(self, event: Complete) -> bytes:
        self._over = True
        reason = event.finish_reason
        delta = _json({"headrace": {"finish_reason": reason}})
        last = self._chunk(delta, _json(finish_reason(reason)))
        if self._include_usage:
            usage = _json(usage_fields(event.usage))
            last += b'%b[],"usage":%b}\n\n' % (self._head, usage)
        return last + _DONE

    def _error(self, event: Error) -> bytes:
        return self._fail(event.code, event.message)

    def _cancelled(self, event: Cancelled) -> bytes:
        return self._fail("cancelled", cancelled_message(event.reason))


def cancelled_message(reason: str | None) -> str:
    """What an answer that was cancelled says in place of the answer."""
    return f"The run was cancelled: {reason}." if reason else "The run was cancelled."


def _one_line(frames: bytes) -> bytes:
    """The frames with U+0085, U+2028 and U+2029, which JSON leaves as they are, as escapes.

    httpx's ``iter_lines`` takes them for line ends, and httpx-sse did before 0.4.2
    (florimondmanca/httpx-sse issue 34). They stand in strings only, where an escape means the same.
    """
    if frames.isascii():
        return frames
    frames = frames.replace(b"\xc2\x85", b"\\u0085")
    return frames.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")


_WRITERS: dict[type[Event], Callable[[OpenAIChatEncoder, Any], bytes]] = {
    RunStart: OpenAIChatEncoder._start,
    StepStart: OpenAIChatEncoder._step,
    Thought: OpenAIChatEncoder._thought,
    ToolArgs: OpenAIChatEncoder._args,
    ToolStart: OpenAIChatEncoder._tool_start,
    ToolEnd: OpenAIChatEncoder._tool_end,
    Retract: OpenAIChatEncoder._retract,
    Complete: OpenAIChatEncoder._complete,
    Error: OpenAIChatEncoder._error,
    Cancelled: OpenAIChatEncoder._cancelled,
}
