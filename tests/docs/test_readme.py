"""What the README claims is what stands behind it."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT
from tests.docs.speed_chart import chart, measured, told

README = (ROOT / "README.md").read_text("utf-8")
BENCHMARKS = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
APART = 1.25
"""How far the chart may be from the last measurement, as a ratio: they never come out alike."""


def stale(says: dict[str, float], measured: dict[str, float]) -> list[str]:
    """Whose cost the chart tells wrong, or not at all."""
    return [
        name
        for name in {**says, **measured}
        if not 1 / APART <= says.get(name, 0) / measured.get(name, 1e9) <= APART
    ]


def test_the_chart_of_speed_is_what_was_measured() -> None:
    assert len(told(README)) >= 6
    right = chart(measured(BENCHMARKS))
    assert stale(told(README), measured(BENCHMARKS)) == [], f"Put this into README.md:\n{right}"


def test_the_floor_is_the_one_of_the_chart() -> None:
    (floor,) = re.findall(r"^\| floor +\| +([0-9.]+) \| +1\.0 \|$", BENCHMARKS, re.MULTILINE)
    assert f"{float(floor):.0f}" in re.findall(r"which is the floor, takes (\d+)", README)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("openai         ████ 132", "openai         █ 13"),
        ("headrace       ▏ 3", "headrace       ▏ 1"),
        ("litellm        ███ 386", ""),
    ],
)
def test_a_chart_that_is_wrong_is_found(line: str, wrong: str) -> None:
    name = line.split()[0]
    right = {"openai": 132.0, "headrace": 3.0, "litellm": 386.0}
    text = "\n".join(f"{n:<14} █ {cost:.0f}" for n, cost in right.items() if n != name)
    assert stale(told(f"{text}\n{line}"), right) == []
    assert stale(told(f"{text}\n{wrong}"), right) == [name]


def test_the_first_screen_tells_what_it_is_and_shows_it() -> None:
    first = README[: README.index("## Install it")]
    assert "pip install" in README[: README.index("## How fast it is")]
    assert "run_stream" in first
    (picture,) = re.findall(r"!\[\S.{20,}\]\((\S+\.png)\)", first)  # with words for who cannot see
    assert (ROOT / picture).is_file()
