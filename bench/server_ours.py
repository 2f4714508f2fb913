"""Headrace's server, as ``headrace serve`` runs it, with the store that the command line names.

What a run does stands in the message that starts it: ``paced`` (an event every 1/rate of a
second), ``flat N`` (once the gate is open, so many events, N to a read), ``idle`` (one, and
silence). The agent ``relay`` asks a provider.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile

from bench.client import MODEL, pin
from bench.server_control import TASK, serve
from headrace import Agent
from headrace.models.deltas import Delta, Finish, TextDelta
from headrace.models.model import BaseModel
from headrace.models.request import ModelRequest
from headrace.providers.table import resolve_model
from headrace.server import app
from headrace.server.serving import Program, log_to

WORD = " word"
MANY = 100_000  # runs; no limit of a user's is what is measured


class Script(BaseModel):
    """Does what the message says."""

    def __init__(self, gate: asyncio.Event) -> None:
        super().__init__("bench", "script")
        self.gate = gate

    async def open(self, request: ModelRequest) -> Paced | Flat | Idle:
        name, _, batch = request.messages[-1].text.partition(" ")
        if name == "flat":
            return Flat(self.gate, TASK["events"], int(batch))
        return Paced() if name == "paced" else Idle()


class Attempt:
    async def close(self) -> None:
        """Nothing is open."""


class Paced(Attempt):
    def __init__(self) -> None:
        self._due = asyncio.get_running_loop().time()

    async def read(self) -> list[Delta]:
        self._due += 1 / TASK["rate"]
        await asyncio.sleep(self._due - asyncio.get_running_loop().time())
        return [TextDelta(WORD)]


class Flat(Attempt):
    def __init__(self, gate: asyncio.Event, events: int, batch: int) -> None:
        self._gate = gate
        self._batch: list[Delta] = [TextDelta(WORD)] * batch
        self._left = events // batch

    async def read(self) -> list[Delta]:
        await self._gate.wait()
        await asyncio.sleep(0)  # others have their turn, as while a socket is read
        self._left -= 1
        return self._batch if self._left >= 0 else [Finish("stop", "stop")]


class Idle(Attempt):
    def __init__(self) -> None:
        self._said = False

    async def read(self) -> list[Delta]:
        if self._said:
            await asyncio.Event().wait()
        self._said = True
        return [TextDelta(WORD)]


async def main(store: str) -> None:
    gate = asyncio.Event()
    relay = resolve_model(f"openai:{MODEL}", base_url=TASK["upstream"], api_key="test")
    agents = [Agent("bench", Script(gate)), Agent("relay", relay)]
    headrace_app = app(agents, store=store, live_runs=MANY, new_runs=MANY)
    log_to()
    await serve(Program(headrace_app), gate)


if __name__ == "__main__":
    pin(1)
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        asyncio.run(main(sys.argv[1].replace("FOLDER", folder)))
