"""What the tests of the promises share: a tool, a model that calls it, every view of an agent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from headrace import Agent, Channel, ModelRequest, Usage, tool
from headrace.events import Event
from headrace.models.deltas import Delta, Finish, TextDelta
from headrace.models.model import BaseModel
from headrace.providers.openai_chat.client import OpenAIChat
from headrace.testing import Gate, ScriptedModel, Step, check_events
from tests.support.loopback import Loopback

PATIENCE = 10.0
"""Real seconds that a test waits for what should come at once."""

QUESTION = "Search for AI news and summarise it"
PIECES = ["Let me ", "look. ", "Here ", "is ", "the news."]
NEWS = "".join(PIECES)


@tool
def search(query: str) -> str:
    """Search for information.

    Args:
        query: What to look for.
    """
    return f"Results for: {query}"


def research() -> ScriptedModel:
    """Thinks, speaks, calls `search`, and answers with what it found: `PIECES` in all."""
    return ScriptedModel(
        [
            Step(
                reasoning=["I should ", "search."],
                text=PIECES[:2],
                tool_calls=[("search", {"query": "AI news"})],
                usage=Usage(20, 8),
            ),
            Step(text=PIECES[2:], usage=Usage(40, 6)),
        ]
    )


def researcher() -> Agent:
    """An agent on `research`, with its tool."""
    return Agent(name="researcher", model=research(), tools=[search])


def held(*pieces: str, more: str = " more") -> tuple[ScriptedModel, Gate]:
    """A model that says the pieces, waits at the gate, and then says the rest."""
    gate = Gate()
    return ScriptedModel([Step(text=[*pieces, gate, more])]), gate


def at(server: Loopback) -> OpenAIChat:
    """A model behind a server on loopback."""
    return OpenAIChat("tiny", base_url=server.url)


async def events_of(agent: Agent) -> list[Event]:
    """The whole log of a run, checked against the laws."""
    async with agent.start(QUESTION) as run:
        events = [event async for event in run.events()]
    check_events(events)
    return events


class Counting(BaseModel):
    """Says one character so many times, in batches, and holds none of them."""

    def __init__(self, pieces: int, batch: int = 50) -> None:
        super().__init__("counting", "one")
        self.left = pieces
        self.batch = batch

    async def open(self, request: ModelRequest) -> Counting:
        return self

    async def read(self) -> list[Delta]:
        await asyncio.sleep(0)
        if not self.left:
            return [Finish("stop")]
        count = min(self.batch, self.left)
        self.left -= count
        return [TextDelta("x") for _ in range(count)]

    async def close(self) -> None:
        self.left = 0


async def by_run(agent: Agent) -> str:
    return (await agent.run(QUESTION)).content


async def by_run_stream(agent: Agent) -> str:
    return "".join([chunk.content async for chunk in agent.run_stream(QUESTION)])


async def by_start(agent: Agent) -> str:
    async with agent.start(QUESTION) as run:
        return "".join([piece async for piece in run.text()])


async def by_execute_stream(agent: Agent) -> str:
    channel = Channel[str](1000)
    await agent.execute_stream(QUESTION, channel)
    return "".join([piece async for piece in channel])


async def by_callback(agent: Agent) -> str:
    pieces: list[str] = []
    await agent.run_callback(QUESTION, pieces.append)
    return "".join(pieces)


async def by_run_sync(agent: Agent) -> str:
    return (await asyncio.to_thread(agent.run_sync, QUESTION)).content


async def by_stream_sync(agent: Agent) -> str:
    return "".join(
        await asyncio.to_thread(lambda: [chunk.content for chunk in agent.stream_sync(QUESTION)])
    )


View = Callable[[Agent], Awaitable[str]]

AWAITED: list[View] = [by_run, by_run_stream, by_start, by_execute_stream, by_callback]
"""Views that live in the caller's task."""

VIEWS: list[View] = [*AWAITED, by_run_sync, by_stream_sync]
"""Each gives the answer's whole text as this view shows it."""
