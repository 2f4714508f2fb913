"""Laws of a store: reading, following, and what is no longer kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import cast

from headrace.errors import ReplayGap, RunNotFound
from headrace.events import Event, Token
from headrace.runs.stores.store import READ_BYTES, Store
from headrace.testing.store_laws_base import (
    StoreLawsBase,
    begin,
    beside,
    expect,
    followed,
    refused,
    same,
    same_events,
    whole,
)
from headrace.testing.store_laws_samples import complete, tokens

LIMITED = 10.0
"""Seconds that a law's own thread may live."""


class ReadingLaws(StoreLawsBase):
    """A cursor sees every event once, in order, or is told what is missing."""

    async def test_reading_begins_behind_any_seq(self) -> None:
        """Between batches and within one."""
        async with self.opened() as store:
            log = await _ended(store)
            for after in range(len(log) + 1):
                got = await whole(store, after=after)
                same_events(got, log[after:], f"the log behind {after}")

    async def test_behind_the_last_event_there_is_nothing(self) -> None:
        """Of a new, a live and a finished run; and that is no error."""
        async with self.opened() as store:
            await begin(store, "new")
            same(await store.read("new", 0), [], "a new run's log")
            await begin(store, "live")
            await store.append("live", 0, tokens(1, 3))
            log = await _ended(store)
            for run_id, last in (("live", 3), ("run_1", len(log))):
                for after in (last, last + 1, 2**53):
                    same(await store.read(run_id, after), [], f"{run_id} behind {after}")

    async def test_what_was_read_is_the_readers_own(self) -> None:
        """A reader may change its list."""
        async with self.opened() as store:
            log = await _ended(store)
            (await store.read("run_1", 0)).clear()
            same_events(await whole(store), log, "the log")

    async def test_a_long_log_is_read_in_bounded_pieces(self) -> None:
        """A viewer that catches up never holds much more than it asked for."""
        text, count = "x" * 16_000, 64
        async with self.opened() as store:
            await begin(store)
            for seq in range(1, count + 1):
                await store.append("run_1", seq - 1, tokens(seq, seq, text))
            for bound in (READ_BYTES, 50_000, 1):
                largest = await _largest_piece(store, bound, tokens(1, count, text))
                most = bound + 2 * len(text)
                expect(largest <= most, f"a read of {bound} bytes gave {largest} characters")
            piece = await store.read("run_1", 0)
            expect(_chars(piece) < count * len(text), "a read gives the whole log at once")

    async def test_a_batch_larger_than_the_bound_can_be_read(self) -> None:
        """Else a reader would stand still."""
        async with self.opened() as store:
            await begin(store)
            big = tokens(1, 8, "x" * 100_000)
            await store.append("run_1", 0, big)
            expect(bool(await store.read("run_1", 0, 1)), "a read gives nothing")
            same_events(await whole(store), big, "the log")

    async def test_a_follower_of_a_finished_run_sees_it_all_and_stops(self) -> None:
        """From the beginning, from the middle of a batch, from the end."""
        async with self.opened() as store:
            log = await _ended(store)
            for after in (0, 2, 5, len(log) - 1, len(log), len(log) + 5):
                got = await followed(store, after=after)
                same_events(got, log[after:], f"what a follower behind {after} was shown")

    async def test_followers_of_a_live_run_see_what_is_committed(self) -> None:
        """Several, from any place, each event once and in order, until the end."""
        random = Random(7)  # noqa: S311 - no secret
        async with self.opened() as store:
            await begin(store)
            await store.append("run_1", 0, tokens(1, 4))
            places = (0, 0, 2, 4, 9)
            async with beside(*(followed(store, after=after) for after in places)) as tasks:
                last = 4
                for _ in range(25):
                    size = random.randint(1, 3)
                    await store.append("run_1", last, tokens(last + 1, last + size))
                    last += size
                    for _ in range(random.randrange(3)):
                        await asyncio.sleep(0)
                await store.end("run_1", last, [complete(last + 1)])
                log = [*tokens(1, last), complete(last + 1)]
                for task, after in zip(tasks, places, strict=True):
                    got = await task
                    same_events(got, log[after:], f"what a follower behind {after} was shown")

    async def test_a_follower_that_waits_is_shown_the_next_event(self) -> None:
        """One at a time: it need not wait for the end."""
        async with self.opened() as store:
            await begin(store)
            async with _following(store) as follower:
                for seq in range(1, 8):
                    async with beside(_next(follower)) as (waiting,):
                        await asyncio.sleep(0)
                        await store.append("run_1", seq - 1, tokens(seq, seq))
                        same_events(await waiting, tokens(seq, seq), "the next event")

    async def test_a_follower_that_leaves_hurts_no_one(self) -> None:
        """Whether it waits or not when it goes."""
        async with self.opened() as store:
            await begin(store)
            async with beside(*(followed(store) for _ in range(4))) as (stays, *leave):
                await store.append("run_1", 0, tokens(1, 2))
                async for _ in store.follow("run_1"):
                    break
                await asyncio.sleep(0)
                for task in leave:
                    task.cancel()
                await asyncio.wait(leave)
                await store.append("run_1", 2, tokens(3, 3))
                await store.end("run_1", 3, [complete(4)])
                same_events(await stays, [*tokens(1, 3), complete(4)], "what another was shown")

    async def test_a_follower_in_another_event_loop_sees_it_all(self) -> None:
        """A thread with a loop of its own may use the store too."""
        async with self.opened() as store:
            await begin(store)
            here, begun = asyncio.get_running_loop(), asyncio.Event()

            def started() -> None:
                here.call_soon_threadsafe(begun.set)

            def elsewhere() -> list[Event]:
                return asyncio.run(asyncio.wait_for(followed(store, started=started), LIMITED))

            async with beside(asyncio.to_thread(elsewhere)) as (task,):
                await store.append("run_1", 0, tokens(1, 1))
                await begun.wait()
                for seq in range(2, 20):
                    await store.append("run_1", seq - 1, tokens(seq, seq))
                    await asyncio.sleep(0)
                await store.end("run_1", 19, [complete(20)])
                same_events(await task, [*tokens(1, 19), complete(20)], "what it was shown")

    async def test_a_follower_is_told_that_the_run_was_removed(self) -> None:
        """It does not wait for ever, and does not take it for the end."""
        async with self.opened() as store:
            await begin(store)
            for seq in range(1, 4):
                await store.append("run_1", seq - 1, tokens(seq, seq, "x" * READ_BYTES))
            async with _following(store) as follower:
                first = await _next(follower)
                expect(len(first) < 4, "a piece is far larger than READ_BYTES")
                await store.end("run_1", 3, [complete(4)])
                await store.delete_run("run_1")
                with refused(RunNotFound, what="following a run that was removed"):
                    for _ in range(3):  # a store may have read ahead a little
                        await _next(follower)

    async def test_what_was_cut_is_a_named_gap(self) -> None:
        """From the first event that is missing to the last; the rest can be read."""
        async with self.opened() as store:
            log = await _ended(store)
            await store.cut("run_1", 6)
            cut = (await store.run("run_1")).cut
            expect(0 < cut <= 6, f"cut up to 6, the record's cut is {cut}")
            for after in range(cut):
                for reads in (store.read, partial(followed, store)):
                    with refused(ReplayGap, what=f"reading behind {after} of {cut}") as seen:
                        await reads("run_1", after)
                    gap = cast(ReplayGap, seen[0])
                    same((gap.first, gap.last), (after + 1, cut), "the gap")
            same_events(await whole(store, after=cut), log[cut:], "what is kept")
            same_events(await followed(store, after=cut), log[cut:], "what is kept")

    async def test_a_cut_takes_whole_batches_and_never_more_than_asked(self) -> None:
        """A cut within a batch may leave it; one at its end does not; one backwards is nothing."""
        async with self.opened() as store:
            await _ended(store)
            before = 0
            for upto in (0, 1, 2, 4, 1, 6, 9):
                await store.cut("run_1", upto)
                cut = (await store.run("run_1")).cut
                expect(before <= cut <= max(upto, before), f"cut up to {upto}: cut is {cut}")
                if upto in (1, 4, 9):  # where a batch ends
                    expect(cut >= upto, f"cut up to {upto}, where a batch ends: cut is {cut}")
                before = cut
            same(await whole(store, after=before), [complete(10)], "what is kept")

    async def test_a_log_that_is_cut_whole_stands_where_it_stood(self) -> None:
        """The writer of a live run goes on behind it."""
        async with self.opened() as store:
            await begin(store)
            await store.append("run_1", 0, tokens(1, 3))
            await store.cut("run_1", 2**53)
            record = await store.run("run_1")
            same((record.cut, record.last_seq), (3, 3), "cut and last seq")
            same(await store.read("run_1", 3), [], "what is kept")
            await store.append("run_1", 3, tokens(4, 4))
            await store.end("run_1", 4, [complete(5)])
            want = [*tokens(4, 4), complete(5)]
            same_events(await followed(store, after=3), want, "what follows")

    async def test_a_follower_is_told_of_a_cut_before_it(self) -> None:
        """A follower that has not yet seen what is cut is given no hole."""
        async with self.opened() as store:
            await begin(store)
            for seq in range(1, 6):
                await store.append("run_1", seq - 1, tokens(seq, seq, "x" * READ_BYTES))
            async with _following(store) as follower:
                last = (await _next(follower))[-1].seq
                await store.cut("run_1", 5)
                with refused(ReplayGap, what="following over a cut") as seen:
                    for _ in range(5):
                        piece = await _next(follower)
                        same(piece[0].seq, last + 1, "the next seq")
                        last = piece[-1].seq
                gap = cast(ReplayGap, seen[0])
                same((gap.first, gap.last), (last + 1, 5), "the gap")


async def _ended(store: Store) -> list[Event]:
    """A finished run of the batches 1, 2 to 4, 5 to 9, 10."""
    await begin(store)
    await store.append("run_1", 0, tokens(1, 1))
    await store.append("run_1", 1, tokens(2, 4))
    await store.append("run_1", 4, tokens(5, 9))
    await store.end("run_1", 9, [complete(10)])
    return [*tokens(1, 9), complete(10)]


async def _largest_piece(store: Store, bound: int, want: list[Event]) -> int:
    """Characters in the largest piece of the run, read with this bound."""
    got: list[Event] = []
    largest = 0
    while piece := await store.read("run_1", len(got), bound):
        got += piece
        largest = max(largest, _chars(piece))
    same_events(got, want, f"the log, read by {bound} bytes")
    return largest


def _chars(events: list[Event]) -> int:
    return sum(len(event.content) for event in events if isinstance(event, Token))


@asynccontextmanager
async def _following(store: Store) -> AsyncIterator[AsyncIterator[list[Event]]]:
    """A follower, closed at the end where it can be."""
    follower = store.follow("run_1")
    try:
        yield follower
    finally:
        close = getattr(follower, "aclose", None)
        if close is not None:
            await close()


async def _next(follower: AsyncIterator[list[Event]]) -> list[Event]:
    try:
        return await anext(follower)
    except StopAsyncIteration:
        raise AssertionError("the follower stops though there is more to say") from None
