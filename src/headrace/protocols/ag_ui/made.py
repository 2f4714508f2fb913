"""What the client has of a run so far, as values: messages, calls without a result, sub-agents."""

from __future__ import annotations

from msgspec import Struct


class Made(Struct, frozen=True):
    """Something that the client has and that a retract may withdraw: a message, or a call.

    Attributes:
        seq: Of the first event that it was made of: a retract goes by it.
        id: Its id on the wire.
    """

    seq: int
    id: str


class Call(Made, frozen=True):
    """A call that has no result yet.

    Attributes:
        call_id: Its id in the log, which may come again in another step.
        head: Of its ``TOOL_CALL_ARGS``.
        is_open: Before its ``TOOL_CALL_END``.
    """

    call_id: str
    head: bytes
    is_open: bool = True


class Subagent(Struct, frozen=True):
    """A sub-agent at work: its path and name in the log, its id on the wire."""

    path: str
    name: str
    id: str


def parted(made: tuple[Made, ...], since: int) -> tuple[tuple[Made, ...], tuple[Made, ...]]:
    """What stands, and what a retract withdraws."""
    standing = tuple(each for each in made if each.seq < since)
    return standing, tuple(each for each in made if each.seq >= since)
