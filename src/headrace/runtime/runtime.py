"""`Runtime`: runs that outlive their viewers, their callers and their process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from time import time
from types import TracebackType
from typing import Any, Literal

from msgspec import UNSET

from headrace.agents.agent import Agent
from headrace.errors import (
    AgentUnknown,
    IdempotencyConflict,
    InputTooLarge,
    LogConflict,
    RunEnded,
    RunHandedOver,
    SessionBusy,
    SessionNotFound,
    TooManyRuns,
    UsageError,
)
from headrace.events import TERMINAL, Event
from headrace.messages import Message, MessageInput, as_messages
from headrace.runs.approvals import Decision
from headrace.runs.fold import Folder, RunState
from headrace.runs.observer import Watch
from headrace.runs.policies import MERGE_OVER, Policy, PolicyName, join_deltas, pending_chars
from headrace.runs.run import new_run_id
from headrace.runs.sessions import check_keep
from headrace.runs.stores.record import RunRecord, Signal, check_name, check_run_id
from headrace.runs.stores.store import Store
from headrace.runs.viewer import check_cursor
from headrace.runtime.decisions import leave
from headrace.runtime.handle import DetachedRun
from headrace.runtime.keeper import Keeper
from headrace.runtime.live_runs import LiveRuns
from headrace.runtime.session_queue import SessionQueue
from headrace.runtime.spec import Spec, encode_spec, fingerprint, title_of

Busy = Literal["refuse", "queue", "replace"]
"""What a submit does in a session that has a live run."""

LEASE = 10.0
"""Seconds after which the runs of a process that was lost may be taken up by another."""

MAX_RECOVERIES = 3
"""How often one run is taken up again: a run that brings its process down ends."""

MAX_LIVE = 1000
"""Live runs of one runtime."""

MAX_INPUT = 1024 * 1024
"""Characters of one message into a live run."""

KEEP_EVENTS = 7 * 86_400.0
"""Seconds that a finished run's events are kept."""

KEEP_RECORDS = 30 * 86_400.0
"""Seconds that a finished run is listed."""


class Runtime:
    """Owns runs: each is a task of its own, never a part of a response or a generator.

    An async context manager. While it is open it keeps the leases of its runs, takes up runs
    whose process was lost, deals with signals from other processes, and prunes what is old.

    Args:
        store: Where runs are kept: a store, or a URL such as ``sqlite:///runs.db``; by default
            memory, which ends with the process.
        agents: Whom recovery may go on with, by their names; `submit` adds to them.
        name: Whose runs they are: a runtime takes up lost runs of its own name only.
        lease: Seconds without a sign of life after which a run counts as lost.
        max_recoveries: How often one run is taken up again.
        max_live: Most live runs at once.
        busy: What a submit does in a session that has a live run: ``refuse`` it, ``queue`` it
            behind, or ``replace`` the live one, which is cancelled.
        recover: Whether to take up lost runs.
        keep_events: Seconds that a finished run's events are kept.
        keep_records: Seconds that a finished run is listed.
        grace: Seconds that live runs have to end when the runtime closes; then they are left to
            recovery.

    Raises:
        UsageError: a bound that makes no sense.
        ConfigurationError: no store of this URL.
    """

    def __init__(
        self,
        store: Store | str | None = None,
        *,
        agents: Iterable[Agent] = (),
        name: str = "default",
        lease: float = LEASE,
        max_recoveries: int = MAX_RECOVERIES,
        max_live: int = MAX_LIVE,
        busy: Busy = "refuse",
        recover: bool = True,
        keep_events: float = KEEP_EVENTS,
        keep_records: float = KEEP_RECORDS,
        grace: float = 10.0,
    ) -> None:
        if not lease > 0 or max_live < 1 or max_recoveries < 0:
            raise UsageError(
                "lease is more than 0, max_live at least 1, max_recoveries at least 0."
            )
        self.store, self._owns_store = _store(store)
        self.name = check_name(name, "a runtime")
        self.agents = _by_name(agents)
        self._busy = busy
        self._grace = grace
        self._max_live = max_live
        self._queue = SessionQueue()
        self._live = LiveRuns(self.store, self.agents, self.name, lease, max_recoveries)
        self._keeper = Keeper(
            self._live,
            lease=lease,
            recover=recover,
            max_live=max_live,
            keep_events=keep_events,
            keep_records=keep_records,
        )
        self._closed = False

    async def __aenter__(self) -> Runtime:
        await self._keeper.begin()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self, grace: float | None = None) -> None:
        """Take no more runs; wait `grace` seconds for the live ones; leave the rest to recovery."""
        if self._closed:
            return
        self._closed = True
        await self._live.drain(self._grace if grace is None else grace)
        await self._keeper.end()
        await self.store.release(self._live.owner)
        if self._owns_store:
            await self.store.close()

    @property
    def watches(self) -> list[Watch]:
        """Asked whether to follow each run that begins or goes on here; add your own."""
        return self._live.watches

    @property
    def live(self) -> list[str]:
        """Ids of the live runs of this runtime."""
        return list(self._live.runs)

    async def submit(
        self,
        agent: Agent | str,
        input: MessageInput,
        *,
        session: str | None = None,
        history: Iterable[Message] | None = None,
        keep: int | None = None,
        context: Mapping[str, Any] | None = None,
        retract: bool = True,
        idempotency_key: str | None = None,
        user: str = "",
        busy: Busy | None = None,
    ) -> DetachedRun:
        """Start a detached run; it goes on whoever leaves.

        Args:
            agent: The agent, or the name of one that the runtime knows.
            input: Text, a message or messages.
            session: The conversation that the run belongs to; a new name begins one.
            history: The conversation before; in a session in place of what it holds, for a caller
                who keeps the conversation too, and may have changed it.
            keep: How many of the session's messages stand before the input; those behind them
                are replaced when the run has an answer. So a question is asked again, or edited.
            context: For tools; JSON values, because recovery needs it.
            retract: Whether text that was shown may be withdrawn, as for `Agent.start`.
            idempotency_key: With a key that was used before, the run of then is given.
            user: Whom the run belongs to.
            busy: In place of the runtime's own `busy`.

        Raises:
            AgentUnknown: no agent of this name.
            InvalidId: a session, user or key that can name nothing.
            InputTooLarge: more than 10 MiB of input.
            SessionBusy: the session has a live run, or too long a queue.
            SessionNotFound: the session belongs to another user.
            SessionConflict: it has fewer messages than `keep`.
            UsageError: `keep` below 0, without a session, or beside `history`.
            IdempotencyConflict: the key was used for another request.
            TooManyRuns: the runtime has as many live runs as it takes.
            StoreUnavailable: the run could not be kept; nothing was started.
        """
        found = self._agent(agent)
        messages = as_messages(input)
        own = history is not None
        spec = Spec(tuple(messages), tuple(history or ()), context or {}, retract, own, keep)
        record = self._record(found, spec, session, idempotency_key, user)
        if keep is not None:
            await self._check_keep(keep, record, own)
        try:
            kept = await self._create(record, busy or self._busy)
            if kept.id == record.id:
                await self._live.launch(kept, found, spec)
                return DetachedRun(self, kept, created=True)
        except BaseException:
            self._live.lost.add(record.id)  # it may be kept: then recovery finds and begins it
            raise
        if kept.fingerprint != record.fingerprint:
            raise IdempotencyConflict(
                f"The idempotency key {idempotency_key!r} was used for another request.",
                hint="Use a new key for a new request.",
            )
        return DetachedRun(self, kept, created=False)

    async def attach(
        self, run_id: str, after: int = 0, policy: Policy | PolicyName = "merge"
    ) -> AsyncGenerator[list[Event]]:
        """A viewer: batches of events behind `after`, live or finished, to the run's end.

        Raises:
            InvalidId: no id of a run.
            RunNotFound: there is no such run.
            InvalidCursor: an `after` that no event of the run ever had.
            ReplayGap: (from the iteration) events that are kept no longer.
            StoreUnavailable: (from the iteration, too) the store failed; attach again later.
        """
        live = self._live.runs.get(check_run_id(run_id))
        last = live.log.written if live is not None else (await self.store.run(run_id)).last_seq
        check_cursor(after, last)
        return self._attached(run_id, after, policy)

    async def cancel(self, run_id: str, reason: str = "cancelled") -> Event:
        """End a run, wherever it lives; gives its terminal event.

        Raises:
            RunNotFound: there is no such run.
        """
        left = False
        while True:
            live = self._live.runs.get(check_run_id(run_id))
            if live is not None:
                return await self._live.cancel(run_id, reason)
            record = await self.store.run(run_id)
            if not record.live:
                return await self.wait(run_id)
            # Left first: whoever takes the run up, here or elsewhere, ends it.
            if not left:
                await self._leave_cancel(run_id, reason)
                left = True
            if await self._live.take_over(run_id):
                continue
            end = await self._end_within(record, self._live.lease + 1.0)
            if end is not None:
                return end

    async def wait(self, run_id: str) -> Event:
        """The run's terminal event, once it has ended; costs next to nothing while it runs.

        Raises:
            RunNotFound: there is no such run.
        """
        live = self._live.runs.get(check_run_id(run_id))
        if live is not None:
            try:
                return await live.run.wait()
            except (RunHandedOver, LogConflict):
                pass  # it goes on elsewhere
        record = await self.store.run(run_id)
        if record.live:
            async for batch in self.store.follow(run_id, record.last_seq):
                if type(batch[-1]) in TERMINAL:
                    return batch[-1]
            record = await self.store.run(run_id)
        return (await self.store.read(run_id, record.last_seq - 1))[-1]

    async def send(self, run_id: str, text: str) -> None:
        """Say something into a live run, wherever it lives; its next step takes it up.

        Raises:
            RunNotFound: there is no such run.
            RunEnded: it has ended.
            InputTooLarge: over 1 Mi characters.
        """
        if len(text) > MAX_INPUT:
            raise InputTooLarge(f"A message has {len(text):,} characters; at most {MAX_INPUT:,}.")
        live = self._live.runs.get(check_run_id(run_id))
        if live is None:
            await self.store.post(Signal(run_id, "input", text))
            return
        await live.log.wait(live.run.send(text) - 1)

    async def decide(
        self,
        run_id: str,
        call_id: str,
        approved: bool,
        *,
        agent: str | None = None,
        by: str | None = None,
        reason: str | None = None,
        input: Any = None,
        seen: Any = UNSET,
    ) -> None:
        """Decide about a call that waits for a person, wherever its run lives.

        Once this returns the decision outlives the process. A run whose process was lost is
        decided about, too: whoever takes it up goes by it. The arguments are those of
        `headrace.runs.approvals.Decision`.

        Raises:
            RunNotFound: there is no such run.
            NoApprovalNeeded: no such call waits (any more); only the first decision counts.
            ApprovalChanged: it waits with other arguments than `seen`.
            UsageError: `input` is no JSON object, or goes with a denial.
            InvalidArguments: the tool does not take `input`; the call waits on. Of a run that
                lives elsewhere only its process can find that: no `approval` event comes then,
                nor for the second of two decisions that two processes leave at once.
        """
        decision = Decision(call_id, approved, agent, by, reason, input, seen)
        live = self._live.runs.get(check_run_id(run_id))
        if live is not None:
            await live.log.wait(live.run.decided(decision).seq - 1)
            return
        record = await self.store.run(run_id)
        await leave(self.store, record, await self.snapshot(run_id), decision)

    async def snapshot(self, run_id: str) -> RunState:
        """The run's state so far, folded from its log.

        Raises:
            RunNotFound: there is no such run.
            ReplayGap: its events are kept no longer.
        """
        folder, after = Folder(), 0
        check_run_id(run_id)
        while events := await self.store.read(run_id, after):
            for event in events:
                folder.add(event)
            after = events[-1].seq
        return folder.state()

    def _agent(self, agent: Agent | str) -> Agent:
        if not isinstance(agent, str):
            known = self.agents.setdefault(agent.name, agent)
            if known is not agent:
                raise UsageError(
                    f"Another agent is named {agent.name!r} here.",
                    hint="Recovery finds agents by their names: give each its own.",
                )
            return agent
        if agent not in self.agents:
            names = ", ".join(sorted(self.agents)) or "none"
            raise AgentUnknown(f"There is no agent {agent[:80]!r}.", hint=f"Known: {names}.")
        return self.agents[agent]

    async def _check_keep(self, keep: int, record: RunRecord, own_history: bool) -> None:
        """Refuse what cannot be kept while its caller can still be told so."""
        if record.session is None or own_history or keep < 0:
            raise UsageError(
                "keep is 0 or more, names messages of a session, and goes without a history.",
                hint="Name the session too, and give the new message alone.",
            )
        try:
            session = await self.store.session(record.session)
        except SessionNotFound:
            session = None
        if session is not None and session.user != record.user:
            raise SessionNotFound(record.session)
        check_keep(keep, session.version if session is not None else 0)

    def _record(
        self, agent: Agent, spec: Spec, session: str | None, key: str | None, user: str
    ) -> RunRecord:
        if self._closed:
            raise UsageError("The runtime is closed.")
        if len(self._live.runs) >= self._max_live:
            raise TooManyRuns(
                f"{len(self._live.runs)} runs are live here; at most {self._max_live} are taken.",
                hint="Try again when one has ended.",
            )
        data = encode_spec(spec)
        now = time()
        return RunRecord(
            id=new_run_id(),
            agent=agent.name,
            model=agent.model.name,
            created_at=now,
            host=self.name,
            user=check_name(user, "a user") if user else "",
            session=None if session is None else check_name(session, "a session"),
            title=title_of(spec.input),
            spec=data,
            idempotency_key=None if key is None else check_name(key, "an idempotency key"),
            fingerprint=fingerprint(agent.name, session, spec),
            owner=self._live.owner,
            lease_until=now + self._live.lease,
        )

    async def _create(self, record: RunRecord, busy: Busy) -> RunRecord:
        """Keep the record; in a session that has a live run, as `busy` says."""
        if record.session is None or busy == "refuse":
            return await self.store.create(record)
        async with self._queue.turn(record.session):
            while True:
                try:
                    return await self.store.create(record)
                except SessionBusy as error:
                    if busy == "replace":
                        await self.cancel(error.run_id, "replaced")
                    else:
                        await self.wait(error.run_id)

    async def _attached(
        self, run_id: str, after: int, policy: Policy | PolicyName | PolicyName
    ) -> AsyncGenerator[list[Event]]:
        live = self._live.runs.get(run_id)
        if live is not None:
            try:
                async for batch in live.run.batches(after, policy=policy):
                    after = batch[-1].seq
                    yield batch
            except (RunHandedOver, LogConflict):
                pass  # it goes on elsewhere: follow it there
            else:
                return
        async for batch in self.store.follow(run_id, after):
            yield join_deltas(batch) if pending_chars(batch) > MERGE_OVER else batch

    async def _leave_cancel(self, run_id: str, reason: str) -> None:
        try:
            await self.store.post(Signal(run_id, "cancel", reason))
        except RunEnded:
            return  # in this very moment: its end is what is asked for

    async def _end_within(self, record: RunRecord, seconds: float) -> Event | None:
        """The terminal event of a run that lives elsewhere, None where it takes longer."""
        try:
            async with asyncio.timeout(seconds):
                async for batch in self.store.follow(record.id, record.last_seq):
                    if type(batch[-1]) in TERMINAL:
                        return batch[-1]
        except TimeoutError:
            return None
        raise RunEnded(record.id)


def _by_name(agents: Iterable[Agent]) -> dict[str, Agent]:
    found = {}
    for agent in agents:
        if not isinstance(agent, Agent):
            raise UsageError(
                f"A runtime's agents are Agents, not {type(agent).__name__}.",
                hint="Write agents=[Agent(…), …]; each has its name already.",
            )
        found[agent.name] = agent
    return found


def _store(store: Store | str | None) -> tuple[Store, bool]:
    """The store, and whether it is the runtime's to close."""
    if store is None or isinstance(store, str):
        from headrace.runs.stores.table import open_store

        return open_store(store or "memory:"), True
    return store, False
