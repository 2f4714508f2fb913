"""What an agent does next: pure, from the state of its conversation."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from headrace.events import FinishReason
from headrace.messages import Message, ToolCall
from headrace.models.assembler import Turn


class State(Struct, frozen=True):
    """Where an agent's loop stands.

    Attributes:
        messages: The conversation so far, instructions left out.
        step: Model calls that have ended.
        turn: The last model call, None before the first or once its tools have answered.
    """

    messages: tuple[Message, ...]
    step: int = 0
    turn: Turn | None = None


class CallModel(Struct, frozen=True):
    """Ask the model; this is step number `step`, from 1."""

    step: int


class RunTools(Struct, frozen=True):
    """Run the calls of the last turn."""

    calls: tuple[ToolCall, ...]


class Done(Struct, frozen=True):
    """The run has ended well."""

    finish_reason: FinishReason


def next_step(state: State, max_steps: int) -> CallModel | RunTools | Done:
    """Decide.

    Calls run only when the turn ended as `tool_calls`: those of a turn that was cut at its token
    limit, filtered or broken never do (law 4).
    """
    turn = state.turn
    if turn is not None and turn.finish_reason == "tool_calls":
        return RunTools(turn.tool_calls)
    if turn is not None:
        return Done(turn.finish_reason)
    if state.step >= max_steps:
        return Done("max_steps")
    return CallModel(state.step + 1)


def after_turn(state: State, turn: Turn) -> State:
    """The state when a model call has ended."""
    return State((*state.messages, turn.message), state.step + 1, turn)


def after_tools(state: State, results: Message) -> State:
    """The state when the turn's tools have answered."""
    return State((*state.messages, results), state.step)


def after_inputs(state: State, inputs: Sequence[str]) -> State:
    """The state when people have said something into the run, just before a step."""
    if not inputs:
        return state
    return State((*state.messages, *map(Message.user, inputs)), state.step, state.turn)


def said_more(state: State) -> State:
    """The state of a loop that was done, and goes on because people have said more."""
    return State(state.messages, state.step)
