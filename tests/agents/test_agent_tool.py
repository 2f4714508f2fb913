"""An agent as a tool of another: nested events, failures told, bounds, cancel."""

from __future__ import annotations

import asyncio

import pytest

from headrace import Agent, tool
from headrace.agents.nesting import Nesting
from headrace.errors import ConnectionFailed, UsageError
from headrace.events import AgentEnd, AgentStart, Event, StepEnd, Token, ToolEnd
from headrace.testing import Gate, ScriptedModel, Step, check_events


def scripted(name: str, *steps: Step, **options: object) -> Agent:
    return Agent(name, ScriptedModel(steps), description=f"Knows {name}.", **options)  # type: ignore[arg-type]


def asks(*calls: tuple[str, str]) -> Step:
    return Step(tool_calls=[(name, {"task": task}) for name, task in calls])


async def log_of(agent: Agent) -> list[Event]:
    async with agent.start("Go") as run:
        events = [event async for event in run.events()]
    check_events(events)
    return events


async def test_its_events_are_nested_and_its_answer_is_the_result() -> None:
    below = scripted("librarian", Step(text=["It is ", "42."]))
    events = await log_of(
        scripted("router", asks(("librarian", "Find it")), Step(text="42"), tools=[below.as_tool()])
    )
    inside = [event for event in events if event.agent == "librarian"]
    start, end = inside[0], inside[-1]
    assert isinstance(start, AgentStart)
    assert (start.name, start.task) == ("librarian", "Find it")
    assert isinstance(end, AgentEnd)
    assert (end.output, end.error) == ("It is 42.", None)
    assert [e.content for e in inside if isinstance(e, Token)] == ["It is ", "42."]
    assert [e.output for e in events if isinstance(e, ToolEnd)] == ["It is 42."]


async def test_two_at_once_have_paths_of_their_own() -> None:
    def answers(request: object) -> Step:
        return Step(text="yes")

    below = Agent("twin", ScriptedModel([answers, answers]), description="Says yes.")
    router = scripted(
        "router", asks(("twin", "A"), ("twin", "B")), Step(text="both"), tools=[below.as_tool()]
    )
    events = await log_of(router)
    paths = {event.agent for event in events if isinstance(event, AgentStart)}
    assert paths == {"twin", "twin-2"}


async def test_the_usage_of_all_is_the_runs() -> None:
    below = scripted("librarian", Step(text="It is 42."))
    agent = scripted(
        "router", asks(("librarian", "Find it")), Step(text="42"), tools=[below.as_tool()]
    )
    async with agent.start("Go") as run:
        response = await run.result()
        steps = [event async for event in run.events() if isinstance(event, StepEnd)]
    assert response.usage.output == sum(step.usage.output for step in steps)
    assert len(steps) == 3
    assert response.content == "42"


async def test_its_failure_is_told_to_the_caller() -> None:
    below = scripted("librarian", Step(error=ConnectionFailed("No line.")))
    agent = scripted(
        "router", asks(("librarian", "Find it")), Step(text="No luck"), tools=[below.as_tool()]
    )
    events = await log_of(agent)
    (end,) = [event for event in events if isinstance(event, AgentEnd)]
    assert end.error is not None
    assert "No line." in end.error
    (told,) = [event for event in events if isinstance(event, ToolEnd)]
    assert told.error == end.error


async def test_no_task_twice() -> None:
    below = scripted("librarian", Step(text="42"))
    agent = scripted(
        "router",
        asks(("librarian", "Find it")),
        asks(("librarian", "find  IT")),
        Step(text="42"),
        tools=[below.as_tool()],
    )
    ends = [event for event in await log_of(agent) if isinstance(event, ToolEnd)]
    assert ends[0].error is None
    assert "this very task" in str(ends[1].error)


async def test_no_deeper_than_its_bound() -> None:
    deepest = scripted("c", Step(text="never"))
    middle = scripted("b", asks(("c", "x")), Step(text="alone"), tools=[deepest.as_tool()])
    top = scripted(
        "a",
        asks(("b", "x")),
        Step(text="done"),
        tools=[middle.as_tool()],
        nesting=Nesting(depth=1),
    )
    events = await log_of(top)
    (refused,) = [e for e in events if isinstance(e, ToolEnd) and e.agent == "b"]
    assert "1 levels deep" in str(refused.error)
    assert [e.agent for e in events if isinstance(e, AgentStart)] == ["b"]


async def test_no_more_of_them_than_its_bound() -> None:
    below = scripted("librarian", Step(text="1"))
    agent = scripted(
        "router",
        asks(("librarian", "one"), ("librarian", "two")),
        Step(text="done"),
        tools=[below.as_tool()],
        nesting=Nesting(agents=1),
    )
    ends = [event for event in await log_of(agent) if isinstance(event, ToolEnd)]
    assert sorted(end.error is None for end in ends) == [False, True]


async def test_a_cancel_ends_whatever_is_below_it_first() -> None:
    gate = Gate()

    @tool
    async def wait() -> str:
        """Wait."""
        gate.reached.set()
        await asyncio.Event().wait()
        return ""

    deepest = scripted("c", Step(tool_calls=[("wait", {})]), tools=[wait])
    middle = scripted("b", asks(("c", "x")), tools=[deepest.as_tool()])
    top = scripted("a", asks(("b", "x")), tools=[middle.as_tool()])
    before = asyncio.all_tasks()
    async with top.start("Go") as run:
        run.begin()
        await gate.reached.wait()
        await run.cancel("enough")
        events = [event async for event in run.events()]
    check_events(events)
    ends = [(type(e).__name__, e.agent) for e in events if isinstance(e, AgentEnd | ToolEnd)]
    assert ends == [
        ("ToolEnd", "b/c"),
        ("AgentEnd", "b/c"),
        ("ToolEnd", "b"),
        ("AgentEnd", "b"),
        ("ToolEnd", ""),
    ]
    assert asyncio.all_tasks() == before


def test_one_without_a_description_is_no_tool() -> None:
    with pytest.raises(UsageError, match="no description"):
        Agent("librarian", ScriptedModel()).as_tool()
