"""Splits growing Markdown into blocks that are finished and one that is still open. Pure.

A block that is finished can be rendered once and left alone. The splitter knows just enough
Markdown to find the ends of blocks (CommonMark 0.31 §3 to §5): a blank line ends most of them, a
fence lasts until it is closed, a list goes on over blank lines while items or indented lines
follow. It never loses or changes a character: all blocks joined, and the open one, are the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_BLOCK = 8 * 1024
"""Characters in a block: an endless code block is given out in pieces of this size."""

_FENCE = re.compile(r"([ \t]*)(`{3,}(?=[^`]*$)|~{3,})([^\n]*)")
_ITEM = re.compile(r" {0,3}(?:[-*+]|\d{1,9}[.)])(?:[ \t]|$)")
_INTERRUPTS = re.compile(r" {0,3}(?:[-*+]|1[.)])[ \t]+[^ \t\r\n]")
_MAYBE_ITEM = re.compile(r" {0,3}(?:[-*+]|\d{1,9}[.)]?)?\r?$")
_HEADING = re.compile(r" {0,3}#{1,6}(?:[ \t]|$)")


@dataclass(frozen=True)
class Block:
    """A piece of Markdown that stands by itself.

    Attributes:
        text: The characters, line ends included.
        fence: The line that opened the code fence which this piece goes on with, or ``""``.
    """

    text: str
    fence: str = ""

    @property
    def markdown(self) -> str:
        """What to render: the text, inside its fence."""
        return self.fence + self.text


class BlockSplitter:
    """Takes text as it comes, gives out the blocks that are finished.

    Where blocks end never depends on how the text was cut into pieces.
    """

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._lines: list[str] = []
        self._chars = 0
        self._rest: list[str] = []  # pieces of a line that has not ended
        self._rest_chars = 0
        self._fence = ""  # the line that opened the fence we are in, without its indent
        self._mark = ""  # its backticks or tildes
        self._continues = ""  # as `Block.fence`, for the open block
        self._list = False
        self._blank = False  # a list that has met a blank line

    @property
    def open(self) -> Block:
        """The block that is not finished."""
        return Block("".join(self._lines) + "".join(self._rest), self._continues)

    def tail(self, lines: int) -> Block:
        """The end of the open block: of a code block that is longer, the last lines only."""
        if not self._mark or self._list or len(self._lines) <= lines:
            return self.open
        return Block("".join(self._lines[-lines:]) + "".join(self._rest), self._fence)

    def feed(self, text: str) -> list[Block]:
        """Take more text; gives the blocks that it finished, in order."""
        done: list[Block] = []
        *ended, rest = text.split("\n")
        for line in ended:
            self._add(line)
            self._split_rest(done)
            self._end_line(done)
        self._add(rest)
        self._split_rest(done)
        self._end_list_early(done)
        return done

    def close(self) -> list[Block]:
        """The text has ended: gives what was open, if anything."""
        done: list[Block] = []
        if self._rest:
            self._take("".join(self._rest), done)
        self._commit(done)
        self._start()
        return done

    def _add(self, piece: str) -> None:
        if piece:
            self._rest.append(piece)
            self._rest_chars += len(piece)

    def _split_rest(self, done: list[Block]) -> None:
        """A line longer than a block is cut, and each piece taken for a line."""
        while self._rest_chars >= MAX_BLOCK:
            whole = "".join(self._rest)
            self._rest, self._rest_chars = [], 0
            self._take(whole[:MAX_BLOCK], done)
            self._add(whole[MAX_BLOCK:])

    def _end_line(self, done: list[Block]) -> None:
        line = "".join(self._rest) + "\n"
        self._rest, self._rest_chars = [], 0
        self._take(line, done)

    def _end_list_early(self, done: list[Block]) -> None:
        """A long paragraph after a list need not end before the list is done."""
        if self._list and self._blank and self._rest_chars and not self._mark:
            start = "".join(self._rest[:16])
            if not _continues_list(start) and not _MAYBE_ITEM.match(start):
                self._commit(done)

    def _take(self, line: str, done: list[Block]) -> None:
        if self._chars and self._chars + len(line) > MAX_BLOCK:
            self._commit(done)
        if self._mark:
            self._in_fence(line, done)
        elif not line.strip(" \t\r\n"):
            self._after_blank(line, done)
        elif self._list and (not self._blank or _continues_list(line)):
            self._push(line)
            self._blank = False
            self._open_fence(line, in_list=True)
        else:
            self._start_or_go_on(line, done)

    def _in_fence(self, line: str, done: list[Block]) -> None:
        self._push(line)
        mark = line.strip()
        if mark.startswith(self._mark) and not mark.strip(self._mark[0]):
            self._mark = self._fence = ""
            if not self._list:
                self._commit(done)

    def _after_blank(self, line: str, done: list[Block]) -> None:
        self._push(line)
        if self._list:
            self._blank = True
        else:
            self._commit(done)

    def _start_or_go_on(self, line: str, done: list[Block]) -> None:
        """A line outside fences and lists: does it begin a block of its own?"""
        if self._list or any(start.match(line) for start in (_HEADING, _FENCE, _INTERRUPTS)):
            self._commit(done)
        self._list = not self._lines and _ITEM.match(line) is not None
        self._push(line)
        if _HEADING.match(line):
            self._commit(done)
        elif not self._list:
            self._open_fence(line, in_list=False)

    def _open_fence(self, line: str, *, in_list: bool) -> None:
        match = _FENCE.match(line)
        if match and (in_list or len(match[1].expandtabs(4)) < 4):
            self._fence, self._mark = f"{match[2]}{match[3][:64]}\n", match[2]

    def _push(self, line: str) -> None:
        self._lines.append(line)
        self._chars += len(line)

    def _commit(self, done: list[Block]) -> None:
        if self._lines:
            done.append(Block("".join(self._lines), self._continues))
        self._lines, self._chars = [], 0
        self._list = self._list and bool(self._mark)
        self._blank = False
        self._continues = self._fence


def _continues_list(line: str) -> bool:
    """After a blank line: is this still the list?"""
    return line[:1] in (" ", "\t") or _ITEM.match(line) is not None
