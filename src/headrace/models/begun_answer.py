"""An answer that one model began and another goes on with: pure.

The next model is given the text so far as the conversation's last message, its assistant's. White
space at its end is left out there: Anthropic refuses it, and tokenizers go on better without it.
So the next model may say it again, and `Seam` drops what is there already.
"""

from __future__ import annotations

from collections.abc import Sequence

from headrace.messages import Message, Reasoning, Text
from headrace.models.assembler import Turn
from headrace.models.deltas import Delta, Failure, Finish, TextDelta, ToolCallDelta
from headrace.models.request import ModelRequest


def can_go_on(turn: Turn) -> bool:
    """Whether another model can go on with this turn: text was being written, and no more.

    Calls and opaque items (signatures, encrypted reasoning) bind a turn to the model that made
    them, and reasoning without text is no answer yet.
    """
    parts = turn.message.content
    plain = all(isinstance(part, Text | Reasoning) for part in parts)
    return plain and bool(parts) and isinstance(parts[-1], Text)


def with_answer(request: ModelRequest, text: str) -> ModelRequest:
    """The request, ending in the answer so far."""
    text = text.rstrip()
    if not text:
        return request
    before, last = request.messages[:-1], request.messages[-1]
    if last.role != "assistant":
        before, last = request.messages, Message("assistant")
    begun = Message("assistant", (*last.content, Text(text)))
    return ModelRequest((*before, begun), request.tools, request.options)


_NO_MORE = (ToolCallDelta, Finish, Failure)


class Seam:
    """Takes the deltas that go on after `text`, and drops what of `text` they say again.

    Args:
        text: The answer so far, as it was shown.
        echoes: Whether the model begins with the whole answer so far.
    """

    def __init__(self, text: str, *, echoes: bool = False) -> None:
        begun = text.rstrip()
        self._space = text[len(begun) :]
        self._echo = begun if echoes else ""
        self._echoed = 0

    def take(self, batch: Sequence[Delta]) -> list[Delta]:
        """The deltas without what was said before."""
        if not self._echo and not self._space:
            return list(batch)
        kept: list[Delta] = []
        for delta in batch:
            if type(delta) is TextDelta:
                text = self._without_space(self._without_echo(delta.content))
            else:
                text = self._released() if isinstance(delta, _NO_MORE) else ""
            if text:
                kept.append(TextDelta(text))
            if type(delta) is not TextDelta:
                kept.append(delta)
        return kept

    def _without_echo(self, piece: str) -> str:
        echo, at = self._echo, self._echoed
        if not echo:
            return piece
        if echo.startswith(piece, at):
            self._echoed += len(piece)
            if self._echoed == len(echo):
                self._echo = ""
            return ""
        self._echo = ""
        if piece.startswith(echo[at:]):
            return piece[len(echo) - at :]
        return echo[:at] + piece  # another beginning: no echo after all

    def _without_space(self, piece: str) -> str:
        same = 0
        while same < min(len(piece), len(self._space)) and piece[same] == self._space[same]:
            same += 1
        self._space = self._space[same:] if same == len(piece) else ""
        return piece[same:]

    def _released(self) -> str:
        """What was held back as an echo, when no more text comes."""
        held, self._echo = self._echo[: self._echoed], ""
        return held
