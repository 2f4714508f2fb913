"""The live runs of one runtime: launched, taken up again, drained."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from time import time

from headrace.agents.agent import Agent
from headrace.agents.floor import tools_of_speaker
from headrace.agents.past import Past
from headrace.errors import (
    AgentUnknown,
    HeadraceError,
    RecoveryLimit,
    RunHandedOver,
    SessionConflict,
    UsageError,
)
from headrace.events import Event
from headrace.messages import Message
from headrace.runs.approvals import Decision
from headrace.runs.log import cost_of
from headrace.runs.observer import Watch
from headrace.runs.run import Outcome, Run, RunInfo
from headrace.runs.sessions import Said, check_keep, name_of
from headrace.runs.stored_log import StoredLog
from headrace.runs.stores.record import RunRecord, Signal
from headrace.runs.stores.store import Store
from headrace.runs.waits import waited, waits
from headrace.runs.writer import Writer
from headrace.runtime.decisions import decide_all, left_for
from headrace.runtime.recovery import take_up
from headrace.runtime.spec import Spec, decode_spec

_logger = logging.getLogger("headrace.runtime")


@dataclass(frozen=True, eq=False)
class Live:
    """A run and where it is written."""

    run: Run
    log: StoredLog


class LiveRuns:
    """Begins runs and knows them until their end is kept.

    Args:
        store: Where they are kept.
        agents: By name; whoever adds to it later is found too.
        host: Whose runs they are.
        lease: Seconds of a lease.
        max_recoveries: How often one run is taken up again.

    Attributes:
        owner: This runtime, in records.
        runs: By id.
        lost: Ids of own runs whose log failed: to be taken up again once the store works.
        cancelled: Reasons of cancels by run, until the run's end is kept.
        watches: Asked whether to follow each run that begins here.
    """

    def __init__(
        self,
        store: Store,
        agents: Mapping[str, Agent],
        host: str,
        lease: float,
        max_recoveries: int,
    ) -> None:
        self.store = store
        self.host = host
        self.lease = lease
        self.owner = f"rt_{token_hex(8)}"
        self.runs: dict[str, Live] = {}
        self.lost: set[str] = set()
        self.cancelled: dict[str, str] = {}
        self.watches: list[Watch] = []
        self._agents = agents
        self._max_recoveries = max_recoveries
        self._changed = asyncio.Event()
        self._taking: set[str] = set()
        self._cancels: set[asyncio.Task[Event]] = set()

    async def launch(self, record: RunRecord, agent: Agent, spec: Spec) -> None:
        """Begin a new run whose record is kept already."""
        messages = await self._conversation(record, spec)
        said = _said(spec, messages)
        if spec.keep is not None:
            try:
                check_keep(spec.keep, len(messages) - len(spec.input))
            except SessionConflict as error:  # it was cut while this run waited for its turn
                self._end(record, spec, [], said, error)
                return
        log = self._log(record, spec, said)
        run = agent.make_run(
            messages,
            context=spec.context,
            retract=spec.retract,
            session=name_of(record.user, record.session),
            log=log,
            id=record.id,
        )
        run.writer.on_event = said.add
        self._begin(record, run, log)

    async def cancel(self, run_id: str, reason: str) -> Event:
        """End a run that lives here, also if this process is killed meanwhile.

        Raises:
            HeadraceError: its end could not be kept; it is not gone on with.
        """
        live = self.runs[run_id]
        self.cancelled.setdefault(run_id, reason)
        ending = asyncio.ensure_future(live.run.cancel(reason))
        try:
            # A wish that outlives this process; its upstream is being closed beside it.
            await self.store.post(Signal(run_id, "cancel", reason))
        except HeadraceError as error:  # it has ended already, or the store fails it, too
            _logger.info("The cancel of %s was not left in the store: %s", run_id, error)
        return await ending

    async def take_over(self, run_id: str) -> bool:
        """Take up a run that has no owner, or is an own one that was lost; whether that was so."""
        # An own claim is granted always, so one that goes on here must not ask for it: the lease
        # of a process that stood still may have run out with no one there to take its runs.
        if run_id in self.runs or run_id in self._taking:
            return False
        self._taking.add(run_id)
        try:
            record = await self.store.claim(run_id, self.owner, self.lease)
            if record is None:  # it has ended, or someone else has it: no longer ours to try
                self.lost.discard(run_id)
                self.cancelled.pop(run_id, None)
                return False
            self.lost.add(run_id)  # until it has begun: what fails here is tried again
            await self._go_on(record, await self._wish(run_id))
            return True
        finally:
            self._taking.discard(run_id)

    async def drain(self, grace: float) -> None:
        """Wait for the live runs; those that take longer stop without an end, for recovery."""
        try:
            async with asyncio.timeout(grace):
                while self.runs:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pass
        for live in list(self.runs.values()):
            live.run.hand_over()
        while self.runs:
            self._changed.clear()
            await self._changed.wait()

    async def _wish(self, run_id: str) -> str | None:
        """The reason of a cancel that the run's lost process could not carry out."""
        if run_id in self.cancelled:
            return self.cancelled[run_id]
        for signal in await self.store.signals(self.owner):
            if signal.run_id == run_id and signal.kind == "cancel":
                return signal.content
        return None

    async def _go_on(self, record: RunRecord, cancel: str | None) -> None:
        """Begin a claimed run where its log ends, or end it there."""
        spec = decode_spec(record.spec)
        events = await self._whole_log(record.id)
        agent = self._agents.get(record.agent)
        said = _said(spec, await self._conversation(record, spec) if spec.replaces else ())
        if cancel is not None:
            self._end(record, spec, events, said, None)
            task = asyncio.ensure_future(self.runs[record.id].run.cancel(cancel))
            self._cancels.add(task)
            task.add_done_callback(self._cancels.discard)
        elif record.recoveries > self._max_recoveries and not waits(events):
            self._end(record, spec, events, said, _recovery_limit(record))
        elif agent is None:
            self._end(record, spec, events, said, _agent_unknown(record))
        elif not events:  # it was lost before its first event
            await self.launch(record, agent, spec)
        else:
            messages = await self._conversation(record, spec)
            decisions = await left_for(self.store, self.owner, record.id)
            self._recover(record, spec, events, messages, agent, decisions)

    def _recover(
        self,
        record: RunRecord,
        spec: Spec,
        events: list[Event],
        messages: list[Message],
        agent: Agent,
        decisions: Iterable[Decision],
    ) -> None:
        said = _said(spec, messages)
        last = events[-1].seq
        log = self._log(record, spec, said, last_seq=last, counted=cost_of(events))
        found: list[Past] = []

        async def past() -> Past:
            await log.wait(last)  # until it is sure that no one else writes here
            return found[0]

        left = agent.deadlines.run
        if left is not None:
            now = time()
            left = max(1.0, record.created_at + left + waited(events, now) - now)
        run = agent.make_run(
            messages,
            context=spec.context,
            retract=spec.retract,
            session=name_of(record.user, record.session),
            log=log,
            id=record.id,
            past=past,
            deadline=left,
        )
        self._observe(record, run)  # what is written first tells of the recovery
        found.append(take_up(events, messages, run.writer, said, _idempotent(agent, events)))
        # Before anything goes on: in time, though no process was there to hear it.
        decide_all(run, decisions)
        self._begin(record, run, log)

    def _end(
        self,
        record: RunRecord,
        spec: Spec,
        events: list[Event],
        said: Said,
        error: HeadraceError | None,
    ) -> None:
        """Begin a run that does nothing but end, with `error` or by a cancel that follows."""
        last = events[-1].seq if events else 0
        log = self._log(record, spec, said, last_seq=last, counted=cost_of(events))

        async def driver(writer: Writer) -> Outcome:
            if error is None:
                await asyncio.Event().wait()
                raise UsageError("The run waited for its cancel in vain.")
            raise error

        session = name_of(record.user, record.session)
        info = RunInfo(record.agent, record.model, session, record.parent)
        run = Run(driver, info, log=log, id=record.id)
        if events:
            self._observe(record, run)
            take_up(events, (), run.writer, said, lambda _: False, goes_on=False)
        else:
            run.writer.on_event = said.add
        self._begin(record, run, log)

    def _log(
        self, record: RunRecord, spec: Spec, said: Said, *, last_seq: int = 0, counted: int = 0
    ) -> StoredLog:
        return StoredLog(
            self.store,
            record.id,
            last_seq=last_seq,
            counted=counted,
            said=said.messages,
            instead=spec.replaces,
        )

    def _begin(self, record: RunRecord, run: Run, log: StoredLog) -> None:
        run_id = record.id
        self.runs[run_id] = Live(run, log)
        self.lost.discard(run_id)
        self._observe(record, run)
        run.begin()
        log.when_done(lambda: self._done(run_id, log))

    def _observe(self, record: RunRecord, run: Run) -> None:
        run.user = record.user
        run.observe(self.watches)

    def _done(self, run_id: str, log: StoredLog) -> None:
        self.runs.pop(run_id, None)
        if log.failure is None:
            self.cancelled.pop(run_id, None)
        elif not isinstance(log.failure, RunHandedOver):
            self.lost.add(run_id)
        self._changed.set()

    async def _conversation(self, record: RunRecord, spec: Spec) -> list[Message]:
        before = spec.history
        if record.session is not None and not spec.own_history:
            before = (await self.store.session(record.session)).messages[: spec.keep]
        return [*before, *spec.input]

    async def _whole_log(self, run_id: str) -> list[Event]:
        events: list[Event] = []
        while more := await self.store.read(run_id, events[-1].seq if events else 0):
            events += more
        return events


def _said(spec: Spec, conversation: Sequence[Message]) -> Said:
    """What the session gets: where it replaces what is there, the conversation before, too."""
    return Said(conversation if spec.replaces else spec.input)


def _agent_unknown(record: RunRecord) -> HeadraceError:
    return AgentUnknown(
        f"The run was interrupted, and no agent {record.agent!r} is here to go on with it.",
        hint="Start it again.",
    )


def _recovery_limit(record: RunRecord) -> HeadraceError:
    return RecoveryLimit(
        f"The run lost its process {record.recoveries} times and was given up.",
        hint="Look for what ends the process, then start it again.",
    )


def _idempotent(agent: Agent, events: Sequence[Event]) -> Callable[[str], bool]:
    """Of a tool of whoever has the conversation, by its name."""
    tools = tools_of_speaker(agent.tools, events)
    return lambda name: name in tools and tools[name].idempotent
