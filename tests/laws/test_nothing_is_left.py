"""A thousand runs leave no task, no thread, no file and no memory behind (law 9)."""

from __future__ import annotations

import asyncio
import gc
import threading
import tracemalloc
from collections.abc import Awaitable, Callable
from itertools import cycle, islice

import pytest

from headrace import Agent, Channel, EventDispatcher, RunFailed, tool
from headrace.events import Cancelled
from headrace.providers.openai_chat.client import OpenAIChat
from tests.laws.left import open_files, other_tasks
from tests.providers.chat_bodies import CALLED, STOP, call, calls, chunk
from tests.support.loopback import STALL, Loopback, Request, Script, reply, stream

RUNS = 1000
WARM_UP = 300
GROWTH = 128 * 1024
"""Bytes for a thousand runs: an event each, kept, would be as much."""

ASKS = stream(calls(call(0, "a", "echo", '{"text": "hello"}')), CALLED)
ANSWERS = stream(*map(chunk, ["It ", "says ", "hello."]), STOP)
CUT_OFF = reply(400, {"error": {"message": "no"}})


@tool
def echo(text: str) -> str:
    """Say it again, from a thread."""
    return text


class Serving(Loopback):
    """Answers by what the request says, and keeps no record of it."""

    def take(self, request: Request) -> Script:
        messages = request.json["messages"]
        self.connections[:] = [c for c in self.connections if not c.lost.done()]
        if messages[-1]["content"] == "fail":
            return CUT_OFF
        if messages[-1]["content"] == "stall":
            return stream(chunk("Once"), end=STALL)
        return ANSWERS if messages[-1]["role"] == "tool" else ASKS


async def whole(agent: Agent) -> None:
    assert (await agent.run("x")).content == "It says hello."


async def streamed(agent: Agent) -> None:
    async for _ in agent.run_stream("x"):
        pass


async def followed(agent: Agent) -> None:
    async with agent.start("x") as run:
        async for _ in run.events():
            pass


async def poured(agent: Agent) -> None:
    channel: Channel[str] = Channel(1)
    sending = asyncio.create_task(agent.execute_stream("x", channel))
    async for _ in channel:
        pass
    await sending


async def failed(agent: Agent) -> None:
    with pytest.raises(RunFailed):
        await agent.run("fail")


async def cancelled(agent: Agent) -> None:
    async with agent.start("stall") as run:
        async for _ in run.text():
            assert isinstance(await run.cancel(), Cancelled)


async def broken_off(agent: Agent) -> None:
    async for _ in agent.run_stream("stall"):
        break


async def dispatched(agent: Agent) -> None:
    hub = EventDispatcher()
    receiver = hub.subscribe()
    await Agent(model=agent.model, tools=[echo], dispatcher=hub).run("x")
    await hub.drain()
    hub.close()
    assert len([event async for event in receiver]) > 5


async def never_begun(agent: Agent) -> None:
    agent.start("x")
    agent.run_stream("x")


USES: list[Callable[[Agent], Awaitable[None]]] = [
    whole,
    streamed,
    followed,
    poured,
    failed,
    cancelled,
    broken_off,
    dispatched,
    never_begun,
]


async def use(agent: Agent, runs: int) -> None:
    """So many runs, each kind in its turn, a few at once."""
    turns = islice(cycle(USES), runs)
    while batch := list(islice(turns, 10)):
        await asyncio.gather(*[one(agent) for one in batch])


async def settled() -> None:
    """Wait until what was dropped is gone."""
    for _ in range(200):
        gc.collect()
        if not other_tasks():
            return
        await asyncio.sleep(0.01)
    assert other_tasks() == []


async def test_a_thousand_runs_leave_nothing() -> None:
    async with Serving() as server:
        agent = Agent(model=OpenAIChat("tiny", base_url=server.url), tools=[echo])
        await use(agent, WARM_UP)
        await settled()
        files, threads = len(open_files()), threading.active_count()
        tracemalloc.start()
        try:
            await use(agent, len(USES) * 5)  # what tracemalloc sees for the first time
            await settled()
            before = tracemalloc.get_traced_memory()[0]
            await use(agent, RUNS)
            await settled()
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        assert threading.active_count() <= threads
        assert len(open_files()) <= files + 20  # kept connections, both ends of ten at once
        print("GROWN", grown, len(open_files()), files, threads)
        assert grown <= GROWTH
