"""A structured output while it is written: the part of a value that fits its type so far.

The text is parsed as far as it goes and checked strictly. What is only missing may still come; what
does not fit (an enum's name that is half written, a wrong type) is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import UNSET

from headrace.errors import EventTooLarge
from headrace.wire.partial_json import PartialJSON, parse_json

MAX_PARTIAL = 256 * 1024
"""Characters of a structured answer up to which there are `partial` events. Each holds the whole
value so far, so that all together are some nine times the text."""

_ROUNDS = 4
"""What does not fit is left out so often; a value that then still does not fit is shown later."""

_GROWS = ("missing", "too_short")
"""What pydantic calls what may still come: a field, an item of a list."""

_NUMBER = re.compile(r"(?<=[:,\[\s])-?\d[-+.\deE]*$")
"""A number at the end of the text: ``12`` may become ``125``."""

Path = tuple[int | str, ...]

Faults = Callable[[object], Sequence[Mapping[str, Any]]]
"""What pydantic finds wrong with a value: dicts with ``type`` and ``loc``."""


class Growing:
    """The value of an answer's text that comes in pieces.

    Args:
        known: Leaves out what the type has no place for.
        faults: Checks a value, strictly.
        show: Takes each new value.
    """

    def __init__(
        self,
        known: Callable[[object], object],
        faults: Faults,
        show: Callable[[object], object],
    ) -> None:
        self._known = known
        self._json = PartialJSON(max_size=MAX_PARTIAL, parse=_parse)
        self._faults = faults
        self._show = show
        self._last: object = UNSET
        self._over = False

    def feed(self, piece: str) -> None:
        """Take the next piece of the text."""
        if self._over:
            return
        try:
            newer = self._json.feed(piece)
        except EventTooLarge:
            self._over = True
            return
        if newer:
            value = fitting(self._known(self._json.value), self._faults)
            if value is not UNSET and value != self._last:
                self._last = value
                self._show(value)


def fitting(value: object, faults: Faults) -> object:
    """What of a value fits, as far as it goes; UNSET where nothing does.

    Args:
        value: A JSON value; it is changed.
        faults: Checks it.
    """
    for _ in range(_ROUNDS):
        wrong = _wrong(value, faults(value))
        if not wrong:
            return value
        if () in wrong:
            return UNSET
        # The last items of a list first, so that the places of the others stay.
        for path in sorted(wrong, key=_order, reverse=True):
            _leave_out(value, path)
    return UNSET


def _parse(text: str, partial: bool) -> object:
    return parse_json(_NUMBER.sub("", text) if partial else text, partial)


def _wrong(value: object, faults: Iterable[Mapping[str, Any]]) -> set[Path]:
    """Paths of what does not fit and not only lacks something.

    A fault within a union counts for one of its types only: where another one lacks nothing but
    what may still come, the value is taken for that.
    """
    found = []
    for fault in faults:
        loc, grows = fault["loc"], fault["type"] in _GROWS
        # The name of a field that is missing leads nowhere, and is no union's type.
        found.append((grows, *_located(value, loc[:-1] if fault["type"] == "missing" else loc)))
    bad = {branch for grows, _, branches in found if not grows for branch in branches}
    growing = {path for _, _, branches in found for path, tag in branches if (path, tag) not in bad}
    return {
        path
        for grows, path, branches in found
        if not grows and not any(at in growing for at, _ in branches)
    }


def _located(value: Any, loc: Sequence[int | str]) -> tuple[Path, list[tuple[Path, int | str]]]:
    """Where in the value a fault is, and the types of unions that it was found in.

    A part of pydantic's `loc` that leads nowhere in the value is the name of a union's type.
    """
    path: list[int | str] = []
    branches: list[tuple[Path, int | str]] = []
    for part in loc:
        if isinstance(value, dict) and part in value:
            value = value[part]
            path.append(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
            path.append(part)
        else:
            branches.append((tuple(path), part))
    return tuple(path), branches


def _order(path: Path) -> list[tuple[int, str]]:
    return [(part, "") if isinstance(part, int) else (-1, part) for part in path]


def _leave_out(value: Any, path: Path) -> None:
    for part in path[:-1]:
        try:
            value = value[part]
        except (KeyError, IndexError):  # left out as a whole already
            return
    if isinstance(value, dict):
        value.pop(path[-1], None)
    elif path[-1] < len(value):  # type: ignore[operator]
        del value[path[-1]]
