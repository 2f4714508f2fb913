"""Calls that wait for a person: who is asked, how long, and what runs then."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from headrace.errors import InvalidArguments, NoApprovalNeeded
from headrace.events import Approval, ApprovalNeeded
from headrace.messages import ToolCall
from headrace.runs.approvals import Approvals, Decision
from headrace.runs.writer import Writer

if TYPE_CHECKING:  # an agent without tools never loads what tools need
    from headrace.tools.tool import AnyTool

APPROVAL_TIMEOUT = 3600.0
"""Seconds that a call waits for a person; then it counts as denied. An hour: a person at a screen
answers within minutes, and a run holds its session and a place among the live runs meanwhile."""

Answer = bool | Decision | None
"""Whether a call may run, with what is to be said besides; None leaves it to others."""

OnApproval = Callable[[ApprovalNeeded], Answer | Awaitable[Answer]]
"""Decides about a call that waits. A plain function is called in a thread of its own, so that it
may ask someone at a terminal; a coroutine function in the run's event loop."""

ANSWER_GRACE = 1.0
"""Seconds that such a function may take to end, once it is not waited for any more."""

_logger = logging.getLogger("headrace.agents")

UNANSWERED = "no one can be asked here: give the agent on_approval=, or start the run with start()"
"""The reason of a call that was denied because its run has one caller, who only reads."""


async def approval_of(
    tool: AnyTool | None,
    call: ToolCall,
    writer: Writer,
    agent: str,
    *,
    timeout: float | None,
    begun: bool,
    on_approval: OnApproval | None = None,
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
        on_approval: Decides, where no one else does so before.
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
    if not approvals.answered and on_approval is None:
        denied = writer.put(Approval, agent, call.id, False, None, UNANSWERED)
        return denied

    def check(edited: Any) -> object:
        return None if tool is None else tool.validate(_json(edited))

    if on_approval is None:
        return await approvals.decision(needed, timeout, check)
    asking = asyncio.create_task(_ask(on_approval, needed, approvals), name="on_approval")
    try:
        return await approvals.decision(needed, timeout, check)
    finally:
        asking.cancel()
        await asyncio.wait((asking,), timeout=ANSWER_GRACE)


async def _ask(on_approval: OnApproval, needed: ApprovalNeeded, approvals: Approvals) -> None:
    """Have the function decide; where it does not, others may, and where they cannot, it is no."""
    reason = UNANSWERED
    try:
        answer = await _answer(on_approval, needed)
        if answer is not None:
            _decide(answer, needed, approvals)
            return
    except NoApprovalNeeded:  # someone else was faster
        return
    except Exception as error:  # it may not leave the run waiting where no one else is
        _logger.exception("on_approval failed, asked about a call of %s", needed.name)
        reason = f"the function that decides failed ({type(error).__name__})"
    if not approvals.answered:
        with suppress(NoApprovalNeeded):  # it has expired meanwhile
            _decide(Decision(needed.call_id, False, reason=reason), needed, approvals)


async def _answer(on_approval: OnApproval, needed: ApprovalNeeded) -> Answer:
    if inspect.iscoroutinefunction(on_approval):
        said: object = on_approval(needed)
    else:
        from headrace.tools.threads import in_thread

        said = await in_thread(lambda: on_approval(needed), "on_approval")
    answer = await said if inspect.isawaitable(said) else said
    if answer is None or isinstance(answer, bool | Decision):
        return answer
    raise TypeError(f"on_approval gives True, False, a Decision or None, not {answer!r}")


def _decide(answer: bool | Decision, needed: ApprovalNeeded, approvals: Approvals) -> None:
    decision = Decision(needed.call_id, answer) if isinstance(answer, bool) else answer
    # Of this call and no other, whatever it names: two agents may each have one of the same id.
    named = {"call_id": needed.call_id, "agent": needed.agent}
    approvals.decide(msgspec.structs.replace(decision, **named))


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
