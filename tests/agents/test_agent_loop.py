"""The agent's loop on scripted models: what runs, what is written, how it ends."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import pytest

from headrace import Agent, RunContext, RunFailed, ToolError, tool
from headrace.errors import ProviderUnavailable, StreamTruncated, UnknownOption, UsageError
from headrace.events import (
    Answer,
    Cancelled,
    Complete,
    Error,
    Event,
    Retract,
    StepEnd,
    StepStart,
    Token,
    ToolEnd,
    ToolProgress,
    ToolStart,
)
from headrace.models.deltas import Failure, Finish, TextDelta, ToolCallDelta
from headrace.runs.fold import fold
from headrace.testing import Gate, ScriptedModel, Step
from headrace.testing.laws import check_events
from headrace.usage import Usage


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
def broken() -> str:
    """Fail."""
    raise ToolError("the disk is full")


E = TypeVar("E", bound=Event)


async def events_of(agent: Agent, text: str = "hi", **options: Any) -> list[Event]:
    async with agent.start(text, **options) as run:
        events = [event async for event in run.events()]
    check_events(events)
    return events


def of(events: list[Event], kind: type[E]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


async def test_text_tools_and_the_answer_in_order() -> None:
    model = ScriptedModel(
        [
            Step(text="Let me add. ", tool_calls=[("add", {"a": 1, "b": 2})], usage=Usage(10, 5)),
            Step(text=["The sum ", "is 3."], usage=Usage(20, 6)),
        ]
    )
    events = await events_of(Agent(model=model, tools=[add]))
    assert [e.output for e in of(events, ToolEnd)] == ["3"]
    assert [e.input for e in of(events, ToolStart)] == [{"a": 1, "b": 2}]
    assert of(events, Answer)[0].content == "Let me add. The sum is 3."
    end = of(events, Complete)[0]
    assert (end.finish_reason, end.usage) == ("stop", Usage(30, 11))
    assert model.requests[1].messages[-1].role == "tool"
    model.assert_consumed()


async def test_a_failing_tool_is_told_to_the_model_and_the_run_goes_on() -> None:
    model = ScriptedModel([Step(tool_calls=[("broken", {})]), Step(text="Sorry.")])
    events = await events_of(Agent(model=model, tools=[broken]))
    end = of(events, ToolEnd)[0]
    assert end.error == "the disk is full"
    assert "the disk is full" in str(model.requests[1].messages[-1])
    assert isinstance(events[-1], Complete)


@pytest.mark.parametrize(
    "arguments", ['{"a": 1, "b":', "[1, 2]", '{"a": "x", "b": 2}', '{"a": 1}', "nonsense"]
)
async def test_malformed_arguments_never_run_the_tool(arguments: str) -> None:
    ran: list[int] = []

    @tool
    def add(a: int, b: int) -> int:
        """Add."""
        ran.append(a)
        return a + b

    model = ScriptedModel([Step(tool_calls=[("add", arguments)]), Step(text="ok")])
    events = await events_of(Agent(model=model, tools=[add]))
    assert ran == []
    assert of(events, ToolEnd)[0].error
    assert isinstance(events[-1], Complete)


async def test_an_unknown_tool_is_an_error_for_the_model_that_names_the_nearest() -> None:
    model = ScriptedModel([Step(tool_calls=[("ad", {})]), Step(text="ok")])
    events = await events_of(Agent(model=model, tools=[add]))
    assert "'add'" in (of(events, ToolEnd)[0].error or "")


@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_calls_of_a_cut_step_never_run(reason: Any) -> None:
    model = ScriptedModel([Step(tool_calls=[("add", {"a": 1, "b": 2})], finish_reason=reason)])
    events = await events_of(Agent(model=model, tools=[add]))
    assert of(events, ToolStart) == []
    assert of(events, Complete)[0].finish_reason == reason


async def test_tools_of_one_step_run_in_parallel_and_end_as_they_end() -> None:
    first_may_end = asyncio.Event()

    @tool
    async def slow() -> str:
        """Wait for the other one."""
        await first_may_end.wait()
        return "slow"

    @tool
    async def quick() -> str:
        """Let the other one go."""
        first_may_end.set()
        return "quick"

    model = ScriptedModel([Step(tool_calls=[("slow", {}), ("quick", {})]), Step(text="ok")])
    events = await events_of(Agent(model=model, tools=[slow, quick]))
    assert [e.output for e in of(events, ToolEnd)] == ["quick", "slow"]
    results = model.requests[1].messages[-1].content
    assert [getattr(part, "output", "") for part in results] == ["slow", "quick"]
    assert [m.role for m in fold(events).messages] == ["assistant", "tool", "assistant"]
    assert fold(events).messages[1].content == results


async def test_no_more_tools_run_at_once_than_the_bound() -> None:
    running, most = 0, 0

    @tool
    async def work() -> str:
        """Count who is here."""
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return "done"

    calls: list[tuple[str, dict[str, Any]]] = [("work", {})] * 12
    model = ScriptedModel([Step(tool_calls=calls), Step(text="ok")])
    events = await events_of(Agent(model=model, tools=[work], parallel_tools=3))
    assert len(of(events, ToolEnd)) == 12
    assert most == 3


async def test_a_read_only_tool_starts_while_the_model_still_streams() -> None:
    gate = Gate()

    @tool(read_only=True)
    async def look() -> str:
        """Look, and only then let the model write on."""
        gate.open()
        return "seen"

    first: list[Any] = [ToolCallDelta(0, "a", "look", "{}"), ToolCallDelta(1, "b", "add", '{"a":')]
    rest: list[Any] = [ToolCallDelta(1, "b", "add", ' 1, "b": 2}'), Finish("tool_calls")]
    model = ScriptedModel([[first, gate, rest], Step(text="ok")])
    events = await events_of(Agent(model=model, tools=[look, add]))
    order = [type(e).__name__ for e in events if isinstance(e, ToolStart | StepEnd)]
    assert order[:3] == ["ToolStart", "StepEnd", "ToolStart"]
    assert {e.name: e.output for e in of(events, ToolEnd)} == {"look": "seen", "add": "3"}


async def test_progress_of_a_generator_tool_is_shown() -> None:
    @tool
    async def count(to: int) -> Any:
        """Count."""
        for n in range(1, to + 1):
            yield f"{n} of {to}"

    model = ScriptedModel([Step(tool_calls=[("count", {"to": 3})]), Step(text="ok")])
    events = await events_of(Agent(model=model, tools=[count]))
    assert [e.content for e in of(events, ToolProgress)] == ["1 of 3", "2 of 3", "3 of 3"]
    assert of(events, ToolEnd)[0].output == "3 of 3"


async def test_a_tool_gets_the_callers_context() -> None:
    @tool
    def who(run: RunContext) -> str:
        """Who asks?"""
        return str(run.context["user"])

    model = ScriptedModel([Step(tool_calls=[("who", {})]), Step(text="ok")])
    events = await events_of(Agent(model=model, tools=[who]), context={"user": "u1"})
    assert of(events, ToolEnd)[0].output == "u1"


async def test_max_steps_ends_the_run_by_name() -> None:
    call = ("add", {"a": 1, "b": 1})
    model = ScriptedModel([Step(tool_calls=[call]), Step(tool_calls=[call])])
    events = await events_of(Agent(model=model, tools=[add], max_steps=2))
    assert len(of(events, StepStart)) == 2
    assert of(events, Complete)[0].finish_reason == "max_steps"


async def test_a_forced_tool_choice_holds_for_the_first_step_only() -> None:
    model = ScriptedModel([Step(tool_calls=[("add", {"a": 1, "b": 1})]), Step(text="2")])
    await events_of(Agent(model=model, tools=[add], tool_choice="required"))
    assert [r.options.tool_choice for r in model.requests] == ["required", "auto"]


def _cut(text: str) -> list[list[Any]]:
    return [[TextDelta(text)], [Failure(StreamTruncated("cut"))]]


async def test_a_step_that_breaks_after_content_is_withdrawn_and_asked_once_more() -> None:
    model = ScriptedModel([_cut("Half an ans"), Step(text="A whole answer.")])
    events = await events_of(Agent(model=model))
    retract = of(events, Retract)[0]
    assert retract.since == next(e.seq for e in events if isinstance(e, Token))
    assert of(events, Answer)[0].content == fold(events).text == "A whole answer."
    assert [e.finish_reason for e in of(events, StepEnd)] == ["error", "stop"]


async def test_a_step_that_breaks_twice_is_an_error_with_one_end() -> None:
    model = ScriptedModel([_cut("One "), _cut("Two ")])
    events = await events_of(Agent(model=model))
    end = of(events, Error)[0]
    assert (end.code, end.retryable) == ("stream_truncated", True)
    assert fold(events).text == "Two "


async def test_where_text_cannot_be_taken_back_a_broken_step_is_an_error() -> None:
    model = ScriptedModel([_cut("Half")])
    events = await events_of(Agent(model=model), retract=False)
    assert isinstance(events[-1], Error)
    assert of(events, Retract) == []


async def test_early_calls_of_a_withdrawn_step_end_and_are_run_anew() -> None:
    forever = asyncio.Event()
    runs: list[int] = []

    @tool(read_only=True)
    async def look() -> str:
        """Look, the first time without end."""
        runs.append(1)
        if len(runs) == 1:
            await forever.wait()
        return "seen"

    begun: list[Any] = [ToolCallDelta(0, "a", "look", "{}"), ToolCallDelta(1, "b", "look", "{")]
    model = ScriptedModel(
        [
            [begun, [TextDelta("x")], [Failure(StreamTruncated("cut"))]],
            Step(tool_calls=[("look", {})]),
            Step(text="ok"),
        ]
    )
    events = await events_of(Agent(model=model, tools=[look]))
    assert [e.error for e in of(events, ToolEnd)] == ["withdrawn", None]
    assert [t.output for t in fold(events).tools] == ["seen"]


async def test_an_error_before_content_ends_the_run_with_the_providers_words() -> None:
    failure = ProviderUnavailable("openai: overloaded (status 529).", status=529)
    model = ScriptedModel([Step(error=failure)] * 3)
    with pytest.raises(RunFailed, match="overloaded") as caught:
        await Agent(model=model).run("hi")
    assert caught.value.code == "provider_unavailable"
    assert caught.value.__cause__ is failure


async def test_cancel_during_a_tool_ends_every_pair_and_keeps_the_text() -> None:
    running = asyncio.Event()

    @tool
    async def forever() -> str:
        """Never end."""
        running.set()
        await asyncio.Event().wait()
        return ""

    model = ScriptedModel([Step(text="Wait. ", tool_calls=[("forever", {})])])
    async with Agent(model=model, tools=[forever]).start("hi") as run:
        await running.wait()
        end = await run.cancel("user pressed stop")
        events = [event async for event in run.events()]
    check_events(events)
    assert isinstance(end, Cancelled)
    assert end.reason == "user pressed stop"
    assert end.receipt.content == "Wait. "
    assert list(end.receipt.tools.values()) == ["running"]
    assert of(events, ToolEnd)[0].error == "cancelled"


async def test_cancel_in_mid_text_keeps_it_and_says_the_usage_is_an_estimate() -> None:
    model = ScriptedModel([Step(text=["So far so good", Gate(), "never shown"])])
    async with Agent(model=model).start("hi") as run:
        async for event in run.events():
            if isinstance(event, Token):
                end = await run.cancel()
    assert isinstance(end, Cancelled)
    assert end.receipt.content == "So far so good"
    assert end.receipt.upstream_closed_ms is not None
    assert end.usage.output > 0
    assert not end.usage.exact


def test_mistakes_are_told_at_construction() -> None:
    with pytest.raises(UnknownOption, match="temperature"):
        Agent(temprature=0.3)
    with pytest.raises(UsageError, match="Two tools"):
        Agent(tools=[add, add])
    with pytest.raises(UsageError, match="at least 1"):
        Agent(max_steps=0)
