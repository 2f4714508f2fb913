"""The tool calls of one step: started early or late, run in parallel, each ended exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from headrace.events import ToolEnd, ToolProgress, ToolStart
from headrace.messages import Message, ToolCall, ToolResult
from headrace.runs.writer import Writer

if TYPE_CHECKING:  # an agent without tools never loads what tools need
    from headrace.tools.execute import ToolOutcome
    from headrace.tools.tool import AnyTool

ABORT_GRACE = 1.0
"""Seconds that cancelled tools may take to clean up; their ends are written before."""


class CallSettings(Struct, frozen=True):
    """What the calls of all steps of a run share.

    Attributes:
        tools: By name.
        context: The caller's, for `RunContext.context`.
        run_id: The run.
        limit: At most so many run at once.
        timeout: Seconds for one call, where the tool does not say.
    """

    tools: Mapping[str, AnyTool]
    context: Mapping[str, Any]
    run_id: str = ""
    limit: int = 8
    timeout: float | None = 60.0


class Calls:
    """Runs the calls of one step.

    Each call's `tool_start` is written when it begins to run and its `tool_end` the moment it is
    over, in whatever order they end.

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

    def begin(self, call: ToolCall) -> None:
        """Start a call, once."""
        if call not in self._tasks:
            self._writer.tools[call.id] = "waiting"
            self._tasks[call] = asyncio.create_task(self._run(call), name=f"tool {call.name}")

    def begin_early(self, call: ToolCall) -> None:
        """Start a call while its step still streams: only tools that change nothing.

        A wire may come back to a call after it has begun the next one; arguments that are whole
        JSON can grow no more.
        """
        tool = self._settings.tools.get(call.name)
        if tool is not None and tool.read_only and isinstance(_input(call), dict):
            self.begin(call)

    async def results(self, calls: Sequence[ToolCall]) -> Message:
        """Run all calls to their end; gives the message with their results, in their order."""
        for call in calls:
            if call.id not in self._known:
                self.begin(call)
        return Message.tool(*[await self._result(call) for call in calls])

    async def _result(self, call: ToolCall) -> ToolResult:
        if call.id in self._known:
            return self._known[call.id]
        outcome = await self._tasks[call]
        text = outcome.output if outcome.error is None else outcome.error
        return ToolResult(call.id, call.name, text, outcome.error is not None)

    async def abort(self, error: str) -> None:
        """Cancel what runs; the `tool_end`s are written at once, with `error`."""
        for call, started in list(self._running.items()):
            self._end(call, "", error, _ms(started))
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
            task.add_done_callback(_look)
        if tasks:
            await asyncio.wait(tasks, timeout=ABORT_GRACE)

    def forget(self) -> None:
        """The step was withdrawn: its calls may come again under the same ids."""
        self._tasks.clear()

    async def _run(self, call: ToolCall) -> ToolOutcome:
        async with self._slots:
            if call.id not in self._begun:
                self._writer.put(ToolStart, self._agent, call.id, call.name, _input(call))
            self._running[call] = asyncio.get_running_loop().time()
            if not self._repeatable(call):
                # Whoever takes the run up must find that this may have been done.
                await self._writer.kept()
            outcome = await self._execute(call)
            self._end(call, outcome.output, outcome.error, outcome.duration_ms)
            return outcome

    def _repeatable(self, call: ToolCall) -> bool:
        tool = self._settings.tools.get(call.name)
        return tool is None or tool.idempotent or tool.read_only

    async def _execute(self, call: ToolCall) -> ToolOutcome:
        from headrace.tools.context import RunContext
        from headrace.tools.execute import execute, unknown_tool

        settings = self._settings
        tool = settings.tools.get(call.name)
        if tool is None:
            return unknown_tool(call.name, settings.tools)
        context = RunContext(context=settings.context, run_id=settings.run_id)

        def progress(content: str) -> None:
            if call in self._running and not self._writer.closed:
                self._writer.put(ToolProgress, self._agent, call.id, content)

        return await execute(tool, call, context, timeout=settings.timeout, on_progress=progress)

    def _end(self, call: ToolCall, output: str, error: str | None, took: float) -> None:
        """Write the call's one end, unless it is written or the run is over."""
        if self._running.pop(call, None) is not None and not self._writer.closed:
            self._writer.put(ToolEnd, self._agent, call.id, call.name, output, took, error)


def _input(call: ToolCall) -> object:
    """The arguments as a value, or their text when it is no JSON."""
    try:
        return msgspec.json.decode(call.arguments)
    except msgspec.DecodeError:
        return call.arguments


def _look(task: asyncio.Task[ToolOutcome]) -> None:
    """Take the exception of a call that no one awaits: its end is written, its run has failed."""
    if not task.cancelled():
        task.exception()


def _ms(started: float) -> float:
    return round((asyncio.get_running_loop().time() - started) * 1e3, 3)
