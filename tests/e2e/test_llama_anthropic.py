"""llama.cpp's `/v1/messages`: Anthropic's wire, from a server that no one here wrote."""

from __future__ import annotations

import json
from typing import Any

from headrace import Agent, resolve_model
from headrace.events import Complete, Event, Token
from headrace.messages import Message, ToolResult
from headrace.models.request import ModelRequest, ToolSpec
from headrace.providers.anthropic.client import Anthropic
from headrace.testing.laws import check_events
from tests.e2e.llama_server import LlamaServer

TALK: dict[str, Any] = {"max_tokens": 40, "extra": {"ignore_eos": True}}


UP = {"type": "object", "properties": {"up": {"type": "boolean"}}, "required": ["up"]}
FLIP = ToolSpec("flip", "Flip the switch.", UP)


def _model(server: LlamaServer) -> Anthropic:
    model = resolve_model("anthropic:tiny", base_url=server.url, env={})
    assert isinstance(model, Anthropic)
    return model


async def _all(agent: Agent) -> list[Event]:
    async with agent.start("Tell me something.") as run:
        return [event async for event in run.events()]


async def test_text_arrives_in_pieces_with_usage_and_length(llama: LlamaServer) -> None:
    events = await _all(Agent(model=_model(llama), instructions="Be brief.", **TALK))
    check_events(events)
    end = events[-1]
    assert isinstance(end, Complete)
    assert end.finish_reason == "length"
    assert end.usage.exact
    assert end.usage.output == 40
    assert end.usage.input > 10
    assert sum(isinstance(event, Token) for event in events) > 10


async def test_the_prompt_is_counted_whole_though_the_cache_knows_it(llama: LlamaServer) -> None:
    request = ModelRequest.of("A question that is asked twice, word for word.", **TALK)
    first, second = [await _model(llama).complete(request) for _ in range(2)]
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.cached > 0
    assert first.usage.input == second.usage.input


async def test_forced_calls_are_read_and_their_results_go_back(llama_tools: LlamaServer) -> None:
    # On this wire the server knows no way to ask for one call alone: they may repeat.
    options: dict[str, Any] = {"tools": [FLIP], "tool_choice": "required", "max_tokens": 300}
    model = _model(llama_tools)
    question = Message.user("Flip it.")
    first = await model.complete(ModelRequest.of([question], **options))
    assert first.finish_reason in ("length", "tool_calls")  # it may end by itself
    assert {call.name for call in first.tool_calls} == {"flip"}
    assert len({call.id for call in first.tool_calls}) == len(first.tool_calls)
    call = first.tool_calls[0]
    assert json.loads(call.arguments) in ({"up": True}, {"up": False})
    result = ToolResult(call.id, call.name, "It is up.")
    conversation = [question, Message.assistant(call), Message.tool(result)]
    second = await model.complete(ModelRequest.of(conversation, **options))
    assert second.tool_calls
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.input > first.usage.input
