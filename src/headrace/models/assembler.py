"""Joins deltas to a turn: pure, one pass, linear in the text."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from headrace.errors import ProviderError
from headrace.events import FinishReason
from headrace.messages import Message, Opaque, Part, Reasoning, Text, ToolCall
from headrace.models.deltas import (
    Delta,
    Failure,
    Finish,
    OpaqueDelta,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    UsageDelta,
)
from headrace.text import TextBuffer
from headrace.usage import Usage


class Turn(Struct, frozen=True):
    """One decoded answer of a model.

    Attributes:
        text: The answer's text.
        reasoning: The reasoning that was shown.
        tool_calls: In order of first appearance.
        finish_reason: ``error`` when `error` is set.
        usage: None where the provider told nothing.
        error: What failed; text and reasoning so far stay.
        message: What goes back next turn.
    """

    text: str
    reasoning: str
    tool_calls: tuple[ToolCall, ...]
    finish_reason: FinishReason
    usage: Usage | None
    error: ProviderError | None
    message: Message


class _Call:
    __slots__ = ("arguments", "id", "name")

    def __init__(self, id: str, name: str) -> None:
        self.id = id
        self.name = name
        self.arguments = TextBuffer()

    def part(self) -> ToolCall:
        # Empty or missing arguments are {}; anything else stays as the model wrote it.
        return ToolCall(self.id, self.name, str(self.arguments) or "{}")


class Assembler:
    """Takes a turn's deltas in order and gives the turn."""

    def __init__(self) -> None:
        self._parts: list[TextBuffer | _Call | Opaque] = []
        self._kinds: list[type[Text] | type[Reasoning] | None] = []
        self._calls: dict[int, _Call] = {}
        self._open: TextBuffer | None = None
        self._open_kind: type[Text] | type[Reasoning] | None = None
        self._usage: Usage | None = None
        self._finish: FinishReason | None = None
        self._error: ProviderError | None = None

    @property
    def usage(self) -> Usage | None:
        """What the provider told so far."""
        return self._usage

    def add(self, deltas: Iterable[Delta]) -> None:
        """Take the next deltas."""
        for delta in deltas:
            kind = type(delta)
            if kind is TextDelta:
                self._text(Text, delta.content)  # type: ignore[union-attr]
            elif kind is ReasoningDelta:
                self._text(Reasoning, delta.content)  # type: ignore[union-attr]
            else:
                self._other(delta)

    def text(self, content: str) -> None:
        """Take one piece of the answer's text (what `add` does with a `TextDelta`)."""
        self._text(Text, content)

    def completed_calls(self) -> tuple[ToolCall, ...]:
        """The calls whose arguments can grow no more because a later call has begun."""
        calls = [self._calls[index] for index in sorted(self._calls)]
        done = calls if self._finish is not None else calls[:-1]
        return tuple(call.part() for call in done)

    def turn(self) -> Turn:
        """The turn so far; whole once a `Finish` or `Failure` was added."""
        parts = tuple(self._part(i) for i in range(len(self._parts)))
        calls = tuple(part for part in parts if isinstance(part, ToolCall))
        return Turn(
            text="".join(p.text for p in parts if isinstance(p, Text)),
            reasoning="".join(p.text for p in parts if isinstance(p, Reasoning)),
            tool_calls=calls,
            finish_reason=self._reason(bool(calls)),
            usage=self._usage,
            error=self._error,
            message=Message("assistant", parts),
        )

    def failed(self, error: ProviderError) -> Turn:
        """The turn so far, ended by `error`."""
        self._finish, self._error = "error", error
        return self.turn()

    def _text(self, kind: type[Text] | type[Reasoning], content: str) -> None:
        if self._open_kind is not kind or self._open is None:
            self._open, self._open_kind = TextBuffer(), kind
            self._parts.append(self._open)
            self._kinds.append(kind)
        self._open.append(content)

    def _other(self, delta: Delta) -> None:
        match delta:
            case ToolCallDelta():
                self._call(delta)
            case OpaqueDelta():
                self._put(delta.item)
            case UsageDelta():
                self._usage = delta.usage
            case Finish():
                self._finish = delta.reason
            case Failure():
                self._finish, self._error = "error", delta.error

    def _call(self, delta: ToolCallDelta) -> None:
        call = self._calls.get(delta.index)
        if call is None:
            call = self._calls[delta.index] = _Call(delta.id, delta.name)
            self._put(call)
        if delta.arguments:
            call.arguments.append(delta.arguments)

    def _put(self, item: _Call | Opaque) -> None:
        self._parts.append(item)
        self._kinds.append(None)
        self._open = self._open_kind = None

    def _part(self, i: int) -> Part:
        item, kind = self._parts[i], self._kinds[i]
        if isinstance(item, _Call):
            return item.part()
        if isinstance(item, Opaque):
            return item
        return kind(str(item)) if kind is not None else Text(str(item))

    def _reason(self, has_calls: bool) -> FinishReason:
        if self._finish is None:
            return "error"
        # CONVENTIONS: a normal end with at least one call is tool_calls, whatever the wire said.
        return "tool_calls" if has_calls and self._finish == "stop" else self._finish


def assemble(deltas: Iterable[Delta]) -> Turn:
    """The turn that these deltas make."""
    assembler = Assembler()
    assembler.add(deltas)
    return assembler.turn()
