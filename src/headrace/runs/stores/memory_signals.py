"""Signals in memory: what was left for the owner of a run, until it is settled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count

from msgspec.structs import replace

from headrace.runs.log import EVENT_COST
from headrace.runs.stores.memory_room import Room
from headrace.runs.stores.record import Signal


def signal_size(signal: Signal) -> int:
    """Bytes that a signal is counted as."""
    return EVENT_COST + len(signal.content)


class MemorySignals:
    """All signals that are not settled, oldest first."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._ids = count(1)
        self._all: dict[int, Signal] = {}

    def __iter__(self) -> Iterator[Signal]:
        """All of them."""
        return iter(self._all.values())

    def add(self, signal: Signal) -> None:
        """Keep a signal, under an id of its own."""
        kept = replace(signal, id=next(self._ids))
        self._all[kept.id] = kept
        self._room.used += signal_size(kept)

    def drop(self, ids: Iterable[int]) -> None:
        """Forget these; those that are not there are no error."""
        for signal_id in ids:
            signal = self._all.pop(signal_id, None)
            if signal is not None:
                self._room.used -= signal_size(signal)

    def drop_of(self, run_id: str) -> None:
        """Forget those of a run that has ended."""
        self.drop([signal.id for signal in self._all.values() if signal.run_id == run_id])
