"""A deep network, cancelled at any moment: nothing is left, and each start has its end."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter

from headrace import Agent, Run, tool
from headrace.agents.nesting import depth_of
from headrace.agents.network import Network
from headrace.events import AgentEnd, AgentStart, Event, Token
from headrace.models.model import Model
from headrace.providers.openai_chat.client import OpenAIChat
from headrace.testing import ScriptedModel, Step, check_events
from headrace.tools.context import RunContext
from tests.laws.left import leaves_nothing
from tests.providers.chat_bodies import CALLED, STOP, call, calls, chunk
from tests.support.loopback import Connection, Loopback, Request, Script, stream

CANCELS = 200
CHILDREN = 20
PAUSE = 0.0005


class Leading(Loopback):
    """Plays models over real sockets: whoever has tools uses all of them at once, then answers."""

    @property
    def answering(self) -> list[Connection]:
        """The connections in the middle of an answer."""
        return [each for each in self.connections if each.task and not each.task.done()]

    def take(self, request: Request) -> Script:
        self.connections[:] = [each for each in self.connections if not each.lost.done()]
        body = request.json
        if body.get("tools") and body["messages"][-1]["role"] != "tool":
            names = [tool["function"]["name"] for tool in body["tools"]]
            asked = [calls(call(i, f"c{i}", name, '{"task": "x"}')) for i, name in enumerate(names)]
            pauses = [PAUSE] * len(asked)
            return stream(
                *(item for pair in zip(asked, pauses, strict=True) for item in pair), CALLED
            )
        return stream(chunk("Well, "), PAUSE, chunk("it "), PAUSE, chunk("is."), STOP)


@tool
def work(task: str, run: RunContext) -> str:
    """Work in a thread, for a moment."""
    run.wait_cancelled_sync(PAUSE)
    return task


@tool
async def wait(task: str) -> str:
    """Wait for a moment."""
    await asyncio.sleep(PAUSE)
    return task


def answering() -> ScriptedModel:
    """A model without a socket that answers for ever."""
    model = ScriptedModel()
    model.steps = [lambda request: Step(text=["It ", "is", "."], delay=PAUSE)] * 10_000
    return model


def deep(model: Model, said: ScriptedModel) -> Network:
    """Twenty agents on three levels below the root."""

    def clerk(name: str, number: int) -> Agent:
        if number == 1:
            return Agent(name, said, description="Answers.")
        return Agent(name, model, description="Works.", tools=[work, wait])

    def group(name: str) -> Network:
        clerks = [clerk(f"{name}{i}", i) for i in range(3)]
        # The last one takes over once the others have answered, and works as the group.
        return Network(name, model, description="Leads.", agents=clerks[:2], handoffs=clerks[2:])

    def team(name: str) -> Network:
        agents = [group(f"{name}{i}") for i in range(2)]
        return Network(name, model, description="Leads.", agents=[*agents, clerk(f"{name}c", 0)])

    return Network("house", model, agents=[team("a"), team("b")])


def count(network: Agent) -> int:
    """The agents below."""
    tools = [each for each in network.tools.values() if hasattr(each, "agent")]
    return len(tools) + sum(count(each.agent) for each in tools)


async def test_whole_it_comes_to_its_answer() -> None:
    server = Leading([])
    async with leaves_nothing(), server:
        network = deep(OpenAIChat("tiny", base_url=server.url), answering())
        assert count(network) == CHILDREN
        async with asyncio.timeout(30), network.start("Go") as run:
            events = [event async for event in run.events()]
    check_events(events)
    starts = [event for event in events if isinstance(event, AgentStart)]
    assert len(starts) == CHILDREN
    assert max(depth_of(start.agent) for start in starts) == 3
    assert {end.error for end in events if isinstance(end, AgentEnd)} == {None}
    assert "".join(e.content for e in events if isinstance(e, Token) and not e.agent)


async def test_cancelled_at_any_moment_it_leaves_nothing() -> None:
    chance = random.Random(7)  # noqa: S311 - a moment is no secret
    threads = set(threading.enumerate())
    said = answering()
    seen: Counter[str] = Counter()
    server = Leading([])
    async with leaves_nothing(), server:
        network = deep(OpenAIChat("tiny", base_url=server.url), said)
        async with asyncio.timeout(30), network.start("Go") as run:
            whole = len([event async for event in run.events()])
        for _ in range(CANCELS):
            before = asyncio.all_tasks()
            run = network.start("Go")
            await seen_of(run, chance.randrange(1, whole - 2))
            seen["answering"] += len(server.answering)
            async with asyncio.timeout(5):
                await run.cancel("enough")
            for connection in server.answering:  # a provider that is not told would go on
                await asyncio.wait_for(connection.lost, 1)
            seen += check_cancelled([event async for event in run.events()])
            assert {task for task in asyncio.all_tasks() - before if not _serves(task)} == set()
            assert said.open_streams == 0
    assert seen["Cancelled"] > CANCELS * 0.9
    assert seen["answering"] > CANCELS
    assert seen["AgentStart"] == seen["AgentEnd"] > CANCELS
    for thread in set(threading.enumerate()) - threads:
        await asyncio.to_thread(thread.join, 10)
        assert not thread.is_alive() or "asyncio" in thread.name


async def seen_of(run: Run, count: int) -> None:
    """Wait until the run has so many events."""
    async with asyncio.timeout(10):
        async for event in run.events():
            if event.seq >= count:
                return


def check_cancelled(events: list[Event]) -> Counter[str]:
    """The log is whole, and each agent ended well or by the cancel; how often what happened."""
    check_events(events)
    ends = [event for event in events if isinstance(event, AgentEnd)]
    assert {end.error for end in ends} <= {None, "cancelled"}
    return Counter(type(event).__name__ for event in events)


def _serves(task: asyncio.Task[object]) -> bool:
    """Whether it is one of the server's, which hears of a closed socket a moment later."""
    return "play" in repr(task.get_coro())
