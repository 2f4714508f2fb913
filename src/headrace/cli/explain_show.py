"""How an explanation looks: bars and words on a terminal, columns to a pipe, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from headrace.cli.columns import print_columns
from headrace.frontends.escapes import escape_json, one_line
from headrace.telemetry.explain_words import ALWAYS, LABELS, percent, took

if TYPE_CHECKING:
    from headrace.cli.explain import Told
    from headrace.telemetry.explain_timeline import Kind
    from headrace.telemetry.explained import Explanation

BAR = 30
"""Characters of a bar that is the whole run."""

_COLOURS: dict[Kind, str] = {
    "queue": "yellow",
    "waiting": "blue",
    "streaming": "green",
    "lost": "red",
    "tools": "magenta",
    "person": "yellow",
    "interrupted": "red",
    "store": "yellow",
    "headrace": "cyan",
}
_EIGHTHS = " ▏▎▍▌▋▊▉█"

_STEPS = ("STEP", "MODEL", "AT", "WAITED", "STREAMED", "LOST", "GAPS", "TOKENS", "END")
_TOOLS = ("TOOL", "CALLS", "FAILED", "TOOK", "LONGEST")


def as_json(told: Told) -> bytes:
    """All of it; lengths are whole microseconds."""
    import msgspec

    body = msgspec.structs.asdict(told.explanation) | {"words": told.words, "lag": told.lag}
    return escape_json(msgspec.json.format(msgspec.json.encode(body), indent=2))


def show(told: Told) -> None:
    """Print it on standard output."""
    if sys.stdout.isatty():
        _show_on_terminal(told)
        return
    print(title(told.explanation))
    print()
    parts = [row[1:] for row in part_rows(told.explanation)]
    print_columns(("TIME", "TOOK", "SHARE"), [*parts, in_all(told.explanation)])
    for headings, rows in _details(told.explanation):
        print()
        print_columns(headings, rows)
    print()
    for sentence in told.words:
        print(one_line(sentence, 1000))


def title(told: Explanation) -> str:
    """Which run it is, and how it stands."""
    end = told.status if told.reason in ("", "stop") else f"{told.status}: {told.reason}"
    parts = (told.run_id, f"{told.agent} on {told.model}", end, took(told.duration_us))
    return " · ".join(one_line(part) for part in parts)


def part_rows(told: Explanation) -> list[tuple[Kind, str, str, str]]:
    """Each part of the run's time: its kind, name, length and share."""
    whole = told.duration_us
    return [
        (kind, label, took(us) if us else "-", percent(us, whole))
        for kind, label in LABELS.items()
        if (us := told.parts[kind]) or kind in ALWAYS
    ]


def in_all(told: Explanation) -> tuple[str, str, str]:
    """The sum of the parts."""
    return "in all", took(told.duration_us), percent(told.duration_us, told.duration_us)


def bar(us: int, whole: int) -> str:
    """A share as blocks, to the eighth of a character; what is not nothing is seen."""
    if not us or not whole:
        return ""
    full, rest = divmod(max(1, round(8 * BAR * us / whole)), 8)
    return "█" * full + _EIGHTHS[rest].strip()


def _details(told: Explanation) -> Iterator[tuple[tuple[str, ...], list[tuple[str, ...]]]]:
    if told.steps:
        yield (
            _STEPS,
            [
                (
                    f"{step.agent} {step.step}".strip(),
                    step.model,
                    took(step.at_us),
                    _or_dash(step.waiting_us),
                    _or_dash(step.streaming_us),
                    _or_dash(step.lost_us),
                    str(step.gaps or "-"),
                    str(step.output or "-"),
                    "withdrawn" if step.withdrawn else step.finish_reason or "-",
                )
                for step in told.steps
            ],
        )
    if told.tools:
        yield (
            _TOOLS,
            [
                (
                    tool.name,
                    str(tool.calls),
                    str(tool.failed or "-"),
                    took(tool.us),
                    took(tool.longest_us),
                )
                for tool in told.tools
            ],
        )


def _or_dash(us: int) -> str:
    return took(us) if us else "-"


def _show_on_terminal(told: Told) -> None:
    from rich.table import Table
    from rich.text import Text

    from headrace.frontends.terminal import make_console

    console, explanation = make_console(), told.explanation
    console.print(Text(title(explanation), "bold"))
    console.line()
    grid = Table.grid(padding=(0, 2))
    for justify in ("left", "right", "right", "left"):
        grid.add_column(justify=justify, no_wrap=True)
    for kind, label, length, share in part_rows(explanation):
        block = bar(explanation.parts[kind], explanation.duration_us)
        grid.add_row(Text(label), Text(length), Text(share), Text(block, _COLOURS[kind]))
    grid.add_row(*(Text(cell, "bold") for cell in in_all(explanation)))
    console.print(grid)
    for headings, rows in _details(explanation):
        console.line()
        table = Table(*headings, box=None, padding=(0, 2, 0, 0), header_style="dim")
        for row in rows:
            table.add_row(*(Text(one_line(cell)) for cell in row))
        console.print(table)
    console.line()
    for sentence in told.words:
        console.print(Text(f"· {one_line(sentence, 1000)}"))
