"""What tools leave behind: a line a run of a tool, in a file that outlives its process."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from random import Random


class Effects:
    """Lines ``tool call_id``; a killed process loses none that it has written.

    Args:
        path: The file.
        pace: Seconds that a tool takes after its effect, on average.
    """

    def __init__(self, path: Path, pace: float = 0.0) -> None:
        self._path = path
        self._pace = pace
        self._random = Random()  # noqa: S311
        path.touch()

    def add(self, tool: str, call_id: str) -> None:
        """A tool does its work."""
        # The break comes first: a kill may tear a write where a page of the file ends.
        append(self._path, f"\n{tool} {call_id} ".encode())

    def pace(self) -> float:
        """How long this call takes."""
        return self._pace and self._random.uniform(0, 2 * self._pace)

    def count(self) -> Counter[str]:
        """How often each call has done its work, by its id."""
        lines = [line.split(" ") for line in self._path.read_text("utf-8").splitlines()]
        return Counter(words[1] for words in lines if len(words) == 3)


def append(path: Path, line: bytes) -> None:
    """Add to a file what several processes write to, in one write."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line)
    finally:
        os.close(file)
