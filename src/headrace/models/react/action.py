"""What stands under `Action:`: the name of a tool, and sometimes its input on the same line."""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct

from headrace.models.react.marks import INLINE_INPUT

MAX_LINE = 2048
"""Characters of an action's line that are read; a name has 64, an input may stand behind it."""

_AROUND = " \t\r\n\"'`*[](){}<>.,:;"
_OTHER = re.compile(r"[^a-zA-Z0-9_-]+")
_WITH_INPUT = re.compile(
    r"""(?P<name>[^\[({]{1,80}?)\s*
        (?:\[(?P<square>.*)\] | \((?P<round>.*)\) | (?P<object>\{.*\}))[\s.*`]*""",
    re.DOTALL | re.VERBOSE,
)


class Named(Struct, frozen=True):
    """An action.

    Attributes:
        name: The tool's name, or what was written for it; empty where there is none.
        known: Whether there is such a tool.
        input: What stood on its line: ``search[pumps]``, ``search("pumps")``, ``search {…}``.
    """

    name: str
    known: bool
    input: str = ""


class Names:
    """The names of the tools that there are, as models write them."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        folded: dict[str, str] = {}
        for name in self._names:
            key = _folded(name)
            folded[key] = "" if key in folded else name
        self._folded = folded

    def read(self, line: str) -> Named:
        """The action of a line. ``Search Docs`` is `search_docs`, where no other tool is."""
        name = self._known(line)
        if name:
            return Named(name, True)
        match = _WITH_INPUT.fullmatch(line.strip())
        if match is not None and (name := self._known(match["name"])):
            given = match["square"] or match["round"] or match["object"] or ""
            return Named(name, True, given)
        return Named(_OTHER.sub("_", line.strip(_AROUND))[:64].strip("_"), False)

    def _known(self, said: str) -> str:
        for name in (said.strip(), said.strip(_AROUND)):
            if name in self._names:
                return name
        return self._folded.get(_folded(said), "")


class ActionLine:
    """An action as it comes: up to the end of its line."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._text = ""
        self._over = False
        self._prose = False

    def take(self, text: str) -> str | None:
        """Take the next piece; the input, once it begins, else None."""
        if self._over:
            return self._after(text)
        if text.isspace() and "\n" in text:  # `Marks` gives line ends as pieces of their own
            self._over = bool(self._text.strip())
            return None
        self._text = (self._text + text)[:MAX_LINE]
        inline = INLINE_INPUT.search(self._text)
        if inline is None:
            return None
        rest = self._text[inline.end() :]
        self._text = self._text[: inline.start()]
        return rest

    def read(self) -> Named:
        """The action so far."""
        return self._names.read(self._text)

    def _after(self, text: str) -> str | None:
        """Behind the line an object or a code block is the input, mark or not."""
        if self._prose or text.isspace():
            return None
        self._prose = text.lstrip()[0] not in "{`"
        return None if self._prose else text


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")
