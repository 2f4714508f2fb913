"""The dashboard's pure parts, called in Node: `[name, *arguments]` each, all in one process."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from headrace.events import Event
from tests.support.node import run_node

Call = Sequence[object]


async def called(calls: Iterable[Call]) -> list[Any]:
    """What each of them gives."""
    lines = [json.dumps(list(call)).encode() for call in calls]
    out = await run_node("dashboard_parts.mjs", stdin=b"\n".join(lines))
    return [json.loads(line) for line in out.split("\n")[:-1]]


async def call(*one: object) -> Any:
    """What a single call gives."""
    (given,) = await called([one])
    return given


def told(events: Iterable[Event]) -> Any:
    """A log as the page gets it."""
    return [json.loads(msgspec.json.encode(event)) for event in events]
