"""Drives an agent's loop: asks `next_step` what to do, does it, until it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from headrace.agents.calls import Calls, CallSettings
from headrace.agents.floor import Floor
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
from headrace.agents.step import OnText, Step
from headrace.agents.unanswered import answered
from headrace.errors import AnswerRefused, ProviderError
from headrace.events import FinishReason, Retract, Warn
from headrace.messages import Message
from headrace.models.model import Model
from headrace.models.request import ModelRequest, Options, ToolSpec
from headrace.runs.approvals import StandingStill
from headrace.runs.run import Outcome
from headrace.runs.writer import Writer

if TYPE_CHECKING:  # an agent without an output type never loads what one needs
    from headrace.agents.output import Output
    from headrace.agents.output.run import Answering


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
        output: What the answer is to be, where that is more than text.
    """

    model: Model
    instructions: str
    specs: tuple[ToolSpec, ...]
    options: Options
    calls: CallSettings
    max_steps: int = 20
    retract: bool = True
    agent: str = ""
    output: Output | None = None


async def drive(
    plan: Plan, messages: Sequence[Message], writer: Writer, past: Past | None = None
) -> Outcome:
    """Run the loop from `messages`, or from where an interrupted run stands, to its end.

    Raises:
        ProviderError: a model call failed for good.
        BudgetSpent: a budget that holds for the agent is spent.
        InvalidOutput: the answer is not of the agent's output type, however often asked for.
        UsageError: the provider cannot do what the agent asks for.
        CancelledError: the run was cancelled; every pair that was begun is closed.
    """
    past = past or Past(State(tuple(messages)), said=len(messages))
    time = plan.calls.nest.rules.time_of(plan.agent, writer.spent)
    if time is None:
        return await _loop(plan, writer, past)
    seconds, bounded = time
    try:
        async with asyncio.timeout(seconds) as limit:
            with StandingStill(limit, plan.agent, writer.approvals):
                return await _loop(plan, writer, past)
    except TimeoutError:
        if not limit.expired():
            raise
        raise bounded.spent("seconds") from None


async def _loop(plan: Plan, writer: Writer, past: Past) -> Outcome:
    """The loop itself."""
    state = past.state
    plan.calls.nest.restore(past.agents)
    floor = Floor(plan, writer, state.messages, past.said)
    plan = floor.plan
    calls = Calls(plan.calls, writer, plan.agent, known=past.results, begun=past.begun)
    answering = _answering(plan, writer)
    try:
        while True:
            match next_step(state, floor.max_steps):
                case CallModel(step=number):
                    calls = Calls(plan.calls, writer, plan.agent)
                    state = await _step(floor, state, writer, number, calls, answering)
                case RunTools(calls=asked):
                    state = after_tools(state, await calls.results(asked))
                    if floor.passed(state.messages, state.step):
                        plan = floor.plan
                        answering = _answering(plan, writer)
                case Done(finish_reason=reason):
                    await calls.abort("not asked for")
                    ended = _ended(floor, state, reason, writer, answering)
                    if isinstance(ended, Outcome):
                        floor.end("" if state.turn is None else state.turn.text)
                        return ended
                    state = ended
    except asyncio.CancelledError:
        await calls.abort("cancelled")
        floor.end("", "cancelled")
        raise
    except BaseException:
        await calls.abort("the run failed")
        floor.end("", "the run failed")
        raise


def _ended(
    floor: Floor,
    state: State,
    reason: FinishReason,
    writer: Writer,
    answering: Answering | None,
) -> Outcome | State:
    """The outcome of a loop that is done, or the state that it goes on from."""
    more = state.step < floor.max_steps
    if writer.inputs and more and not floor.plan.agent:
        return said_more(state)
    if answering is None:
        return Outcome(reason, state.messages)
    return answering.end(state, reason, more=more)


def _answering(plan: Plan, writer: Writer) -> Answering | None:
    if plan.output is None:
        return None
    from headrace.agents.output.run import Answering  # few agents have an output type

    return Answering(plan.output, writer, plan.agent, plan.retract)


async def _step(
    floor: Floor,
    state: State,
    writer: Writer,
    number: int,
    calls: Calls,
    answering: Answering | None,
) -> State:
    """Call the model; where it breaks in the middle, withdraw and ask again.

    Asked again is the same model, once; or what a fallback has left, until nothing is.
    """
    plan, mark = floor.plan, len(writer.text)
    model, first = plan.model, True
    floor.speak()
    while True:
        if not plan.agent:
            state = after_inputs(state, writer.inputs)
        request = _request(floor, state, () if answering is None else answering.aside)
        rules = plan.calls.nest.rules
        request, spent = rules.before_step(plan.agent, writer.spent, request, model)
        watch = None if answering is None else answering.watch()
        step = _try(floor, model, request, writer, number, calls, watch)
        try:
            turn = await step.run()
            if spent is not None and turn.finish_reason == "length":
                raise spent
            return after_turn(state, turn)
        except ProviderError as error:
            following = _following(plan, step, error, first)
            if following is None:
                raise
            await calls.abort("withdrawn")
            calls.forget()
            writer.put(Warn, plan.agent, *_warning(step, error, following))
            if step.shown:
                writer.put(Retract, plan.agent, step.since, error.code)
                if not plan.agent:
                    writer.text.cut(mark)
            model, first = following, False


def _following(plan: Plan, step: Step, error: ProviderError, first: bool) -> Model | None:
    """Whom to ask after a model that broke; None where its error is the step's."""
    if not (plan.retract if step.shown else isinstance(error, AnswerRefused)):
        return None
    if isinstance(error.instead, Model):
        return error.instead
    return plan.model if first and error.retryable else None


def _warning(step: Step, error: ProviderError, following: Model) -> tuple[str, str]:
    """Code and message."""
    if error.instead is None or isinstance(error, AnswerRefused):
        return error.code, f"{error.message} The step is asked again."
    return "fallback", f"{step.model} broke off: {error.message} Asking {following.name} instead."


def _try(
    floor: Floor,
    model: Model,
    request: ModelRequest,
    writer: Writer,
    number: int,
    calls: Calls,
    watch: OnText | None,
) -> Step:
    plan = floor.plan
    return Step(
        model,
        request,
        writer,
        number,
        agent=plan.agent,
        speaker=floor.speaker,
        on_call=calls.begin_early if plan.specs else None,
        on_text=watch,
    )


def _request(floor: Floor, state: State, aside: Sequence[Message]) -> ModelRequest:
    """The next request.

    Args:
        floor: Whose turn it is.
        state: Where its loop stands.
        aside: Messages that go with it and are no part of the conversation.
    """
    plan = floor.plan
    messages = (*answered(floor.conversation(state.messages)), *aside)
    if plan.instructions:
        messages = (Message.system(plan.instructions), *messages)
    return ModelRequest(messages, plan.specs, _options(plan.options, floor.steps(state.step)))


def _options(options: Options, steps: int) -> Options:
    """A forced tool choice holds for the first step: forced again, the loop would never end."""
    if steps and options.tool_choice not in (None, "auto", "none"):
        return msgspec.structs.replace(options, tool_choice="auto")
    return options
