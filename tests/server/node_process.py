"""A Node program that is led from a test: a call in one line, what came of it in the next."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.node import HOME, node

PATIENCE = 60.0
"""Seconds that one call may take."""


class NodeProcess:
    """A program of `tests/node` on `every_led.mjs`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()

    async def __call__(self, call: str, **args: object) -> Any:
        """What a call gave.

        Raises:
            AssertionError: it failed there; with the words and the place.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._turn, asyncio.timeout(PATIENCE):
            line = json.dumps({"call": call, "args": args}).encode() + b"\n"
            self._process.stdin.write(line)
            answer = await self._process.stdout.readline()
        assert answer, f"The program has ended before {call}; its words are on stderr."
        told = json.loads(answer)
        assert "error" not in told, told["error"]
        return told["value"]


@asynccontextmanager
async def node_process(script: str) -> AsyncGenerator[NodeProcess]:
    """Run a script of `tests/node` for as long as the block lasts."""
    process = await asyncio.create_subprocess_exec(
        node(),
        str(HOME / script),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
        env={**os.environ, "NODE_OPTIONS": ""},
    )
    assert process.stdin is not None
    try:
        yield NodeProcess(process)
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(PATIENCE):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
