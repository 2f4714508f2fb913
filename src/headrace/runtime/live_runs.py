"""The live runs of one runtime: launched, taken up again, drained."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from secrets import token_hex
from time import time

from headrace.agents.agent import Agent
from headrace.agents.past import Past
from headrace.errors import AgentUnknown, HeadraceError, RecoveryLimit, RunHandedOver
from headrace.events import Event
from headrace.messages import Message
from headrace.runs.log import cost_of
from headrace.runs.run import Outcome, Run, RunInfo
from headrace.runs.sessions import Said
from headrace.runs.stored_log import StoredLog
from headrace.runs.stores.record import RunRecord
from headrace.runs.stores.store import Store
from headrace.runs.writer import Writer
from headrace.runtime.recovery import take_up
from headrace.runtime.spec import Spec, decode_spec


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
        self._agents = agents
        self._max_recoveries = max_recoveries
        self._changed = asyncio.Event()
        self._taking: set[str] = set()

    async def launch(self, record: RunRecord, agent: Agent, spec: Spec) -> None:
        """Begin a new run whose record is kept already."""
        messages = await self._conversation(record, spec)
        said = Said(spec.input)
        log = self._log(record, said)
        run = agent.make_run(
            messages,
            context=spec.context,
            retract=spec.retract,
            session=record.session,
            log=log,
            id=record.id,
        )
        run.writer.on_event = said.add
        self._begin(record.id, run, log)

    async def take_over(self, run_id: str) -> bool:
        """Take up a run that has no owner, or is an own one that was lost; whether that was so."""
        # An own claim is granted always, so one that goes on here must not ask for it: the lease
        # of a process that stood still may have run out with no one there to take its runs.
        if run_id in self.runs or run_id in self._taking:
            return False
        self._taking.add(run_id)
        try:
            record = await self.store.claim(run_id, self.owner, self.lease)
            if record is None:
                return False
            self.lost.add(run_id)  # until it has begun: what fails here is tried again
            await self._go_on(record)
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

    async def _go_on(self, record: RunRecord) -> None:
        """Begin a claimed run where its log ends."""
        spec = decode_spec(record.spec)
        events = await self._whole_log(record.id)
        agent = self._agents.get(record.agent)
        if not events and agent is not None and record.recoveries <= self._max_recoveries:
            await self.launch(record, agent, spec)  # it was lost before its first event
            return
        messages = await self._conversation(record, spec)
        self._recover(record, spec, events, messages)

    def _recover(
        self, record: RunRecord, spec: Spec, events: list[Event], messages: list[Message]
    ) -> None:
        said = Said(spec.input)
        last = events[-1].seq if events else 0
        log = self._log(record, said, last_seq=last, counted=cost_of(events))
        agent = self._agents.get(record.agent)
        found: list[Past] = []

        async def past() -> Past:
            await log.wait(last)  # until it is sure that no one else writes here
            return found[0]

        if record.recoveries > self._max_recoveries:
            run = _ending(record, log, _recovery_limit(record))
        elif agent is None:
            run = _ending(record, log, _agent_unknown(record))
        else:
            left = agent.deadlines.run
            if left is not None:
                left = max(1.0, record.created_at + left - time())
            run = agent.make_run(
                messages,
                context=spec.context,
                retract=spec.retract,
                session=record.session,
                log=log,
                id=record.id,
                past=past,
                deadline=left,
            )
        if events:
            found.append(take_up(events, messages, run.writer, said, _idempotent(agent)))
        else:  # it ends before it has begun
            run.writer.on_event = said.add
        self._begin(record.id, run, log)

    def _log(
        self, record: RunRecord, said: Said, *, last_seq: int = 0, counted: int = 0
    ) -> StoredLog:
        return StoredLog(
            self.store, record.id, last_seq=last_seq, counted=counted, said=said.messages
        )

    def _begin(self, run_id: str, run: Run, log: StoredLog) -> None:
        self.runs[run_id] = Live(run, log)
        self.lost.discard(run_id)
        run.begin()
        log.when_done(lambda: self._done(run_id, log))

    def _done(self, run_id: str, log: StoredLog) -> None:
        self.runs.pop(run_id, None)
        if log.failure is not None and not isinstance(log.failure, RunHandedOver):
            self.lost.add(run_id)
        self._changed.set()

    async def _conversation(self, record: RunRecord, spec: Spec) -> list[Message]:
        before = spec.history
        if record.session is not None:
            before = (await self.store.session(record.session)).messages
        return [*before, *spec.input]

    async def _whole_log(self, run_id: str) -> list[Event]:
        events: list[Event] = []
        while more := await self.store.read(run_id, events[-1].seq if events else 0):
            events += more
        return events


def _ending(record: RunRecord, log: StoredLog, error: HeadraceError) -> Run:
    """A run that does nothing but end."""

    async def driver(writer: Writer) -> Outcome:
        raise error

    info = RunInfo(record.agent, record.model, record.session, record.parent)
    return Run(driver, info, log=log, id=record.id)


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


def _idempotent(agent: Agent | None) -> Callable[[str], bool]:
    tools = {} if agent is None else agent.tools
    return lambda name: name in tools and tools[name].idempotent
