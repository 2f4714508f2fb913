"""A run as AG-UI events that `@ag-ui/client` 1.0 takes: its schemas, and its `verifyEvents`.

=====================  ========================================================================
log                    wire
=====================  ========================================================================
`run_start`            ``RUN_STARTED``; ``metadata.headrace`` has the run's own id
`step_start`, `_end`   ``STEP_STARTED``, ``STEP_FINISHED``
`thought`              ``REASONING_START``, ``REASONING_MESSAGE_START``, ``…_CONTENT``, ``…_END``,
                       ``REASONING_END``: a message of its own for each stretch of reasoning
`token`                ``TEXT_MESSAGE_START``, ``…_CONTENT``, ``…_END``: one message a step
`tool_args`            ``TOOL_CALL_START``, ``…_ARGS``, ``…_END``, in the step's message
`tool_start`           the same, whole, for a call whose arguments did not stream
`tool_end`             ``TOOL_CALL_RESULT``; an error also in its ``metadata.headrace``
`agent_start`, `_end`  ``SUBAGENT_STARTED``, ``SUBAGENT_FINISHED`` or ``SUBAGENT_ERROR``
`retract`              ``ACTIVITY_SNAPSHOT`` in the place of each withdrawn message
`complete`             ``RUN_FINISHED`` with ``usage``; ``result`` has `finish_reason`, `usage`,
                       `metrics` and `output`
`cancelled`            ``RUN_FINISHED`` with the outcome ``cancelled``: it did not fail, so it is no
                       ``RUN_ERROR``; what a success has in ``result`` is in ``metadata.headrace``
`error`                ``RUN_ERROR``; ``metadata.headrace`` likewise
other events           ``CUSTOM``, named ``headrace.`` and the event's type, with the event itself:
                       a call that waits for a person does not end our run, as an AG-UI interrupt
                       would
=====================  ========================================================================

A sub-agent's text, reasoning and steps are left out, for they are no part of the answer; what its
tools do is ``CUSTOM``. `answer` says nothing new and has no frame.

Why an activity for withdrawn text: an AG-UI message cannot be taken back, and
``MESSAGES_SNAPSHOT`` replaces the whole conversation, which a run does not know. But the client's
`defaultApplyEvents` lets an ``ACTIVITY_SNAPSHOT`` replace whatever message has its id, and never
sends activities back to an agent. So the text, the calls and the results are gone from the
conversation, and a page can show why.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import msgspec

from headrace.errors import HeadraceError
from headrace.events import (
    AgentEnd,
    AgentStart,
    Approval,
    ApprovalNeeded,
    Cancelled,
    Complete,
    Error,
    Event,
    Input,
    Partial,
    Retract,
    RunStart,
    StepEnd,
    StepStart,
    Thought,
    Token,
    ToolArgs,
    ToolEnd,
    ToolProgress,
    ToolStart,
    Warn,
)
from headrace.protocols.ag_ui.ending import our_words, token_usage
from headrace.protocols.ag_ui.frames import DELTA_END, OURS, custom, delta_head, frame, quoted
from headrace.protocols.ag_ui.made import Call, Made, Subagent, parted
from headrace.protocols.encoder import Encoder

VERSION = "1.0"
"""The protocol's version, as told in ``RUN_STARTED``."""

RETRACTED = f"{OURS}.retracted"
"""The `activityType` of what stands in the place of a withdrawn message."""

NOT_RUN = "This call was not run."
"""The result of a call that the model asked for and that never ran."""


class AGUIEncoder(Encoder):
    """See above.

    Args:
        thread_id: The conversation, as the client named it; by default the run's session or, where
            it has none, the run.
        run_id: The run, as the client named it; by default its own id.
        taken: Ids of calls that the client's conversation has already (`AGUIRequest.call_ids`): a
            call of the same id is given another, for the client would take it for the old one.
    """

    def __init__(
        self,
        thread_id: str | None = None,
        run_id: str | None = None,
        taken: Iterable[str] = (),
    ) -> None:
        self._taken = frozenset(taken)
        self.key: Hashable = ("ag-ui", thread_id, run_id, self._taken)
        self._thread_id = thread_id
        self._run_id = run_id
        self._prefix = ""  # of messages' ids: the run's own id, for a client's may come twice
        self._ended = False
        self._step = ""  # the open step
        self._agents: tuple[Subagent, ...] = ()
        self._calls: tuple[Call, ...] = ()
        self._messages: tuple[Made, ...] = ()
        self._message = ""  # id of the step's message, whether the client has it or not
        self._text_open = False
        self._text_head = b""  # while the next token needs nothing but a delta
        self._thoughts = 0  # stretches of reasoning in this step
        self._thought = ""  # id of the open one
        self._thought_head = b""

    def encode(self, events: Sequence[Event]) -> bytes:
        """Frames; nothing after the terminal event's."""
        parts: list[bytes] = []
        for event in events:
            kind = type(event)
            if self._ended:
                break
            if kind is Token:
                content: str = event.content  # type: ignore[attr-defined]
                if content and not event.agent:
                    if not self._text_head:
                        parts.append(self._open_text(event.seq))
                    parts.append(b"%b%b%b" % (self._text_head, quoted(content), DELTA_END))
            elif (write := (_OF_OTHERS if event.agent else _WRITERS).get(kind)) is not None:
                parts.append(write(self, event))
        return b"".join(parts)

    def fail(self, error: HeadraceError) -> bytes:
        """``RUN_ERROR``, also where nothing came before; nothing after the run's end."""
        if self._ended:
            return b""
        told = {"retryable": error.retryable, "hint": error.hint}
        return self._end("RUN_ERROR", message=error.message, code=error.code, metadata={OURS: told})

    # The run and its steps

    def _start(self, event: RunStart) -> bytes:
        self._prefix = event.run_id
        self._name_message(event.seq)
        self._run_id = self._run_id or event.run_id
        self._thread_id = self._thread_id or event.session or event.run_id
        told = {"run_id": event.run_id, "agent": event.agent_name, "model": event.model}
        ids = {"threadId": self._thread_id, "runId": self._run_id}
        return frame("RUN_STARTED", **ids, protocolVersion=VERSION, metadata={OURS: told})

    def _step_start(self, event: StepStart) -> bytes:
        before = self._end_step() + self._answer_all(event.seq)
        self._name_message(event.seq)
        self._step = f"step_{event.step}"
        return before + frame("STEP_STARTED", stepName=self._step)

    def _step_end(self, _: StepEnd) -> bytes:
        return self._end_step()

    def _end_step(self) -> bytes:
        closed, step = self._close(), self._step
        self._step = ""
        return closed + (frame("STEP_FINISHED", stepName=step) if step else b"")

    def _name_message(self, seq: int) -> None:
        """What comes from now on belongs to another message than what came before."""
        self._message = f"{self._prefix}-{seq}"
        self._thoughts = 0

    def _close(self) -> bytes:
        """Close reasoning, text and arguments: the model has said all of this step."""
        parts = [self._close_thought()]
        if self._text_open:
            parts.append(frame("TEXT_MESSAGE_END", messageId=self._message))
        self._text_open, self._text_head = False, b""
        calls = self._calls
        parts += [frame("TOOL_CALL_END", toolCallId=call.id) for call in calls if call.is_open]
        self._calls = tuple(msgspec.structs.replace(call, is_open=False) for call in calls)
        return b"".join(parts)

    # What the model says

    def _open_text(self, seq: int) -> bytes:
        closed = self._close_thought()
        self._text_head = delta_head("TEXT_MESSAGE_CONTENT", "messageId", self._message)
        if self._text_open:
            return closed
        self._text_open = True
        self._have_message(seq)
        return closed + frame("TEXT_MESSAGE_START", messageId=self._message, role="assistant")

    def _have_message(self, seq: int) -> None:
        if not any(made.id == self._message for made in self._messages):
            self._messages = (*self._messages, Made(seq, self._message))

    def _think(self, event: Thought) -> bytes:
        if not event.content:
            return b""
        opened = b"" if self._thought else self._open_thought(event.seq)
        return b"%b%b%b%b" % (opened, self._thought_head, quoted(event.content), DELTA_END)

    def _open_thought(self, seq: int) -> bytes:
        self._text_head = b""  # the next token has to close this first
        self._thoughts += 1
        self._thought = id = f"{self._message}-reasoning-{self._thoughts}"
        self._thought_head = delta_head("REASONING_MESSAGE_CONTENT", "messageId", id)
        self._messages = (*self._messages, Made(seq, id))
        message = frame("REASONING_MESSAGE_START", messageId=id, role="reasoning")
        return frame("REASONING_START", messageId=id) + message

    def _close_thought(self) -> bytes:
        id, self._thought = self._thought, ""
        if not id:
            return b""
        return frame("REASONING_MESSAGE_END", messageId=id) + frame("REASONING_END", messageId=id)

    # Calls

    def _args(self, event: ToolArgs) -> bytes:
        if not event.delta:
            return b""
        call = self._call(event.call_id)
        opened = b""
        if call is None:
            call, opened = self._open_call(event)
        return b"%b%b%b%b" % (opened, call.head, quoted(event.delta), DELTA_END)

    def _call(self, call_id: str) -> Call | None:
        """The newest call of this id that has no result."""
        return next((call for call in reversed(self._calls) if call.call_id == call_id), None)

    def _open_call(self, event: ToolArgs | ToolStart) -> tuple[Call, bytes]:
        closed = self._close_thought()
        id = self._free_id(event.call_id)
        head = delta_head("TOOL_CALL_ARGS", "toolCallId", id)
        call = Call(event.seq, id, event.call_id, head)
        self._calls = (*self._calls, call)
        self._have_message(event.seq)
        fields = {"toolCallName": event.name, "parentMessageId": self._message}
        return call, closed + frame("TOOL_CALL_START", toolCallId=id, **fields)

    def _free_id(self, call_id: str) -> str:
        """The call's id, or another where the client knows a call by it already."""
        id, count = call_id, 1
        while id in self._taken:
            count += 1
            id = f"{call_id}_{count}"
        self._taken |= {id}
        return id

    def _tool_start(self, event: ToolStart) -> bytes:
        call = self._call(event.call_id)
        written = b""
        if call is None:
            call, written = self._open_call(event)
            text = event.input if isinstance(event.input, str) else msgspec.json.encode(event.input)
            arguments = text if isinstance(text, str) else text.decode()
            written += b"%b%b%b" % (call.head, quoted(arguments), DELTA_END)
        if not call.is_open:
            return written
        closed = msgspec.structs.replace(call, is_open=False)
        self._calls = tuple(closed if each is call else each for each in self._calls)
        return written + frame("TOOL_CALL_END", toolCallId=call.id)

    def _tool_end(self, event: ToolEnd) -> bytes:
        call = self._call(event.call_id)
        if call is None:  # withdrawn since it began
            return b""
        told = {"duration_ms": event.duration_ms}
        if event.error is None:
            return self._answer(call, event.seq, event.output, told)
        return self._answer(call, event.seq, event.error, {**told, "error": event.error})

    def _answer(self, call: Call, seq: int, content: str, told: dict[str, Any]) -> bytes:
        """A call's result: a message of its own, which stands as long as the call does."""
        self._calls = tuple(each for each in self._calls if each is not call)
        made = Made(call.seq, f"{self._prefix}-{seq}-{call.id}")
        self._messages = (*self._messages, made)
        ids = {"messageId": made.id, "toolCallId": call.id}
        return frame("TOOL_CALL_RESULT", **ids, content=content, role="tool", metadata={OURS: told})

    def _answer_all(self, seq: int, since: int = 0) -> bytes:
        """Say of calls that they were not run: the client takes them for its own to run."""
        calls = [call for call in self._calls if call.seq >= since]
        told = {"error": NOT_RUN}
        return b"".join([self._answer(call, seq, NOT_RUN, told) for call in calls])

    def _about_call(self, event: ToolProgress | ApprovalNeeded | Approval) -> bytes:
        call = self._call(event.call_id)
        return custom(event, event.call_id if call is None else call.id)

    # What is withdrawn, and who else works

    def _retract(self, event: Retract) -> bytes:
        parts = [self._close(), self._answer_all(event.seq, event.since)]
        standing, gone = parted(self._messages, event.since)
        content = {"reason": event.reason}
        fields = {"activityType": RETRACTED, "content": content, "replace": True}
        parts += [frame("ACTIVITY_SNAPSHOT", messageId=made.id, **fields) for made in gone]
        self._messages = standing
        self._name_message(event.seq)
        return b"".join(parts)

    def _agent_start(self, event: AgentStart) -> bytes:
        agent = Subagent(event.agent, event.name, f"{self._prefix}-{event.seq}")
        above = [each for each in self._agents if agent.path.startswith(f"{each.path}/")]
        fields = {"parentSubagentRunId": above[-1].id} if above else {}
        self._agents = (*self._agents, agent)
        ids = {"subagentRunId": agent.id, "name": event.name, "description": event.task}
        return frame("SUBAGENT_STARTED", **ids, **fields)

    def _agent_end(self, event: AgentEnd) -> bytes:
        key = (event.agent, event.name)
        ended = next((each for each in self._agents if (each.path, each.name) == key), None)
        if ended is None:
            return b""
        self._agents = tuple(each for each in self._agents if each is not ended)
        if event.error is not None:
            return frame("SUBAGENT_ERROR", subagentRunId=ended.id, message=event.error)
        return frame("SUBAGENT_FINISHED", subagentRunId=ended.id, result=event.output)

    # The end

    def _complete(self, event: Complete) -> bytes:
        said = our_words(event.finish_reason, event.usage, event)
        if event.output is not None:
            said["output"] = event.output
        return self._finish(event, result=said, outcome={"type": "success"})

    def _cancelled(self, event: Cancelled) -> bytes:
        said = our_words("cancelled", event.usage, event)
        said |= {"reason": event.reason, "receipt": event.receipt}
        return self._finish(event, metadata={OURS: said}, outcome={"type": "cancelled"})

    def _finish(self, event: Complete | Cancelled, **fields: Any) -> bytes:
        ids = {"threadId": self._thread_id, "runId": self._run_id}
        return self._end("RUN_FINISHED", event.seq, **ids, **fields, usage=token_usage(event.usage))

    def _error(self, event: Error) -> bytes:
        said = our_words("error", event.usage, event) | {"retryable": event.retryable}
        fields: dict[str, Any] = {"message": event.message, "code": event.code}
        if event.usage is not None:
            fields["usage"] = token_usage(event.usage)
        return self._end("RUN_ERROR", event.seq, **fields, metadata={OURS: said})

    def _end(self, type: str, seq: int = 0, **fields: Any) -> bytes:
        parts = [self._end_step(), self._answer_all(seq)]
        for agent in reversed(self._agents):
            said = "The run ended before its sub-agent did."
            parts.append(frame("SUBAGENT_ERROR", subagentRunId=agent.id, message=said))
        self._ended, self._agents = True, ()
        return b"".join([*parts, frame(type, **fields)])

    def _custom(self, event: Event) -> bytes:
        return custom(event)


_Writers = dict[type[Event], Callable[[AGUIEncoder, Any], bytes]]

_WRITERS: _Writers = {
    RunStart: AGUIEncoder._start,
    StepStart: AGUIEncoder._step_start,
    StepEnd: AGUIEncoder._step_end,
    Thought: AGUIEncoder._think,
    ToolArgs: AGUIEncoder._args,
    ToolStart: AGUIEncoder._tool_start,
    ToolProgress: AGUIEncoder._about_call,
    ToolEnd: AGUIEncoder._tool_end,
    ApprovalNeeded: AGUIEncoder._about_call,
    Approval: AGUIEncoder._about_call,
    AgentStart: AGUIEncoder._agent_start,
    AgentEnd: AGUIEncoder._agent_end,
    Partial: AGUIEncoder._custom,
    Input: AGUIEncoder._custom,
    Warn: AGUIEncoder._custom,
    Retract: AGUIEncoder._retract,
    Complete: AGUIEncoder._complete,
    Error: AGUIEncoder._error,
    Cancelled: AGUIEncoder._cancelled,
}
"""Of the root agent's events, all but `token`."""

_OF_OTHERS: _Writers = {
    AgentStart: AGUIEncoder._agent_start,
    AgentEnd: AGUIEncoder._agent_end,
    **dict.fromkeys((ToolStart, ToolProgress, ToolEnd), AGUIEncoder._custom),
    **dict.fromkeys((ApprovalNeeded, Approval, Partial, Input, Warn), AGUIEncoder._custom),
    Complete: AGUIEncoder._complete,
    Error: AGUIEncoder._error,
    Cancelled: AGUIEncoder._cancelled,
}
"""Of a sub-agent's events."""
