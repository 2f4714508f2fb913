"""What a guard of the stream is made of: a watch over one kind of content, and what it finds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

from msgspec import Struct

Channel = Literal["text", "reasoning", "arguments"]
"""A kind of content: the answer's text, its reasoning, the arguments of one tool call."""

CHANNELS: tuple[Channel, ...] = ("text", "reasoning", "arguments")


MAX_HELD = 8192
"""Characters of one content that a watch may hold back; past it, the answer ends."""


class Replace(Struct, frozen=True):
    """Something that is not to be shown.

    Attributes:
        start: Its first character, counted from 0 over the whole content that was watched.
        end: One past its last.
        text: What is shown instead.
    """

    start: int
    end: int
    text: str


class Stop(Struct, frozen=True):
    """The answer ends before something.

    Attributes:
        start: Its first character, counted as in `Replace`.
        reason: For people; it is shown.
        error: What the guard raised, where that is why.
    """

    start: int
    reason: str
    error: Exception | None = None


Finding = Replace | Stop


class Watch(ABC):
    """Watches one content of one answer, as it comes; pure.

    What it raises ends the answer: nothing more is shown.
    """

    @property
    @abstractmethod
    def clear(self) -> int:
        """Characters, from the content's start, that are decided: they may be shown.

        The rest is held back; at most `MAX_HELD` characters.
        """

    @abstractmethod
    def feed(self, text: str) -> Sequence[Finding]:
        """Take the next characters; gives what is found for sure, each once."""

    def pause(self) -> Sequence[Finding]:
        """Other content comes between: what would be found if this one were over.

        Everything is shown now, but what is found; the content may go on later.
        """
        return ()

    def close(self) -> Sequence[Finding]:
        """The content is over; gives what is found in the end."""
        return ()


@runtime_checkable
class StreamGuard(Protocol):
    """A guard that reads what a model writes before anyone sees it."""

    def watch(self, channel: Channel) -> Watch | None:
        """A fresh watch for one content of one answer; None where this guard has no say."""
        ...
