"""One run through every view: the same text, finish reason, usage and tool order (law 10)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from headrace import Agent, Channel, EventDispatcher, StreamChunk, fold
from headrace.events import decode
from headrace.models.assembler import Assembler
from headrace.models.request import ModelRequest
from headrace.providers.demo.tools import DEMO_TOOLS
from headrace.providers.openai_chat.client import OpenAIChat
from headrace.testing import check_events
from headrace.views.operators import (
    Branch,
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
from tests.cli.shell import COMMAND, environment
from tests.laws.script import ANSWERS, ASKS, FIRST, FIRST_USAGE, TEXT, THOUGHT
from tests.laws.seen import (
    ORDER,
    Seen,
    expected,
    of_chat,
    of_chunks,
    of_events,
    of_response,
    of_turn,
)
from tests.support.loopback import Loopback

View = Callable[[Agent], Awaitable[Seen]]


async def run(agent: Agent) -> Seen:
    return of_response(await agent.run("x"))


async def run_stream(agent: Agent) -> Seen:
    return of_chunks([chunk async for chunk in agent.run_stream("x")])


async def run_stream_with_errors_as_chunks(agent: Agent) -> Seen:
    return of_chunks([chunk async for chunk in agent.run_stream("x", on_error="chunk")])


async def events_and_fold(agent: Agent) -> Seen:
    async with agent.start("x") as run:
        events = [event async for event in run.events()]
        assert fold(events) == run.snapshot()
    check_events(events)
    return of_events(events)


async def events_read_again_from_the_middle(agent: Agent) -> Seen:
    async with agent.start("x") as run:
        await run.result()
        first = [event async for event in run.events()][:5]
        return of_events([*first, *[event async for event in run.events(after=5)]])


async def result_of_a_started_run(agent: Agent) -> Seen:
    async with agent.start("x") as run:
        return of_response(await run.result())


async def text_of_a_run(agent: Agent) -> Seen:
    async with agent.start("x") as run:
        return Seen("".join([piece async for piece in run.text()]))


async def marked_text(agent: Agent) -> Seen:
    return Seen("".join([piece async for piece in text(agent.start("x"), on_error="mark")]))


async def channel(agent: Agent, capacity: int = 64) -> Seen:
    strings: Channel[str] = Channel(capacity)
    sending = asyncio.create_task(agent.execute_stream("x", strings))
    got = "".join([piece async for piece in strings])
    response = of_response(await sending)
    assert strings.closed
    assert got == response.text
    return response


async def unbuffered_channel(agent: Agent) -> Seen:
    return await channel(agent, 0)


async def callback(agent: Agent) -> Seen:
    got: list[str] = []
    response = of_response(await agent.run_callback("x", got.append))
    assert "".join(got) == response.text
    return response


async def awaited_callback(agent: Agent) -> Seen:
    got: list[str] = []

    async def take(piece: str) -> None:
        await asyncio.sleep(0)
        got.append(piece)

    response = of_response(await agent.run_callback("x", take))
    assert "".join(got) == response.text
    return response


async def dispatcher(agent: Agent) -> Seen:
    hub = EventDispatcher()
    receivers = [hub.subscribe(), hub.subscribe()]
    watched = Agent(model=agent.model, tools=DEMO_TOOLS, dispatcher=hub)
    await watched.run("x")
    await hub.drain()
    hub.close()
    first, second = [[event async for event in receiver] for receiver in receivers]
    check_events(first)
    assert first == second
    return of_events(first)


async def run_sync(agent: Agent) -> Seen:
    return of_response(await asyncio.to_thread(agent.run_sync, "x"))


async def stream_sync(agent: Agent) -> Seen:
    return of_chunks(await asyncio.to_thread(lambda: list(agent.stream_sync("x"))))


VIEWS: list[View] = [
    run,
    run_stream,
    run_stream_with_errors_as_chunks,
    events_and_fold,
    events_read_again_from_the_middle,
    result_of_a_started_run,
    text_of_a_run,
    marked_text,
    channel,
    unbuffered_channel,
    callback,
    awaited_callback,
    dispatcher,
    run_sync,
    stream_sync,
]


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
async def test_every_view_of_an_agent(view: View) -> None:
    async with Loopback(ASKS, ANSWERS) as server:
        model = OpenAIChat("tiny", base_url=server.url)
        seen = await view(Agent(model=model, tools=DEMO_TOOLS))
        told = server.requests[1].json["messages"][-3:]
    assert seen.says() == expected(seen)
    assert [(m["role"], m["tool_call_id"]) for m in told] == [("tool", call) for call in ORDER]
    assert len(server.requests) == 2


OPERATORS: dict[str, Callable[[Any], Any]] = {
    "buffer": lambda source: buffer(source, 0.01),
    "by_chars": lambda source: by_chars(source, 3),
    "smooth words": lambda source: smooth(source, "word", 0.001),
    "smooth lines": lambda source: smooth(source, "line", 0.001),
    "throttle": lambda source: throttle(source, 0.01),
    "with_timeout": lambda source: with_timeout(source, 30),
    "with_metrics": with_metrics,
    "with_progress": lambda source: with_progress(source, lambda line: None, 0.001),
    "all": lambda source: smooth(with_metrics(buffer(by_chars(source, 2), 0.005)), "word", 0),
}


@pytest.mark.parametrize("operator", OPERATORS)
async def test_every_operator_over_every_stream(operator: str) -> None:
    apply = OPERATORS[operator]
    async with Loopback(*[ASKS, ANSWERS] * 3) as server:
        agent = Agent(model=OpenAIChat("tiny", base_url=server.url), tools=DEMO_TOOLS)
        seen = of_chunks([chunk async for chunk in apply(agent.run_stream("x"))])
        assert seen.says() == expected(seen)
        seen = of_events([event async for event in apply(agent.start("x").events())])
        assert seen.says() == expected(seen)
        assert "".join([piece async for piece in apply(agent.start("x").text())]) == TEXT


async def test_every_branch_of_a_tee() -> None:
    async with Loopback(ASKS, ANSWERS) as server:
        agent = Agent(model=OpenAIChat("tiny", base_url=server.url), tools=DEMO_TOOLS)
        branches = tee(agent.run_stream("x"), 3)
        for chunks in await asyncio.gather(*[all_of(branch) for branch in branches]):
            seen = of_chunks(chunks)
            assert seen.says() == expected(seen)


async def all_of(branch: Branch[StreamChunk]) -> list[StreamChunk]:
    return [chunk async for chunk in branch]


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--progress"]], ids=str)
async def test_the_command(arguments: list[str]) -> None:
    async with Loopback(ASKS, ANSWERS) as server:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *["run", "x", "--tools", "--model", "openai:tiny", "--base-url", server.url],
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            env=environment(),
        )
        output = (await process.communicate())[0].decode()
    assert process.returncode == 0
    if arguments != ["--json"]:
        assert output == TEXT + "\n"
        return
    events = [decode(line) for line in output.splitlines()]
    check_events(events)
    seen = of_events(events)
    assert seen.says() == expected(seen)


async def deltas(model: OpenAIChat, request: ModelRequest) -> Seen:
    assembler = Assembler()
    async with model.stream(request) as batches:
        async for batch in batches:
            assembler.add(batch)
    return of_turn(assembler.turn())


async def on_chunk(model: OpenAIChat, request: ModelRequest) -> Seen:
    got: list[str] = []
    turn = of_turn(await model.stream(request, got.append))
    assert "".join(got) == turn.text
    return turn


async def complete(model: OpenAIChat, request: ModelRequest) -> Seen:
    return of_turn(await model.complete(request))


async def chat_stream(model: OpenAIChat, request: ModelRequest) -> Seen:
    return of_chat([chunk async for chunk in model.chat_stream(list(request.messages))])


async def complete_stream(model: OpenAIChat, request: ModelRequest) -> Seen:
    return of_chat([chunk async for chunk in model.complete_stream("x")])


ModelView = Callable[[OpenAIChat, ModelRequest], Awaitable[Seen]]
MODEL_VIEWS: list[ModelView] = [deltas, on_chunk, complete, chat_stream, complete_stream]


@pytest.mark.parametrize("view", MODEL_VIEWS, ids=lambda view: view.__name__)
async def test_every_view_of_a_model(view: ModelView) -> None:
    whole = Seen("".join(FIRST), "tool_calls", FIRST_USAGE, ORDER, None, THOUGHT).says()
    async with Loopback(ASKS) as server:
        seen = await view(OpenAIChat("tiny", base_url=server.url), ModelRequest.of("x"))
    assert seen.says() == {name: whole[name] for name in seen.says()}
