"""A measured process and the one that measures: a line of JSON there, a line of JSON back.

The child answers commands on its standard input until that is closed, and then ends. Standard
library only: the peers' environments have this too.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from bench.client import resident_mib

if TYPE_CHECKING:
    import uvicorn

Command = Callable[[dict[str, Any]], Awaitable[Mapping[str, object]]]
SLOWEST = 120.0  # seconds that an answer may take

TASK: dict[str, Any] = json.loads(sys.argv[-1]) if sys.argv[-1].startswith("{") else {}
"""What the command line says, in a child."""


async def obey(commands: Mapping[str, Command], ready: Mapping[str, object]) -> None:
    """Say that this process is `ready`, and do what it is told until no one tells it any more."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print(json.dumps(ready), flush=True)
    while line := await lines.readline():
        asked = json.loads(line)
        print(json.dumps(await commands[asked["do"]](asked)), flush=True)
    os._exit(0)  # hundreds of connections are still open, and no one waits for their ends


def waited() -> float:
    """Seconds that this thread was ready to run and its core was not free; 0.0 where unknown."""
    try:
        with open("/proc/self/schedstat", encoding="ascii") as told:
            return int(told.read().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


async def serve(program: uvicorn.Server, gate: asyncio.Event) -> None:
    """Serve on a free port. ``stats`` tells CPU and memory; ``go`` opens the gate before that."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    serving = asyncio.create_task(program.serve(sockets=[listening]))
    while not program.started:
        if serving.done():
            serving.result()
        await asyncio.sleep(0.005)

    async def stats(asked: dict[str, Any]) -> Mapping[str, float]:
        if asked.get("collect"):
            gc.collect()
        return {
            "cpu": time.process_time(),
            "at": time.monotonic(),
            "waited": waited(),
            "kib": resident_mib() * 1024,
        }

    async def go(asked: dict[str, Any]) -> Mapping[str, float]:
        gate.set()
        return await stats(asked)

    await obey({"stats": stats, "go": go}, {"port": listening.getsockname()[1]})


class ChildFailed(Exception):
    """A child did not answer; says its last words."""


class Child:
    """A process that obeys.

    Args:
        command: How it is started.
        directory: Where.
        variables: Its environment.

    Attributes:
        ready: What it said when it was.
    """

    def __init__(self, command: list[str], directory: str, variables: Mapping[str, str]) -> None:
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            command,
            cwd=directory,
            env=dict(variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def __enter__(self) -> Child:
        try:
            self.ready = self._answer()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def ask(self, do: str, **more: object) -> dict[str, Any]:
        """Its answer to a command.

        Raises:
            ChildFailed: it ended, or took too long.
        """
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        output = self._process.stdout
        assert output
        ready, _, _ = select.select([output], [], [], SLOWEST)
        line = output.readline() if ready else ""
        if not line:
            raise ChildFailed(self._last_words() or f"no answer in {SLOWEST:.0f} s")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return lines[-1][:300] if lines else ""

    def _end(self) -> None:
        self._process.kill()
        with self._process:
            pass  # closes its pipes and waits
        self._errors.close()
