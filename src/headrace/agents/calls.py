"""The tool calls of one step: started early or late, run in parallel, each ended exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from msgspec import Struct

from headrace.agents.approvals import (
    APPROVAL_TIMEOUT,
    OnApproval,
    approval_of,
    as_approved,
    denial,
    input_of,
)
from headrace.agents.nesting import Nest, depth_of
from headrace.events import Approval, ToolEnd, ToolProgress, ToolStart
from headrace.messages import Message, ToolCall, ToolResult
from headrace.runs.approvals import with_edit
from headrace.runs.writer import Writer, tool_key

if TYPE_CHECKING:  # an agent without tools never loads what tools need
    from headrace.tools.execute import ToolOutcome
    from headrace.tools.tool import AnyTool

ABORT_GRACE = 1.0
"""Seconds that cancelled tools may take to clean up, for each level of agents below; the ends of
tools are written before, those of agents once they have ended what is theirs."""


class CallSettings(Struct, frozen=True):
    """What the calls of all steps of a run share.

    Attributes:
        tools: By name.
        context: The caller's, for `RunContext.context`.
        run_id: The run.
        limit: At most so many run at once.
        timeout: Seconds for one call, where the tool does not say.
        retract: Whether viewers can take text back.
        approval_timeout: Seconds that a call waits for a person.
        nest: The agents that the run has called so far.
        on_approval: Decides about a call that waits.
    """

    tools: Mapping[str, AnyTool]
    context: Mapping[str, Any]
    nest: Nest
    run_id: str = ""
    limit: int = 8
    timeout: float | None = 60.0
    retract: bool = True
    approval_timeout: float | None = APPROVAL_TIMEOUT
    on_approval: OnApproval | None = None


class Here(Struct, frozen=True):
    """Where in a run a call is made.

    Attributes:
        writer: The run's.
        agent: Path of the agent that calls.
        settings: What its calls share.
    """

    writer: Writer
    agent: str
    settings: CallSettings


@runtime_checkable
class Inside(Protocol):
    """A tool that runs as a part of the run that calls it, and writes events of its own there."""

    async def run_inside(self, call: ToolCall, here: Here) -> ToolOutcome:
        """Run one call; every pair that it begins it ends, also when it is cancelled."""
        ...


class Calls:
    """Runs the calls of one step.

    Each call's `tool_start` is written when it begins to run and its `tool_end` the moment it is
    over, in whatever order they end. A call that waits for a person has not begun, and takes no
    place among those that run at once.

    Args:
        settings: What the calls of all steps share.
        writer: The run's writer.
        agent: Path of the agent that calls.
        known: Results by call id, of calls that had ended before the run was interrupted: these
            never run again.
        begun: Ids of calls that have their `tool_start` already.
    """

    def __init__(
        self,
        settings: CallSettings,
        writer: Writer,
        agent: str = "",
        *,
        known: Mapping[str, ToolResult] | None = None,
        begun: frozenset[str] = frozenset(),
    ) -> None:
        self._settings = settings
        self._writer = writer
        self._agent = agent
        self._known = known or {}
        self._begun = begun
        self._slots = asyncio.Semaphore(settings.limit)
        # By the whole call, not its id: a model may give one id to two different calls.
        self._tasks: dict[ToolCall, asyncio.Task[ToolOutcome]] = {}
        self._running: dict[ToolCall, float] = {}
        self._edited: dict[ToolCall, object] = {}
        self._asking: dict[str, asyncio.Lock] = {}

    def begin(self, call: ToolCall) -> None:
        """Start a call, once."""
        if call not in self._tasks:
            self._writer.tools[tool_key(self._agent, call.id)] = "waiting"
            if call.id not in self._begun:
                self._writer.spent.calls[self._agent] += 1
            self._tasks[call] = asyncio.create_task(self._run(call), name=f"tool {call.name}")

    def begin_early(self, call: ToolCall) -> None:
        """Start a call while its step still streams: only tools that change nothing.

        A wire may come back to a call after it has begun the next one; arguments that are whole
        JSON can grow no more.
        """
        tool = self._settings.tools.get(call.name)
        if tool is None or not tool.read_only or not isinstance(input_of(call), dict):
            return
        if tool.approval:  # no one is asked about a step that may be withdrawn
            return
        if self._settings.nest.rules.calls_left(self._agent, self._writer.spent) >= 1:
            self.begin(call)

    async def results(self, calls: Sequence[ToolCall]) -> Message:
        """Run all calls to their end; gives the message with their results, in their order.

        Raises:
            BudgetSpent: they are more than a budget allows; none begins.
        """
        fresh = sum(
            call.id not in self._known and call.id not in self._begun and call not in self._tasks
            for call in calls
        )
        self._settings.nest.rules.check_calls(self._agent, self._writer.spent, fresh)
        for call in calls:
            if call.id not in self._known:
                self.begin(call)
        return Message.tool(*[await self._result(call) for call in calls])

    async def _result(self, call: ToolCall) -> ToolResult:
        if call.id in self._known:
            return self._known[call.id]
        outcome = await self._tasks[call]
        text = outcome.output if outcome.error is None else outcome.error
        text = with_edit(text, self._edited.get(call))
        return ToolResult(call.id, call.name, text, outcome.error is not None)

    async def abort(self, error: str) -> None:
        """Cancel what runs; the `tool_end`s are written at once, with `error`."""
        for call in list(self._running):
            if not self._inside(call):
                self._end(call, "", error, _ms(self._running[call]))
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
            task.add_done_callback(_look)
        if tasks:
            await asyncio.wait(tasks, timeout=ABORT_GRACE * self._levels())
        for call, started in list(self._running.items()):
            self._end(call, "", error, _ms(started))

    def _inside(self, call: ToolCall) -> bool:
        return isinstance(self._settings.tools.get(call.name), Inside)

    def _levels(self) -> int:
        """Levels of agents that may have to end, this one's tools included."""
        below = self._settings.nest.bounds.depth - depth_of(self._agent)
        return 1 + (below if any(map(self._inside, self._running)) else 0)

    def forget(self) -> None:
        """The step was withdrawn: its calls may come again under the same ids."""
        self._tasks.clear()

    async def _run(self, call: ToolCall) -> ToolOutcome:
        approval = await self._approval(call)
        if approval is not None and not approval.approved:
            return self._deny(call, approval)
        made = as_approved(call, approval)
        if made is not call:
            self._edited[call] = input_of(made)
        async with self._slots:
            self._start(call, made)
            if not self._repeatable(call):
                # Whoever takes the run up must find that this may have been done.
                await self._writer.kept()
            outcome = await self._execute(call, made)
            self._end(call, outcome.output, outcome.error, outcome.duration_ms)
            return outcome

    async def _approval(self, call: ToolCall) -> Approval | None:
        """What people decided about it; None where no one is asked."""
        # One after the other where a model gave one id to two calls: a decision names the id.
        async with self._asking.setdefault(call.id, asyncio.Lock()):
            return await approval_of(
                self._settings.tools.get(call.name),
                call,
                self._writer,
                self._agent,
                timeout=self._settings.approval_timeout,
                begun=call.id in self._begun,
                on_approval=self._settings.on_approval,
            )

    def _deny(self, call: ToolCall, approval: Approval) -> ToolOutcome:
        """Its pair, and what the model is told: it never runs."""
        from headrace.tools.execute import ToolOutcome

        error = denial(approval)
        self._start(call, call)
        self._end(call, error, error, 0.0)
        return ToolOutcome(error, error, 0.0)

    def _start(self, call: ToolCall, made: ToolCall) -> None:
        """Write the call's start, with the arguments that it runs with."""
        if call.id not in self._begun:
            self._writer.put(ToolStart, self._agent, call.id, call.name, input_of(made))
        self._running[call] = asyncio.get_running_loop().time()

    def _repeatable(self, call: ToolCall) -> bool:
        tool = self._settings.tools.get(call.name)
        return tool is None or tool.idempotent or tool.read_only

    async def _execute(self, call: ToolCall, made: ToolCall) -> ToolOutcome:
        """Run the call as it was `made`."""
        from headrace.tools.context import RunContext
        from headrace.tools.execute import execute, unknown_tool

        settings = self._settings
        tool = settings.tools.get(call.name)
        if tool is None:
            return unknown_tool(call.name, settings.tools)
        if isinstance(tool, Inside):
            return await tool.run_inside(made, Here(self._writer, self._agent, settings))
        context = RunContext(context=settings.context, run_id=settings.run_id)

        def progress(content: str) -> None:
            if call in self._running and not self._writer.closed:
                self._writer.put(ToolProgress, self._agent, call.id, content)

        return await execute(tool, made, context, timeout=settings.timeout, on_progress=progress)

    def _end(self, call: ToolCall, output: str, error: str | None, took: float) -> None:
        """Write the call's one end, unless it is written or the run is over."""
        if self._running.pop(call, None) is not None and not self._writer.closed:
            self._writer.put(ToolEnd, self._agent, call.id, call.name, output, took, error)


def _look(task: asyncio.Task[ToolOutcome]) -> None:
    """Take the exception of a call that no one awaits: its end is written, its run has failed."""
    if not task.cancelled():
        task.exception()


def _ms(started: float) -> float:
    return round((asyncio.get_running_loop().time() - started) * 1e3, 3)
