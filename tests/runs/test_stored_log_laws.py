"""However writes, commits, failures and reads fall, viewers see what was written, in order."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import HeadraceError, StoreUnavailable
from headrace.events import Complete, Event, Token, Warn
from headrace.runs.fold import fold
from headrace.runs.policies import PolicyName
from headrace.runs.stored_log import StoredLog
from headrace.runs.viewer import Viewer
from headrace.testing.clock import run_with_fake_clock
from headrace.usage import Metrics, Usage
from tests.support.keepers import GatedKeeper

TURNS = st.lists(st.sampled_from(["write", "commit", "read", "come", "leave"]), max_size=40)


class Reader:
    """One viewer, read now and then."""

    def __init__(self, log: StoredLog, after: int, policy: PolicyName) -> None:
        self.came = after
        self.seen: list[Event] = []
        self.viewer = Viewer(log, after, policy)
        self.failure: HeadraceError | None = None
        self._task: asyncio.Task[list[Event]] | None = None

    def begin(self) -> None:
        """Ask for the next batch, if that is not asked for yet."""
        if self._task is None:
            self._task = asyncio.ensure_future(anext(self.viewer))

    def take(self) -> None:
        """Take the batch that has come, if one has."""
        if self._task is not None and self._task.done():
            self.seen += self._task.result()
            self._task = None

    async def leave(self) -> None:
        """Give up what was asked for."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def finish(self) -> None:
        """Read on to the end, or the failure."""
        try:
            if self._task is not None:
                self.seen += await self._task
            async for batch in self.viewer:
                self.seen += batch
        except HeadraceError as failure:
            self.failure = failure
        except StopAsyncIteration:
            pass


class World:
    """A log, what was written to it, and those who read it."""

    def __init__(self, data: st.DataObject, size: int) -> None:
        self.data = data
        self.size = size
        self.keeper = GatedKeeper(gated=True)
        self.keeper.piece = data.draw(st.integers(1, 5), label="piece")
        tail = data.draw(st.sampled_from([0, 500, 100_000]), label="tail")
        self.log = StoredLog(self.keeper, "run_1", tail=tail)
        self.failures: list[HeadraceError] = []
        self.log.begin(self.failures.append)
        self.written: list[Event] = []
        self.readers: list[Reader] = []

    def write(self, *, ended: bool = False) -> None:
        count = self.data.draw(st.integers(1, 4), label="events")
        seq = len(self.written)
        events: list[Event] = [self.event(seq + i) for i in range(1, count + 1)]
        if ended:
            events[-1] = Complete(seq + count, 1.0, "", "stop", Usage(), Metrics())
        self.log.append(seq, events)
        self.written += events

    def event(self, seq: int) -> Event:
        if seq % 5 == 0:
            return Warn(seq, 1.0, "", "code", f"{seq}")
        return Token(seq, 1.0, "", f"{seq} " * self.size, seq)

    def come(self) -> None:
        after = self.data.draw(st.integers(0, self.log.last_seq), label="after")
        policy: PolicyName = "block" if self.data.draw(st.booleans(), label="block") else "merge"
        self.readers.append(Reader(self.log, after, policy))

    def some_reader(self) -> Reader:
        return self.readers[self.data.draw(st.integers(0, len(self.readers) - 1), label="who")]

    async def turn(self, what: str) -> None:
        if what == "write":
            self.write()
        elif what == "come":
            self.come()
        elif what == "commit":
            if self.keeper.under_way:
                self.keeper.let_one()
        elif self.readers and what == "read":
            self.some_reader().begin()
        elif self.readers:
            gone = self.some_reader()
            self.readers.remove(gone)
            await gone.leave()
        for _ in range(self.data.draw(st.integers(0, 3), label="pause")):
            await asyncio.sleep(0)
        for reader in self.readers:
            reader.take()
            self.check(reader, fold_too=False)

    def check(self, reader: Reader, *, fold_too: bool = True) -> None:
        """What it saw is what was written, and committed, from where it came."""
        committed = self.keeper.events
        assert committed == self.written[: len(committed)]
        at = reader.viewer.after
        assert self.log.last_seq <= len(committed)
        assert at <= self.log.last_seq
        expected = self.written[reader.came : at]
        if self.size == 1:
            assert reader.seen == expected
        elif fold_too:
            assert fold(reader.seen).text == fold(expected).text
            assert [e for e in reader.seen if isinstance(e, Warn)] == [
                e for e in expected if isinstance(e, Warn)
            ]

    async def finish(self) -> None:
        """Whoever is still there reads on to the end."""
        finishing = [asyncio.ensure_future(reader.finish()) for reader in self.readers]
        await asyncio.sleep(1)  # until they all wait
        self.keeper.let_all()
        await asyncio.gather(*finishing)
        for reader in self.readers:
            self.check(reader)
        log = self.log
        assert (log._waiters, log._end_waiters, log._held_up) == ([], [], [])


@given(TURNS, st.data(), st.sampled_from([1, 20_000]))
@settings(max_examples=150)
def test_viewers_see_exactly_what_was_written(
    turns: list[str], data: st.DataObject, size: int
) -> None:
    async def main() -> None:
        world = World(data, size)
        for what in turns:
            await world.turn(what)
        world.come()
        world.write(ended=True)
        await world.finish()
        assert world.keeper.events == world.written
        assert (world.log.ended, world.log.closed, world.failures) == (True, True, [])
        for reader in world.readers:
            assert reader.viewer.after == len(world.written)
            assert reader.failure is None

    run_with_fake_clock(main())


@given(TURNS, st.data())
@settings(max_examples=100)
def test_where_the_store_fails_they_see_what_was_committed(
    turns: list[str], data: st.DataObject
) -> None:
    async def main() -> None:
        world = World(data, 1)
        for what in turns:
            await world.turn(what)
        world.come()
        world.write()
        world.keeper.failure = StoreUnavailable("The disk is full.")
        committed = list(world.keeper.events)
        await world.finish()
        assert world.keeper.events == committed
        assert world.failures == [world.keeper.failure]
        for reader in world.readers:
            assert reader.viewer.after == len(committed)
            assert reader.failure is world.keeper.failure

    run_with_fake_clock(main())
