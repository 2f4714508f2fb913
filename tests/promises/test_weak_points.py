"""The weak points of those systems, which are not to be repeated.

The page that a browser's EventSource cannot read belongs to the server and is tested there.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise

import pytest

from headrace import Agent, EventDispatcher, ModelRequest, RunContext, RunFailed, tool
from headrace.errors import ProviderUnavailable
from headrace.events import Cancelled, Event, Token, ToolEnd, ToolStart, decode, type_of
from headrace.testing import Gate, ScriptedModel, Step, check_events, run_with_fake_clock
from headrace.views.operators import throttle
from tests.cli.shell import Served, environment, start
from tests.docs.pages import ROOT
from tests.promises.paper import SPINNER, Paper, shown_on
from tests.promises.story import (
    AWAITED,
    NEWS,
    PATIENCE,
    QUESTION,
    VIEWS,
    View,
    at,
    by_run_stream,
    held,
    research,
    researcher,
    search,
)
from tests.providers.chat_bodies import STOP, call, calls, chunk, finish
from tests.support.loopback import FIN, RESET, STALL, Loopback, reply, stream
from tests.views.operators.sources import timed


async def test_the_text_of_a_turn_that_calls_tools_streams_too() -> None:
    gate = Gate()
    first = Step(text=["Let me ", gate, "look. "], tool_calls=[("search", {"query": "x"})])
    agent = Agent("bot", ScriptedModel([first, Step(text="Found.")]), tools=[search])
    async with asyncio.timeout(PATIENCE):
        chunks = agent.run_stream(QUESTION)
        assert (await anext(chunks)).content == "Let me "
        await gate.reached.wait()
        gate.open()
        assert "".join([c.content async for c in chunks]) == "look. Found."


@pytest.mark.parametrize("view", VIEWS)
async def test_streaming_turns_run_their_tools(view: View) -> None:
    ran: list[str] = []

    @tool(name="search")
    def counted(query: str) -> str:
        """Search."""
        ran.append(query)
        return query

    assert await view(Agent("bot", research(), tools=[counted])) == NEWS
    assert ran == ["AI news"]


async def test_a_blocking_answer_is_not_called_a_token() -> None:
    whole = {"object": "chat.completion", "choices": [{"message": {"content": "all at once"}}]}
    got: list[str] = []
    async with Loopback(reply(200, whole)) as server:
        with pytest.raises(RunFailed) as failed:
            await Agent("bot", at(server)).run_callback("Hi", got.append)
    assert (failed.value.code, got) == ("streaming_unsupported", [])


async def test_bad_json_is_an_error_and_never_skipped() -> None:
    body = [chunk("Half "), b'data: {"choices": [{"del\n\n', chunk("gone"), STOP]
    async with Loopback(stream(*body)) as server:
        with pytest.raises(RunFailed) as failed:
            await by_run_stream(Agent("bot", at(server)))
    assert (failed.value.code, failed.value.partial) == ("invalid_response", "Half ")


@pytest.mark.parametrize("end", [None, FIN, RESET])
async def test_an_end_without_the_end_mark_is_an_error(end: object) -> None:
    sent = asyncio.Event()
    async with Loopback(stream(chunk("Half "), sent, end=end)) as server:
        chunks = Agent("bot", at(server)).run_stream("Hi")
        assert (await anext(chunks)).content == "Half "
        sent.set()
        with pytest.raises(RunFailed) as failed:
            [c async for c in chunks]
    assert (failed.value.code, failed.value.partial) == ("stream_truncated", "Half ")


@pytest.mark.parametrize("broken", ['{"now": tr', "nonsense", "[]", "{}}", '{"now": true'])
async def test_broken_arguments_never_run_as_an_empty_object(broken: str) -> None:
    ran: list[bool] = []

    @tool
    def reboot(now: bool = True) -> str:
        """Reboot; `{}` would do."""
        ran.append(now)
        return "done"

    asked = [calls(call(0, "c1", "reboot", broken)), finish("tool_calls")]
    async with Loopback(stream(*asked), stream(chunk("Sorry."), STOP)) as server:
        agent = Agent("bot", at(server), tools=[reboot])
        async with agent.start("Reboot") as run:
            events = [e async for e in run.events()]
        told = server.requests[1].json["messages"][-1]
    assert ran == []
    (end,) = [e for e in events if isinstance(e, ToolEnd)]
    assert end.error
    assert (told["role"], told["content"]) == ("tool", end.error)


async def test_order_holds_whatever_runs_at_once() -> None:
    @tool
    async def work(context: RunContext, n: int) -> str:
        """Work."""
        for part in range(5):
            context.progress(f"{n}.{part}")
            await asyncio.sleep(0)
        return str(n)

    many = Step(text=["a ", "b "], tool_calls=[("work", {"n": n}) for n in range(8)])
    dispatcher = EventDispatcher()
    receivers = [dispatcher.subscribe() for _ in range(5)]
    model = ScriptedModel([many, Step(text=["c ", "d"])])
    await Agent("bot", model, tools=[work], dispatcher=dispatcher).run("Work")
    await dispatcher.drain()
    dispatcher.close()
    first, *others = [[e async for e in receiver] for receiver in receivers]
    check_events(first)
    assert others == [first] * 4
    progress = [e.content for e in first if hasattr(e, "content") and "." in e.content]
    for n in range(8):
        assert [p for p in progress if p.startswith(f"{n}.")] == [f"{n}.{i}" for i in range(5)]


async def test_who_subscribes_late_misses_nothing() -> None:
    gate = Gate()
    dispatcher = EventDispatcher()
    early = dispatcher.subscribe()
    model = ScriptedModel([Step(text=["Once", gate, " upon"])])
    agent = Agent("bot", model, dispatcher=dispatcher)
    async with asyncio.timeout(PATIENCE):
        running = asyncio.create_task(agent.run("A story"))
        await gate.reached.wait()
        late = dispatcher.subscribe()
        gate.open()
        await running
        await dispatcher.drain()
        dispatcher.close()
        events = [e async for e in late]
    check_events(events)
    assert events == [e async for e in early]


async def test_a_viewer_that_comes_after_the_end_misses_nothing() -> None:
    async with researcher().start(QUESTION) as run:
        await run.result()
        check_events([e async for e in run.events()])


def bug(request: ModelRequest) -> Step:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("answer", "last"),
    [
        (Step(text="Half", error=ProviderUnavailable("scripted: 503")), "error"),
        (Step(text="Half", finish_reason=None), "error"),
        (bug, "error"),
        (Step(text="Half", finish_reason="content_filter"), "complete"),
    ],
)
async def test_every_run_has_one_terminal_event(
    answer: Step | Callable[[ModelRequest], Step], last: str
) -> None:
    dispatcher = EventDispatcher()
    receiver = dispatcher.subscribe()
    agent = Agent("bot", ScriptedModel([answer]), dispatcher=dispatcher)
    async with asyncio.timeout(PATIENCE):
        chunks = [c async for c in agent.run_stream("Go", on_error="chunk")]
        await dispatcher.drain()
        dispatcher.close()
        events = [e async for e in receiver]
    check_events(events)
    assert type_of(events[-1]) == last
    assert chunks[-1].is_final


@pytest.mark.parametrize("view", AWAITED)
async def test_a_run_whose_caller_is_cancelled_has_one_terminal_event(view: View) -> None:
    model, gate = held("Half")
    dispatcher = EventDispatcher()
    receiver = dispatcher.subscribe()
    running = asyncio.ensure_future(view(Agent("bot", model, dispatcher=dispatcher)))
    async with asyncio.timeout(PATIENCE):
        await gate.reached.wait()
        running.cancel()
        await asyncio.wait([running])
        await dispatcher.drain()
        dispatcher.close()
        events = [e async for e in receiver]
    check_events(events)
    assert isinstance(events[-1], Cancelled)
    assert events[-1].receipt.content == "Half"


def test_a_run_that_is_interrupted_has_one_terminal_event() -> None:
    with (
        Served(stream(chunk("Once"), end=STALL)) as server,
        start("run", "--json", "A story", *server.at) as process,
    ):
        assert process.stdout
        assert process.stderr
        events: list[Event] = []
        while not events or not isinstance(events[-1], Token):
            events.append(decode(process.stdout.readline()))
        process.send_signal(signal.SIGINT)
        events += [decode(line) for line in process.stdout]
        process.stderr.close()
        assert process.wait(20) == 130
    check_events(events)
    assert isinstance(events[-1], Cancelled)


@pytest.mark.parametrize("pieces", [["[DONE]"], ["Say ", "[DONE]", " to end"], ["[DO", "NE]", "!"]])
async def test_a_model_may_say_the_end_mark(pieces: list[str]) -> None:
    async with Loopback(stream(*map(chunk, pieces), STOP)) as server:
        for view in AWAITED:
            assert await view(Agent("bot", at(server))) == "".join(pieces)


def test_a_throttle_is_more_than_a_comment() -> None:
    async def main() -> None:
        words = [f"{n} " for n in range(50)]
        chunks = Agent("bot", ScriptedModel([Step(text=words, delay=0.07)])).run_stream("Count")
        shown = [(when, c.content) for when, c in await timed(throttle(chunks, 1.0)) if c.content]
        assert [when for when, _ in shown] == [0.07, 1.07, 2.07, 3.07, 4.07]
        assert "".join(content for _, content in shown) == "".join(words)
        assert min(b - a for (a, _), (b, _) in pairwise(shown)) >= 1.0 - 1e-9

    run_with_fake_clock(main())


def test_a_word_count_does_not_log_at_zero() -> None:
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, str(ROOT / "examples" / "custom_processing.py")],
        env=environment(LLM_PROVIDER="demo"),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told = [line for line in done.stderr.splitlines() if line]
    counts = [int(line.removeprefix("[Progress: ").removesuffix(" words]")) for line in told]
    assert counts == [10 * (n + 1) for n in range(len(counts))]
    total = len(done.stdout.rpartition("\nReply: ")[0].split())
    assert len(counts) == total // 10 > 0


async def test_two_tools_at_once_are_told_apart_on_the_screen() -> None:
    gates = [Gate(), Gate()]

    @tool
    async def look(n: int) -> str:
        """Look."""
        await gates[n].pass_through()
        return str(n)

    both = Step(tool_calls=[("look", {"n": 0}), ("look", {"n": 1})])
    model = ScriptedModel([both, Step(text="Found.")])
    paper = Paper()
    async with Agent("bot", model, tools=[look]).start("Look") as run:
        showing = asyncio.create_task(shown_on(paper, run))
        for gate in gates:
            await gate.reached.wait()
        await paper.shows(rf"[{SPINNER}] look\n[{SPINNER}] look")
        gates[1].open()
        await paper.shows(rf"✓ look \([0-9.]+ ms\)\n\n?[{SPINNER}] look")
        gates[0].open()
        await showing
        ended = [e.call_id for e in [e async for e in run.events()] if isinstance(e, ToolEnd)]
        began = [e.call_id for e in [e async for e in run.events()] if isinstance(e, ToolStart)]
    assert ended == began[::-1]
    assert paper.text.count("✓ look") == 2
    assert paper.text.index("Found.") > paper.text.rindex("✓ look")


@pytest.mark.parametrize("view", AWAITED)
async def test_a_model_that_breaks_and_is_asked_again_says_nothing_twice(view: View) -> None:
    cut = Step(text=["Half ", "an ans"], finish_reason=None)
    agent = Agent("bot", ScriptedModel([cut, Step(text=["Whole ", "answer."])]))
    try:
        shown = await view(agent)
    except RunFailed as error:
        shown = error.partial
    assert shown in ("Half an ans", "Whole answer.")
