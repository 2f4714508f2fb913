"""Whoever stops a run, its server sees the socket closed at once (law 7).

The server and the runs share one event loop, so the time to the closed socket, taken on the
server's side, holds all that lies between: the cancel, the client's close, the server's wake.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass
from statistics import median
from typing import Any

import pytest

from headrace import Agent, Channel, EventDispatcher, Run, RunCancelled, RunContext, tool
from headrace.errors import ChannelClosed
from headrace.events import Cancelled, Event, Thought, Token, ToolArgs, decode
from headrace.providers.openai_chat.client import OpenAIChat
from headrace.testing import check_events
from tests.cli.shell import Served, start
from tests.laws.left import leaves_nothing
from tests.providers.chat_bodies import CALLED, call, calls, chunk
from tests.support.loopback import STALL, Loopback, Script, head, stream

AT_ONCE, ROUNDS = 10, 10
P50, P99 = 0.050, 0.250  # seconds from the cancel to the closed socket (law 7), over 100


@dataclass(frozen=True)
class Phase:
    """Where a run is when it is cancelled: what its server plays, what it has shown by then."""

    script: Script
    deltas: int
    text: str


SILENT = Phase([STALL], 0, "")
TALKING = Phase(stream(chunk("Once "), chunk("upon"), end=STALL), 2, "Once upon")
PHASES = {
    "before the answer's head": SILENT,
    "before the first token": Phase([head(), STALL], 0, ""),
    "while it reasons": Phase(stream(chunk({"reasoning": "Hm"}), end=STALL), 1, ""),
    "in mid-text": TALKING,
    "in a call's arguments": Phase(
        stream(chunk("Look. "), calls(call(0, "a", "wait", '{"f')), end=STALL), 2, "Look. "
    ),
}


class Here(asyncio.Event):
    """The end of a script: the server counts who gets there, and waits for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.arrivals = asyncio.Semaphore(0)

    async def wait(self) -> bool:  # type: ignore[override]
        self.arrivals.release()
        return await super().wait()


def agent_for(server: Loopback, **more: object) -> Agent:
    return Agent(model=OpenAIChat("tiny", base_url=server.url), **more)  # type: ignore[arg-type]


async def shown(run: Run, count: int) -> None:
    """Wait until the run has shown so many deltas."""
    async with aclosing(run.events()) as events:
        async for event in events:
            count -= isinstance(event, Token | Thought | ToolArgs)
            if count <= 0:
                return


async def times(server: Loopback, since: float, first: int) -> list[float]:
    """Seconds until each connection from number `first` on was closed."""
    return [await server.closed(n) - since for n in range(first, len(server.connections))]


def check_times(seconds: list[float]) -> None:
    ordered = sorted(seconds)
    assert len(ordered) == AT_ONCE * ROUNDS
    assert median(ordered) <= P50
    assert ordered[len(ordered) * 99 // 100 - 1] <= P99


def check_cancelled(events: list[Event], text: str) -> Cancelled:
    """The log is whole, ends once, and its receipt is right."""
    check_events(events)
    end = events[-1]
    assert isinstance(end, Cancelled)
    assert end.receipt.content == text
    assert "".join(e.content for e in events if isinstance(e, Token)) == text
    assert not end.usage.exact
    return end


@pytest.mark.parametrize("phase", PHASES)
async def test_cancel_closes_the_socket_and_keeps_the_text(phase: str) -> None:
    where = PHASES[phase]
    here = Here()
    seconds: list[float] = []
    async with leaves_nothing(), Loopback([*where.script[:-1], here]) as server:
        agent = agent_for(server)
        for _ in range(ROUNDS):
            first = len(server.connections)
            runs = [agent.start("x") for _ in range(AT_ONCE)]
            await asyncio.gather(*[shown(run, where.deltas) for run in runs])
            for _ in runs:
                await here.arrivals.acquire()
            since = asyncio.get_running_loop().time()
            await asyncio.gather(*[run.cancel("user pressed stop") for run in runs])
            seconds += await times(server, since, first)
            for run in runs:
                end = check_cancelled([event async for event in run.events()], where.text)
                assert end.reason == "user pressed stop"
                assert end.receipt.upstream_closed_ms is not None
                assert end.receipt.upstream_closed_ms <= P99 * 1e3
                with pytest.raises(RunCancelled) as caught:
                    await run.result()
                assert caught.value.partial == where.text
        assert len(server.requests) == AT_ONCE * ROUNDS
    check_times(seconds)


async def test_cancel_during_a_tool_ends_at_once_with_no_upstream_to_close() -> None:
    begun, told = asyncio.Semaphore(0), threading.Semaphore(0)

    @tool
    async def wait() -> str:
        """Wait for ever."""
        begun.release()
        await asyncio.get_running_loop().create_future()
        return ""

    @tool
    def wait_in_a_thread(run: RunContext) -> None:
        """Wait for the cancel."""
        assert run.wait_cancelled_sync(10)
        told.release()

    asks = calls(call(0, "a", "wait", "{}"), call(1, "b", "wait_in_a_thread", "{}"))
    seconds: list[float] = []
    async with leaves_nothing(), Loopback(stream(chunk("Look. "), asks, CALLED)) as server:
        agent = agent_for(server, tools=[wait, wait_in_a_thread])
        for _ in range(AT_ONCE * ROUNDS):
            async with agent.start("x") as run:
                await begun.acquire()
                since = asyncio.get_running_loop().time()
                await run.cancel()
                seconds.append(asyncio.get_running_loop().time() - since)
                end = check_cancelled([event async for event in run.events()], "Look. ")
            assert end.receipt.tools == {"a": "running", "b": "running"}
            assert end.receipt.upstream_closed_ms is None
        assert len(server.requests) == AT_ONCE * ROUNDS  # no step was asked for after a cancel
    check_times(seconds)
    assert all([told.acquire(timeout=10) for _ in seconds])  # every thread has heard of it


Leaver = Callable[[Agent, asyncio.Semaphore, asyncio.Event], Coroutine[Any, Any, None]]
"""Reads an agent until the second word, says so, and leaves when it is told to."""


async def close_run_stream(agent: Agent, ready: asyncio.Semaphore, go: asyncio.Event) -> None:
    async with aclosing(agent.run_stream("x")) as chunks:
        async for piece in chunks:
            if piece.content == "upon":
                ready.release()
                await go.wait()
                break


async def drop_run_stream(agent: Agent, ready: asyncio.Semaphore, go: asyncio.Event) -> None:
    async for piece in agent.run_stream("x"):
        if piece.content == "upon":
            ready.release()
            await go.wait()
            break


async def leave_a_run(agent: Agent, ready: asyncio.Semaphore, go: asyncio.Event) -> None:
    async with agent.start("x") as run:
        await shown(run, 2)
        ready.release()
        await go.wait()


async def raise_in_a_callback(agent: Agent, ready: asyncio.Semaphore, go: asyncio.Event) -> None:
    async def take(piece: str) -> None:
        if piece == "upon":
            ready.release()
            await go.wait()
            raise ZeroDivisionError

    with suppress(ZeroDivisionError):
        await agent.run_callback("x", take)


async def close_the_channel(agent: Agent, ready: asyncio.Semaphore, go: asyncio.Event) -> None:
    channel: Channel[str] = Channel(0)
    task = asyncio.create_task(agent.execute_stream("x", channel))
    await channel.receive()
    ready.release()
    await go.wait()
    channel.close()
    with suppress(ChannelClosed):
        await task


async def cancel_the_task(agent: Agent, ready: asyncio.Semaphore, go: asyncio.Event) -> None:
    task = asyncio.create_task(agent.run("x"))
    await asyncio.sleep(0)
    ready.release()
    await go.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def time_out(agent: Agent, ready: asyncio.Semaphore, go: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(None) as scope, aclosing(agent.run_stream("x")) as chunks:
            async for piece in chunks:
                if piece.content == "upon":
                    ready.release()
                    await go.wait()
                    scope.reschedule(0)


LEAVERS: list[Leaver] = [
    close_run_stream,
    drop_run_stream,
    leave_a_run,
    raise_in_a_callback,
    close_the_channel,
    cancel_the_task,
    time_out,
]


@pytest.mark.parametrize("leave", LEAVERS, ids=lambda leave: leave.__name__)
async def test_leaving_a_view_of_ones_own_cancels_its_run(leave: Leaver) -> None:
    ready, here = asyncio.Semaphore(0), Here()
    seconds: list[float] = []
    async with leaves_nothing(), Loopback([*TALKING.script[:-1], here]) as server:
        for _ in range(ROUNDS):
            go, first = asyncio.Event(), len(server.connections)
            agent = agent_for(server)
            leavers = [asyncio.create_task(leave(agent, ready, go)) for _ in range(AT_ONCE)]
            for _ in leavers:
                await ready.acquire()
                await here.arrivals.acquire()
            since = asyncio.get_running_loop().time()
            go.set()
            seconds += await times(server, since, first)
            await asyncio.gather(*leavers)
    check_times(seconds)


@pytest.mark.parametrize("leave", LEAVERS, ids=lambda leave: leave.__name__)
async def test_the_log_of_a_run_that_was_left_is_whole(leave: Leaver) -> None:
    ready, go, hub = asyncio.Semaphore(0), asyncio.Event(), EventDispatcher()
    receiver = hub.subscribe()
    events: list[Event] = []
    async with leaves_nothing(), Loopback(TALKING.script) as server:
        leaver = asyncio.create_task(leave(agent_for(server, dispatcher=hub), ready, go))
        while not events or getattr(events[-1], "content", "") != "upon":
            events.append(await receiver.recv())
        await ready.acquire()
        go.set()
        await leaver
        await hub.drain()
        hub.close()
        check_cancelled(events + [event async for event in receiver], TALKING.text)


@pytest.mark.parametrize("where", [SILENT, TALKING], ids=["first token", "mid-text"])
def test_ctrl_c_in_the_command(where: Phase) -> None:
    seconds = []
    for _ in range(3):
        with Served(where.script) as server, start("run", "x", "--json", *server.at) as process:
            assert process.stdout
            lines = [process.stdout.readline() for _ in range(2 + where.deltas)]
            while not server.requests:  # it has told of the step before it asks
                time.sleep(0.001)
            since = time.monotonic()
            process.send_signal(signal.SIGINT)
            server.closed()
            seconds.append(time.monotonic() - since)
            lines += process.stdout.readlines()
            assert process.wait(20) == 130
        check_cancelled([decode(line) for line in lines], where.text)
    assert median(seconds) <= P99
