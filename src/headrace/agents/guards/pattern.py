"""A regular expression as a machine that is fed character by character.

`re` can only search a text that is there as a whole. A guard must know, after every character,
what may still become a match; so the same expressions run here as Pike's machine (Russ Cox,
"Regular Expression Matching: the Virtual Machine Approach", 2009): the same matches as `re`, in
time linear in the text whatever the expression, with the start of every match that is under way.
"""

from __future__ import annotations

import re
from importlib import import_module

from msgspec import Struct

from headrace.agents.guards.program import Compiler
from headrace.errors import UsageError

MAX_STEPS = 4096
"""Steps that a machine remembers; then it forgets them all and begins again."""


class Node:
    """Where a machine stands: its threads, in order of preference.

    Attributes:
        states: Their states.
        matched: The thread that has matched, whatever follows; None where that is not known.
        begun: Steps that were taken from here, where a match may begin at the character.
        going: The same where none may.
    """

    __slots__ = ("begun", "going", "matched", "states")

    def __init__(self, states: tuple[int, ...], matched: int | None) -> None:
        self.states = states
        self.matched = matched
        self.begun: dict[str, Step] = {}
        self.going: dict[str, Step] = {}


class Step(Struct, frozen=True):
    """What one character does to a machine.

    Attributes:
        node: Where it stands then.
        of: For each thread there which thread it was, -1 for one that begins at the character.
        same: Whether the threads there are the same as before.
        matched: The thread that has matched before the character, None for none.
    """

    node: Node
    of: tuple[int, ...]
    same: bool
    matched: int | None


class Pattern:
    """A compiled expression.

    Args:
        pattern: A text, or what `re.compile` gave for one.

    Attributes:
        least: Characters that the shortest match has, at least.
        begins: Finds a character with which a match may begin.
        start: Where its machine stands without a match under way.

    Raises:
        UsageError: it is no expression; it has what cannot be told while text still comes
            (backreferences, atomic groups, lookaround over more than one character); it matches
            the empty text; it is too large.
    """

    def __init__(self, pattern: str | re.Pattern[str]) -> None:
        compiled = _compiled(pattern)
        self.text = compiled.pattern
        compiler = Compiler(compiled.flags)
        try:
            parsed = import_module("re._parser").parse(self.text, compiled.flags)
            compiler.sequence(parsed)
        except RecursionError:
            raise UsageError(f"The pattern {self.text[:80]!r} is nested too deep.") from None
        except UsageError as error:
            raise UsageError(
                f"A guard's pattern cannot have {error.message}: {self.text[:80]!r}.",
                hint="While the text comes, nobody could tell whether it matches.",
            ) from None
        self.least: int = parsed.getwidth()[0]
        self._code = compiler.code
        self._code.append(("match", None, None))
        self._looks_back = any(code[0] == "if" for code in self._code)
        self._nodes: dict[tuple[int, ...], Node] = {}
        self._steps = 0
        self.start = self.node(())
        self.begins = self._first()

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"

    def step(self, node: Node, begin: bool, before: str, char: str) -> Step:
        """Feed one character.

        Args:
            node: Where the machine stands.
            begin: Whether a match may begin at this character.
            before: The character before it, ``""`` at the text's start.
            char: The character, ``""`` for the text's end.
        """
        steps, key = node.begun if begin else node.going, char
        if self._looks_back:
            if not before or not char:  # at the text's ends only
                return self._step(node, begin, before, char)
            key = before + char
        step = steps.get(key)
        if step is None:
            step = steps[key] = self._step(node, begin, before, char)
        return step

    def node(self, states: tuple[int, ...]) -> Node:
        """The place with these threads."""
        node = self._nodes.get(states)
        if node is None:
            matched = None if self._looks_back else self._closure(states, False, "", "")[0]
            node = self._nodes[states] = Node(states, matched)
        return node

    def _step(self, node: Node, begin: bool, before: str, char: str) -> Step:
        self._steps += 1
        if self._steps > MAX_STEPS:
            self._forget()
        matched, waiting = self._closure(node.states, begin, before, char)
        then: dict[int, int] = {}
        for state, thread in waiting.items():
            if char and self._code[state][1](char):
                then.setdefault(state + 1, thread)
        of = tuple(then.values())
        same = of == tuple(range(len(node.states)))
        return Step(self.node(tuple(then)), of, same, matched)

    def _forget(self) -> None:
        for node in list(self._nodes.values()):
            node.begun.clear()
            node.going.clear()
        self._nodes = {(): self.start}
        self._steps = 0

    def _closure(
        self, states: tuple[int, ...], begin: bool, before: str, char: str
    ) -> tuple[int | None, dict[int, int]]:
        """Which thread matches here, and the states that wait for a character, with their threads.

        In order of preference: what comes after a match does not count.
        """
        waiting: dict[int, int] = {}
        seen: set[int] = set()
        threads = [*enumerate(states), *([(-1, 0)] if begin else [])]
        for of, start in threads:
            todo = [start]
            while todo:
                at = todo.pop()
                if at in seen:
                    continue
                seen.add(at)
                kind, one, two = self._code[at]
                if kind == "match":
                    return of, waiting
                if kind == "take":
                    waiting[at] = of
                elif kind == "go":
                    todo += [two, one] if two is not None else [one]
                elif one(before, char):
                    todo.append(at + 1)
        return None, waiting

    def _first(self) -> re.Pattern[str]:
        """An expression of one character that any match begins with."""
        tests, todo, seen = [], [0], set()
        while todo:
            at = todo.pop()
            if at in seen:
                continue
            seen.add(at)
            kind, one, two = self._code[at]
            if kind == "take":
                tests.append(one.__self__.pattern)  # the bound `match` of a compiled class
            elif kind == "go":
                todo += [one] if two is None else [one, two]
            elif kind == "if":
                todo.append(at + 1)
            else:
                raise UsageError(f"The pattern {self.text!r} matches the empty text, everywhere.")
        return re.compile("|".join(tests))


def _compiled(pattern: str | re.Pattern[str]) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except (re.error, TypeError, RecursionError, OverflowError) as error:
        raise UsageError(f"{pattern!r} is no regular expression: {error}.") from None
    if not isinstance(compiled.pattern, str):
        raise UsageError(f"A guard reads text, and {compiled.pattern!r} is a pattern of bytes.")
    return compiled
