"""`headrace approve RUN CALL` and `headrace deny`: decide about a call that waits for a person."""

from __future__ import annotations

import asyncio
import getpass
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli.endings import clear_endings
from headrace.cli.storing import HOST, StoreURL, opened
from headrace.cli.watch import RunID

if TYPE_CHECKING:
    from headrace.events import Approval
    from headrace.runs.fold import Waiting
    from headrace.runtime.runtime import Runtime

HEARD = 2.0
"""Seconds in which the process that has the run hears of a decision; it looks more often."""

CallID = Annotated[
    str | None,
    typer.Argument(metavar="[CALL]", help="The call; needed only where several wait."),
]
Caller = Annotated[
    str | None, typer.Option("--agent", metavar="PATH", help="Whose call, where two have one id.")
]
Why = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why.")]
With = Annotated[
    str | None,
    typer.Option("--input", metavar="JSON", help="Arguments to run it with instead."),
]


@clear_endings()
def approve(
    run: RunID,
    call: CallID = None,
    reason: Why = None,
    input: With = None,
    agent: Caller = None,
    store: StoreURL = None,
) -> None:
    """Let a call run that waits for a person, in whichever process its run lives."""
    print(asyncio.run(_decide(run, call, True, agent, reason, _arguments(input), store)))


@clear_endings()
def deny(
    run: RunID,
    call: CallID = None,
    reason: Why = None,
    agent: Caller = None,
    store: StoreURL = None,
) -> None:
    """Refuse a call that waits for a person; the model is told the reason."""
    print(asyncio.run(_decide(run, call, False, agent, reason, None, store)))


async def _decide(
    run_id: str,
    call_id: str | None,
    approved: bool,
    agent: str | None,
    reason: str | None,
    input: Any,
    url: str | None,
) -> str:
    from headrace.runtime.runtime import Runtime

    async with opened(url) as store, Runtime(store, name=HOST, recover=False) as runtime:
        state = await runtime.snapshot(run_id)
        call = _the_call(state.waiting, call_id, agent)
        await runtime.decide(
            run_id,
            call.call_id,
            approved,
            agent=call.agent,
            by=getpass.getuser(),
            reason=reason,
            input=input,
            seen=call.input,
        )
        heard = await _heard(runtime, run_id, call, state.last_seq)
    return _outcome(call, approved, input, heard)


async def _heard(runtime: Runtime, run_id: str, call: Waiting, since: int) -> Approval | None:
    """What the run has made of the decision; None where no process has taken it up yet."""
    from headrace.events import Approval

    with suppress(TimeoutError):
        async with asyncio.timeout(HEARD), aclosing(await runtime.attach(run_id, since)) as batches:
            async for batch in batches:
                for event in batch:
                    if isinstance(event, Approval) and _is_about(event, call):
                        return event
    return None


def _is_about(event: Approval, call: Waiting) -> bool:
    return (event.agent, event.call_id) == (call.agent, call.call_id)


def _outcome(call: Waiting, approved: bool, input: Any, heard: Approval | None) -> str:
    """What is told of the decision.

    Raises:
        NoApprovalNeeded: someone else's came first.
    """
    from headrace.errors import NoApprovalNeeded
    from headrace.runs.approvals import same

    if heard is not None and not (heard.approved == approved and same(heard.input, input)):
        raise NoApprovalNeeded(call.call_id)
    edited = "" if input is None else f", as {_written(call.name, input)}"
    said = f"{told(call)} is {'approved' if approved else 'denied'}{edited}."
    if heard is not None:
        return said
    unless = " If the tool does not take these arguments, the call waits on." if edited else ""
    return f"{said} No process has heard of it yet; whoever has the run then will.{unless}"


def _the_call(waiting: list[Waiting], call_id: str | None, agent: str | None) -> Waiting:
    """The call that is meant.

    Raises:
        UsageError: none waits, or several do and none is named.
    """
    from headrace.errors import NoApprovalNeeded, UsageError

    found = [
        call
        for call in waiting
        if (call_id is None or call.call_id == call_id) and agent in (None, call.agent)
    ]
    if len(found) == 1:
        return found[0]
    if call_id is not None:
        raise NoApprovalNeeded(call_id, [call.agent for call in found])
    if not found:
        raise UsageError("No call of this run waits for a decision.")
    raise UsageError(
        f"{len(found)} calls of this run wait for a decision.",
        hint="Name one: " + "; ".join(f"{call.call_id} is {told(call)}" for call in found) + ".",
    )


def told(call: Waiting) -> str:
    """A call in a line."""
    return _written(call.name, call.input)


def _written(name: str, input: Any) -> str:
    from msgspec import json

    from headrace.frontends.escapes import one_line

    return one_line(f"{name}({json.encode(input).decode()})", 300)


def _arguments(text: str | None) -> Any:
    from msgspec import DecodeError, json

    from headrace.errors import UsageError

    if text is None:
        return None
    try:
        return json.decode(text)
    except DecodeError as error:
        raise UsageError(f"--input is no JSON: {error}.", hint="Write '{\"amount\": 5}'.") from None
