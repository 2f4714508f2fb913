"""The demo model: offline, without a key, at the pace of a real one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from itertools import accumulate
from math import inf, isnan
from typing import Any
from zlib import crc32

from headrace.errors import UsageError
from headrace.models.deltas import CONTENT, Delta
from headrace.models.model import BaseModel
from headrace.models.request import ModelRequest
from headrace.providers.demo.library import Library, documentation
from headrace.providers.demo.reply import reply

PACE = 60.0
"""Pieces a second at speed 1, on average."""

FIRST = 0.35
"""Seconds before the first piece at speed 1."""

_AT_ONCE = 64


class DemoModel(BaseModel):
    """Headrace's embedded model: rules, no LLM; the same conversation gets the same answer.

    Args:
        model: A name for it; there is one model, whatever it is called.
        speed: 1.0 is about 60 pieces a second; 0 and infinity stream without waiting. By default
            what the environment's ``HEADRACE_SPEED`` says, else 1.0.
        library: What it knows; Headrace's documentation by default.
        options: As for `BaseModel`.

    Raises:
        UsageError: for a speed that is negative or no number.
    """

    features = frozenset({"tools", "tool_choice"})

    def __init__(
        self,
        model: str = "demo",
        *,
        speed: float | None = None,
        library: Library | None = None,
        **options: Any,
    ) -> None:
        super().__init__("demo", model, **options)
        self.speed = _speed() if speed is None else speed
        if self.speed < 0 or isnan(self.speed):
            raise UsageError(f"The demo's speed is 0 or more, not {self.speed}.")
        self._library = library

    async def open(self, request: ModelRequest) -> DemoAttempt:
        """Decide the whole answer; never fails."""
        deltas = reply(request, self._library or documentation())
        return DemoAttempt(deltas, schedule(deltas, self.speed))


def _speed() -> float:
    value = os.environ.get("HEADRACE_SPEED", "").strip() or "1"
    try:
        return float(value)
    except ValueError:
        raise UsageError(f"HEADRACE_SPEED is a number, not {value!r}.") from None


class DemoAttempt:
    """One answer on its way: each delta comes when it is due."""

    def __init__(self, deltas: Sequence[Delta], due: Sequence[float] | None) -> None:
        self._deltas = deltas
        self._due = due
        self._next = 0
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()

    async def read(self) -> list[Delta]:
        """The deltas that are due, after waiting for the first of them."""
        start = self._next
        if self._due is None:
            await asyncio.sleep(0)
            self._next = start + _AT_ONCE
        elif start < len(self._due):
            await asyncio.sleep(self._start + self._due[start] - self._loop.time())
            passed = self._loop.time() - self._start
            self._next += 1
            while self._next < len(self._due) and self._due[self._next] <= passed:
                self._next += 1
        return list(self._deltas[start : self._next])

    async def close(self) -> None:
        """Nothing more comes."""
        self._next = len(self._deltas)


def schedule(deltas: Sequence[Delta], speed: float) -> list[float] | None:
    """When each delta is due, in seconds from the start; None for all at once.

    The gaps vary as those of a real model do, but always in the same way.
    """
    if speed == 0 or speed == inf:
        return None
    gaps = (_gap(i, delta) / speed for i, delta in enumerate(deltas))
    return list(accumulate(gaps))


def _gap(i: int, delta: Delta) -> float:
    if i == 0:
        return FIRST
    if not isinstance(delta, CONTENT):
        return 0.0
    varied = crc32(i.to_bytes(4, "big")) % 1000 / 1000
    return (0.4 + 1.2 * varied) / PACE
