"""Structured output on a real server: by its grammar for a schema, and by its forced tool calls."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from headrace import Agent, fold, resolve_model, tool
from headrace.events import Complete, Event, Partial, StepStart, Token, ToolArgs
from headrace.models.model import Model
from headrace.testing.laws import check_events
from tests.e2e.llama_server import LlamaServer


class Weather(BaseModel):
    """How it is outside."""

    sky: Literal["blue", "grey", "black"]
    wet: bool


def _model(server: LlamaServer) -> Model:
    return resolve_model("llamacpp:tiny", base_url=server.base_url)


@tool
def flip(up: bool) -> str:
    """Flip the switch."""
    return "it is up" if up else "it is down"


async def _all(agent: Agent) -> list[Event]:
    async with agent.start("How is the weather?") as run:
        events = [event async for event in run.events()]
    check_events(events)
    return events


def _whole(events: list[Event]) -> Weather:
    """The one answer, the same wherever it stands."""
    end = events[-1]
    assert isinstance(end, Complete), end
    weather = Weather.model_validate_json(fold(events).text)
    assert end.output == weather.model_dump()
    assert [e.value for e in events if isinstance(e, Partial)][-1] == end.output
    assert sum(isinstance(e, Token) for e in events) > 3
    return weather


async def test_by_the_grammar_of_its_schema(llama: LlamaServer) -> None:
    agent = Agent(model=_model(llama), output_type=Weather, max_tokens=400)
    events = await _all(agent)
    _whole(events)
    response = await agent.run("And now?")
    assert isinstance(response.output, Weather)


async def test_a_list_by_the_grammar_of_its_schema(llama: LlamaServer) -> None:
    from typing import Annotated

    from pydantic import Field

    Days = Annotated[list[Weather], Field(min_length=2, max_length=2)]
    response = await Agent(model=_model(llama), output_type=Days, max_tokens=800).run("Days?")
    assert [type(day) for day in response.output] == [Weather, Weather]


async def test_by_a_forced_call(llama_tools: LlamaServer) -> None:
    options: dict[str, Any] = {"max_tokens": 400, "extra": {"parallel_tool_calls": False}}
    agent = Agent(model=_model(llama_tools), output_type=Weather, output_by="tool", **options)
    events = await _all(agent)
    _whole(events)
    assert not any(isinstance(event, ToolArgs) for event in events)


async def test_beside_tools_it_comes_by_a_forced_call(llama_tools: LlamaServer) -> None:
    # The model is random: it may flip as long as it likes, so it is given many steps.
    options: dict[str, Any] = {"max_tokens": 400, "extra": {"parallel_tool_calls": False}}
    agent = Agent(
        model=_model(llama_tools), tools=[flip], output_type=Weather, max_steps=60, **options
    )
    events = await _all(agent)
    _whole(events)
    assert any(isinstance(event, StepStart) for event in events)
