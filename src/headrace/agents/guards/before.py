"""What an agent said in the steps before: a secret may be cut over two steps of one answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from headrace.agents.guards.scanner import MAX_WINDOW
from headrace.agents.guards.watch import Channel, Finding, Replace, StreamGuard, Watch

_DONE = 1 << 62


class Before:
    """The end of what viewers have seen of one agent, over its steps; a run has one for each."""

    def __init__(self) -> None:
        self._said: dict[Channel, str] = {}

    def add(self, channel: Channel, pieces: Sequence[str]) -> None:
        """A step has ended well, and this was shown."""
        newest: list[str] = []
        size = 0
        for piece in reversed(pieces):
            newest.append(piece)
            size += len(piece)
            if size >= MAX_WINDOW:
                break
        said = self._said.get(channel, "") + "".join(reversed(newest))
        self._said[channel] = said[-MAX_WINDOW:]

    def watches(self, guards: Iterable[StreamGuard], channel: Channel) -> list[Watch]:
        """Watches that know what was said; none where nothing was."""
        said = self._said.get(channel, "")
        if not said:
            return []
        watches = [guard.watch(channel) for guard in guards]
        return [_Going(watch, said) for watch in watches if watch is not None]


class _Going(Watch):
    """Finds what began in the step before; all that begins later is for the others to find.

    What is shown stands; of something that began there the rest is taken out here.

    Args:
        watch: A fresh one.
        said: What was shown before.
    """

    def __init__(self, watch: Watch, said: str) -> None:
        self._watch: Watch | None = watch
        self._offset = len(said)
        watch.feed(said)

    @property
    def clear(self) -> int:
        return _DONE if self._watch is None else max(0, self._watch.clear - self._offset)

    def feed(self, text: str) -> Sequence[Finding]:
        if self._watch is None:
            return ()
        found = self._mine(self._watch.feed(text))
        if self._watch.clear > self._offset:  # nothing that began before is under way
            self._watch = None
        return found

    def pause(self) -> Sequence[Finding]:
        return () if self._watch is None else self._mine(self._watch.pause())

    def close(self) -> Sequence[Finding]:
        return () if self._watch is None else self._mine(self._watch.close())

    def _mine(self, findings: Iterable[Finding]) -> list[Finding]:
        found: list[Finding] = []
        for each in findings:
            if each.start > self._offset:
                continue
            if not isinstance(each, Replace):
                found.append(replace(each, start=0))
            elif each.end > self._offset:
                found.append(Replace(0, each.end - self._offset, each.text))
        return found
