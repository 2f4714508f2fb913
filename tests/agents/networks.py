"""Agents of a script, for tests of networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from headrace import Agent
from headrace.agents.network import Network
from headrace.events import Event
from headrace.testing import ScriptedModel, Step, check_events

E = TypeVar("E", bound=Event)


def scripted(name: str, *steps: Step, **options: Any) -> Agent:
    """An agent that follows a script."""
    return Agent(name, ScriptedModel(steps), description=f"Knows {name}.", **options)


def network(name: str, *steps: Step, **options: Any) -> Network:
    """A network whose router follows a script."""
    return Network(name, ScriptedModel(steps), description=f"Leads {name}.", **options)


def asks(*calls: tuple[str, str], text: str = "") -> Step:
    """A step that asks agents, or hands over: name and task of each."""
    return Step(text=text or (), tool_calls=[(name, {"task": task}) for name, task in calls])


async def log_of(agent: Agent, asked: str = "Go") -> list[Event]:
    """The whole log of a run, which keeps the laws."""
    async with agent.start(asked) as run:
        events = [event async for event in run.events()]
    check_events(events)
    return events


def of(events: Sequence[Event], kind: type[E]) -> list[E]:
    """The events of this kind."""
    return [event for event in events if isinstance(event, kind)]


def model_of(agent: Agent) -> ScriptedModel:
    """Its script."""
    assert isinstance(agent.model, ScriptedModel)
    return agent.model
