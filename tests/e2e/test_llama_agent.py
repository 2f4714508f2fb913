"""An agent on a real OpenAI-compatible server that no one here wrote."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from headrace import Agent, resolve_model, tool
from headrace.events import Cancelled, Complete, Event, StepEnd, Token, ToolEnd, ToolStart
from headrace.models.model import Model
from headrace.testing.laws import check_events
from tests.e2e.llama_server import LlamaServer

TALK: dict[str, Any] = {"max_tokens": 40, "extra": {"ignore_eos": True}}


def _model(server: LlamaServer) -> Model:
    return resolve_model("llamacpp:tiny", base_url=server.base_url)


@tool
def flip(up: bool) -> str:
    """Flip the switch."""
    return "it is up" if up else "it is down"


async def _all(agent: Agent, text: str = "Tell me something.") -> list[Event]:
    async with agent.start(text) as run:
        return [event async for event in run.events()]


async def test_text_arrives_in_pieces_with_exact_usage_and_length(llama: LlamaServer) -> None:
    events = await _all(Agent(model=_model(llama), **TALK))
    check_events(events)
    end = events[-1]
    assert isinstance(end, Complete)
    assert end.finish_reason == "length"
    assert end.usage.exact
    assert end.usage.output == 40
    assert sum(isinstance(event, Token) for event in events) > 10
    assert end.metrics.time_to_first_token_ms is not None


async def test_forced_tool_calls_run_and_go_back_to_the_model(llama_tools: LlamaServer) -> None:
    # Forced through `extra`, so in each step: left free, this model's grammar cannot be built.
    forced = {"tool_choice": "required", "parallel_tool_calls": False}
    agent = Agent(
        model=_model(llama_tools), tools=[flip], max_tokens=300, max_steps=2, extra=forced
    )
    events = await _all(agent)
    check_events(events)
    starts = [event for event in events if isinstance(event, ToolStart)]
    ends = [event for event in events if isinstance(event, ToolEnd)]
    steps = [event for event in events if isinstance(event, StepEnd)]
    assert [step.finish_reason for step in steps] == ["tool_calls", "tool_calls"]
    assert {start.name for start in starts} == {"flip"}
    assert {end.output for end in ends} <= {"it is up", "it is down"}
    assert steps[1].usage.input > steps[0].usage.input
    end = events[-1]
    assert isinstance(end, Complete)
    assert end.finish_reason == "max_steps"


async def test_cancel_frees_the_servers_slot(llama: LlamaServer) -> None:
    agent = Agent(model=_model(llama), max_tokens=100_000, extra={"ignore_eos": True})
    async with agent.start("Talk for ever.") as run:
        async for event in run.events():
            if isinstance(event, Token) and event.index == 5:
                break
        assert llama.busy_slots() == 1
        end = await run.cancel("user pressed stop")
    assert isinstance(end, Cancelled)
    assert end.receipt.content
    await _slots_become_free(llama)


async def test_an_abandoned_run_stream_frees_the_slot(llama: LlamaServer) -> None:
    agent = Agent(model=_model(llama), max_tokens=100_000, extra={"ignore_eos": True})
    stream = agent.run_stream("Talk for ever.")
    async for chunk in stream:
        if chunk.index == 5:
            break
    await stream.aclose()
    await _slots_become_free(llama)


async def test_twenty_streams_at_once_are_each_whole(llama: LlamaServer) -> None:
    agent = Agent(model=_model(llama), **TALK)
    logs = await asyncio.gather(*(_all(agent, f"Number {n}.") for n in range(20)))
    for events in logs:
        check_events(events)
        end = events[-1]
        assert isinstance(end, Complete)
        assert end.usage.output == 40


async def _slots_become_free(server: LlamaServer) -> None:
    """The server looks at a closed socket between two tokens; it has a second for it."""
    deadline = time.monotonic() + 5
    while server.busy_slots():
        assert time.monotonic() < deadline, "the server goes on generating after the cancel"
        await asyncio.sleep(0.01)
