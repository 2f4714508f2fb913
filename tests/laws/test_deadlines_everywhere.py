"""Every wait has a deadline: it ends with one error that names the wait (law 8)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest

from headrace import Agent, Channel, Deadlines, RetryPolicy, RunContext, RunFailed, tool
from headrace.errors import DeadlineExceeded
from headrace.events import Complete, Error, Event, Token, ToolEnd
from headrace.models.retry import NO_RETRY
from headrace.providers.openai_chat.client import OpenAIChat
from headrace.testing import check_events
from tests.laws.left import leaves_nothing
from tests.laws.script import tokens
from tests.providers.chat_bodies import CALLED, STOP, call, calls, chunk
from tests.support.loopback import STALL, Loopback, Script, head, stream

FOR_EVER = 500
"""So many pauses of 20 ms: a deadline that they reset would be late by seconds."""

KEEP_ALIVE = b": keep-alive\n\n"
NOT_CONTENT: dict[str, list[bytes]] = {
    "comments": [KEEP_ALIVE],
    "empty lines": [b"\n"],
    "other events": [b"event: ping\ndata: {}\n\n"],
    "chunks without content": [chunk({"role": "assistant"}), chunk({}), chunk("")],
    "usage": [tokens(1, 1, 0, 0)],
    "a line that never ends": [b"d", b"a", b"t", b"a", b":", b" ", *[b" "] * 50],
}


UNHURRIED = (0.1, 0.4, 1.6)
"""Seconds. A busy machine may spend a deadline before what it is to cut: then a longer one."""


def dribble(*pieces: bytes) -> list[object]:
    """These bytes again and again, 20 ms apart."""
    return [item for _ in range(FOR_EVER // len(pieces)) for p in pieces for item in (p, 0.02)]


def agent_at(url: str, *, retry: RetryPolicy = NO_RETRY, tools: Any = (), **limits: Any) -> Agent:
    deadlines = Deadlines(**limits)
    model = OpenAIChat("tiny", base_url=url, deadlines=deadlines, retry=retry)
    return Agent(model=model, tools=tools, deadlines=deadlines)


@dataclass(frozen=True)
class Wait:
    """A wait that is too long: what the server plays, the deadline, the words of the error."""

    script: Script
    limits: dict[str, Any]
    says: str
    text: str = ""


WAITS = {
    "first content": Wait(
        [head(), STALL], {"first_content": 0.1}, "no first content came for more than 0.1 s"
    ),
    "gap": Wait(
        stream(chunk("Once"), end=STALL), {"gap": 0.1}, "no further content came for more than 0.1"
    ),
    "whole run, in silence": Wait([STALL], {"run": 0.2}, "the run took more than 0.2 s"),
    "whole run, in talk": Wait(
        stream(*dribble(chunk("and on "))), {"run": 0.2}, "the run took more than 0.2 s"
    ),
}


async def by_run(agent: Agent) -> None:
    await agent.run("x")


async def by_run_stream(agent: Agent) -> None:
    async for _ in agent.run_stream("x"):
        pass


async def by_channel(agent: Agent) -> None:
    await agent.execute_stream("x", Channel(64))


async def by_callback(agent: Agent) -> None:
    await agent.run_callback("x", lambda piece: None)


async def by_stream_sync(agent: Agent) -> None:
    await asyncio.to_thread(lambda: list(agent.stream_sync("x")))


VIEWS: list[Callable[[Agent], Awaitable[None]]] = [
    by_run,
    by_run_stream,
    by_channel,
    by_callback,
    by_stream_sync,
]


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
@pytest.mark.parametrize("wait", WAITS)
async def test_a_wait_ends_the_run_in_every_view(
    wait: str, view: Callable[[Agent], Awaitable[None]]
) -> None:
    case = WAITS[wait]
    async with leaves_nothing(), Loopback(case.script) as server:
        with pytest.raises(RunFailed, match=case.says) as caught:
            await view(agent_at(server.url, **case.limits))
        await server.all_closed()
    assert caught.value.code == "deadline_exceeded"
    assert isinstance(caught.value.__cause__, DeadlineExceeded)
    [limit] = case.limits
    assert caught.value.__cause__.wait == limit
    assert f"`{limit}`" in str(caught.value)  # which one to raise


@pytest.mark.parametrize("wait", WAITS)
async def test_the_log_has_one_end_and_keeps_the_text(wait: str) -> None:
    case = WAITS[wait]
    shown = {"gap": "Once", "whole run, in talk": "and on and on "}.get(wait, "")
    for unit in UNHURRIED:
        limits = {name: seconds * unit / UNHURRIED[0] for name, seconds in case.limits.items()}
        async with leaves_nothing(), Loopback(case.script) as server:
            events = await events_of(agent_at(server.url, **limits), retract=False)
        check_late(events, case.says if limits == case.limits else " more than ")
        text = "".join(event.content for event in events if isinstance(event, Token))
        if text.startswith(shown):
            break
    assert text.startswith(shown)


async def events_of(agent: Agent, **options: Any) -> list[Event]:
    async with agent.start("x", **options) as run:
        return [event async for event in run.events()]


def check_late(events: list[Event], says: str) -> None:
    check_events(events)
    end = events[-1]
    assert isinstance(end, Error)
    assert end.code == "deadline_exceeded"
    assert says in end.message


@asynccontextmanager
async def full() -> AsyncIterator[str]:
    """A server that takes no connection: its queue is full (listen(2), backlog)."""
    loop = asyncio.get_running_loop()
    waiting: list[socket.socket] = []
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        try:
            for _ in range(8):
                client = socket.socket()
                waiting.append(client)
                client.setblocking(False)
                with suppress(TimeoutError):
                    await asyncio.wait_for(loop.sock_connect(client, server.getsockname()), 0.05)
            yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        finally:
            for client in waiting:
                client.close()


@asynccontextmanager
async def mute() -> AsyncIterator[str]:
    """A server that takes connections and never answers TLS's first word."""
    async with Loopback([STALL]) as server:
        yield server.url.replace("http:", "https:")


@pytest.mark.parametrize("server", [full, mute], ids=["no connection", "no TLS"])
async def test_connecting_has_a_deadline(server: Callable[[], Any]) -> None:
    async with leaves_nothing(), server() as url:
        since = asyncio.get_running_loop().time()
        events = await events_of(agent_at(url, connect=0.2))
        assert asyncio.get_running_loop().time() - since < 5
    check_late(events, "openai: connecting took more than 0.2 s")


@pytest.mark.parametrize("name", NOT_CONTENT)
@pytest.mark.parametrize("wait", ["first_content", "gap"])
async def test_only_content_counts(wait: str, name: str) -> None:
    first = [] if wait == "first_content" else [chunk("Once")]
    limits: dict[str, Any] = {wait: 0.2}
    async with leaves_nothing(), Loopback(stream(*first, *dribble(*NOT_CONTENT[name]))) as server:
        since = asyncio.get_running_loop().time()
        events = await events_of(agent_at(server.url, **limits), retract=False)
        assert asyncio.get_running_loop().time() - since < 3
        await server.all_closed()
    check_late(events, "content came for more than 0.2 s")


async def test_content_moves_the_gap_on() -> None:
    for pause in UNHURRIED:
        steady = [item for _ in range(8) for item in (chunk("on "), pause)]
        async with Loopback(stream(*steady, STOP)) as server:
            events = await events_of(agent_at(server.url, gap=5 * pause), retract=False)
        if isinstance(events[-1], Complete):
            break
    assert "".join(event.content for event in events if isinstance(event, Token)) == "on " * 8


async def test_however_patient_the_retries_the_run_ends_in_time() -> None:
    patient = RetryPolicy(retries=1000, base=0.001, longest=0.01)
    for unit in UNHURRIED:
        limits: dict[str, Any] = {"first_content": unit / 2, "run": 5 * unit}
        async with leaves_nothing(), Loopback([STALL]) as server:
            since = asyncio.get_running_loop().time()
            events = await events_of(agent_at(server.url, retry=patient, **limits))
            assert asyncio.get_running_loop().time() - since < limits["run"] + 2.5
        check_late(events, " more than ")  # the run's end, or the last try's just before it
        if len(server.requests) > 2:
            break
    assert len(server.requests) > 2


# In one piece: a gap within them is not what is tested.
ASKS = stream(calls(call(0, "a", "stuck", "{}")) + CALLED)
ANSWERS = stream(chunk("Never mind.") + STOP)


@tool
async def stuck() -> str:
    """Wait for ever."""
    await asyncio.get_running_loop().create_future()
    return ""


@tool(name="stuck")
def stuck_thread(run: RunContext) -> str:
    """Wait until nobody waits any more."""
    run.wait_cancelled_sync(10)
    return "late"


@tool(name="stuck")
async def stuck_generator() -> AsyncIterator[str]:
    """Say something, then wait for ever."""
    yield "begun"
    await asyncio.get_running_loop().create_future()


STUCK = {"coroutine": stuck, "thread": stuck_thread, "generator": stuck_generator}


@pytest.mark.parametrize("kind", STUCK)
async def test_a_tool_that_takes_too_long_is_told_to_the_model(kind: str) -> None:
    async with leaves_nothing(), Loopback(ASKS, ANSWERS) as server:
        # The gap is shorter than the tool takes: a running tool is no gap of the model's.
        events = await events_of(agent_at(server.url, tools=[STUCK[kind]], tool=0.3, gap=0.2))
        told = server.requests[1].json["messages"][-1]["content"]
    check_events(events)
    [end] = [event for event in events if isinstance(event, ToolEnd)]
    assert end.error == told == "The tool stuck took more than 0.3 s and was stopped."
    assert "".join(e.content for e in events if isinstance(e, Token)) == "Never mind."


@pytest.mark.parametrize("kind", STUCK)
async def test_the_whole_run_ends_while_a_tool_runs(kind: str) -> None:
    for unit in UNHURRIED:
        limits: dict[str, Any] = {"tool": None, "run": 3 * unit}
        async with leaves_nothing(), Loopback(ASKS) as server:
            events = await events_of(agent_at(server.url, tools=[STUCK[kind]], **limits))
        check_late(events, f"the run took more than {3 * unit:g} s")
        ends = [event for event in events if isinstance(event, ToolEnd)]
        if ends:
            break
    [end] = ends
    assert end.error


async def test_a_model_that_is_named_gets_the_agents_deadlines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with leaves_nothing(), Loopback(stream(chunk("Once"), end=STALL)) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        agent = Agent(model="openai:tiny", deadlines=Deadlines(gap=0.1))
        check_late(await events_of(agent, retract=False), "no further content came for more")


def test_every_deadline_is_on_by_default() -> None:
    assert Agent(model="demo").deadlines == Deadlines(10, 120, 60, 60, 900)
