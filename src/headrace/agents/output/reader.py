"""Reads a structured answer out of what a model writes: pure, the same whatever the cuts.

The answer is JSON, as text or as the arguments of the call of one tool; both come out as text. What
a model says around it (a sentence before it, a code fence, a remark after it) is no part of the
answer and comes out as reasoning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from headrace.models.deltas import (
    Delta,
    Failure,
    Finish,
    OpaqueDelta,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)

_AT_ONCE = 4096
"""Characters that are read at once: what is left of them is copied for each line."""

_SPACE = " \t\r\n"
_FENCE = re.compile(r"`{1,3}|```[\w+-]{1,32}")
_OUTSIDE = re.compile(r'["{}\[\]]')
_INSIDE = re.compile(r'["\\]')


class JSONScan:
    """Finds the end of a JSON object or array that comes in pieces."""

    def __init__(self) -> None:
        self._depth = 0
        self._inside = False  # of a string
        self._escaped = False

    def end(self, piece: str) -> int:
        """The place after its last character, or -1 where it goes on."""
        at = 0
        if self._escaped and piece:
            self._escaped, at = False, 1
        while found := (_INSIDE if self._inside else _OUTSIDE).search(piece, at):
            at = found.end()
            char = found.group()
            if char == '"':
                self._inside = not self._inside
            elif char == "\\":
                self._escaped = at == len(piece)
                at += 1
            else:
                self._depth += 1 if char in "{[" else -1
                if self._depth == 0:
                    return at
        return -1


class AnswerText:
    """Parts a text in the answer's JSON and what is said around it.

    The answer begins where a line does (a code fence may stand before it), or within one where an
    object with a name in it does. It is one value; what looks like another one is not part of it.

    Args:
        opens: What it can begin with: ``{``, or ``{[``.
    """

    def __init__(self, opens: str = "{") -> None:
        self._opens = opens
        self._scan: JSONScan | None = None  # of the answer, while it is written
        self._space: list[str] = []  # at the beginning of a line
        self._fence = ""  # what follows it, where it may become a code fence
        self._in_line = False
        self._brace: list[str] = []  # one within a line, and the white space behind it
        self.found = False

    def feed(self, text: str) -> list[Delta]:
        """The next deltas, in order."""
        deltas: list[Delta] = []
        for at in range(0, len(text), _AT_ONCE):
            self._feed(text[at : at + _AT_ONCE], deltas)
        return deltas

    def _feed(self, text: str, deltas: list[Delta]) -> None:
        while text:
            if self._scan is not None:
                text = self._answer(self._scan, text, deltas)
            elif self._brace:
                text = self._behind_brace(text, deltas)
            elif self._in_line:
                text = self._line(text, deltas)
            else:
                text = self._line_start(text, deltas)

    def break_off(self) -> None:
        """Drop what was held back: white space and the beginning of a fence say nothing."""
        self._space.clear()
        self._brace.clear()
        self._fence = ""

    def _answer(self, scan: JSONScan, text: str, deltas: list[Delta]) -> str:
        end = scan.end(text)
        if end < 0:
            deltas.append(TextDelta(text))
            return ""
        deltas.append(TextDelta(text[:end]))
        self._scan = None
        return text[end:]

    def _line(self, text: str, deltas: list[Delta]) -> str:
        """Take what is left of the line, or what stands before a brace in it."""
        line, newline, rest = text.partition("\n")
        before, brace, behind = line.partition("{") if not self.found else (line, "", "")
        if brace:
            self._brace = [brace]
            said, rest = before, behind + newline + rest
        else:
            said = line + newline
            self._in_line = not newline
        if said:
            deltas.append(ReasoningDelta(said))
        return rest

    def _behind_brace(self, text: str, deltas: list[Delta]) -> str:
        """Take white space, or see by what follows it whether an object begins."""
        rest = text.lstrip(_SPACE)
        self._brace.append(text[: len(text) - len(rest)])
        if not rest:
            return ""
        brace = "".join(self._brace)
        self.break_off()
        if rest[0] == '"':
            return self._begun(brace + rest)
        deltas.append(ReasoningDelta(brace))
        self._in_line = "\n" not in brace
        return rest

    def _begun(self, text: str) -> str:
        self.break_off()
        self.found, self._scan = True, JSONScan()
        return text

    def _line_start(self, text: str, deltas: list[Delta]) -> str:
        """Take one character, or the white space before it; gives the rest."""
        if not self._fence:
            rest = text.lstrip(_SPACE)
            if len(rest) < len(text):
                self._space.append(text[: len(text) - len(rest)])
                return rest
        char, rest = text[0], text[1:]
        if char in self._opens and not self.found:
            return self._begun(text)
        if char in _SPACE and self._fence.startswith("```"):
            self.break_off()  # the fence is whole
            return text
        if _FENCE.fullmatch(self._fence + char):
            self._fence += char
            return rest
        said = "".join((*self._space, self._fence, text))
        self.break_off()
        self._in_line = True
        return self._line(said, deltas)


class AnswerReader:
    """Reads one turn of a model that is to end in a structured answer.

    The first answer counts. Beside calls of other tools that came before it an answer by tool is
    none: they are run first. Calls that come after the answer are left out.

    Args:
        tool: The name of the tool whose arguments are the answer.
        opens: As for `AnswerText`.
    """

    def __init__(self, tool: str, opens: str = "{") -> None:
        self._tool = tool
        self._text = AnswerText(opens)
        self._answer: int | None = None  # which call it is
        self._calls = False
        self._opaque: list[Delta] = []

    def feed(self, deltas: Sequence[Delta]) -> list[Delta]:
        """The next deltas."""
        read: list[Delta] = []
        for delta in deltas:
            if type(delta) is TextDelta:
                read += self._released(self._text.feed(delta.content))
            elif type(delta) is ToolCallDelta:
                read += self._call(delta)
            elif type(delta) is OpaqueDelta:
                # What a provider signs belongs to what follows: with an answer by tool it goes.
                self._opaque.append(delta)
            elif isinstance(delta, Finish | Failure):
                read += [*self.close(), delta]
            else:
                read.append(delta)
        return read

    def close(self) -> list[Delta]:
        """What was held back."""
        self._text.break_off()
        return self._released(())

    def _released(self, deltas: Iterable[Delta]) -> list[Delta]:
        held, self._opaque = self._opaque, []
        return [*held, *deltas]

    def _call(self, delta: ToolCallDelta) -> list[Delta]:
        if self._answer is not None:
            return self._piece(delta)
        if delta.name != self._tool:
            self._calls = True
            self._text.break_off()
            return self._released([delta])
        if self._calls or self._text.found:
            return []
        self._answer, self._text.found = delta.index, True
        self._text.break_off()
        self._opaque.clear()
        return self._piece(delta)

    def _piece(self, delta: ToolCallDelta) -> list[Delta]:
        if delta.index == self._answer and delta.arguments:
            return [TextDelta(delta.arguments)]
        return []
