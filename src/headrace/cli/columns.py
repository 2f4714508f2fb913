"""A table in plain columns."""

from __future__ import annotations

from collections.abc import Sequence


def print_columns(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on standard output; no cell can steer the terminal, or break its line."""
    from headrace.frontends.escapes import one_line

    table = [list(headings), *([one_line(cell) for cell in row] for row in rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def span(seconds: float) -> str:
    """A length of time in its largest unit: ``0.4 s``, ``12 s``, ``3 min``, ``5 h``, ``2 d``."""
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f} s"
    for unit, size, most in (("s", 1, 120), ("min", 60, 120), ("h", 3600, 48)):
        if seconds < most * size:
            return f"{int(seconds / size)} {unit}"
    return f"{int(seconds / 86_400)} d"
