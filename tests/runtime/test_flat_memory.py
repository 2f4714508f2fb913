"""Thousands of short runs in one process: tasks, threads, files and memory stay as they are."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from headrace.runs.stores.memory import MemoryStore
from headrace.runs.stores.sqlite import SQLiteStore
from tests.chaos.flat import Sample, growth, samples_of

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="counts open files in /proc"),
]


async def test_ten_thousand_runs_in_memory_leave_nothing() -> None:
    # Full after the first few hundred runs: from then on the oldest make room.
    store = MemoryStore(max_bytes=512 * 1024)
    first, last = await samples_of(store, 10_000)
    assert growth(first, last, 9_000) == []


async def test_two_thousand_runs_in_a_file_leave_nothing(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "runs.db") as store:
        first, last = await samples_of(store, 2_000)
    assert growth(first, last, 1_000) == []


def test_what_grows_is_seen() -> None:
    before = Sample(4, 3, 20, 1_000_000)
    assert growth(before, before, 1000) == []
    assert growth(before, Sample(4, 3, 20, 1_130_000), 1000) == []
    after = Sample(5, 4, 21, 1_200_000)
    assert [line.split(":")[0] for line in growth(before, after, 1000)] == [
        "tasks",
        "threads",
        "open files",
        "memory",
    ]
