"""`Agent`: instructions, a model and tools, and every way to run them."""

from __future__ import annotations

import copy
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Mapping,
    Sequence,
)
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any, Generic, Self

from headrace.agents.approvals import APPROVAL_TIMEOUT, OnApproval
from headrace.agents.calls import CallSettings
from headrace.agents.drive import Plan, drive
from headrace.agents.made_with import (
    called,
    conversation,
    counted,
    instance,
    listed,
    model_or_name,
    options_of,
)
from headrace.agents.nesting import Nest, Nesting
from headrace.agents.past import Past
from headrace.errors import UsageError
from headrace.messages import Message, MessageInput
from headrace.models.chunk import StreamChunk
from headrace.models.deadlines import Deadlines
from headrace.models.model import Model
from headrace.runs.log import RunLog
from headrace.runs.response import Out, Response
from headrace.runs.run import Driver, Run, RunInfo, new_run_id
from headrace.runs.writer import Writer
from headrace.views.chunks import OnError, chunks

if TYPE_CHECKING:
    from types import UnionType
    from typing import _SpecialForm  # what ``Literal["yes", "no"]`` is to a type checker

    from headrace.agents.agent_tool import AgentTool
    from headrace.agents.budgets import Budget
    from headrace.agents.guards import Guard, JudgeGuard, StreamGuard
    from headrace.agents.output import Output, OutputBy
    from headrace.tools.tool import AnyTool
    from headrace.views.channel import Channel
    from headrace.views.dispatcher import EventDispatcher


class Agent(Generic[Out]):
    """Instructions + model + tools.

    Building one does nothing: no request, no import of a provider; a model that is named is
    looked up when it is first needed.

    Args:
        name: What people call it.
        model: A model, or its name (``openai:gpt-5-mini``, ``gpt-4o``, ``anthropic``); None takes
            what the environment offers (see `headrace.providers.table`).
        instructions: The system message.
        tools: Functions, or `Tool`s made with `@tool`.
        description: What it does, for people and for agents that may call it.
        stream: Every agent streams, with or without it; for readers who look for it.
        max_steps: Most model calls in one run.
        parallel_tools: Most tools that run at once.
        output_type: What the answer is, as `Response.output`: a pydantic model, a dataclass, a
            TypedDict or another type that pydantic can check. The answer's text is its JSON.
        output_retries: How often the model is asked again after an answer that does not fit.
        output_by: How the model is asked: ``"schema"`` or ``"tool"``; by default as it can.
        guards: What looks at the answers before, or after, anyone sees them
            (`headrace.agents.guards`); they hold for the agents that this one calls, too.
        budget: What a run may use, with all the agents that it calls.
        nesting: How far agents may call agents in a run of this one.
        approval_timeout: Seconds that a call with `approval` waits for a person; then it counts as
            denied. None for ever. No deadline counts the time for which people are waited for.
        on_approval: A function that is asked about each call that waits, of agents below as well,
            and decides where no one else does before: it gives True, False, a `Decision`
            (`headrace.runs.approvals`), or None to leave it to others. With it calls can be
            approved in every view.
        deadlines: How long to wait for what; a model given as an object keeps its own for its
            own waits.
        dispatcher: Gets the events of every run.
        record_to: A cassette to which the model's raw answers are written (docs/cassettes.md).
        **options: Model options: `temperature`, `max_tokens`, … (see `Options`).

    Raises:
        UnknownOption: for an option that no model knows.
        UsageError: two tools of one name, a bad option, a bound below 1, an output type that has
            no JSON Schema; a model, guard, budget or other setting that is none.
    """

    def __init__(
        self,
        name: str = "assistant",
        model: str | Model | None = None,
        instructions: str = "",
        tools: Iterable[Callable[..., Any] | AnyTool] = (),
        *,
        description: str = "",
        stream: bool = True,
        max_steps: int = 20,
        parallel_tools: int = 8,
        output_type: type[Out] | UnionType | _SpecialForm | None = None,
        output_retries: int = 2,
        output_by: OutputBy | None = None,
        guards: Iterable[Guard] = (),
        budget: Budget | None = None,
        nesting: Nesting | None = None,
        approval_timeout: float | None = APPROVAL_TIMEOUT,
        on_approval: OnApproval | None = None,
        deadlines: Deadlines | None = None,
        dispatcher: EventDispatcher | None = None,
        record_to: str | PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        self.name = name
        self.instructions = instructions
        self.description = description
        self.stream = stream
        self.max_steps = counted("max_steps", max_steps)
        self.parallel_tools = counted("parallel_tools", parallel_tools)
        self.guards = _guards(guards)
        self.budget = _budget(budget)
        self.nesting = nesting or Nesting()
        instance("nesting", self.nesting, Nesting)
        if approval_timeout is not None and not approval_timeout > 0:
            raise UsageError("approval_timeout is more than 0 s, or None for ever.")
        self.approval_timeout = approval_timeout
        self.on_approval = (
            on_approval if on_approval is None else called("on_approval", on_approval)
        )
        self.deadlines = deadlines or Deadlines()
        instance("deadlines", self.deadlines, Deadlines)
        self.options = options_of(options, Agent.__init__.__annotations__)
        self.tools = _tool_table(tools)
        self.output = self._output(output_type, output_retries, output_by)
        self._named = model_or_name(model)
        self._own_deadlines = deadlines
        self._dispatcher = dispatcher
        self._record_to = record_to
        self._check()

    def __repr__(self) -> str:
        named = self._named if isinstance(self._named, str | None) else self._named.name
        return (
            f"{type(self).__name__}(name={self.name!r}, model={named!r}, tools={list(self.tools)})"
        )

    def _output(self, type_: Any, retries: int, by: OutputBy | None) -> Output | None:
        if type_ is None:
            return None
        from headrace.agents.output import Output

        output = Output(type_, retries=retries, by=by)
        output.check_agent(self.tools, self.options)
        return output

    @cached_property
    def model(self) -> Model:
        """The model, looked up by its name the first time.

        Raises:
            ConfigurationError: no such provider or model, or no key.
            UsageError: `record_to` a model that has no wire.
        """
        named = self._named
        if named is None or isinstance(named, str) or self._record_to is not None:
            from headrace.providers.table import resolve_model

            return resolve_model(named, deadlines=self._own_deadlines, record_to=self._record_to)
        return named

    def with_model(self, model: str | Model, name: str | None = None) -> Self:
        """The same agent on another model.

        Args:
            model: As for `Agent`.
            name: Its own name, where both stand side by side.
        """
        other = copy.copy(self)
        other.__dict__.pop("model", None)  # the one that was looked up for this agent
        other._named = model_or_name(model)
        other.name = name or self.name
        return other

    def as_tool(self, name: str | None = None, description: str | None = None) -> AgentTool:
        """This agent as a tool of another; its events are the other's run's, under its path.

        Args:
            name: The tool's name; the agent's by default.
            description: What it is good for; the agent's by default.

        Raises:
            UsageError: a name that no tool can have, or no description.
        """
        from headrace.agents.agent_tool import AgentTool

        return AgentTool(self, name, description)

    def start(
        self,
        input: MessageInput,
        *,
        context: Mapping[str, Any] | None = None,
        history: Iterable[Message] = (),
        retract: bool = True,
    ) -> Run:
        """A run of this agent: enter it (``async with``) or read it, and it starts.

        Args:
            input: Text, a message or messages.
            context: For tools, as `RunContext.context`.
            history: The conversation before, such as the last `Response.messages`.
            retract: Whether its viewers can take text back (law 10); without it a model that
                breaks in the middle of its answer ends the run with an error.

        Raises:
            ConfigurationError: no such provider or model, or no key.
            UsageError: input that is no message.
        """
        return self.make_run(conversation(history, input), context=context, retract=retract)

    async def run(
        self,
        input: MessageInput,
        *,
        context: Mapping[str, Any] | None = None,
        history: Iterable[Message] = (),
    ) -> Response[Out]:
        """Run to the end and give the whole answer.

        Raises:
            RunFailed: the run failed; `partial` holds the text so far.
        """
        async with self._private(input, context, history, retract=True) as run:
            return await run.result()

    def run_stream(
        self,
        message: MessageInput,
        *,
        context: Mapping[str, Any] | None = None,
        history: Iterable[Message] = (),
        on_error: OnError = "raise",
    ) -> AsyncGenerator[StreamChunk]:
        """The answer as it comes; leaving the iteration cancels the run.

        Chunks cannot be taken back, so a model that breaks in the middle of its answer is an
        error here; `start` retries such a step.

        Raises:
            RunFailed: out of the iteration, unless `on_error` is ``chunk``.
        """
        run = self._private(message, context, history)
        return chunks(run, on_error=on_error)

    async def execute_stream(
        self,
        task: MessageInput,
        channel: Channel[str],
        *,
        context: Mapping[str, Any] | None = None,
        history: Iterable[Message] = (),
    ) -> Response[Out]:
        """Send the answer's text into `channel` as it comes, close it always, give the answer.

        Raises:
            RunFailed: the run failed.
            BackpressureTimeout: the channel's reader took nothing for too long; the run is
                cancelled.
        """
        from headrace.views.channel import pour

        try:
            run = self._private(task, context, history)
        except BaseException:
            channel.close()
            raise
        return await pour(run, channel)

    async def run_callback(
        self,
        input: MessageInput,
        on_chunk: Callable[[str], Awaitable[None] | None],
        *,
        context: Mapping[str, Any] | None = None,
        history: Iterable[Message] = (),
    ) -> Response[Out]:
        """Call `on_chunk` with each piece of text; what it raises stops the run and comes out."""
        from headrace.views.callback import call_back

        run = self._private(input, context, history)
        return await call_back(run, on_chunk)

    def run_sync(
        self,
        input: MessageInput,
        *,
        context: Mapping[str, Any] | None = None,
        history: Iterable[Message] = (),
    ) -> Response[Out]:
        """`run`, for callers without an event loop.

        Raises:
            RunFailed: the run failed.
            UsageError: an event loop runs in this thread; use `await agent.run(…)`.
        """
        from headrace.views.sync import run_sync

        return run_sync(lambda: self.run(input, context=context, history=history))

    def stream_sync(
        self,
        input: MessageInput,
        *,
        context: Mapping[str, Any] | None = None,
        history: Iterable[Message] = (),
    ) -> Generator[StreamChunk]:
        """`run_stream`, for callers without an event loop; leaving the iteration cancels the run.

        Raises:
            RunFailed: out of the iteration.
        """
        from headrace.views.sync import stream_sync

        return stream_sync(lambda: self.run_stream(input, context=context, history=history))

    def make_run(
        self,
        messages: Sequence[Message],
        *,
        context: Mapping[str, Any] | None = None,
        retract: bool = True,
        private: bool = False,
        session: str | None = None,
        log: RunLog | None = None,
        id: str | None = None,
        past: Callable[[], Awaitable[Past]] | None = None,
        deadline: float | None = None,
        around: Callable[[Driver], Driver] | None = None,
    ) -> Run:
        """A run of this agent for whoever keeps runs; programs use `start`.

        Args:
            messages: The conversation before and the input.
            context: For tools.
            retract: As for `start`.
            private: At most one viewer, there from the start.
            session: The session that the run belongs to.
            log: Where it is written; by default in memory.
            id: Its id; a fresh one by default.
            past: Awaited before the loop begins: where it goes on, when it was interrupted.
            deadline: Seconds for the whole run; by default the agent's own.
            around: Put around the run's driver: waits for its turn, keeps what was said.

        Raises:
            ConfigurationError: no such provider or model, or no key.
        """
        run_id = id or new_run_id()

        async def driver(writer: Writer) -> Any:
            begun = None if past is None else await past()
            return await drive(self.plan(run_id, context or {}, retract), messages, writer, begun)

        dispatcher = self._dispatcher
        run = Run(
            driver if around is None else around(driver),
            RunInfo(self.name, self.model.name, session),
            deadline=self.deadlines.run if deadline is None else deadline,
            private=private and dispatcher is None,
            on_begin=None if dispatcher is None else dispatcher.attach,
            log=log,
            id=run_id,
        )
        run.asked = messages
        return run

    def _private(
        self,
        input: MessageInput,
        context: Mapping[str, Any] | None,
        history: Iterable[Message],
        *,
        retract: bool = False,
    ) -> Run:
        """A run for one viewer that keeps no log."""
        messages = conversation(history, input)
        return self.make_run(messages, context=context, retract=retract, private=True)

    def _check(self) -> None:
        """Refuse what this kind of agent cannot be built with.

        Raises:
            UsageError: it was.
        """

    def _read_by(self, model: Model) -> Model:
        """The model as this kind of agent reads it; whatever every agent puts around comes after.

        Args:
            model: The agent's own.
        """
        return model

    def _with_output(self, model: Model) -> Model:
        """The model, asked for an answer of the output type."""
        if self.output is None:
            return model
        from headrace.agents.output.model import OutputModel

        return OutputModel(model, self.output)

    def plan(
        self,
        run_id: str,
        context: Mapping[str, Any],
        retract: bool,
        *,
        path: str = "",
        nest: Nest | None = None,
    ) -> Plan:
        """Everything that one run of this agent needs; for whoever drives it.

        Args:
            run_id: The run.
            context: For tools.
            retract: Whether viewers can take text back.
            path: Where in the run it speaks; ``""`` for the root.
            nest: The agents that the run has called so far; a new one for the root.

        Raises:
            ConfigurationError: no such provider or model, or no key.
        """
        nest = nest or Nest(self.nesting)
        nest.rules.add(path, self.guards, self.budget)
        if self.on_approval is not None:
            nest.deciders[path] = self.on_approval
        json_text = self.output is not None or self.options.response_format is not None
        model = self._with_output(self._read_by(self.model))
        calls = CallSettings(
            self.tools,
            context,
            nest,
            run_id,
            self.parallel_tools,
            self.deadlines.tool,
            retract,
            self.approval_timeout,
            nest.decider(path),
        )
        return Plan(
            model=nest.rules.guarded(model, path, json_text=json_text),
            instructions=self.instructions,
            specs=tuple(tool.spec for tool in self.tools.values()),
            options=self.options,
            calls=calls,
            max_steps=self.max_steps,
            retract=retract,
            agent=path,
            output=self.output,
        )


def _guards(guards: Iterable[Guard]) -> tuple[StreamGuard | JudgeGuard, ...]:
    guards = tuple(listed("guards", guards))
    if not guards:
        return ()
    from headrace.agents.guards import as_guard  # few agents have any

    return tuple(map(as_guard, guards))


def _budget(budget: Budget | None) -> Budget | None:
    if budget is not None:
        from headrace.agents.budgets import Budget  # few agents have one

        instance("budget", budget, Budget)
    return budget


def _tool_table(tools: Iterable[Callable[..., Any] | AnyTool]) -> Mapping[str, AnyTool]:
    tools = listed("tools", tools)
    if not tools:
        return {}  # an agent without tools never loads what tools need
    from headrace.tools.tool import as_tool, tool_table

    return tool_table(as_tool(tool) for tool in tools)
