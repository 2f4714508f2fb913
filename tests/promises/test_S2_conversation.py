"""What users of goagents know: the conversational agent, which remembers and streams."""

from __future__ import annotations

import asyncio

import pytest

from headrace import Agent, ConversationalAgent, ModelRequest
from headrace.agents.memory import last_messages, summary, token_budget
from headrace.agents.streaming import StreamingAgent
from headrace.events import Answer, Complete, Thought, Token, ToolEnd, ToolStart, type_of
from headrace.testing import Gate, ScriptedModel, Step, check_events
from tests.examples.test_examples import EXAMPLES
from tests.examples.test_examples import run as run_example
from tests.promises.story import NEWS, PATIENCE, VIEWS, events_of, research, search


def conversational() -> ConversationalAgent[str]:
    return ConversationalAgent("talker", research(), tools=[search])


def name_said(request: ModelRequest) -> Step:
    known = any("Ada" in message.text for message in request.messages[:-1])
    return Step(["You are ", "Ada." if known else "a stranger."])


async def test_S2_8_conversational_agents_have_the_same_views() -> None:
    assert issubclass(ConversationalAgent, Agent)
    assert isinstance(conversational(), StreamingAgent)
    for view in VIEWS:
        assert await view(conversational()) == NEWS


async def test_S2_8_and_the_same_events() -> None:
    events = await events_of(conversational())
    named = ["thought", "token", "tool_start", "tool_end", "answer", "complete"]
    assert [t for t in dict.fromkeys(map(type_of, events)) if t in named] == named
    counts = [sum(isinstance(e, kind) for e in events) for kind in (Thought, Token)]
    assert counts == [2, 5]
    assert [e.name for e in events if isinstance(e, ToolStart | ToolEnd)] == ["search"] * 2
    assert [e.content for e in events if isinstance(e, Answer)] == [NEWS]
    assert isinstance(events[-1], Complete)


@pytest.mark.parametrize("memory", [last_messages(10), token_budget(1000), summary(keep=10)])
async def test_S2_8_it_remembers_while_it_streams(memory: object) -> None:
    model = ScriptedModel([Step("Hello Ada."), name_said])
    agent = ConversationalAgent("talker", model, memory=memory)  # type: ignore[arg-type]
    talk = agent.conversation("ada")
    await talk.run("I am Ada.")
    pieces = [chunk.content async for chunk in talk.run_stream("Who am I?")]
    assert pieces == ["You are ", "Ada.", ""]


async def test_S2_16_hello_world_comes_in_pieces_from_a_conversation() -> None:
    talk = ConversationalAgent(
        "talker", ScriptedModel([Step(["Hello", " world", "!"])])
    ).conversation()
    chunks = [chunk async for chunk in talk.run_stream("Hi")]
    assert "".join(chunk.content for chunk in chunks) == "Hello world!"
    assert [chunk.is_final for chunk in chunks] == [False, False, False, True]


async def test_S2_16_a_turn_is_cancelled_while_it_streams() -> None:
    gate = Gate()
    talk = ConversationalAgent("talker", ScriptedModel([Step(["Hello", gate])])).conversation()
    async with talk.start("Hi") as run, asyncio.timeout(PATIENCE):
        await gate.reached.wait()
        await run.cancel()
        events = [event async for event in run.events()]
    check_events(events)
    assert type_of(events[-1]) == "cancelled"


def test_S2_17_the_example_of_a_conversation_runs() -> None:
    assert "Your name is Ada" in run_example(EXAMPLES / "conversation.py").stdout
