"""Each promise has a test that is named after it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

HERE = Path(__file__).parent

ROWS = {
    "S0": [*range(1, 10), 14, 15],
    "S1": [*range(1, 21)],
    "S2": [*range(1, 21)],
    "S3": [*range(1, 19)],
    "S4": [*range(1, 25)],
}
"""The promises that are kept so far, by the system whose users know them."""

_NAME = re.compile(r"^(?:async )?def (test_(S\d)_(\d+)_\w+)\(", re.MULTILINE)


def named(sources: Iterable[str]) -> dict[tuple[str, int], list[str]]:
    """The tests that are named after each row."""
    tests: dict[tuple[str, int], list[str]] = {}
    for source in sources:
        for name, system, row in _NAME.findall(source):
            tests.setdefault((system, int(row)), []).append(name)
    return tests


def missing(tests: dict[tuple[str, int], list[str]]) -> list[str]:
    """The rows without a test."""
    rows = [(system, row) for system, kept in ROWS.items() for row in kept]
    return [f"{system}.{row}" for system, row in rows if (system, row) not in tests]


def test_every_row_has_its_test() -> None:
    tests = named(path.read_text("utf-8") for path in HERE.glob("test_S*.py"))
    assert missing(tests) == []
    assert [names for (system, row), names in tests.items() if row not in ROWS[system]] == []


@pytest.mark.parametrize("system", ROWS)
def test_a_systems_tests_stand_in_its_files(system: str) -> None:
    files = [HERE / f"test_{system}.py", *HERE.glob(f"test_{system}_*.py")]
    tests = named(path.read_text("utf-8") for path in files)
    assert {row for _, row in tests} == set(ROWS[system])
    assert {found for found, _ in tests} == {system}


def test_a_row_without_a_test_is_found() -> None:
    whole = [f"def test_{s}_{row}_x() -> None:\n" for s, rows in ROWS.items() for row in rows]
    assert missing(named(whole)) == []
    assert missing(named(line for line in whole if "_S1_1_" not in line)) == ["S1.1"]
    commented = [line.replace("def test_S4_20_", "# def test_S4_20_") for line in whole]
    assert missing(named(commented)) == ["S4.20"]
