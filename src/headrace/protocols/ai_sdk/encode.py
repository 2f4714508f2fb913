"""``ai-sdk``: the AI SDK's UI message stream, version 1, as `useChat` of npm `ai` 6 reads it.

Frames are ``data: {"type": …}``, then ``data: [DONE]`` (ai-sdk.dev/docs/ai-sdk-ui/stream-protocol).
Readers check each against a schema and give up on the whole stream at the first that does not fit:
``ai@6.0.0`` refuses even a field that it does not know, so only that version's fields are written.

==============================  =================================================================
events                          parts
==============================  =================================================================
``run_start``                   ``start``: `messageId` and metadata `runId`, `agent`, `model`
``step_start``                  ``start-step``
``thought`` · ``token``         ``reasoning-*`` · ``text-*``
``tool_args``                   ``tool-input-start``, ``tool-input-delta``
``tool_start``                  ``tool-input-available``; ``tool-input-error`` where it is no JSON
``tool_progress``               ``tool-output-available``, preliminary
``tool_end``                    ``tool-output-available`` or ``tool-output-error``
``approval_needed``             ``tool-approval-request``, its `approvalId` the call's id
``approval``, a refusal         ``tool-output-denied``
``retract``                     ``reset-step`` or ``data-retract``, see below
``complete``                    ``finish``: metadata `finishReason` (ours), `usage`, `metrics`
``error`` · ``cancelled``       ``message-metadata`` with the same, then ``error`` · ``abort``
``warning``, ``agent_start``,   transient data, which only `onData` sees: ``data-warning``,
``agent_end``, ``partial``,     ``data-agent``, ``data-partial``, ``data-input``; and
``input``                       ``data-approval`` for a sub-agent's call that waits
==============================  =================================================================

``finish-step`` waits for the next step or the end, since the tools of a step run after the model
has spoken and belong to it. A sub-agent shows as ``data-agent`` alone: its text is not the answer.

**Tools** are ``dynamic``: the server cannot know which tools a page has types for, and the part
``dynamic-tool`` with its `toolName` is what `useChat` has for all others. They are
``providerExecuted``, so that a page neither runs them (`onToolCall`) nor sends the conversation
again because all of them have results (`lastAssistantMessageIsCompleteWithToolCalls`). Pages show
calls as they were asked for; `headrace.seq` in a part's provider metadata tells how they ran.

**Withdrawn text** (law 10). In ``ai`` 6 a part that is shown stays. Its `processUIMessageStream`
only appends to text; parts have no name by which they could be written again; a second ``start``
with another `messageId` makes a second message that has all the parts of the first (only
`readUIMessageStream` and `resumeStream` begin afresh there). So the stream goes on, and a part
``data-retract`` marks what no longer counts: everything back to the last ``step-start``. A page
leaves it out before it shows a message, as the parser of requests does::

    function standing(parts) {
      const kept = [];
      for (const part of parts) {
        if (part.type !== "data-retract") { kept.push(part); continue; }
        for (let left = part.data.steps; kept.length; kept.pop())
          if (kept.at(-1).type === "step-start" && left-- === 0) break;
      }
      return kept;
    }

``ai`` 7 has ``reset-step`` for this (vercel/ai issue 18481), which takes away the same parts in the
client: `reset_step` says that the reader knows it. Where the withdrawn step began in the same
batch, as in a replay, its text is not written at all.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

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
from headrace.protocols.ai_sdk.parts import (
    ARGS,
    DONE,
    FINISH_REASONS,
    NEVER_CALLED,
    SERVER_RUNS,
    call_of,
    frame,
    kept,
    passing,
    to_json,
)
from headrace.protocols.encoder import Encoder
from headrace.usage import Usage


class AISDKEncoder(Encoder):
    """See above.

    Args:
        reset_step: The reader knows ``reset-step``: npm `ai` 7 and later.
    """

    def __init__(self, reset_step: bool = False) -> None:
        self.key: Hashable = ("ai-sdk", reset_step)
        self._reset_step = reset_step
        self._ended = False
        self._steps: tuple[int, ...] = ()  # the root's step_starts that stand
        self._unfinished = False  # a finish-step is owed
        self._kind = ""  # of the part that is open: text, reasoning or none
        self._delta = b""  # what begins its deltas
        self._parts = 0
        self._asked: tuple[tuple[str, str], ...] = ()  # calls that no tool has got yet, with names
        self._begun: frozenset[str] = frozenset()  # calls that a tool has got, in this step
        self._running: tuple[tuple[str, int], ...] = ()  # those without an end; seq of their start
        self._model = ""
        self._usage = Usage()

    def encode(self, events: Sequence[Event]) -> bytes:
        """Frames for what this protocol shows."""
        out: list[bytes] = []
        newest = (0, 0)  # of this batch's steps: its seq, and the place in `out` after its frame
        for event in events:
            if self._ended:
                break
            kind = type(event)
            if kind is Token or kind is Thought:
                if not event.agent:
                    name = "text" if kind is Token else "reasoning"
                    if self._kind != name:
                        out.append(self._open(name))
                    content = to_json(event.content)  # type: ignore[attr-defined]
                    out.append(b"%b%b}\n\n" % (self._delta, content))
            elif not event.agent or kind in _OF_ANY_AGENT:
                newest = self._other(event, out, newest)
        return b"".join(out)

    def _other(self, event: Event, out: list[bytes], newest: tuple[int, int]) -> tuple[int, int]:
        """What is no delta of text; gives `newest` as it is then."""
        if (write := _WRITERS.get(type(event))) is None:
            return newest
        out.append(write(self, event))
        if isinstance(event, StepStart):
            return event.seq, len(out)
        if isinstance(event, Retract) and newest[0] and event.since == newest[0] + 1:
            # All that is withdrawn is in `out`: no one has seen it, or needs to.
            del out[newest[1] :]
        return newest

    def fail(self, error: HeadraceError) -> bytes:
        """``error``, without ``finish``. Calls stay as they are: how they end is not known."""
        if self._ended:
            return b""
        self._ended = True
        end = self._close() + self._finish_step()
        told = {"code": error.code, "retryable": error.retryable}
        end += frame("message-metadata", messageMetadata={"error": told})
        return end + frame("error", errorText=str(error)) + DONE

    def _open(self, kind: str) -> bytes:
        closed = self._close()
        self._parts += 1
        self._kind = kind
        self._delta = b'data: {"type":"%b-delta","id":"%d","delta":' % (kind.encode(), self._parts)
        return closed + frame(f"{kind}-start", id=str(self._parts))

    def _close(self) -> bytes:
        """End the text or reasoning that is open."""
        if not self._kind:
            return b""
        kind, self._kind = self._kind, ""
        return frame(f"{kind}-end", id=str(self._parts))

    def _finish_step(self) -> bytes:
        owed, self._unfinished = self._unfinished, False
        return frame("finish-step") if owed else b""

    def _give_up(self) -> bytes:
        """End the calls that no tool will get any more."""
        asked, self._asked = self._asked, ()
        return b"".join(
            frame(
                "tool-input-error",
                toolCallId=call_id,
                toolName=name,
                input=None,
                **SERVER_RUNS,
                errorText=NEVER_CALLED,
            )
            for call_id, name in asked
        )

    def _run_start(self, event: RunStart) -> bytes:
        self._model = event.model
        told = {"runId": event.run_id, "agent": event.agent_name, "model": event.model}
        return frame("start", messageId=event.run_id, messageMetadata=told)

    def _step_start(self, event: StepStart) -> bytes:
        before = self._close() + self._give_up() + self._finish_step()
        self._steps += (event.seq,)
        self._unfinished = True
        self._begun = frozenset()
        return before + frame("start-step")

    def _step_end(self, event: StepEnd) -> bytes:
        self._usage += event.usage
        if event.agent:
            return b""
        self._model = event.model or self._model
        return self._close()

    def _tool_args(self, event: ToolArgs) -> bytes:
        call_id = event.call_id
        if call_id in self._begun:  # blanks after arguments that are whole
            return b""
        start = self._close()
        if (call_id, event.name) not in self._asked:
            self._asked += ((call_id, event.name),)
            start += frame(
                "tool-input-start", toolCallId=call_id, toolName=event.name, **SERVER_RUNS
            )
        return start + ARGS % (to_json(call_id), to_json(event.delta))

    def _tool_start(self, event: ToolStart) -> bytes:
        closed = self._close()
        self._asked = tuple(asked for asked in self._asked if asked[0] != event.call_id)
        self._begun |= {event.call_id}
        self._running += ((event.call_id, event.seq),)
        return closed + call_of(event)

    def _tool_progress(self, event: ToolProgress) -> bytes:
        if not self._runs(event.call_id):
            return b""
        return frame(
            "tool-output-available",
            toolCallId=event.call_id,
            output=event.content,
            preliminary=True,
        )

    def _tool_end(self, event: ToolEnd) -> bytes:
        if not self._runs(event.call_id):  # it was withdrawn
            return b""
        self._running = tuple(run for run in self._running if run[0] != event.call_id)
        if event.error is None:
            return frame("tool-output-available", toolCallId=event.call_id, output=event.output)
        return frame("tool-output-error", toolCallId=event.call_id, errorText=event.error)

    def _runs(self, call_id: str) -> bool:
        return any(running == call_id for running, _ in self._running)

    def _approval_needed(self, event: ApprovalNeeded) -> bytes:
        if event.agent:  # its call is no part of the message, and a person has to see it
            told = {**_call_below(event, "needed"), "name": event.name, "input": kept(event.input)}
            return passing("approval", told)
        asked = self._close()
        if not self._runs(event.call_id):
            asked += call_of(event)
            self._begun |= {event.call_id}
            if (event.call_id, event.name) not in self._asked:
                self._asked += ((event.call_id, event.name),)
        call_id = event.call_id
        return asked + frame("tool-approval-request", approvalId=call_id, toolCallId=call_id)

    def _approval(self, event: Approval) -> bytes:
        if event.agent:
            state = "approved" if event.approved else "denied"
            return passing("approval", _call_below(event, state))
        known = self._runs(event.call_id) or any(event.call_id == asked[0] for asked in self._asked)
        if event.approved or not known:
            return b""
        self._asked = tuple(asked for asked in self._asked if asked[0] != event.call_id)
        return frame("tool-output-denied", toolCallId=event.call_id)

    def _retract(self, event: Retract) -> bytes:
        standing = tuple(seq for seq in self._steps if seq < event.since)
        steps = len(self._steps) - len(standing)
        self._steps = standing
        self._running = tuple(run for run in self._running if run[1] < event.since)
        closed = self._close()
        if self._reset_step and not steps:
            self._asked = ()
            return closed + frame("reset-step")
        told = {"steps": steps, "reason": event.reason}
        return closed + self._give_up() + frame("data-retract", data=told)

    def _told(self, event: Complete | Error | Cancelled) -> dict[str, Any]:
        usage = self._usage if event.usage is None else event.usage
        return {"model": self._model, "usage": usage, "metrics": event.metrics}

    def _end(self, *frames: bytes) -> bytes:
        self._ended = True
        return b"".join((self._close(), self._give_up(), self._finish_step(), *frames, DONE))

    def _complete(self, event: Complete) -> bytes:
        told = {"finishReason": event.finish_reason, **self._told(event)}
        if event.output is not None:
            told["output"] = kept(event.output)
        reason = FINISH_REASONS.get(event.finish_reason, "other")
        return self._end(frame("finish", finishReason=reason, messageMetadata=told))

    def _error(self, event: Error) -> bytes:
        # The client takes nothing in after an `error`.
        error = {"code": event.code, "retryable": event.retryable}
        told = {"finishReason": "error", **self._told(event), "error": error}
        return self._end(
            frame("message-metadata", messageMetadata=told),
            frame("error", errorText=event.message),
        )

    def _cancelled(self, event: Cancelled) -> bytes:
        told = {"finishReason": "cancelled", **self._told(event), "reason": event.reason}
        return self._end(frame("message-metadata", messageMetadata=told), frame("abort"))


def _call_below(event: ApprovalNeeded | Approval, state: str) -> dict[str, Any]:
    return {"agent": event.agent, "callId": event.call_id, "state": state}


def _warning(encoder: AISDKEncoder, event: Warn) -> bytes:
    return passing("warning", {"code": event.code, "message": event.message})


def _agent_start(encoder: AISDKEncoder, event: AgentStart) -> bytes:
    return passing("agent", {"agent": event.agent, "name": event.name, "state": "working"})


def _agent_end(encoder: AISDKEncoder, event: AgentEnd) -> bytes:
    state = "done" if event.error is None else "failed"
    return passing("agent", {"agent": event.agent, "name": event.name, "state": state})


def _partial(encoder: AISDKEncoder, event: Partial) -> bytes:
    return passing("partial", kept(event.value))


def _said(encoder: AISDKEncoder, event: Input) -> bytes:
    return passing("input", {"content": event.content})


_WRITERS: dict[type[Event], Callable[[AISDKEncoder, Any], bytes]] = {
    RunStart: AISDKEncoder._run_start,
    StepStart: AISDKEncoder._step_start,
    StepEnd: AISDKEncoder._step_end,
    ToolArgs: AISDKEncoder._tool_args,
    ToolStart: AISDKEncoder._tool_start,
    ToolProgress: AISDKEncoder._tool_progress,
    ToolEnd: AISDKEncoder._tool_end,
    ApprovalNeeded: AISDKEncoder._approval_needed,
    Approval: AISDKEncoder._approval,
    Retract: AISDKEncoder._retract,
    Complete: AISDKEncoder._complete,
    Error: AISDKEncoder._error,
    Cancelled: AISDKEncoder._cancelled,
    Warn: _warning,
    AgentStart: _agent_start,
    AgentEnd: _agent_end,
    Partial: _partial,
    Input: _said,
}

_OF_ANY_AGENT = frozenset((StepEnd, AgentStart, AgentEnd, Warn, ApprovalNeeded, Approval))
"""What is told of sub-agents too."""
