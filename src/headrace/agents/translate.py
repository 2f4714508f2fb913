"""Deltas into events: the hot path between a model and a log."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.events import Event, Thought, Token, ToolArgs, Warn
from headrace.models.deltas import Delta, Note, ReasoningDelta, TextDelta, ToolCallDelta
from headrace.runs.writer import Writer


class Translator:
    """Writes one step's deltas to a run's log, batch by batch.

    Attributes:
        first_content_at: When the first content was written, None before.
    """

    def __init__(self, writer: Writer, agent: str) -> None:
        self._writer = writer
        self._agent = agent
        self._index = 0
        self.first_content_at: float | None = None

    def write(self, batch: Sequence[Delta]) -> None:
        """Write what a viewer shall see of these deltas, in one append."""
        writer, agent = self._writer, self._agent
        seq, at, index = writer.next_seq, writer.now(), self._index
        events: list[Event] = []
        texts: list[str] = []
        notes: list[Event] = []
        for delta in batch:
            if type(delta) is TextDelta:
                content = delta.content
                events.append(Token(seq, at, agent, content, index))
                texts.append(content)
                index += 1
                seq += 1
            elif (event := _event(delta, seq, at, agent)) is not None:
                events.append(event)
                seq += 1
                if type(event) is Warn:
                    notes.append(event)
        if not events:
            return
        count = len(events) - len(notes)
        if count:
            self.first_content_at = self.first_content_at or at
        writer.write(events)
        if texts:
            self._index = index
            if not agent:
                writer.account(texts, at)
        if writer.observers:
            self._tell(notes, count, at)

    def _tell(self, notes: Sequence[Event], count: int, at: float) -> None:
        observers = self._writer.observers
        for note in notes:
            observers.event(note)
        if count:
            observers.content(self._agent, count, at)


def _event(delta: Delta, seq: int, at: float, agent: str) -> Event | None:
    match delta:
        case ReasoningDelta():
            return Thought(seq, at, agent, delta.content)
        case ToolCallDelta():
            return ToolArgs(seq, at, agent, delta.id, delta.name, delta.arguments)
        case Note():
            return Warn(seq, at, agent, delta.code, delta.message)
        case _:
            return None
