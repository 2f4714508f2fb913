"""Deltas: what a provider's decoder gives, one vocabulary for every wire.

A decoder turns bytes into lists of these. The last delta of every turn is a `Finish` or a
`Failure`; nothing comes after it. Decoders have already joined what the wire cut: a call's id
and name are final, usage is cumulative, opaque items are whole.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from headrace.errors import ProviderError
from headrace.events import FinishReason
from headrace.messages import Opaque
from headrace.usage import Usage


class TextDelta(Struct, frozen=True, gc=False):
    """A piece of the answer's text (a refusal's words too)."""

    content: str


class ReasoningDelta(Struct, frozen=True, gc=False):
    """A piece of reasoning."""

    content: str


class ToolCallDelta(Struct, frozen=True, gc=False):
    """A piece of one tool call.

    Attributes:
        index: The call's place in the turn, from 0, in order of first appearance.
        id: The call's id, final; made up by the decoder when the provider gave none.
        name: The tool's name, final.
        arguments: The next piece of the arguments' text; may be empty.
    """

    index: int
    id: str
    name: str
    arguments: str


class OpaqueDelta(Struct, frozen=True, gc=False):
    """An item that must go back next turn, byte for byte, at this place of the message."""

    item: Opaque


class UsageDelta(Struct, frozen=True, gc=False):
    """The usage so far: cumulative, the last one counts."""

    usage: Usage


class Note(Struct, frozen=True, gc=False):
    """Something to warn a person of (a retry, a fallback); no part of the answer."""

    code: str
    message: str


class AnsweredBy(Struct, frozen=True, gc=False):
    """Which model's answer follows; told where several may answer (a fallback).

    Attributes:
        model: Its name, as `Model.name`.
    """

    model: str


class Finish(Struct, frozen=True, gc=False):
    """The turn ended as the provider meant it to.

    Attributes:
        reason: One of `FinishReason`; the assembler makes it ``tool_calls`` where it must.
        raw: The provider's own word, kept for people.
    """

    reason: FinishReason
    raw: str = ""


class Failure(Struct, frozen=True):
    """The turn failed; what came before it stays."""

    error: ProviderError


Delta = (
    TextDelta
    | ReasoningDelta
    | ToolCallDelta
    | OpaqueDelta
    | UsageDelta
    | Note
    | AnsweredBy
    | Finish
    | Failure
)

CONTENT = (TextDelta, ReasoningDelta, ToolCallDelta, OpaqueDelta)
"""Deltas that count as content for deadlines and retries: parts of the turn, so that a retry
after one of them would give it twice."""


class Decoder(Protocol):
    """A provider's wire, read: pure, fed with bytes in any cuts.

    After a `Finish` or `Failure` has come out, `feed` and `close` give nothing more.
    """

    def feed(self, data: bytes) -> list[Delta]:
        """Take bytes, give the deltas that they complete; never raises."""
        ...

    def close(self) -> list[Delta]:
        """The transport ended: give what is left, a `Finish` or a `Failure` at the latest now."""
        ...
