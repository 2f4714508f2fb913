"""The README's chart of speed, drawn from the table that the benchmarks have written. Pure.

``python -m tests.docs.speed_chart`` prints it.
"""

from __future__ import annotations

import re

from tests.docs.pages import ROOT

OURS = "headrace run_stream"
WIDTH = 40
"""Characters of the longest bar."""

_ROW = re.compile(r"^\| (?P<name>[\w .-]+?) +\| +(?P<cost>[0-9.]+) \| +[0-9.]+ \|$", re.MULTILINE)
_LINE = re.compile(r"^(?P<name>\S+) +(?P<bar>[█▏]+) (?P<cost>[0-9]+)$", re.MULTILINE)


def measured(page: str) -> dict[str, float]:
    """CPU time for a chunk, µs, as the page of benchmarks has it: Headrace and other libraries."""
    section = page.partition("\n## Flat out\n")[2].partition("\n## ")[0]
    costs = {row["name"]: float(row["cost"]) for row in _ROW.finditer(section)}
    peers = [name for name in costs if name not in ("floor", "aiohttp")]
    return {
        "headrace" if name == OURS else name: costs[name]
        for name in peers
        if name == OURS or not name.startswith("headrace")
    }


def chart(costs: dict[str, float]) -> str:
    """A line for each library: its name, a bar and whole microseconds."""
    longest = max(costs.values())
    lines = []
    for name, cost in costs.items():
        bar = "█" * round(WIDTH * cost / longest) or "▏"
        lines.append(f"{name:<14} {bar} {cost:.0f}")
    return "\n".join(lines)


def told(readme: str) -> dict[str, float]:
    """What a page's chart says."""
    return {line["name"]: float(line["cost"]) for line in _LINE.finditer(readme)}


if __name__ == "__main__":
    print(chart(measured((ROOT / "docs" / "benchmarks.md").read_text("utf-8"))))
