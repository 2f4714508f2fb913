"""A run with a memory that lost its owner goes on: its model is shown the same as before."""

from __future__ import annotations

from typing import Any

import pytest

from headrace import ConversationalAgent, tool
from headrace.agents.memory import Memory, last_messages, summary
from headrace.agents.memory.summaries import SHOWN
from headrace.events import Complete, Event, Retract, StepStart, Thought, ToolEnd, Warn
from headrace.models.request import ModelRequest
from headrace.runs.fold import fold
from headrace.runs.stores.memory import MemoryStore
from headrace.testing import ScriptedModel, Step
from tests.runtime.orphans import of, orphan, record_of, recovered, upto, whole_log

pytestmark = pytest.mark.anyio


@tool(idempotent=True)
def look(at: int) -> str:
    """Look at something."""
    return f"seen {at}"


def echo(request: ModelRequest) -> Step:
    return Step(text=[f"{len(request.messages)}:", request.messages[-1].text])


LOOKS = [Step(tool_calls=[("look", {"at": number})]) for number in (1, 2, 3)]


def agent(memory: Memory, *steps: Any) -> ConversationalAgent[Any]:
    return ConversationalAgent("chaos", ScriptedModel(steps), tools=[look], memory=memory)


async def goes_on(before: list[Event], memory: Memory, *steps: Any) -> list[Event]:
    store = MemoryStore()
    whole = agent(memory, *steps)
    return await recovered(store, await orphan(store, record_of("r"), before), whole)


async def test_a_window_is_the_same_after_it() -> None:
    memory = last_messages(1)
    before = upto(await whole_log(agent(memory, *LOOKS, echo)), ToolEnd)
    log = await goes_on(before, memory, LOOKS[1], echo)
    assert fold(log).text == "3:"  # the question and the newest step, whose result has no text
    assert [m.role for m in fold(log).messages].count("tool") == 2  # the run itself keeps both


async def test_a_summary_that_was_being_made_is_made_again() -> None:
    def memory(maker: ScriptedModel) -> Memory:
        return summary(maker, keep=1, every=2, show=True)

    first = memory(ScriptedModel([Step(text=["He ", "looked."])]))
    before = upto(await whole_log(agent(first, *LOOKS[:2], echo)), Thought)
    assert len(of(before, StepStart)) == 3
    again = ScriptedModel([Step(text="They looked.")])
    log = await goes_on(before, memory(again), echo)
    assert [event.reason for event in of(log, Retract)] == ["recovered"]
    assert [event.code for event in of(log, Warn)] == ["recovered"]
    assert len(again.requests) == 1
    assert fold(log).reasoning == "They looked.".join(SHOWN)
    assert isinstance(log[-1], Complete)
