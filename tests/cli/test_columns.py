"""Tables, and what becomes of them in a narrow terminal."""

from __future__ import annotations

import pexpect
import pytest

from headrace.cli.columns import fitted
from tests.cli.shell import COMMAND, before, environment, unstyled

TABLE = [["RUN", "MODEL", "TITLE"], ["run_1", "demo:demo", "What is 2+2, please?"]]


def widest(table: list[list[str]]) -> int:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return sum(widths) + 2 * (len(widths) - 1)


@pytest.mark.parametrize(
    ("width", "left_out", "last"),
    [
        (38, [], "What is 2+2, please?"),
        (37, ["MODEL"], "What is 2+2, please?"),
        (27, ["MODEL"], "What is 2+2, please?"),
        (26, ["MODEL"], "What is 2+2, pleas…"),
        (15, ["MODEL"], "What is…"),
    ],
)
def test_a_table_is_made_to_fit(width: int, left_out: list[str], last: str) -> None:
    table, gone = fitted(TABLE, width, spare=["MODEL"])
    assert gone == left_out
    assert table[1][-1] == last
    assert widest(table) <= width


def test_less_than_the_least_is_not_worth_cutting() -> None:
    assert fitted(TABLE, 3, spare=["MODEL", "TITLE"]) == (
        [["RUN"], ["run_1"]],
        ["MODEL", "TITLE"],
    )
    assert fitted([["A"], ["four"]], 3) == ([["A"], ["four"]], [])


@pytest.mark.parametrize(("width", "shown"), [(80, False), (200, True)])
def test_the_models_fit_into_a_terminal(width: int, shown: bool) -> None:
    child = pexpect.spawn(
        COMMAND[0],
        [*COMMAND[1:], "models"],
        env=environment(),
        encoding="utf-8",
        timeout=20,
        dimensions=(40, width),
    )
    child.expect(pexpect.EOF)
    text = unstyled(before(child))
    child.close()
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert ("ADDRESS" in lines[0]) == shown
    assert ("Not shown in so narrow a terminal, but with --json: ADDRESS" in text) != shown
