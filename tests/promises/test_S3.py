"""What users of agents_sdk know: a dispatcher, its events, and how a terminal shows them."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import subprocess
import sys
from contextlib import aclosing
from itertools import pairwise

import pytest

from headrace import Agent, Channel, EventDispatcher, tool
from headrace.errors import ChannelClosed, StreamTimeout
from headrace.events import (
    TERMINAL,
    Cancelled,
    Complete,
    Event,
    RunStart,
    Token,
    ToolEnd,
    ToolStart,
    decode,
    encode,
)
from headrace.testing import Gate, ScriptedModel, Step, check_events, run_with_fake_clock
from headrace.views.dispatcher import Receiver
from headrace.views.operators import buffer
from tests.cli.shell import Served, before, ended, environment, headrace, start, terminal, unstyled
from tests.docs.pages import ROOT
from tests.promises.paper import SPINNER, Paper, shown_on
from tests.promises.story import NEWS, PATIENCE, PIECES, QUESTION, held, research, search
from tests.providers.chat_bodies import STOP, chunk
from tests.support.loop import now
from tests.support.loopback import STALL, stream
from tests.views.operators.sources import timed


def watched(model: ScriptedModel | None = None) -> tuple[Agent, EventDispatcher, Receiver]:
    """An agent whose runs a dispatcher hands on, and one who receives them."""
    dispatcher = EventDispatcher()
    receiver = dispatcher.subscribe()
    agent = Agent("bot", model or research(), tools=[search], dispatcher=dispatcher)
    return agent, dispatcher, receiver


async def to_the_end(receiver: Receiver) -> list[Event]:
    """What a user's loop does: receive until a run is over."""
    events: list[Event] = []
    async with asyncio.timeout(PATIENCE):
        while not events or not isinstance(events[-1], TERMINAL):
            events.append(await receiver.recv())
    return events


async def test_S3_1_subscribe_and_receive() -> None:
    agent, dispatcher, receiver = watched()
    second = dispatcher.subscribe()
    await agent.run(QUESTION)
    events = await to_the_end(receiver)
    check_events(events)
    assert "".join(e.content for e in events if isinstance(e, Token)) == NEWS
    assert await to_the_end(second) == events


async def test_S3_2_an_agent_is_made_with_a_model_tools_and_a_dispatcher() -> None:
    dispatcher = EventDispatcher()
    receiver = dispatcher.subscribe()
    agent = Agent(
        instructions="Be helpful.", model=research(), tools=[search], dispatcher=dispatcher
    )
    await agent.run(QUESTION)
    events = await to_the_end(receiver)
    assert [e.model for e in events if isinstance(e, RunStart)] == ["scripted:scripted"]
    assert [e.name for e in events if isinstance(e, ToolEnd)] == ["search"]


async def test_S3_3_a_message_streams_by_itself_and_gives_the_response() -> None:
    model, gate = held("Once", more=" upon a time")
    agent, _, receiver = watched(model)
    handling = asyncio.create_task(agent.run("Tell me a story"))
    async with asyncio.timeout(PATIENCE):
        tokens = (event async for event in receiver if isinstance(event, Token))
        assert (await anext(tokens)).content == "Once"
        assert not handling.done()
        gate.open()
        assert (await handling).content == "Once upon a time"
        assert isinstance((await to_the_end(receiver))[-1], Complete)


async def test_S3_4_the_state_can_be_looked_at_while_it_runs_and_after() -> None:
    gate = Gate()
    model = research()
    model.steps[1] = Step(text=[PIECES[2], gate, *PIECES[3:]])
    async with asyncio.timeout(PATIENCE), Agent("bot", model, tools=[search]).start("Go") as run:
        await gate.reached.wait()
        during = run.snapshot()
        gate.open()
        response = await run.result()
        after = run.snapshot()
    assert (during.status, during.text) == ("running", "".join(PIECES[:3]))
    assert during.reasoning == "I should search."
    assert [(t.name, t.input, t.output) for t in during.tools] == [
        ("search", {"query": "AI news"}, "Results for: AI news")
    ]
    assert (after.status, after.text, after.finish_reason) == ("complete", NEWS, "stop")
    assert tuple(after.messages) == response.messages[1:]


async def test_S3_4_a_response_is_the_state_that_the_next_message_begins_with() -> None:
    model = research()
    model.steps.append(Step(text="As I said."))
    agent = Agent("bot", model, tools=[search])
    first = await agent.run(QUESTION)
    second = await agent.run("Again?", history=first.messages)
    assert model.requests[2].messages[:-1] == first.messages
    assert second.messages[: len(first.messages)] == first.messages
    assert len(second.messages) == len(first.messages) + 2


async def test_S3_5_a_token_has_metadata_content_and_index() -> None:
    agent, _, receiver = watched()
    response = await agent.run(QUESTION)
    tokens: list[Token] = []
    event: Event | None = None
    while not isinstance(event, TERMINAL):
        run_id, event = await receiver.recv_with_run()
        assert run_id == response.run_id
        if isinstance(event, Token):
            tokens.append(event)
    assert [(t.content, t.index) for t in tokens] == list(zip(PIECES, [0, 1, 0, 1, 2], strict=True))
    assert [t.seq for t in tokens] == sorted({t.seq for t in tokens})
    assert [t.at for t in tokens] == sorted(t.at for t in tokens)
    assert {t.agent for t in tokens} == {""}  # the root agent speaks


async def test_S3_6_events_tell_durations_and_are_serialisable() -> None:
    @tool(name="search")
    async def slow(query: str) -> str:
        """Search."""
        await asyncio.sleep(0.05)
        return query

    agent, _, receiver = watched()
    agent.tools = Agent(tools=[slow]).tools
    await agent.run(QUESTION)
    events = await to_the_end(receiver)
    assert [decode(encode(e)) for e in events] == events
    told = {message["type"]: message for message in map(json.loads, map(encode, events))}
    assert (told["token"]["content"], told["token"]["index"]) == ("the news.", 2)
    assert (told["tool_start"]["name"], told["tool_start"]["input"]) == (
        "search",
        {"query": "AI news"},
    )
    assert told["tool_end"]["name"] == "search"
    assert 40 < told["tool_end"]["duration_ms"] <= told["complete"]["metrics"]["duration_ms"] + 1


def test_S3_11_a_terminal_gets_a_line_for_a_tool_and_a_newline_at_the_end() -> None:
    with terminal("run", "What is 123*456?") as child:
        assert ended(child) == 0
        shown = unstyled(before(child))
    assert len(re.findall(r"(?m)^✓ calculator \([0-9.]+ ms\)$", shown.replace("\r", ""))) == 1
    assert re.search("56,?088", shown.partition("✓ calculator")[2])
    assert shown.endswith("\n")


def test_S3_11_a_pipe_gets_one_newline_at_the_end() -> None:
    with Served(stream(chunk("Hello"), chunk("."), STOP)) as server:
        assert headrace("run", "Hi", *server.at).stdout == "Hello.\n"


async def test_S3_12_a_spinner_turns_while_a_tool_runs_then_its_time_stands_there() -> None:
    gate = Gate()

    @tool(name="search")
    async def slow(query: str) -> str:
        """Search."""
        await gate.pass_through()
        return query

    paper = Paper()
    async with Agent("bot", research(), tools=[slow]).start(QUESTION) as run:
        showing = asyncio.create_task(shown_on(paper, run))
        await paper.shows(f"[{SPINNER}] search")
        (frame,) = re.findall(f"(?m)^([{SPINNER}]) search$", paper.text)
        await paper.shows(f"[{SPINNER.replace(frame, '')}] search")  # it turns
        assert "✓" not in paper.text
        gate.open()
        await showing
    assert len(re.findall(r"(?m)^✓ search \([0-9.]+ ms\)$", paper.text)) == 1
    assert not set(SPINNER) & set(paper.text)


def test_S3_13_tokens_are_buffered_for_50_ms_and_the_remainder_is_flushed() -> None:
    async def main() -> None:
        words = [f"{n} " for n in range(23)]
        model = ScriptedModel([Step(text=words, delay=0.012)])
        got = await timed(buffer(Agent("bot", model).run_stream("Count")))
        shown = [(at, piece.content) for at, piece in got if piece.content]
        times = [at for at, _ in shown]
        assert "".join(text for _, text in shown) == "".join(words)
        assert [len(text.split()) for _, text in shown] == [5, 5, 5, 5, 3]  # not one by one
        assert times[0] == 0.062  # 50 ms after the first word, no later
        assert min(later - earlier for earlier, later in pairwise(times[:-1])) >= 0.05
        assert got[-1][0] == times[-1] == 0.288  # the remainder, at the end, without a wait
        assert got[-1][1].is_final

    run_with_fake_clock(main())
    assert inspect.signature(buffer).parameters["seconds"].default == 0.05


def test_S3_14_the_complete_example_runs() -> None:
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-W", "error", str(ROOT / "examples" / "complete_cli.py")],
        env=environment(LLM_PROVIDER="demo"),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    agent, executing, complete, end = (
        done.stdout.index(words)
        for words in ("Agent:", "Executing: search", "✓ Complete: search (", "\nCompleted in ")
    )
    assert agent < executing < complete < end
    assert "Found three pages about" in done.stdout[complete:end]
    assert re.search(r"Completed in [0-9]+ ms\n$", done.stdout)


async def test_S3_15_a_reader_that_leaves_is_in_the_log() -> None:
    model, gate = held("Once")
    agent, _, receiver = watched(model)
    async with asyncio.timeout(PATIENCE):
        async with aclosing(agent.run_stream("A story")) as chunks:
            assert (await anext(chunks)).content == "Once"
        assert not gate.opened.is_set()
        last = (await to_the_end(receiver))[-1]
    assert isinstance(last, Cancelled)
    assert last.reason == "abandoned"
    assert last.receipt.content == "Once"


async def test_S3_15_a_channel_that_its_reader_closes_is_in_the_log() -> None:
    model, _ = held("Once", " upon")
    agent, _, receiver = watched(model)
    channel = Channel[str](0)
    running = asyncio.create_task(agent.execute_stream("A story", channel))
    async with asyncio.timeout(PATIENCE):
        assert await channel.receive() == "Once"
        channel.close()
        with pytest.raises(ChannelClosed):
            await running
        last = (await to_the_end(receiver))[-1]
    assert isinstance(last, Cancelled)
    assert last.reason == "the channel's reader is gone"
    assert model.open_streams == 0


def test_S3_15_a_reader_of_the_command_that_leaves_ends_it() -> None:
    with (
        Served(stream(chunk("Once upon"), end=STALL)) as server,
        start("run", "A story", *server.at) as process,
    ):
        assert process.stdout
        assert process.stderr
        assert process.stdout.read(4) == "Once"
        process.stdout.close()
        server.closed()
        assert process.wait(20) == 141
        process.stderr.close()


def test_S3_16_receiving_waits_60_seconds_and_says_so() -> None:
    async def main() -> None:
        model, gate = held("Once")
        agent, _, receiver = watched(model)
        with pytest.raises(StreamTimeout, match="No event came for 60 s"):
            await receiver.recv(timeout=60)
        assert now() == 60
        with pytest.raises(StreamTimeout):
            await receiver.recv()  # 60 s is the default
        assert now() == 120
        with pytest.raises(StreamTimeout):
            await receiver.recv(timeout=5)
        assert now() == 125
        running = asyncio.create_task(agent.run("A story"))
        assert isinstance(await receiver.recv(timeout=60), RunStart)  # it goes on
        gate.open()
        await running

    run_with_fake_clock(main())


async def test_S3_17_a_status_stands_for_the_text_until_every_tool_has_ended() -> None:
    gates = {"alpha": Gate(), "beta": Gate()}

    @tool
    async def alpha() -> str:
        """Look in one place."""
        await gates["alpha"].pass_through()
        return "a"

    @tool
    async def beta() -> str:
        """Look in another place."""
        await gates["beta"].pass_through()
        return "b"

    both = Step(text="Let me look.", tool_calls=[("alpha", {}), ("beta", {})])
    model = ScriptedModel([both, Step(text="Found.")])
    paper = Paper()
    async with Agent("bot", model, tools=[alpha, beta]).start(QUESTION) as run:
        showing = asyncio.create_task(shown_on(paper, run))
        await paper.shows(f"[{SPINNER}] beta")
        lines = [line for line in paper.text.splitlines() if line]
        assert [line.lstrip(SPINNER + " ") for line in lines] == ["Let me look.", "alpha", "beta"]
        gates["alpha"].open()
        await paper.shows(r"✓ alpha \([0-9.]+ ms\)")
        await paper.shows(f"[{SPINNER}] beta")  # one has ended, the other is still told of
        assert len(model.requests) == 1
        gates["beta"].open()
        await showing
    lines = [re.sub(r" \(.*", "", line) for line in paper.text.splitlines() if line]
    assert lines[:4] == ["Let me look.", "✓ alpha", "✓ beta", "Found."]


def test_S3_18_feedback_is_immediate_and_the_rest_follows() -> None:
    more = asyncio.Event()
    body = stream(chunk("Once upon"), more, chunk(" a time."), STOP)
    with Served(body) as server, terminal("run", "A story", *server.at) as child:
        child.expect("Once upon")  # while the model is held
        server.set(more)
        child.expect("a time")
        child.expect("first token [0-9.]+ ms")
        assert ended(child) == 0


def test_S3_18_a_long_wait_shows_that_something_goes_on() -> None:
    more = asyncio.Event()
    with (
        Served(stream(more, chunk("At last."), STOP)) as server,
        terminal("run", "A story", *server.at) as child,
    ):
        child.expect(f"[{SPINNER}] waiting for openai:tiny")
        server.set(more)
        child.expect("At last")
        assert ended(child) == 0


async def test_S3_18_tools_are_told_of_as_they_begin_and_end() -> None:
    agent, _, receiver = watched()
    await agent.run(QUESTION)
    events = await to_the_end(receiver)
    order = [type(e) for e in events if isinstance(e, ToolStart | ToolEnd | Token)]
    assert order == [Token, Token, ToolStart, ToolEnd, Token, Token, Token]
