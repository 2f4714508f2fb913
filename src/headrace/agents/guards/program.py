"""A regular expression as the code of a machine: what Python's own parser says, translated."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any

from headrace.errors import UsageError

MAX_STATES = 5000
"""States of one pattern's machine; each repetition of ``x{1,100}`` counts."""

Test = Callable[[str], object]
"""Whether one character is taken: truthy where it is."""

Condition = Callable[[str, str], bool]
"""Whether a place between two characters fits; each is ``""`` at the text's start or end."""

Code = tuple[str, Any, Any]
"""``("take", test, "")``, ``("if", condition, "")``, ``("go", first, second)``, ``("match", …)``.
"""


class Compiler:
    """Makes a machine of what Python's own parser says of an expression.

    Args:
        flags: Of the expression.

    Attributes:
        code: What was made so far.
    """

    def __init__(self, flags: int) -> None:
        self.code: list[Code] = []
        self._flags = flags

    def sequence(self, parsed: Any) -> None:
        """Add one expression after the other.

        Raises:
            UsageError: its message is what a guard's pattern cannot have.
        """
        for name, argument in parsed:
            self._one(str(name), argument)

    def _one(self, name: str, argument: Any) -> None:
        if len(self.code) > MAX_STATES:
            raise UsageError(f"more than {MAX_STATES} states")
        match name:
            case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN":
                self.code.append(("take", self._test(name, argument), ""))
            case "MAX_REPEAT" | "MIN_REPEAT":
                self._repeat(*argument, greedy=name == "MAX_REPEAT")
            case "BRANCH":
                self._branch(argument[1])
            case "SUBPATTERN":
                self._group(*argument[1:])
            case "AT":
                self.code.append(("if", self._place(str(argument)), ""))
            case "ASSERT" | "ASSERT_NOT":
                self.code.append(("if", self._around(*argument, holds=name == "ASSERT"), ""))
            case _:
                raise UsageError(_NAMES.get(name, name.lower().replace("_", " ")))

    def _repeat(self, least: int, most: int, body: Any, *, greedy: bool) -> None:
        endless = most >= _endless()
        for _ in range(least - 1 if endless else least):
            self.sequence(body)
        if endless:
            self._loop(body, at_least_once=least > 0, greedy=greedy)
            return
        forks = []
        for _ in range(most - least):
            forks.append(len(self.code))
            self.code.append(("go", 0, None))
            self.sequence(body)
        for fork in forks:
            self._fork(fork, fork + 1, len(self.code), greedy)

    def _loop(self, body: Any, *, at_least_once: bool, greedy: bool) -> None:
        if not at_least_once:
            fork = len(self.code)
            self.code.append(("go", fork, None))
        again = len(self.code)
        self.sequence(body)
        self.code.append(("go", again, None))
        end = len(self.code)
        self._fork(end - 1, again, end, greedy)
        if not at_least_once:
            self._fork(fork, again, end, greedy)

    def _branch(self, ways: Sequence[Any]) -> None:
        ends = []
        for way in ways[:-1]:
            fork = len(self.code)
            self.code.append(("go", 0, None))
            self.sequence(way)
            ends.append(len(self.code))
            self.code.append(("go", 0, None))
            self._fork(fork, fork + 1, len(self.code), True)
        self.sequence(ways[-1])
        for end in ends:
            self.code[end] = ("go", len(self.code), None)

    def _group(self, on: int, off: int, body: Any) -> None:
        flags, self._flags = self._flags, (self._flags | on) & ~off
        self.sequence(body)
        self._flags = flags

    def _fork(self, at: int, inside: int, past: int, greedy: bool) -> None:
        self.code[at] = ("go", inside, past) if greedy else ("go", past, inside)

    def _test(self, name: str, argument: Any) -> Test:
        """`re`'s own test of one character: classes, categories and cases are as there."""
        letters = {re.IGNORECASE: "i", re.DOTALL: "s", re.ASCII: "a"}
        on = "".join(letter for flag, letter in letters.items() if self._flags & flag)
        text = "".join(_class(name, argument))
        return re.compile(f"(?{on}:{text})" if on else text).match

    def _place(self, name: str) -> Condition:
        word = self._test("IN", [("CATEGORY", "CATEGORY_WORD")])
        lines = bool(self._flags & re.MULTILINE)
        match name:
            case "AT_BEGINNING" if lines:
                return lambda before, after: before in ("", "\n")
            case "AT_BEGINNING" | "AT_BEGINNING_STRING":
                return lambda before, after: not before
            case "AT_END_STRING":
                return lambda before, after: not after
            case "AT_END":  # before a line's end always: whether it is the last is not known yet
                return lambda before, after: after in ("", "\n")
            case "AT_BOUNDARY":
                return lambda before, after: bool(word(before)) != bool(word(after))
            case "AT_NON_BOUNDARY":
                return lambda before, after: bool(word(before)) == bool(word(after))
        raise UsageError(name.lower().replace("_", " "))

    def _around(self, direction: int, body: Any, *, holds: bool) -> Condition:
        """Lookahead and lookbehind: one character can be told, several could not."""
        items = list(body)
        if len(items) != 1 or str(items[0][0]) not in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            raise UsageError("lookaround over anything but one character")
        test = self._test(str(items[0][0]), items[0][1])
        if direction < 0:
            return lambda before, after: bool(before and test(before)) == holds
        return lambda before, after: bool(after and test(after)) == holds


_NAMES = {
    "GROUPREF": "backreferences",
    "GROUPREF_EXISTS": "conditional groups",
    "ATOMIC_GROUP": "atomic groups",
    "POSSESSIVE_REPEAT": "possessive repetition",
    "FAILURE": "what never matches",
}

_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}


def _class(name: str, argument: Any) -> Iterator[str]:
    """The text of an expression of one character."""
    if name == "ANY":
        yield "."
        return
    if name in ("LITERAL", "NOT_LITERAL"):
        argument = [("LITERAL", argument)]
    negated = name == "NOT_LITERAL" or str(argument[0][0]) == "NEGATE"
    yield "[^" if negated else "["
    for kind, value in argument:
        match str(kind):
            case "LITERAL":
                yield f"\\U{value:08x}"
            case "RANGE":
                yield f"\\U{value[0]:08x}-\\U{value[1]:08x}"
            case "CATEGORY":
                yield _CATEGORIES[str(value)]
    yield "]"


def _endless() -> int:
    """What Python's parser writes for no upper bound."""
    return int(import_module("re._constants").MAXREPEAT)
