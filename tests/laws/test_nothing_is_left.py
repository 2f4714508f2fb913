"""A thousand runs leave no task, no thread, no file and no memory behind (law 9)."""

from __future__ import annotations

import asyncio
import gc
import threading
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import cycle, islice
from typing import Any

import pytest

from headrace import Agent, Channel, EventDispatcher, RunFailed, tool
from headrace.events import Cancelled, Token
from headrace.providers.openai_chat.client import OpenAIChat
from headrace.testing import Gate, ScriptedModel, Step
from headrace.views.operators import (
    buffer,
    by_chars,
    smooth,
    tee,
    throttle,
    with_metrics,
    with_progress,
    with_timeout,
)
from headrace.views.text import text
from tests.laws.left import leaves_nothing, open_files, other_tasks
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
        async for event in run.events():
            if isinstance(event, Token):
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
        assert grown <= GROWTH


STALLED = stream(chunk("Once "), chunk("upon "), end=STALL)
ABANDONED: dict[str, Callable[[Agent], AsyncIterator[Any]]] = {
    "run_stream": lambda agent: agent.run_stream("x"),
    "text": lambda agent: text(agent.start("x")),
    "a model's chunks": lambda agent: agent.model.chat_stream("x"),  # type: ignore[attr-defined]
    "buffer": lambda agent: buffer(agent.run_stream("x"), 0.001),
    "by_chars": lambda agent: by_chars(agent.run_stream("x"), 2),
    "smooth": lambda agent: smooth(agent.run_stream("x"), "word", 0),
    "throttle": lambda agent: throttle(agent.run_stream("x"), 0.001),
    "with_timeout": lambda agent: with_timeout(agent.run_stream("x")),
    "with_metrics": lambda agent: with_metrics(agent.run_stream("x")),
    "with_progress": lambda agent: with_progress(agent.run_stream("x"), lambda line: None),
    "tee": lambda agent: tee(agent.run_stream("x"), 1)[0],
}


@pytest.mark.parametrize("name", ABANDONED)
async def test_what_is_dropped_without_closing_cancels_its_run(name: str) -> None:
    async with leaves_nothing(), Loopback(STALLED) as server:
        await begin(ABANDONED[name](Agent(model=OpenAIChat(base_url=server.url))))
        await server.closed(0)


async def begin(items: AsyncIterator[Any]) -> None:
    """Read the first item, and drop the rest."""
    assert (await anext(items)) is not None


async def test_what_only_the_garbage_collector_finds_cancels_its_run_too() -> None:
    async with leaves_nothing(), Loopback(STALLED) as server:
        items = Agent(model=OpenAIChat(base_url=server.url)).run_stream("x")
        circle: list[object] = [items]
        circle.append(circle)
        await begin(items)
        del items, circle
        gc.collect()
        await server.closed(0)


def test_a_synchronous_stream_that_is_dropped_ends_its_thread() -> None:
    model = ScriptedModel([Step(text=["Once ", Gate()])])
    for piece in Agent(model=model).stream_sync("x"):
        assert piece.content == "Once "
        break
    gc.collect()
    assert [t for t in threading.enumerate() if t.name == "headrace-stream"] == []
    assert model.open_streams == 0


async def test_a_viewer_that_leaves_does_not_end_a_run_that_others_may_read() -> None:
    gate = Gate()
    run = Agent(model=ScriptedModel([Step(text=["Once ", gate, "upon"])])).start("x")
    async for _ in run.text():
        break
    gc.collect()
    gate.open()
    assert (await run.result()).content == "Once upon"
