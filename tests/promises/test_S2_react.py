"""What users of goagents know: the ReAct agent, its events, and its example with a calculator."""

from __future__ import annotations

from headrace import Agent, ReActAgent, fold
from headrace.errors import ProviderUnavailable
from headrace.events import (
    Answer,
    Complete,
    Error,
    Event,
    Thought,
    Token,
    ToolEnd,
    ToolStart,
    type_of,
)
from headrace.providers.demo.tools import calculator
from headrace.testing import ScriptedModel, Step
from tests.examples.test_examples import EXAMPLES
from tests.examples.test_examples import run as run_example
from tests.promises.story import VIEWS, events_of

ACTS = 'Thought: I must multiply.\nAction: calculator\nAction Input: {"expression": "123 * 456"}\n'
ANSWERS = "Thought: Now I know.\nFinal Answer: It is 56088."
FAILS = "Action: calculator\nAction Input: 1 / 0"


def react(*texts: str, **more: int) -> ReActAgent:
    """An agent on a model that says these texts, in pieces of three characters."""
    steps = [Step([text[i : i + 3] for i in range(0, len(text), 3)]) for text in texts]
    return ReActAgent("react", ScriptedModel(steps), tools=[calculator], **more)  # type: ignore[arg-type]


def joined(events: list[Event], kind: type[Thought] | type[Token]) -> str:
    return "".join(event.content for event in events if isinstance(event, kind))


async def test_S2_8_function_and_react_agents_have_the_same_views() -> None:
    assert issubclass(ReActAgent, Agent)
    for view in VIEWS:
        assert await view(react(ACTS, ANSWERS)) == "It is 56088."


async def test_S2_15_thought_tokens_tool_start_tool_end_answer_complete() -> None:
    events = await events_of(react(ACTS, ANSWERS))
    named = ["thought", "tool_start", "tool_end", "token", "answer", "complete"]
    assert [t for t in dict.fromkeys(map(type_of, events)) if t in named] == named
    assert joined(events, Thought) == "I must multiply.Now I know."
    assert joined(events, Token) == "It is 56088."
    assert [e.input for e in events if isinstance(e, ToolStart)] == [{"expression": "123 * 456"}]
    assert [(e.output, e.error) for e in events if isinstance(e, ToolEnd)] == [("56088", None)]
    assert [e.content for e in events if isinstance(e, Answer)] == ["It is 56088."]
    assert isinstance(events[-1], Complete)


async def test_S2_15_a_thought_carries_its_text_and_no_token_shows_the_form() -> None:
    events = await events_of(react(ACTS, ANSWERS))
    thoughts = [event.content for event in events if isinstance(event, Thought)]
    assert len(thoughts) > 2  # as it comes, not one "Thinking..."
    for mark in ("Thought", "Action", "Input", "Observation", "Final", "{"):
        assert mark not in joined(events, Token)
        assert mark not in joined(events, Thought)


async def test_S2_15_a_failed_action_is_an_observation() -> None:
    agent = react(FAILS, ANSWERS)
    events = await events_of(agent)
    (end,) = [event for event in events if isinstance(event, ToolEnd)]
    assert end.error is not None
    assert isinstance(agent.model, ScriptedModel)
    first, second = agent.model.requests
    assert first.tools == second.tools == ()
    assert [m.role for m in second.messages] == ["system", "user", "assistant", "user"]
    assert second.messages[-1].text == f"Observation: {end.error}"
    assert isinstance(events[-1], Complete)


async def test_S2_15_iterations_have_a_maximum_and_the_run_an_end() -> None:
    events = await events_of(react(ACTS, ACTS, max_steps=2))
    last = events[-1]
    assert isinstance(last, Complete)
    assert last.finish_reason == "max_steps"
    assert sum(isinstance(event, ToolEnd) for event in events) == 2


async def test_S2_15_an_error_is_an_event_and_keeps_what_was_said() -> None:
    error = ProviderUnavailable("scripted: 503", retryable=False)
    model = ScriptedModel([Step("Final Answer: It is ", error=error)])
    events = await events_of(ReActAgent("react", model, tools=[calculator]))
    assert isinstance(events[-1], Error)
    assert fold(events).text == "It is "


def test_S2_17_react_with_a_calculator_and_progress() -> None:
    shown = run_example(EXAMPLES / "react_calculator.py").stdout
    for line in (
        "🤔 ",
        "🔧 calculator",
        "   … working out 123 * 456",
        "✓ 56088",
        "💡 123 * 456 is",
    ):
        assert f"\n{line}" in shown
