"""A run of a ReAct agent that lost its owner goes on, wherever it was."""

from __future__ import annotations

import pytest

from headrace import ModelRequest, ReActAgent
from headrace.events import Complete, ToolEnd
from headrace.models.react.reader import UNREADABLE
from headrace.runs.fold import fold
from headrace.runs.stores.memory import MemoryStore
from headrace.testing import ScriptedModel, Step
from headrace.tools.tool import tool
from tests.runtime.orphans import orphan, record_of, recovered, whole_log

TURNS = (
    'Thought: I must multiply.\nAction: times\nAction Input: {"one": 6, "other": 7}\n',
    "Thought: Seven times six, then.",
    "Thought: I know it.\nFinal Answer: It is 42.",
)


@tool(idempotent=True)
async def times(one: int, other: int) -> int:
    """Multiply."""
    return one * other


def mathematician() -> ReActAgent:
    """Says what fits what it was told so far, whoever asks."""

    def turn(request: ModelRequest) -> Step:
        told = sum(message.text.startswith("Observation:") for message in request.messages)
        return Step(text=list(TURNS[told]))

    return ReActAgent("mathematician", ScriptedModel([turn] * 6), tools=[times])


@pytest.mark.parametrize("part", [n / 20 for n in range(20)])
async def test_it_goes_on_in_the_form(part: float) -> None:
    log = await whole_log(mathematician())
    before = log[: 1 + int(part * (len(log) - 1))]
    store = MemoryStore()
    run_id = await orphan(store, record_of("r", "mathematician"), before)
    after = await recovered(store, run_id, mathematician())
    await store.close()
    assert isinstance(after[-1], Complete)
    assert fold(after).text == "It is 42."
    ends = [(end.name, end.output) for end in after if isinstance(end, ToolEnd)]
    assert [name for name, _ in ends] == ["times", UNREADABLE]
    assert ends[0] == ("times", "42")
