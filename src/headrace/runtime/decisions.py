"""Decisions about calls of runs that live elsewhere, or nowhere for the moment."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import msgspec

from headrace.errors import NoApprovalNeeded, RunEnded, UsageError
from headrace.runs.approvals import Decision, find
from headrace.runs.fold import RunState
from headrace.runs.run import Run
from headrace.runs.stores.record import RunRecord, Signal
from headrace.runs.stores.store import Store

_logger = logging.getLogger("headrace.runtime")
_decoder = msgspec.json.Decoder(Decision)


async def leave(store: Store, record: RunRecord, state: RunState, decision: Decision) -> None:
    """Leave a decision for whoever has the run, or takes it up.

    Raises:
        NoApprovalNeeded: no such call waits, or it was decided about already.
        ApprovalChanged: it waits with other arguments than those that were seen.
    """
    needed = find(state.waiting, decision)
    if not record.live:
        raise NoApprovalNeeded(decision.call_id)
    named = msgspec.structs.replace(decision, agent=needed.agent)
    for left in await left_for(store, record.owner, record.id):
        if (left.agent, left.call_id) == (named.agent, named.call_id):
            raise NoApprovalNeeded(decision.call_id)
    try:
        await store.post(Signal(record.id, "approval", msgspec.json.encode(named).decode()))
    except RunEnded:
        raise NoApprovalNeeded(decision.call_id) from None


async def left_for(store: Store, owner: str, run_id: str) -> list[Decision]:
    """The decisions that were left for a run, oldest first; what is none is left out."""
    found = []
    for signal in await store.signals(owner):
        if signal.run_id == run_id and signal.kind == "approval":
            try:
                found.append(decode_decision(signal.content))
            except UsageError as error:
                _logger.warning("A signal for the run %s: %s", run_id, error)
    return found


def decide_all(run: Run, decisions: Iterable[Decision]) -> None:
    """Decide in a run that is taken up and has not begun; what comes too late changes nothing."""
    for decision in decisions:
        try:
            run.writer.approvals.decide(decision)
        except UsageError as error:
            _logger.info("A decision about the run %s does not count: %s", run.id, error)


def decode_decision(content: str) -> Decision:
    """A signal's content as a decision.

    Raises:
        UsageError: it is none.
    """
    try:
        return _decoder.decode(content)
    except msgspec.DecodeError as error:
        raise UsageError(f"The signal holds no decision: {error}.") from None
