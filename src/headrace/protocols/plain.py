"""``plain``: the answer's text and nothing else."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from headrace.errors import HeadraceError
from headrace.events import Cancelled, Error, Event, Retract, StepStart, Token
from headrace.protocols.encoder import Encoder

INTERRUPTED = "\n[Error: Stream interrupted]\n"
"""What a reader of plain text sees last when the answer is not whole."""


class PlainEncoder(Encoder):
    """The root agent's text, UTF-8.

    A model can say anything, `INTERRUPTED` included, so words alone prove nothing: an answer that
    is not whole is `cut` too, and its body never gets its proper end.
    """

    key: Hashable = "plain"

    def __init__(self) -> None:
        self._shown = self._mark = 0  # bytes so far, and when the last step began

    def encode(self, events: Sequence[Event]) -> bytes:
        """Text; an error, a cancel and text that is withdrawn end it."""
        parts: list[bytes] = []
        for event in events:
            kind = type(event)
            if kind is Token:
                if not event.agent and not self.cut:
                    piece = event.content.encode("utf-8", "replace")  # type: ignore[attr-defined]
                    self._shown += len(piece)
                    parts.append(piece)
            elif kind in _OTHERS and not event.agent and not self.cut:
                parts.append(self._other(event))
        return b"".join(parts)

    def fail(self, error: HeadraceError) -> bytes:
        """`INTERRUPTED`."""
        return self._interrupted()

    def _other(self, event: Event) -> bytes:
        match event:
            case StepStart():
                self._mark = self._shown
            case Retract() if self._shown > self._mark:
                return self._interrupted()
            case Error() | Cancelled():
                return self._interrupted()
        return b""

    def _interrupted(self) -> bytes:
        self.cut = True
        return INTERRUPTED.encode()


_OTHERS = frozenset((StepStart, Retract, Error, Cancelled))
