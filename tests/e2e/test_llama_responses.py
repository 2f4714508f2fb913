"""Agents on llama.cpp's ``/v1/responses``, a server that no one here wrote.

Its stream leaves out the items' places and says `completed` of an answer that `max_output_tokens`
cut, so that it is no oracle of the protocol; text, usage, calls and the end are tested.
"""

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
    return resolve_model("openai-responses:tiny", base_url=server.base_url, env={})


@tool
def flip(up: bool) -> str:
    """Flip the switch."""
    return "it is up" if up else "it is down"


async def _all(agent: Agent, text: str = "Tell me something.") -> list[Event]:
    async with agent.start(text) as run:
        return [event async for event in run.events()]


async def test_text_arrives_in_pieces_with_exact_usage(llama: LlamaServer) -> None:
    events = await _all(Agent(model=_model(llama), instructions="Be brief.", **TALK))
    check_events(events)
    end = events[-1]
    assert isinstance(end, Complete)
    assert end.finish_reason == "stop"
    assert end.usage.exact
    assert end.usage.output == 40
    assert end.usage.input > 0
    assert sum(isinstance(event, Token) for event in events) > 10


async def test_a_conversation_goes_on(llama: LlamaServer) -> None:
    agent = Agent(model=_model(llama), **TALK)
    first = await agent.run("One.")
    second = await agent.run("Two.", history=first.messages)
    assert second.content
    assert second.usage.input > first.usage.input


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
    deadline = time.monotonic() + 5
    while llama.busy_slots():
        assert time.monotonic() < deadline, "the server goes on generating after the cancel"
        await asyncio.sleep(0.01)
