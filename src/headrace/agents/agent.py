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
from typing import TYPE_CHECKING, Any

from headrace.agents.calls import CallSettings
from headrace.agents.drive import Plan, drive
from headrace.agents.past import Past
from headrace.errors import UsageError
from headrace.messages import Message, MessageInput, as_messages
from headrace.models.chunk import StreamChunk
from headrace.models.deadlines import Deadlines
from headrace.models.model import Model
from headrace.models.request import Options
from headrace.runs.log import RunLog
from headrace.runs.response import Response
from headrace.runs.run import Run, RunInfo, new_run_id
from headrace.runs.writer import Writer
from headrace.views.chunks import OnError, chunks

if TYPE_CHECKING:
    from headrace.tools.tool import AnyTool
    from headrace.views.channel import Channel
    from headrace.views.dispatcher import EventDispatcher


class Agent:
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
        deadlines: How long to wait for what; a model given as an object keeps its own for its
            own waits.
        dispatcher: Gets the events of every run.
        record_to: A cassette to which the model's raw answers are written (docs/cassettes.md).
        **options: Model options: `temperature`, `max_tokens`, … (see `Options`).

    Raises:
        UnknownOption: for an option that no model knows.
        UsageError: two tools of one name, a bad option, a bound below 1.
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
        deadlines: Deadlines | None = None,
        dispatcher: EventDispatcher | None = None,
        record_to: str | PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        if max_steps < 1 or parallel_tools < 1:
            raise UsageError("max_steps and parallel_tools are at least 1.")
        self.name = name
        self.instructions = instructions
        self.description = description
        self.stream = stream
        self.max_steps = max_steps
        self.parallel_tools = parallel_tools
        self.deadlines = deadlines or Deadlines()
        self.options = Options.of(**options)
        self.tools = _tool_table(tools)
        self._named = model
        self._own_deadlines = deadlines
        self._dispatcher = dispatcher
        self._record_to = record_to

    def __repr__(self) -> str:
        named = self._named if isinstance(self._named, str | None) else self._named.name
        return f"Agent(name={self.name!r}, model={named!r}, tools={list(self.tools)})"

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

    def with_model(self, model: str | Model, name: str | None = None) -> Agent:
        """The same agent on another model.

        Args:
            model: As for `Agent`.
            name: Its own name, where both stand side by side.
        """
        other = copy.copy(self)
        other.__dict__.pop("model", None)  # the one that was looked up for this agent
        other._named = model
        other.name = name or self.name
        return other

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
        return self.make_run([*history, *as_messages(input)], context=context, retract=retract)

    async def run(
        self,
        input: MessageInput,
        *,
        context: Mapping[str, Any] | None = None,
        history: Iterable[Message] = (),
    ) -> Response:
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
    ) -> Response:
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
    ) -> Response:
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
    ) -> Response:
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

        Raises:
            ConfigurationError: no such provider or model, or no key.
        """
        run_id = id or new_run_id()

        async def driver(writer: Writer) -> Any:
            begun = None if past is None else await past()
            return await drive(self._plan(run_id, context or {}, retract), messages, writer, begun)

        dispatcher = self._dispatcher
        return Run(
            driver,
            RunInfo(self.name, self.model.name, session),
            deadline=self.deadlines.run if deadline is None else deadline,
            private=private and dispatcher is None,
            on_begin=None if dispatcher is None else dispatcher.attach,
            log=log,
            id=run_id,
        )

    def _private(
        self,
        input: MessageInput,
        context: Mapping[str, Any] | None,
        history: Iterable[Message],
        *,
        retract: bool = False,
    ) -> Run:
        """A run for one viewer that keeps no log."""
        messages = [*history, *as_messages(input)]
        return self.make_run(messages, context=context, retract=retract, private=True)

    def _plan(self, run_id: str, context: Mapping[str, Any], retract: bool) -> Plan:
        return Plan(
            model=self.model,
            instructions=self.instructions,
            specs=tuple(tool.spec for tool in self.tools.values()),
            options=self.options,
            calls=CallSettings(
                self.tools, context, run_id, self.parallel_tools, self.deadlines.tool
            ),
            max_steps=self.max_steps,
            retract=retract,
        )


def _tool_table(tools: Iterable[Callable[..., Any] | AnyTool]) -> Mapping[str, AnyTool]:
    tools = list(tools)
    if not tools:
        return {}  # an agent without tools never loads what tools need
    from headrace.tools.tool import as_tool, tool_table

    return tool_table(as_tool(tool) for tool in tools)
