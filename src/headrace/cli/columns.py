"""A table in plain columns."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from shutil import get_terminal_size

_LEAST = 8
"""Characters of the last column that are worth their place."""


def print_columns(
    headings: Sequence[str], rows: Sequence[Sequence[str]], spare: Sequence[str] = ()
) -> None:
    """Print a table on standard output; no cell can steer the terminal, or break its line.

    In a terminal that is too narrow the columns of these headings are left out, the first ones
    first, as far as it takes; then the last column is cut. What is left out is told on standard
    error.
    """
    from headrace.frontends.escapes import one_line

    table = [list(headings), *([one_line(cell) for cell in row] for row in rows)]
    left_out: list[str] = []
    if sys.stdout.isatty():
        table, left_out = fitted(table, get_terminal_size().columns, spare)
    widths = _widths(table)
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    if left_out:
        names = ", ".join(left_out)
        print(f"Not shown in so narrow a terminal, but with --json: {names}.", file=sys.stderr)


def fitted(
    table: list[list[str]], width: int, spare: Sequence[str] = ()
) -> tuple[list[list[str]], list[str]]:
    """The table in so many characters, and the headings of the columns that are gone. Pure."""
    left_out: list[str] = []
    for heading in spare:
        if _width(table) > width:
            at = table[0].index(heading)
            table = [row[:at] + row[at + 1 :] for row in table]
            left_out.append(heading)
    most = _widths(table)[-1] - (_width(table) - width)
    if _LEAST <= most < _widths(table)[-1]:
        table = [[*row[:-1], _cut(row[-1], most)] for row in table]
    return table, left_out


def _widths(table: list[list[str]]) -> list[int]:
    return [max(len(cell) for cell in column) for column in zip(*table, strict=True)]


def _width(table: list[list[str]]) -> int:
    widths = _widths(table)
    return sum(widths) + 2 * (len(widths) - 1)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def span(seconds: float) -> str:
    """A length of time in its largest unit: ``0.4 s``, ``12 s``, ``3 min``, ``5 h``, ``2 d``."""
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f} s"
    for unit, size, most in (("s", 1, 120), ("min", 60, 120), ("h", 3600, 48)):
        if seconds < most * size:
            return f"{int(seconds / size)} {unit}"
    return f"{int(seconds / 86_400)} d"
