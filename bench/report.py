"""The tables, for the terminal and for ``docs/benchmarks.md``."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence

from bench.environments import versions
from bench.rows import Row
from bench.sections import Check, Section

INTRODUCTION = """\
# Benchmarks

Written by `make bench`; do not edit by hand. Times are CPU time of the client's process, and what
counts is the ratio to the *floor*: a raw asyncio socket and a typed decode (msgspec) of the same
bytes, measured in the same rounds. Absolute figures depend on the machine and on what else it is
doing. A replay server in a process of its own sends pre-rendered chat.completions streams over
loopback, one HTTP chunk for each event; server and client are kept on different cores where the
system can do that. The programs take turns, and figures are medians over the rounds ({rounds}).
Of the server it is the server's own CPU time that is measured, beside a floor of its own.

"""
REPRODUCE = """\
## How to reproduce

`make bench` (or `python -m bench.run` in the development environment) measures everything, and
installs each peer into an environment of its own under `.bench/` the first time. Remove a folder
there to get that peer's newest version. `python -m bench.run --quick` takes a minute, measures
Headrace alone and leaves this page as it is; `--only NAME`, `--sections` and `--no-peers` narrow
it. The programs are in `bench/`: `replay_server.py`, `floor.py`, `ours.py`, `peers/`, and for other
wires `wire_bodies.py`, `wire_floor.py`, `wire_adapter.py`; for the server `server.py` and
`server_*.py`; `store.py`, `viewers.py` and `telemetry.py` run by themselves, too.
"""


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns also line up in a terminal; figures to the right."""
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        parts = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return "| " + " | ".join(parts) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(header), line(rule), *map(line, lines)])


def section_text(section: Section) -> str:
    """A section's note, table and failures."""
    parts = [f"## {section.title}", section.note, table(section.header, section.lines)]
    if section.failures:
        parts.append("Failures:\n\n" + "\n".join(f"- {line}" for line in section.failures))
    return "\n\n".join(parts) + "\n\n"


def _cells(check: Check) -> list[str]:
    measured = "no figure" if check.measured is None else f"{check.measured:.2f} {check.unit}"
    verdict = "pass" if check.passed else "**FAIL**"
    return [check.what, f"≤ {check.limit:g} {check.unit}", measured, verdict]


def checks_text(sections: Sequence[Section]) -> str:
    """Every target with what was measured and whether it was met."""
    lines = [_cells(check) for section in sections for check in section.checks]
    if not lines:
        return ""
    return "## Targets\n\n" + table(["target", "limit", "measured", "result"], lines) + "\n\n"


def versions_text(programs: Sequence[Row]) -> str:
    """What was measured, on what."""
    lines = [
        [
            row.name,
            ", ".join(f"{n} {v}" for n, v in versions(row.python(), [*row.packages]).items()),
        ]
        for row in programs
        if row.packages
    ]
    machine = (
        f"{platform.python_implementation()} {platform.python_version()}, "
        f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores."
    )
    return f"## Versions\n\n{machine}\n\n" + table(["program", "packages"], lines) + "\n\n"


def page(sections: Sequence[Section], programs: Sequence[Row], rounds: int) -> str:
    """The whole of ``docs/benchmarks.md``."""
    body = "".join(map(section_text, sections))
    head = INTRODUCTION.format(rounds=rounds)
    return head + checks_text(sections) + body + versions_text(programs) + REPRODUCE
