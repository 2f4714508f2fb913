"""One content of an answer on its way past its watches: pure."""

from __future__ import annotations

import re
from bisect import insort
from collections.abc import Callable, Sequence
from json import dumps, loads
from typing import Protocol

from headrace.agents.guards.watch import MAX_HELD, Finding, Stop, Watch
from headrace.errors import UsageError

WITHHELD = " (withheld by a guard: this call does not run)"
"""Ends the arguments of a call that a guard has cut: no JSON, so that no tool runs with them."""


class Shape(Protocol):
    """How a content is written: what the watches read of it, and what they do not."""

    def add(self, piece: str) -> str:
        """Take the next piece as it is written; gives the characters that it means."""
        ...

    def take(self, count: int) -> str:
        """The next `count` characters, as they are written."""
        ...

    def rest(self) -> str:
        """The beginning of a character that is not whole, as it is written; once."""
        ...

    def written(self, text: str) -> str:
        """A text of a guard's, as it is written here."""
        ...


class Plain:
    """Text that means itself."""

    def __init__(self) -> None:
        self._held = ""

    def add(self, piece: str) -> str:
        """The same piece."""
        self._held += piece
        return piece

    def take(self, count: int) -> str:
        """The next characters."""
        taken, self._held = self._held[:count], self._held[count:]
        return taken

    def rest(self) -> str:
        """Nothing: each character means one."""
        return ""

    def written(self, text: str) -> str:
        """The same text."""
        return text


_UNIT = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|\\u[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?\Z(?P<half>)"
    r"|\\u[0-9a-fA-F]{4}|\\(?:u[0-9a-fA-F]{0,3})?\Z(?P<cut>)|\\.|[^\\]",
    re.DOTALL,
)
"""A character of JSON text, or the beginning of one at the end of what is there."""


class Escaped:
    """JSON text: where it has an escape, the watches read the character that it means."""

    def __init__(self) -> None:
        self._held: list[str] = []
        self._begun = ""
        self._shown = 0  # characters of it that were given as a rest

    def add(self, piece: str) -> str:
        """The characters; a piece of an escape waits for its end."""
        text, self._begun = self._begun + piece, ""
        shown, self._shown = self._shown, 0
        if "\\" not in text:
            self._held.extend(text)
            return text
        meant: list[str] = []
        for unit in _UNIT.finditer(text):
            if unit["half"] is not None or unit["cut"] is not None:
                self._begun, self._shown = unit[0], shown
                break
            self._held.append(unit[0][shown:])
            shown = 0
            meant.append(_character(unit[0]))
        return "".join(meant)

    def take(self, count: int) -> str:
        """The next characters, escaped as they were."""
        taken = "".join(self._held[:count])
        del self._held[:count]
        return taken

    def rest(self) -> str:
        """An escape without its end."""
        rest, self._shown = self._begun[self._shown :], len(self._begun)
        return rest

    def written(self, text: str) -> str:
        """The text within a JSON string."""
        return dumps(text, ensure_ascii=False)[1:-1]


def _character(unit: str) -> str:
    """What a character of JSON text means; one for each, whatever is written."""
    if len(unit) == 1:
        return unit
    try:
        meant = loads(f'"{unit}"')
    except ValueError:
        return unit[-1]
    return str(meant) if len(meant) == 1 else unit[-1]


class Passage:
    """Lets through what the watches have decided, and holds back the rest.

    Args:
        watches: What looks at it; at least one.
        shape: How it is written.
        cut: Whether it ends where something is replaced (a call's arguments: nobody may be given
            others than the model wrote).

    Attributes:
        stop: Why the whole answer ends here, once it does.
    """

    def __init__(self, watches: Sequence[Watch], shape: Shape, *, cut: bool = False) -> None:
        self._watches = watches
        self._shape = shape
        self._cut = cut
        self._findings: list[tuple[int, int, Finding]] = []  # by start and watch
        self._fed = 0
        self._passed = 0
        self._replaced = 0  # up to where something was put in the place of what was there
        self._over = False
        self.stop: Stop | None = None

    def feed(self, piece: str) -> str:
        """Take the next piece; gives what may be shown."""
        if self._over:
            return ""
        text = self._shape.add(piece)
        self._fed += len(text)
        self._look(lambda watch: watch.feed(text))
        return self._let_through(self._clear())

    def pause(self) -> str:
        """Other content comes between: everything that may ever be shown is shown now."""
        if self._over:
            return ""
        self._look(lambda watch: watch.pause())
        return self._rest()

    def close(self) -> str:
        """The content is over."""
        if self._over:
            return ""
        self._look(lambda watch: watch.close())
        return self._rest()

    def _rest(self) -> str:
        shown = self._let_through(self._fed)
        return shown if self._over else shown + self._shape.rest()

    def _clear(self) -> int:
        try:
            clear = min(watch.clear for watch in self._watches)
            if self._fed - clear > MAX_HELD:
                raise UsageError(f"A guard holds back more than {MAX_HELD} characters.")
        except Exception as error:  # fails closed
            self._add(-1, Stop(-1, "", error))
            return self._passed
        return min(clear, self._fed)

    def _look(self, look: Callable[[Watch], Sequence[Finding]]) -> None:
        for index, watch in enumerate(self._watches):
            try:
                for finding in look(watch):
                    self._add(index, finding)
            except Exception as error:  # fails closed
                self._add(-1, Stop(-1, "", error))

    def _add(self, index: int, finding: Finding) -> None:
        insort(self._findings, (finding.start, index, finding), key=lambda found: found[:2])

    def _let_through(self, clear: int) -> str:
        shown: list[str] = []
        while self._findings and self._findings[0][0] < clear and not self._over:
            self._apply(self._findings.pop(0)[2], shown)
        if not self._over and clear > self._passed:
            shown.append(self._pass(clear))
        return "".join(shown)

    def _apply(self, finding: Finding, shown: list[str]) -> None:
        if isinstance(finding, Stop):
            shown.append(self._pass(finding.start))
            self.stop, self._over = finding, True
            return
        end = min(finding.end, self._fed)
        if finding.start >= self._replaced and end > self._passed:
            shown.append(self._pass(finding.start))
            if self._cut:
                shown.append(finding.text + WITHHELD)
                self._over = True
                return
            shown.append(self._shape.written(finding.text))
        self._replaced = max(self._replaced, end)
        self._pass(end)

    def _pass(self, to: int) -> str:
        """Take what is before `to`."""
        taken = self._shape.take(max(0, to - self._passed))
        self._passed = max(self._passed, to)
        return taken
