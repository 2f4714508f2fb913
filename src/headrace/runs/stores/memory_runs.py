"""The records of runs in memory, who owns them, and the room that they and their logs take."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from msgspec.structs import replace

from headrace.errors import LogConflict, RunNotFound
from headrace.events import Event
from headrace.runs.stores.memory_log import MemoryLog, Waiters
from headrace.runs.stores.memory_room import Room
from headrace.runs.stores.record import RunRecord, ending_of

RECORD_COST = 2048
"""What a run costs besides its events, title and spec, in bytes: record, empty log and keys."""


class MemoryRun:
    """A run: its record but for what its log knows, its log, and who waits for more of it."""

    def __init__(self, record: RunRecord) -> None:
        self._record = record
        self.log = MemoryLog()
        self.waiters = Waiters()
        self.size = RECORD_COST + len(record.title) + len(record.spec)

    @property
    def record(self) -> RunRecord:
        """The record as it is now."""
        return replace(self._record, last_seq=self.log.last_seq, cut=self.log.cut)

    @property
    def fixed(self) -> RunRecord:
        """The record without what its log knows: cheaper to ask."""
        return self._record

    def own(self, owner: str, lease_until: float, recoveries: int = 0) -> None:
        """Give it to an owner, or with ``""`` to none."""
        recoveries += self._record.recoveries
        self._record = replace(
            self._record, owner=owner, lease_until=lease_until, recoveries=recoveries
        )

    def end(self, terminal: Event) -> None:
        """Its terminal event is in its log: the record tells so, and no one owns it."""
        ending = ending_of(terminal)
        if ending is not None:
            status, reason, usage = ending
            self._record = replace(
                self._record,
                status=status,
                reason=reason,
                usage=usage,
                ended_at=terminal.at,
                owner="",
                lease_until=0.0,
            )


class MemoryRuns:
    """All runs: by id, by key, live or finished in the order of their ends."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._all: dict[str, MemoryRun] = {}
        self._keys: dict[tuple[str, str], MemoryRun] = {}
        self._live: dict[str, MemoryRun] = {}
        # Oldest end first: those that still have events, and those that have none.
        self._whole: OrderedDict[str, MemoryRun] = OrderedDict()
        self._bare: OrderedDict[str, MemoryRun] = OrderedDict()

    def __iter__(self) -> Iterator[MemoryRun]:
        """All of them, as they were made."""
        return iter(self._all.values())

    def get(self, run_id: str) -> MemoryRun:
        """The run of this id.

        Raises:
            RunNotFound: there is none.
        """
        run = self._all.get(run_id)
        if run is None:
            raise RunNotFound(run_id)
        return run

    def find(self, run_id: str) -> MemoryRun | None:
        """The run of this id, if it is there."""
        return self._all.get(run_id)

    def of_key(self, user: str, key: str | None) -> MemoryRun | None:
        """The run that the user has used this key for."""
        return None if key is None else self._keys.get((user, key))

    def add(self, run: MemoryRun) -> None:
        """Keep a new run whose `size` fits."""
        record = run.fixed
        self._all[record.id] = self._live[record.id] = run
        if record.idempotency_key is not None:
            self._keys[record.user, record.idempotency_key] = run
        self._room.used += run.size

    def check_new(self, run_id: str) -> None:
        """Whether the id is free.

        Raises:
            LogConflict: there is a run of this id.
        """
        if run_id in self._all:
            raise LogConflict(f"There is a run {run_id[:80]} already.")

    def append(self, run: MemoryRun, events: tuple[Event, ...], size: int) -> None:
        """Add events that were checked, and wake who follows; a terminal one ends the run."""
        run.log.add(events, size)
        self._room.used += size
        if run.log.ended:
            run.end(events[-1])
            self._whole[run.fixed.id] = self._live.pop(run.fixed.id)
        run.waiters.wake()

    def cut(self, run: MemoryRun, upto: int) -> None:
        """Forget its events up to `upto`."""
        self._room.used -= run.log.forget(upto)
        run.waiters.wake()
        run_id = run.fixed.id
        if not run.log.size and run_id in self._whole:
            self._bare[run_id] = self._whole.pop(run_id)

    def remove(self, run: MemoryRun) -> None:
        """Forget the run, whatever its state."""
        record = run.fixed
        self.cut(run, run.log.last_seq)
        for place in (self._all, self._live, self._bare):
            place.pop(record.id, None)
        if record.idempotency_key is not None:
            self._keys.pop((record.user, record.idempotency_key), None)
        self._room.used -= run.size

    def make_room(self, size: int) -> bool:
        """Whether so much fits, once the oldest finished runs have made room for it.

        They lose their events first; where that is not enough, their records.
        """
        while not self._room.fits(size):
            run = next(iter(self._whole.values()), None)
            if run is not None:
                self.cut(run, run.log.last_seq)
                continue
            run = next(iter(self._bare.values()), None)
            if run is None:
                return False
            self.remove(run)
        return True

    def prune(self, events_before: float, records_before: float) -> int:
        """See `Store.prune`."""
        touched = 0
        for run in [*self._whole.values(), *self._bare.values()]:
            ended_at = run.fixed.ended_at or 0.0
            if ended_at < records_before:
                self.remove(run)
            elif ended_at < events_before and run.log.size:
                self.cut(run, run.log.last_seq)
            else:
                continue
            touched += 1
        return touched

    # Ownership ----------------------------------------------------------------------------

    def orphans(self, host: str, now: float) -> list[str]:
        """Ids of live runs of this host whose lease has run out, oldest first."""
        lost = [
            run.fixed
            for run in self._live.values()
            if run.fixed.host == host and run.fixed.lease_until <= now
        ]
        return [record.id for record in sorted(lost, key=lambda record: record.created_at)]

    def claim(self, run_id: str, owner: str, now: float, seconds: float) -> RunRecord | None:
        """Give a live run that is free, or this owner's own; None where it is not to be had."""
        run = self._live.get(run_id)
        if run is None or (run.fixed.lease_until > now and run.fixed.owner != owner):
            return None
        run.own(owner, now + seconds, recoveries=1)
        return run.record

    def owned(self, owner: str) -> list[MemoryRun]:
        """All live runs of this owner."""
        return [run for run in self._live.values() if run.fixed.owner == owner]
