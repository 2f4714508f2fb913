"""Real runs explained: refused, broken, with tools, after others; their parts add up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest

from headrace import Agent, Runtime, tool
from headrace.errors import ProviderUnavailable, StreamTruncated
from headrace.events import TERMINAL, ToolEnd
from headrace.models.retry import RetryPolicy
from headrace.telemetry.explain import explain
from headrace.testing import Gate, ScriptedModel, Step
from headrace.tools.tool import AnyTool
from tests.promises.story import QUESTION, researcher
from tests.telemetry.told_logs import adds_up


@tool
async def slow(query: str) -> str:
    """Look for something, slowly.

    Args:
        query: What to look for.
    """
    await asyncio.sleep(0.05)
    return f"found {query}"


def side_by_side(calls: int) -> AnyTool:
    """A tool of which no call returns before all have begun."""
    begun: list[str] = []
    all_begun = asyncio.Event()

    async def together(query: str) -> str:
        """Look for something.

        Args:
            query: What to look for.
        """
        begun.append(query)
        if len(begun) == calls:
            all_begun.set()
        await all_begun.wait()
        await asyncio.sleep(0.01)
        return f"found {query}"

    return tool(together)


def breaking() -> Agent:
    """Is refused once, breaks once in mid-answer, calls tools side by side, and answers."""
    refused = Step(error=ProviderUnavailable("It is down.", provider="scripted", status=503))
    broken = Step(text=["Half "], error=StreamTruncated("It broke.", provider="scripted"))
    calls = [("together", {"query": word}) for word in ("a", "b", "c")]
    steps = [refused, broken, Step(text="Look. ", tool_calls=calls), Step(text=["Found ", "all."])]
    quick = RetryPolicy(retries=1, base=0.001, longest=0.002)
    return Agent("bot", ScriptedModel(steps, retry=quick), tools=[side_by_side(len(calls))])


def failing() -> Agent:
    error = ProviderUnavailable("It is down.", provider="scripted", status=503)
    return Agent("bot", ScriptedModel([Step(text="Half", error=error)] * 2))


@pytest.fixture
async def runtime() -> AsyncGenerator[Runtime]:
    async with Runtime("memory:") as runtime:
        yield runtime


@pytest.mark.parametrize("make", [researcher, breaking, failing])
async def test_real_runs_add_up(runtime: Runtime, make: Callable[[], Agent]) -> None:
    run = await runtime.submit(make(), QUESTION)
    log = [event async for event in run.events()]
    assert isinstance(log[-1], TERMINAL)
    kept = await runtime.store.run(run.id)
    told = explain(kept, log)
    adds_up(told, kept.created_at, log[-1].at)
    assert told.status == kept.status


async def test_a_broken_runs_losses_and_tools_are_told(runtime: Runtime) -> None:
    run = await runtime.submit(breaking(), "x")
    log = [event async for event in run.events()]
    told = explain(run.record, log)
    assert (told.status, told.retries, told.withdrawn, told.withdrawn_chars) == (
        *("complete", 1, 1),
        len("Half "),
    )
    assert told.parts["lost"] > 0
    (used,) = told.tools
    assert (used.name, used.calls, used.failed) == ("together", 3, 0)
    each = [event.duration_ms * 1e3 for event in log if isinstance(event, ToolEnd)]
    assert 0 < used.longest_us <= used.us < sum(each)  # side by side
    assert told.in_turn == ()


async def test_tools_with_one_place_run_one_after_another(runtime: Runtime) -> None:
    calls = [("slow", {"query": word}) for word in ("a", "b", "c")]
    model = ScriptedModel([Step(tool_calls=calls), Step(text="Done.")])
    run = await runtime.submit(Agent("bot", model, tools=[slow], parallel_tools=1), "x")
    told = explain(run.record, [event async for event in run.events()])
    (turn,) = told.in_turn
    assert (turn.step, turn.calls) == (1, 3)
    assert turn.us >= 149_000  # events tell the time of day, which may be slowed a little


async def test_a_run_that_waits_for_its_session_names_the_one_before(runtime: Runtime) -> None:
    gate = Gate()
    agent = Agent("bot", ScriptedModel([Step(text=["a", gate, "b"]), Step(text="c")]))
    first = await runtime.submit(agent, "x", session="talk")
    second = await runtime.submit(agent, "y", session="talk", busy="queue")
    await asyncio.sleep(0.05)
    gate.open()
    log = [event async for event in second.events()]
    others = await runtime.store.runs(session="talk")
    told = explain(second.record, log, others=others)
    assert told.behind == first.id
    assert told.parts["queue"] >= 49_000
    adds_up(told, second.record.created_at, log[-1].at)
