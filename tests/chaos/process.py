"""The worker as a process: begun, listened to, killed."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

from tests.chaos.files import ERRORS

ROOT = Path(__file__).parents[2]


class Worker:
    """One life of the worker.

    Args:
        process: It.
        on_accepted: Told the key and the id of each run that was accepted.
    """

    def __init__(
        self, process: asyncio.subprocess.Process, on_accepted: Callable[[str, str], None]
    ) -> None:
        self._process = process
        self._on_accepted = on_accepted
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def begin(
        cls, folder: Path, seed: int, runs: int, on_accepted: Callable[[str, str], None]
    ) -> Worker:
        """Start it on the folder's database."""
        with (folder / ERRORS).open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.chaos.worker", str(folder), str(seed), str(runs)),
                cwd=ROOT,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
            )
        return cls(process, on_accepted)

    async def ended(self) -> int:
        """Wait for its end, and for its last words; gives its exit code."""
        await asyncio.shield(self._listening)  # who stops waiting does not stop it
        return await self._process.wait()

    async def kill(self) -> bool:
        """SIGKILL; whether it lived still."""
        lived = self._process.returncode is None
        if lived:
            self._process.kill()
        code = await self.ended()
        return lived and code == -9

    async def _listen(self) -> None:
        output = self._process.stdout
        if output is None:
            return
        async for line in output:
            if line.endswith(b"\n"):  # cut off in the middle, it has told nothing
                said = json.loads(line)
                self._on_accepted(said["key"], said["run"])
