"""What an agent does next, by values."""

from __future__ import annotations

import pytest

from headrace.agents.next_step import (
    CallModel,
    Done,
    RunTools,
    State,
    after_tools,
    after_turn,
    next_step,
)
from headrace.events import FinishReason
from headrace.messages import Message, ToolCall, ToolResult
from headrace.models.assembler import Turn

CALL = ToolCall("c1", "add", '{"a": 1}')


def _turn(reason: FinishReason, *calls: ToolCall) -> Turn:
    return Turn("hi", "", calls, reason, None, None, Message.assistant("hi", *calls))


def test_the_first_thing_is_to_call_the_model() -> None:
    assert next_step(State((Message.user("hi"),)), 20) == CallModel(1)


def test_a_turn_that_asks_for_tools_runs_them() -> None:
    state = after_turn(State((Message.user("hi"),)), _turn("tool_calls", CALL))
    assert next_step(state, 20) == RunTools((CALL,))


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter"])
def test_a_turn_that_ended_otherwise_ends_the_run_and_runs_no_call(reason: FinishReason) -> None:
    state = after_turn(State((Message.user("hi"),)), _turn(reason, CALL))
    assert next_step(state, 20) == Done(reason)


def test_answered_tools_lead_to_the_next_model_call() -> None:
    state = after_turn(State((Message.user("hi"),)), _turn("tool_calls", CALL))
    state = after_tools(state, Message.tool(ToolResult("c1", "add", "2")))
    assert next_step(state, 20) == CallModel(2)
    assert [message.role for message in state.messages] == ["user", "assistant", "tool"]


def test_the_last_step_may_run_its_tools_and_then_the_run_ends_as_max_steps() -> None:
    state = after_turn(State((), step=1), _turn("tool_calls", CALL))
    assert next_step(state, 2) == RunTools((CALL,))
    assert next_step(after_tools(state, Message.tool()), 2) == Done("max_steps")
