"""Every view of an agent, as `tests/docs/test_agents_table.py` looks at a kind through it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import aiohttp

from headrace import Agent, Channel, EventDispatcher, Message, Response, RunFailed, Runtime, fold
from headrace.events import ApprovalNeeded, Complete, Error, Event, decode, type_of
from headrace.runs.observer import Observer, watch_all
from headrace.runs.run import Run
from headrace.testing import check_events
from tests.agents.kinds import QUESTION, Kind
from tests.server.reading import Reader, reading
from tests.server.serving import serving

CONTENT = frozenset({"thought", "token", "tool_args"})


@dataclass(frozen=True)
class Seen:
    """What a view shows of a run.

    Attributes:
        types: Its events in their order, neighbours of one type once.
        whole: Whether content is among them; without it they are those that the run has told.
        text: The answer.
        end: The finish reason, or the error's code.
    """

    types: str
    whole: bool
    text: str
    end: str


def in_order(types: Iterable[str]) -> str:
    """Types with neighbours of one type once."""
    return " ".join(key for key, _ in groupby(types))


def structural(promise: str) -> str:
    """A promise without its content."""
    return in_order(each for each in promise.split() if each not in CONTENT)


def of_events(events: list[Event]) -> Seen:
    """Of a view that shows events."""
    check_events(events)
    last = events[-1]
    assert isinstance(last, Complete | Error)
    end = last.finish_reason if isinstance(last, Complete) else last.code
    return Seen(in_order(map(type_of, events)), True, fold(events).text, end)


class Told(Observer):
    """Writes down what a run tells of itself, whoever reads it."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def event(self, event: Event) -> None:
        """See `Observer`."""
        self.events.append(event)


async def told(view: Callable[[], Awaitable[tuple[str, str]]]) -> Seen:
    """Of a view that has its run for itself and gives a text and an end."""
    told: list[Told] = []

    def watch(run: Run) -> Observer:
        told.append(Told())
        return told[-1]

    stop = watch_all(watch)
    try:
        text, end = await view()
    except RunFailed as error:
        text, end = error.partial, error.code
    finally:
        stop()
    (one,) = told
    return Seen(in_order(map(type_of, one.events)), False, text, end)


def of_response(response: Response[Any]) -> tuple[str, str]:
    return response.content, response.finish_reason


async def approved(
    events: AsyncIterable[Event], decide: Callable[[str], Awaitable[object]]
) -> list[Event]:
    """All events; each call that waits for a person is approved."""
    got = []
    async for event in events:
        got.append(event)
        if isinstance(event, ApprovalNeeded):
            await decide(event.call_id)
    return got


def asked(kind: Kind) -> list[Message]:
    return [*kind.history, Message.user(QUESTION)]


async def start(agent: Agent, kind: Kind) -> Seen:
    async with agent.start(asked(kind)) as run:

        async def decide(call_id: str) -> None:
            run.decide(call_id, True)

        return of_events(await approved(run.events(), decide))


async def dispatcher(agent: Agent, kind: Kind) -> Seen:
    hub = EventDispatcher()
    receiver = hub.subscribe()
    async with agent.start(asked(kind)) as run:
        hub.attach(run)
        reading = asyncio.create_task(hub_to_end(hub, run))

        async def decide(call_id: str) -> None:
            run.decide(call_id, True)

        seen = of_events(await approved(receiver, decide))
        await reading
    return seen


async def hub_to_end(hub: EventDispatcher, run: Run) -> None:
    await run.wait()
    await hub.drain()
    hub.close()


async def submitted(agent: Agent, kind: Kind) -> Seen:
    async with Runtime(agents=[agent]) as runtime:
        run = await runtime.submit(agent, QUESTION, history=kind.history)

        async def decide(call_id: str) -> None:
            await run.decide(call_id, True)

        return of_events(await approved(run.events(), decide))


async def server(agent: Agent, kind: Kind) -> Seen:
    async with serving([agent]) as server, aiohttp.ClientSession(server.url) as client:
        run = await server.runtime.submit(agent, QUESTION, history=kind.history)

        async def decide(call_id: str) -> None:
            url = f"/v1/runs/{run.id}/approvals/{call_id}"
            async with client.post(url, json={"approved": True}) as response:
                assert response.ok, await response.text()

        async with reading(f"{server.url}/v1/runs/{run.id}/events") as reader:
            return of_events(await approved(decoded(reader), decide))


async def decoded(reader: Reader) -> AsyncGenerator[Event]:
    async for frame in reader.frames():
        yield decode(frame.data)


async def run(agent: Agent, kind: Kind) -> Seen:
    async def view() -> tuple[str, str]:
        return of_response(await agent.run(asked(kind)))

    return await told(view)


async def run_stream(agent: Agent, kind: Kind) -> Seen:
    async def view() -> tuple[str, str]:
        chunks = [chunk async for chunk in agent.run_stream(asked(kind))]
        return "".join(chunk.content for chunk in chunks), str(chunks[-1].finish_reason)

    return await told(view)


async def execute_stream(agent: Agent, kind: Kind) -> Seen:
    async def view() -> tuple[str, str]:
        channel = Channel[str](1000)
        _, end = of_response(await agent.execute_stream(asked(kind), channel))
        return "".join([piece async for piece in channel]), end

    return await told(view)


async def run_callback(agent: Agent, kind: Kind) -> Seen:
    async def view() -> tuple[str, str]:
        pieces: list[str] = []
        _, end = of_response(await agent.run_callback(asked(kind), pieces.append))
        return "".join(pieces), end

    return await told(view)


async def run_sync(agent: Agent, kind: Kind) -> Seen:
    async def view() -> tuple[str, str]:
        return of_response(await asyncio.to_thread(agent.run_sync, asked(kind)))

    return await told(view)


async def stream_sync(agent: Agent, kind: Kind) -> Seen:
    async def view() -> tuple[str, str]:
        chunks = await asyncio.to_thread(lambda: list(agent.stream_sync(asked(kind))))
        return "".join(chunk.content for chunk in chunks), str(chunks[-1].finish_reason)

    return await told(view)


VIEWS: dict[str, Callable[[Agent, Kind], Awaitable[Seen]]] = {
    "run": run,
    "run_stream": run_stream,
    "start": start,
    "execute_stream": execute_stream,
    "run_callback": run_callback,
    "EventDispatcher": dispatcher,
    "run_sync": run_sync,
    "stream_sync": stream_sync,
    "Runtime": submitted,
    "server": server,
}
"""By the name that the table has for it."""
