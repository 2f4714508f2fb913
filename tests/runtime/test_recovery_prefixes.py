"""Wherever a run was lost: every prefix of a log is taken up, and its end is the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import time

import pytest
from msgspec.structs import replace

from headrace.agents.agent import Agent
from headrace.errors import ConnectionFailed
from headrace.events import (
    Complete,
    Event,
    Input,
    Retract,
    RunStart,
    StepEnd,
    ToolEnd,
    ToolStart,
)
from headrace.messages import ToolResult
from headrace.models.deltas import Delta, Failure, Finish, TextDelta, ToolCallDelta
from headrace.models.request import ModelRequest
from headrace.runs.fold import fold
from headrace.runs.stores.memory import MemoryStore
from headrace.runs.stores.sqlite import SQLiteStore
from headrace.runs.stores.store import Store
from headrace.testing import Gate, ScriptedModel
from headrace.tools.context import RunContext
from headrace.tools.tool import tool
from tests.chaos.model import text_of
from tests.runtime.orphans import (
    ASKED,
    PIECES,
    Ran,
    chaos_agent,
    log_of,
    of,
    orphan,
    record_of,
    recover,
    whole_log,
)

pytestmark = pytest.mark.anyio

Answer = list[list[Delta] | Gate]


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened: Store = (
        MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "runs.db")
    )
    yield opened
    await opened.close()


@dataclass
class Story:
    """A run, and how it may go on from any point.

    Attributes:
        log: Of a run that nothing interrupted, or of one that was taken up before.
        agent: Who goes on.
        ran: How often its calls have run since.
        text: What the answer must be, given where the run was lost.
    """

    log: list[Event]
    agent: Agent
    ran: Ran
    text: Callable[[Sequence[Event]], str]


async def three_steps() -> Story:
    """Reasoning, text, parallel calls, a second and a third step."""
    ran = Ran()
    text = text_of(ASKED, PIECES)
    return Story(await whole_log(chaos_agent(Ran())), chaos_agent(ran), ran, lambda _: text)


async def broken_and_asked_again() -> Story:
    """A step that broke in the middle of its text and was withdrawn, with a call begun early."""
    ran = Ran()
    first: Answer = [
        [TextDelta("Half an ")],
        [ToolCallDelta(0, "early", "look", "{}")],
        [Failure(ConnectionFailed("It broke."))],
    ]
    begun = early_agent(Ran(), ScriptedModel([first, *[decide_early] * 2]))
    log = await whole_log(begun)
    assert of(log, Retract)
    agent = early_agent(ran, ScriptedModel([decide_early] * 500))
    return Story(log, agent, ran, lambda _: "Looking. Done.")


async def called_early() -> Story:
    """A tool that changes nothing and begins while its step still streams."""
    ran = Ran()
    log = await whole_log(early_agent(Ran(), ScriptedModel([decide_early] * 2)))
    agent = early_agent(ran, ScriptedModel([decide_early] * 500))
    return Story(log, agent, ran, lambda _: "Looking. Done.")


async def steered() -> Story:
    """A message that comes in the middle of the first step."""
    gate = Gate()
    begun = Agent("chaos", ScriptedModel([[[TextDelta("One")], gate, *one()[1:]], two()]))
    async with begun.start(ASKED) as run:
        await gate.reached.wait()
        run.send("And two?")
        gate.open()
        log = [event async for event in run.events()]
    agent = Agent("chaos", ScriptedModel([decide_steered] * 500))
    return Story(log, agent, Ran(), lambda before: "One. Two." if of(before, Input) else "One. ")


STORIES = {
    story.__name__: story for story in (three_steps, broken_and_asked_again, called_early, steered)
}


def one() -> Answer:
    return [[TextDelta("One")], [TextDelta(". ")], [Finish("stop")]]


def two() -> Answer:
    return [[TextDelta("Two.")], [Finish("stop")]]


def decide_steered(request: ModelRequest) -> Answer:
    asked = [message.text for message in request.messages if message.role == "user"]
    said = [message.text for message in request.messages if message.role == "assistant"]
    assert (asked, said) in (
        ([ASKED], []),
        ([ASKED, "And two?"], ["One. "]),
        ([ASKED, "And two?"], []),
    )
    return two() if said else one() if len(asked) == 1 else [*one()[:-1], *two()]


def early_agent(ran: Ran, model: ScriptedModel) -> Agent:
    @tool(read_only=True)
    async def look(run: RunContext) -> str:
        """Look."""
        ran[run.run_id, run.call_id] += 1
        return "seen"

    @tool
    async def change(run: RunContext) -> str:
        """Change something."""
        ran[run.run_id, run.call_id] += 1
        return "changed"

    return Agent("chaos", model, tools=[look, change])


def decide_early(request: ModelRequest) -> Answer:
    last = request.messages[-1]
    if last.role == "tool":
        results = [part for part in last.content if isinstance(part, ToolResult)]
        assert [result.call_id for result in results] == ["early", "late"]
        return [[TextDelta("Done.")], [Finish("stop")]]
    return [
        [TextDelta("Looking. ")],
        [ToolCallDelta(0, "early", "look", "{}")],
        [ToolCallDelta(1, "late", "change", "{")],
        [ToolCallDelta(1, "late", "change", "}")],
        [Finish("tool_calls")],
    ]


async def take_up_every_prefix(store: Store, story: Story) -> dict[int, list[Event]]:
    """The final logs by the length of the prefix that was found."""
    begun = time()  # so that each has all of the time that its deadline gives
    names = {
        size: await orphan(
            store, record_of(f"after-{size}", created_at=begun + size / 1e3), story.log[:size]
        )
        for size in range(len(story.log))
    }
    assert len(names) < 100
    await recover(store, list(names.values()), story.agent)
    return {size: await log_of(store, name) for size, name in names.items()}


def check(size: int, before: list[Event], log: list[Event], story: Story) -> None:
    """What must hold of a run that was lost after so many events."""
    assert log[1:size] == before[1:], "what was kept is changed"
    assert isinstance(log[-1], Complete)
    assert log[-1].finish_reason == "stop"
    state = fold(log)
    assert state.text == state.answer == story.text(before)
    steps = [
        end.step for end in of(log, StepEnd) if end.finish_reason not in ("error", "cancelled")
    ]
    assert steps == sorted(set(steps)), "good steps count on"
    standing = Counter(call.call_id for call in state.tools)
    assert set(standing.values()) <= {1}, "a call stands twice"
    _check_calls(f"after-{size}", before, log, story.ran)


def _check_calls(run_id: str, before: list[Event], log: list[Event], ran: Ran) -> None:
    """What had ended did not run again, nor what may have been done; the rest ran once."""
    left = [call for call in fold(log).tools if call.agent == ""]
    withdrawn = {call.call_id for call in fold(before).tools} - {
        call.call_id for call in fold(log).tools if call.seq <= len(before)
    }
    for call in left:
        ended = any(e.call_id == call.call_id for e in of(before, ToolEnd))
        begun = any(e.call_id == call.call_id for e in of(before, ToolStart))
        times = ran[run_id, call.call_id]
        if call.call_id in withdrawn or not begun:
            assert times == 1, f"{call.call_id} ran {times} times"
        elif ended or call.name in ("charge", "change"):
            assert times == 0, f"{call.call_id} ran again"
            assert ended or call.error == "outcome unknown"
        elif call.name == "note":
            assert times == 1, f"{call.call_id} did not run again"


@pytest.mark.parametrize("name", STORIES)
async def test_every_prefix_of_a_log_leads_to_its_end(store: Store, name: str) -> None:
    story = await STORIES[name]()
    for size, log in (await take_up_every_prefix(store, story)).items():
        try:
            check(size, story.log[:size], log, story)
        except AssertionError as error:
            raise AssertionError(f"lost after {size} events: {error}\n{log}") from error


@pytest.mark.parametrize("name", STORIES)
async def test_a_run_that_is_lost_again_leads_to_its_end(name: str) -> None:
    """In the middle of what the recovery before has written, and anywhere behind that."""
    first = await STORIES[name]()
    store = MemoryStore()
    logs = await take_up_every_prefix(store, first)
    await store.close()
    for size in range(2, len(first.log), 5):
        second = await STORIES[name]()
        second.log = [replace(logs[size][0], run_id="r"), *logs[size][1:]]
        store = MemoryStore()
        again = await take_up_every_prefix(store, second)
        await store.close()
        for lost, log in again.items():
            if lost < size:
                continue
            assert isinstance(log[-1], Complete)
            assert isinstance(log[0], RunStart)
            expected = second.text(second.log[:lost])
            assert fold(log).text == fold(log).answer == expected, f"lost after {size} and {lost}"
