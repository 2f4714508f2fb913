"""Joins deltas to a turn: pure, one pass, linear in the text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from headrace.errors import ProviderError
from headrace.events import FinishReason
from headrace.messages import Message, Opaque, Part, Reasoning, Text, ToolCall
from headrace.models.deltas import (
    AnsweredBy,
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
        model: Who answered, where several models may (a fallback); else empty.
    """

    text: str
    reasoning: str
    tool_calls: tuple[ToolCall, ...]
    finish_reason: FinishReason
    usage: Usage | None
    error: ProviderError | None
    message: Message
    model: str = ""


class _Stretch:
    """Neighbouring text, or reasoning, of one kind."""

    __slots__ = ("kind", "text")

    def __init__(self, kind: type[Text] | type[Reasoning]) -> None:
        self.kind = kind
        self.text = TextBuffer()

    def part(self) -> Part:
        return self.kind(str(self.text))


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
        self._parts: list[_Stretch | _Call | Opaque] = []
        self._calls: dict[int, _Call] = {}
        self._open: _Stretch | None = None
        self._usage: Usage | None = None
        self._finish: FinishReason | None = None
        self._error: ProviderError | None = None
        self._model = ""

    @property
    def usage(self) -> Usage | None:
        """What the provider told so far."""
        return self._usage

    def add(self, deltas: Sequence[Delta]) -> None:
        """Take the next deltas."""
        texts = [delta.content for delta in deltas if type(delta) is TextDelta]
        if texts and len(texts) == len(deltas):  # nearly every read of a model's answer
            self._text(Text, "".join(texts))
            return
        for delta in deltas:
            match delta:
                case TextDelta():
                    self._text(Text, delta.content)
                case ReasoningDelta():
                    self._text(Reasoning, delta.content)
                case _:
                    self._other(delta)

    def completed_calls(self) -> tuple[ToolCall, ...]:
        """The calls whose arguments can grow no more because a later call has begun."""
        calls = [self._calls[index] for index in sorted(self._calls)]
        done = calls if self._finish is not None else calls[:-1]
        return tuple(call.part() for call in done)

    def turn(self) -> Turn:
        """The turn so far; whole once a `Finish` or `Failure` was added."""
        parts = tuple(p if isinstance(p, Opaque) else p.part() for p in self._parts)
        calls = tuple(part for part in parts if isinstance(part, ToolCall))
        return Turn(
            text="".join(p.text for p in parts if isinstance(p, Text)),
            reasoning="".join(p.text for p in parts if isinstance(p, Reasoning)),
            tool_calls=calls,
            finish_reason=self._reason(bool(calls)),
            usage=self._usage,
            error=self._error,
            message=Message("assistant", parts),
            model=self._model,
        )

    def failed(self, error: ProviderError) -> Turn:
        """The turn so far, ended by `error`."""
        self._finish, self._error = "error", error
        return self.turn()

    def _text(self, kind: type[Text] | type[Reasoning], content: str) -> None:
        stretch = self._open
        if stretch is None or stretch.kind is not kind:
            stretch = self._open = _Stretch(kind)
            self._parts.append(stretch)
        stretch.text.append(content)

    def _other(self, delta: Delta) -> None:
        match delta:
            case ToolCallDelta():
                self._call(delta)
            case OpaqueDelta():
                self._put(delta.item)
            case UsageDelta():
                self._usage = delta.usage
            case AnsweredBy():
                self._model = delta.model
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
        self._open = None

    def _reason(self, has_calls: bool) -> FinishReason:
        if self._finish is None:
            return "error"
        if self._finish in ("stop", "tool_calls"):
            # A normal end is told by what came, whatever word the wire had for it.
            return "tool_calls" if has_calls else "stop"
        return self._finish


def assemble(deltas: Iterable[Delta]) -> Turn:
    """The turn that these deltas make."""
    assembler = Assembler()
    assembler.add(list(deltas))
    return assembler.turn()
