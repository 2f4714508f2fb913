"""Drives an agent's loop: asks `next_step` what to do, does it, until it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from headrace.agents.calls import Calls, CallSettings
from headrace.agents.next_step import (
    CallModel,
    Done,
    RunTools,
    State,
    after_inputs,
    after_tools,
    after_turn,
    next_step,
    said_more,
)
from headrace.agents.past import Past
from headrace.agents.step import Step
from headrace.errors import ProviderError
from headrace.events import Retract, Warn
from headrace.messages import Message
from headrace.models.model import Model
from headrace.models.request import ModelRequest, Options, ToolSpec
from headrace.runs.run import Outcome
from headrace.runs.writer import Writer


class Plan(Struct, frozen=True):
    """Everything that one run of an agent needs.

    Attributes:
        model: Whom to ask.
        instructions: The system message, left out when empty.
        specs: The tools as the model sees them.
        options: How the model shall answer.
        calls: How tools run.
        max_steps: Most model calls.
        retract: Whether viewers can take text back: then a step that breaks after its first
            content is withdrawn and asked once more; otherwise it is an error.
        agent: Path of the agent.
    """

    model: Model
    instructions: str
    specs: tuple[ToolSpec, ...]
    options: Options
    calls: CallSettings
    max_steps: int = 20
    retract: bool = True
    agent: str = ""


async def drive(
    plan: Plan, messages: Sequence[Message], writer: Writer, past: Past | None = None
) -> Outcome:
    """Run the loop from `messages`, or from where an interrupted run stands, to its end.

    Raises:
        ProviderError: a model call failed for good.
        UsageError: the provider cannot do what the agent asks for.
        CancelledError: the run was cancelled; every pair that was begun is closed.
    """
    past = past or Past(State(tuple(messages)))
    state = past.state
    calls = Calls(plan.calls, writer, plan.agent, known=past.results, begun=past.begun)
    try:
        while True:
            match next_step(state, plan.max_steps):
                case CallModel(step=number):
                    calls = Calls(plan.calls, writer, plan.agent)
                    state = await _step(plan, state, writer, number, calls)
                case RunTools(calls=asked):
                    state = after_tools(state, await calls.results(asked))
                case Done(finish_reason=reason):
                    await calls.abort("not asked for")
                    if plan.agent or not writer.inputs or state.step >= plan.max_steps:
                        return Outcome(reason, state.messages)
                    state = said_more(state)
    except asyncio.CancelledError:
        await calls.abort("cancelled")
        raise
    except BaseException:
        await calls.abort("the run failed")
        raise


async def _step(plan: Plan, state: State, writer: Writer, number: int, calls: Calls) -> State:
    """Call the model; where it breaks in the middle, withdraw and ask again.

    Asked again is the same model, once; or what a fallback has left, until nothing is.
    """
    mark = len(writer.text)
    model, first = plan.model, True
    while True:
        if not plan.agent:
            state = after_inputs(state, writer.inputs)
        step = _try(plan, model, _request(plan, state), writer, number, calls)
        try:
            return after_turn(state, await step.run())
        except ProviderError as error:
            following = _following(plan, step, error, first)
            if following is None:
                raise
            await calls.abort("withdrawn")
            calls.forget()
            writer.put(Warn, plan.agent, *_warning(step, error, following))
            writer.put(Retract, plan.agent, step.since, error.code)
            if not plan.agent:
                writer.text.cut(mark)
            model, first = following, False


def _following(plan: Plan, step: Step, error: ProviderError, first: bool) -> Model | None:
    """Whom to ask after a model that broke; None where its error is the step's."""
    if not (plan.retract and step.shown):
        return None
    if isinstance(error.instead, Model):
        return error.instead
    return plan.model if first and error.retryable else None


def _warning(step: Step, error: ProviderError, following: Model) -> tuple[str, str]:
    """Code and message."""
    if error.instead is None:
        return error.code, f"{error.message} The step is asked again."
    return "fallback", f"{step.model} broke off: {error.message} Asking {following.name} instead."


def _try(
    plan: Plan, model: Model, request: ModelRequest, writer: Writer, number: int, calls: Calls
) -> Step:
    early = calls.begin_early if plan.specs else None
    return Step(model, request, writer, number, agent=plan.agent, on_call=early)


def _request(plan: Plan, state: State) -> ModelRequest:
    messages = state.messages
    if plan.instructions:
        messages = (Message.system(plan.instructions), *messages)
    return ModelRequest(messages, plan.specs, _options(plan.options, state.step))


def _options(options: Options, steps: int) -> Options:
    """A forced tool choice holds for the first step: forced again, the loop would never end."""
    if steps and options.tool_choice not in (None, "auto", "none"):
        return msgspec.structs.replace(options, tool_choice="auto")
    return options
