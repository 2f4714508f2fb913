"""Fold: a run's log made into its state. Pure; every view and wire agrees with it (law 10)."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from copy import copy
from typing import Any, Literal

from msgspec import Struct

from headrace.events import (
    TERMINAL,
    Answer,
    Approval,
    ApprovalNeeded,
    Cancelled,
    Complete,
    Error,
    Event,
    FinishReason,
    Input,
    Retract,
    RunStart,
    StepEnd,
    StepStart,
    Thought,
    Token,
    ToolEnd,
    ToolProgress,
    ToolStart,
)
from headrace.messages import Message, ToolResult
from headrace.runs.approvals import with_edit
from headrace.runs.waits import ends_wait
from headrace.text import TextBuffer
from headrace.usage import Metrics, Receipt, Usage

Status = Literal["running", "complete", "error", "cancelled"]


class ToolState(Struct):
    """One tool call of the run's own agent or a sub-agent's.

    Attributes:
        call_id: The call.
        name: The tool.
        input: Its arguments.
        output: Its result as text, None while it runs.
        error: What failed, if it did.
        duration_ms: How long it ran, None while it runs.
        progress: What it last said of itself.
        seq: Of its `tool_start`.
        agent: Path of the agent that called it.
    """

    call_id: str
    name: str
    input: Any
    seq: int
    agent: str = ""
    output: str | None = None
    error: str | None = None
    duration_ms: float | None = None
    progress: str | None = None


class Waiting(Struct):
    """A call that waits for a person.

    Attributes:
        call_id: The call.
        name: The tool.
        input: Its arguments.
        seq: Of its `approval_needed`.
        agent: Path of the agent that called it.
    """

    call_id: str
    name: str
    input: Any
    seq: int
    agent: str = ""


class RunState(Struct):
    """Where a run stands.

    Attributes:
        run_id: The run.
        agent_name: Its agent.
        model: Its model: of a fallback's models the one that answered last, once one has.
        status: ``running``, ``complete``, ``error`` or ``cancelled``.
        last_seq: The last event folded in.
        text: The answer's text: the root agent's tokens that still stand.
        reasoning: Its reasoning that still stands.
        steps: Number of model calls begun.
        tools: The tool calls that still stand, in order of their start.
        waiting: The calls that wait for a person, oldest first.
        messages: What the run added to the conversation, what people said into it included.
        usage: The sum over ended steps; the terminal event's once there.
        finish_reason: None while it runs.
        output: The structured output, if any.
        error_code: The terminal error's code.
        error_message: The terminal error's message.
        cancel_reason: The terminal cancel's reason.
        metrics: From the terminal event.
        receipt: From a terminal `cancelled`.
    """

    run_id: str = ""
    agent_name: str = ""
    model: str = ""
    session: str | None = None
    status: Status = "running"
    last_seq: int = 0
    text: str = ""
    reasoning: str = ""
    steps: int = 0
    tools: list[ToolState] = []
    waiting: list[Waiting] = []
    messages: list[Message] = []
    usage: Usage = Usage()
    finish_reason: FinishReason | None = None
    output: Any = None
    answer: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    cancel_reason: str | None = None
    metrics: Metrics | None = None
    receipt: Receipt | None = None


class _Tape:
    """Text with the `seq` of each piece, so that a retract cuts exactly. 16 bytes a piece."""

    def __init__(self) -> None:
        self._text = TextBuffer()
        self._seqs = array("q")
        self._starts = array("q")
        self._chars = 0

    def add(self, seq: int, piece: str) -> None:
        self._seqs.append(seq)
        self._starts.append(self._chars)
        self._text.append(piece)
        self._chars += len(piece)

    def retract(self, since: int) -> None:
        at = bisect_left(self._seqs, since)
        if at < len(self._seqs):
            self._chars = self._starts[at]
            self._text.cut(self._chars)
            del self._seqs[at:], self._starts[at:]

    def __str__(self) -> str:
        return str(self._text)


class _Step(Struct):
    """One model call of the root agent and the results of its calls.

    A tool that changes nothing may end before the step that asks for it does, so results wait
    for the message that they answer. `seq` is that of the last `step_start` or `step_end`.
    """

    seq: int
    message: Message | None = None
    results: list[ToolResult] = []

    def messages(self) -> list[Message]:
        """The step's part of the conversation: nothing for one that runs still or failed."""
        if self.message is None:
            return []
        if not self.results:
            return [self.message]
        order = {call.id: i for i, call in enumerate(self.message.tool_calls)}
        results = sorted(self.results, key=lambda r: order.get(r.call_id, len(order)))
        return [self.message, Message.tool(*results)]


class Folder:
    """Folds events one after the other."""

    def __init__(self) -> None:
        self._state = RunState()
        self._text = _Tape()
        self._reasoning = _Tape()
        self._tools: list[ToolState] = []
        self._running: dict[tuple[str, str], ToolState] = {}
        self._waiting: dict[tuple[str, str], Waiting] = {}
        self._edited: dict[tuple[str, str], object] = {}
        self._steps: list[_Step | Message] = []  # a message is what a person said in between
        self._inputs: list[Message] = []  # what the next step will take up

    def add(self, event: Event) -> None:
        """Fold in the next event."""
        self._state.last_seq = event.seq
        self._end_waits(event)
        match event:
            case Token():
                if not event.agent:
                    self._text.add(event.seq, event.content)
            case Thought():
                if not event.agent:
                    self._reasoning.add(event.seq, event.content)
            case StepStart() | StepEnd():
                self._step(event)
            case ToolStart() | ToolProgress() | ToolEnd():
                self._tool(event)
            case ApprovalNeeded() | Approval():
                self._approval(event)
            case Retract():
                self._retract(event)
            case _:
                self._whole_run(event)

    def state(self) -> RunState:
        """The state so far; later `add`s do not change it."""
        state = self._state
        state.text = str(self._text)
        state.reasoning = str(self._reasoning)
        state.tools = [copy(tool) for tool in self._tools]
        state.waiting = list(self._waiting.values())
        state.messages = [*_messages(self._steps), *self._inputs]
        self._state = copy(state)
        return state

    def _step(self, event: StepStart | StepEnd) -> None:
        if isinstance(event, StepStart):
            if not event.agent:
                self._state.steps = max(self._state.steps, event.step)
                self._steps += self._inputs
                self._inputs = []
                self._steps.append(_Step(event.seq))
            return
        self._state.usage = self._state.usage + event.usage
        if not event.agent:
            self._state.model = event.model or self._state.model
            step = self._last_step()
            if step is None:
                return
            step.seq = event.seq
            # A failed step's message is no part of the conversation: the step is asked again.
            if event.finish_reason not in ("error", "cancelled"):
                step.message = event.message

    def _tool(self, event: ToolStart | ToolProgress | ToolEnd) -> None:
        key = (event.agent, event.call_id)
        if isinstance(event, ToolStart):
            begun = ToolState(event.call_id, event.name, event.input, event.seq, event.agent)
            self._tools.append(begun)
            self._running[key] = begun
            return
        tool = self._running.get(key)
        if tool is None:  # begun before the first event that this viewer asked for
            return
        if isinstance(event, ToolProgress):
            tool.progress = event.content
            return
        tool.output, tool.error, tool.duration_ms = event.output, event.error, event.duration_ms
        edited = self._edited.pop(key, None)
        if not event.agent:
            text = with_edit(event.output if event.error is None else event.error, edited)
            result = ToolResult(event.call_id, event.name, text, event.error is not None)
            if (step := self._last_step()) is not None:
                step.results.append(result)

    def _approval(self, event: ApprovalNeeded | Approval) -> None:
        key = (event.agent, event.call_id)
        if isinstance(event, ApprovalNeeded):
            asked = Waiting(event.call_id, event.name, event.input, event.seq, event.agent)
            self._waiting[key] = asked
        else:
            self._edited[key] = event.input

    def _end_waits(self, event: Event) -> None:
        if not self._waiting:
            return
        over = isinstance(event, TERMINAL)
        self._waiting = {
            key: asked
            for key, asked in self._waiting.items()
            if not over and not ends_wait(event, *key)
        }

    def _last_step(self) -> _Step | None:
        """The root agent's newest step."""
        return next((step for step in reversed(self._steps) if isinstance(step, _Step)), None)

    def _retract(self, event: Retract) -> None:
        if not event.agent:
            self._text.retract(event.since)
            self._reasoning.retract(event.since)
            self._steps = [
                step for step in self._steps if isinstance(step, Message) or step.seq < event.since
            ]
        self._tools = [
            tool for tool in self._tools if tool.agent != event.agent or tool.seq < event.since
        ]

    def _whole_run(self, event: Event) -> None:
        state = self._state
        match event:
            case RunStart():
                state.run_id, state.agent_name = event.run_id, event.agent_name
                state.model, state.session = event.model, event.session
            case Input():
                self._inputs.append(Message.user(event.content))
            case Answer():
                state.answer = event.content
            case Complete():
                state.status, state.finish_reason = "complete", event.finish_reason
                state.usage, state.metrics, state.output = event.usage, event.metrics, event.output
            case Error():
                state.status, state.finish_reason = "error", "error"
                state.usage, state.metrics = event.usage or state.usage, event.metrics
                state.error_code, state.error_message = event.code, event.message
            case Cancelled():
                state.status, state.finish_reason = "cancelled", "cancelled"
                state.usage, state.metrics = event.usage, event.metrics
                state.cancel_reason, state.receipt = event.reason, event.receipt


def _messages(steps: Iterable[_Step | Message]) -> Iterator[Message]:
    for step in steps:
        if isinstance(step, Message):
            yield step
        else:
            yield from step.messages()


def fold(events: Iterable[Event]) -> RunState:
    """The state that a log (from its first event on) makes; equal for joined deltas."""
    folder = Folder()
    for event in events:
        folder.add(event)
    return folder.state()
