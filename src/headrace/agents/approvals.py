"""Calls that wait for a person: who is asked, how long, and what runs then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from headrace.errors import InvalidArguments
from headrace.events import Approval
from headrace.messages import ToolCall
from headrace.runs.writer import Writer

if TYPE_CHECKING:  # an agent without tools never loads what tools need
    from headrace.tools.tool import AnyTool

APPROVAL_TIMEOUT = 3600.0
"""Seconds that a call waits for a person; then it counts as denied. An hour: a person at a screen
answers within minutes, and a run holds its session and a place among the live runs meanwhile."""

UNANSWERED = "no one can be asked here: start the run with agent.start() or a Runtime"
"""The reason of a call that was denied because its run has one caller, who only reads."""


async def approval_of(
    tool: AnyTool | None,
    call: ToolCall,
    writer: Writer,
    agent: str,
    *,
    timeout: float | None,
    begun: bool,
) -> Approval | None:
    """What people decided about a call; None for one that needs no one's word.

    Only a decision about these very arguments counts, from before an interruption too. A question
    that was asked before it still stands; it is not asked twice.

    Args:
        tool: What is called; None where there is no such tool.
        call: The call.
        writer: The run's.
        agent: Path of the agent that calls.
        timeout: Seconds from the question to `expired`; None for ever.
        begun: Whether the call runs again: then it was decided about before.
    """
    approvals, input = writer.approvals, input_of(call)
    decided = approvals.decided(agent, call.id, input)
    if decided is not None or begun:
        return decided
    needed = approvals.asked(agent, call.id, input)
    if needed is None:
        if not _needs_approval(tool, call):
            return None
        needed = approvals.ask(agent, call.id, call.name, input)
    if not approvals.answered:
        denied = writer.put(Approval, agent, call.id, False, None, UNANSWERED)
        return denied

    def check(edited: Any) -> object:
        return None if tool is None else tool.validate(_json(edited))

    return await approvals.decision(needed, timeout, check)


def denial(approval: Approval) -> str:
    """The error of a call that was denied, which the model reads."""
    return f"denied: {approval.reason}" if approval.reason else "denied"


def as_approved(call: ToolCall, approval: Approval | None) -> ToolCall:
    """The call as it runs: with the arguments that a person gave it, if one did."""
    if approval is None or approval.input is None:
        return call
    return ToolCall(call.id, call.name, _json(approval.input))


def input_of(call: ToolCall) -> object:
    """The arguments as a value, or their text when it is no JSON."""
    try:
        return msgspec.json.decode(call.arguments)
    except msgspec.DecodeError:
        return call.arguments


def _needs_approval(tool: AnyTool | None, call: ToolCall) -> bool:
    """Whether a person is asked: not about a call that cannot run, since its arguments are bad."""
    if tool is None or not tool.approval:
        return False
    try:
        return tool.needs_approval(tool.validate(call.arguments))
    except InvalidArguments:
        return False


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
