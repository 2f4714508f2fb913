"""A very small terminal: enough of ECMA-48 to see what rich leaves on a screen."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


class LittleTerminal:
    """Understands CR, LF, cursor up, erase line, SGR and showing the cursor; nothing else.

    Attributes:
        lines: What stands on the screen and in the scroll-back, without styles.
        deepest: The most lines that a cursor movement went up.
    """

    def __init__(self, height: int = 24) -> None:
        self.height = height
        self.lines = [""]
        self.row = 0
        self.column = 0
        self.deepest = 0
        self.cursor_shown = True

    def feed(self, data: str) -> None:
        at = 0
        while at < len(data):
            match = _TOKEN.match(data, at)
            assert match, f"not understood: {data[at : at + 20]!r}"
            at = match.end()
            self._do(match)

    def _do(self, match: re.Match[str]) -> None:
        parameters, final, move, text = match.groups()
        if text:
            line = self.lines[self.row].ljust(self.column)
            after = self.column + len(text)
            self.lines[self.row] = line[: self.column] + text + line[after:]
            self.column = after
        elif move == "\r":
            self.column = 0
        elif move == "\n":
            self.row, self.column = self.row + 1, 0
            if self.row == len(self.lines):
                self.lines.append("")
        elif final == "A":
            up = int(parameters or 1)
            # A real terminal stops at its top edge and everything after it would be wrong.
            assert self.row - up >= max(0, len(self.lines) - self.height)
            self.row -= up
            self.deepest = max(self.deepest, len(self.lines) - self.row)
        elif final == "K":
            assert parameters == "2"
            self.lines[self.row] = ""
        elif final in "hl":
            assert parameters == "?25"
            self.cursor_shown = final == "h"
        else:
            assert final == "m", match[0]

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines).rstrip("\n") + "\n"
