"""Headrace, three ways: ``adapter``, ``events`` and ``run_stream``, named on the command line."""

from __future__ import annotations

import sys

from bench import client
from headrace import Agent
from headrace.events import Token
from headrace.models.deltas import TextDelta
from headrace.models.request import ModelRequest
from headrace.providers.table import resolve_model


class Ours(client.Program):
    """Headrace's model and an agent over it, with every default as it is."""

    async def open(self, base_url: str) -> None:
        name = f"openai:{client.MODEL}"
        self.model = resolve_model(name, base_url=base_url, api_key="test")
        self.agent = Agent(name="bench", model=self.model)


class Adapter(Ours):
    """The provider alone: batches of deltas from a socket."""

    async def watch(self, seen: client.Seen) -> None:
        async with self.model.stream(ModelRequest.of(client.PROMPT)) as batches:
            async for batch in batches:
                for delta in batch:
                    if type(delta) is TextDelta:
                        seen(delta.content)

    async def drain(self) -> int:
        chars = 0
        async with self.model.stream(ModelRequest.of(client.PROMPT)) as batches:
            async for batch in batches:
                for delta in batch:
                    if type(delta) is TextDelta:
                        chars += len(delta.content)
        return chars


class Events(Ours):
    """A run's typed events."""

    async def watch(self, seen: client.Seen) -> None:
        async with self.agent.start(client.PROMPT) as run:
            async for event in run.events():
                if type(event) is Token:
                    seen(event.content)

    async def drain(self) -> int:
        chars = 0
        async with self.agent.start(client.PROMPT) as run:
            async for event in run.events():
                if type(event) is Token:
                    chars += len(event.content)
        return chars


class RunStream(Ours):
    """The stream of chunks that most callers use."""

    async def watch(self, seen: client.Seen) -> None:
        async for chunk in self.agent.run_stream(client.PROMPT):
            if chunk.content:
                seen(chunk.content)

    async def drain(self) -> int:
        chars = 0
        async for chunk in self.agent.run_stream(client.PROMPT):
            chars += len(chunk.content)
        return chars


if __name__ == "__main__":
    ways = {"adapter": Adapter, "events": Events, "run_stream": RunStream}
    client.serve_task(ways[sys.argv[1]]())
