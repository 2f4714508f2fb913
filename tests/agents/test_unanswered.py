"""A call that was cut is answered before it goes back to a model."""

from __future__ import annotations

from headrace import Agent, tool
from headrace.agents.unanswered import NOT_RUN, answered
from headrace.messages import Message, ToolCall, ToolResult
from headrace.models.deltas import Delta, Finish, TextDelta, ToolCallDelta
from headrace.testing import ScriptedModel, Step

ONE, TWO = ToolCall("1", "find"), ToolCall("2", "find")
CUT = Message.assistant("I look.", ONE, TWO)


def result(call: ToolCall, output: str = "here") -> ToolResult:
    return ToolResult(call.id, call.name, output)


def test_calls_without_a_result_get_one_that_says_why() -> None:
    said = (Message.user("Find it"), CUT, Message.user("And?"))
    told = [ToolResult(call.id, "find", NOT_RUN, is_error=True) for call in (ONE, TWO)]
    assert answered(said) == (said[0], CUT, Message.tool(*told), said[2])


def test_only_what_is_missing_is_added() -> None:
    said = (CUT, Message.tool(result(TWO)))
    assert answered(said)[1:] == (
        Message.tool(ToolResult("1", "find", NOT_RUN, is_error=True)),
        Message.tool(result(TWO)),
    )


def test_a_whole_conversation_stays_as_it_is() -> None:
    said = (CUT, Message.tool(result(ONE)), Message.tool(result(TWO)), Message.assistant("There."))
    assert answered(said) == said


async def test_the_next_run_of_a_conversation_can_be_asked() -> None:
    @tool
    def find() -> str:
        """Find it."""
        raise AssertionError("A call of a cut turn never runs.")

    deltas: list[Delta] = [
        TextDelta("I look."),
        ToolCallDelta(0, "1", "find", '{"x'),
        Finish("length"),
    ]
    model = ScriptedModel([[deltas], Step(text="Sorry.")])
    agent = Agent("finder", model, tools=[find])
    first = await agent.run("Find it")
    assert first.finish_reason == "length"
    await agent.run("Again", history=first.messages)
    (results,) = [message for message in model.requests[1].messages if message.role == "tool"]
    assert results == Message.tool(ToolResult("1", "find", NOT_RUN, is_error=True))
