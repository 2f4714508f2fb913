"""Laws of a store: appending and ending (compare-and-append, whole or not at all)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from random import Random

from msgspec.structs import replace

from headrace.errors import LogConflict, RunNotFound
from headrace.events import Event, Token
from headrace.runs.stores.record import Signal, ending_of
from headrace.runs.stores.store import Store
from headrace.testing.store_laws_base import (
    StoreLawsBase,
    all_refused,
    begin,
    beside,
    expect,
    followed,
    refused,
    same,
    same_events,
    whole,
)
from headrace.testing.store_laws_samples import (
    EPOCH,
    MIB,
    ODD_TEXTS,
    cancelled,
    complete,
    every_event,
    failed,
    tokens,
)

SEED = 20_11
RACERS = 16
ROUNDS = 12


class LogLaws(StoreLawsBase):
    """What gets into a log, and what does not."""

    async def test_the_store_has_every_method(self) -> None:
        """It is a `Store`."""
        async with self.opened() as store:
            expect(isinstance(store, Store), "a method of the protocol is missing")

    async def test_events_come_back_in_order_and_equal(self) -> None:
        """Whatever the sizes of the batches."""
        async with self.opened() as store:
            await begin(store)
            written: list[Event] = []
            for size in (1, 3, 1, 7, 40):
                batch = tokens(len(written) + 1, len(written) + size)
                await store.append("run_1", len(written), batch)
                written += batch
            await store.end("run_1", len(written), [*tokens(53, 53), complete(54)])
            same_events(await whole(store), [*written, *tokens(53, 53), complete(54)], "the log")

    async def test_every_kind_of_event_comes_back_equal(self) -> None:
        """With its own class and all of its fields."""
        events = every_event()
        same([event.seq for event in events], list(range(1, len(events) + 1)), "the samples")
        async with self.opened() as store:
            for kind, last in (("complete", 19), ("error", 20), ("cancelled", 21)):
                await begin(store, kind)
                end = [replace(events[last - 1], seq=19)]
                await store.append(kind, 0, events[:18])
                await store.end(kind, 18, end)
                got = await whole(store, kind)
                same_events(got, [*events[:18], *end], f"the log that ends with {kind}")
                same([type(event) for event in got[-1:]], [type(end[0])], "the end's class")

    async def test_unusual_text_comes_back_equal(self) -> None:
        """NUL, line separators, lone and joined emoji, quotes, and a token of 1 MiB."""
        texts = [*ODD_TEXTS, "\U0001f926x" * (MIB // 5)]
        odd: list[Event] = [
            Token(seq, EPOCH, "", text, seq - 1) for seq, text in enumerate(texts, start=1)
        ]
        async with self.opened() as store:
            await begin(store)
            await store.append("run_1", 0, odd[:3])
            for event in odd[3:]:
                await store.append("run_1", event.seq - 1, [event])
            same_events(await whole(store), odd, "the log")

    async def test_what_an_append_has_added_is_there_when_it_returns(self) -> None:
        """For who reads, and in the record."""
        async with self.opened() as store:
            await begin(store)
            for last in range(1, 20):
                await store.append("run_1", last - 1, tokens(last, last))
                same_events(await store.read("run_1", last - 1), tokens(last, last), "at once")
                same((await store.run("run_1")).last_seq, last, "last_seq")

    async def test_nothing_appended_changes_nothing(self) -> None:
        """It is compared all the same."""
        async with self.opened() as store:
            await begin(store)
            await store.append("run_1", 0, [])
            await store.append("run_1", 0, tokens(1, 2))
            await store.append("run_1", 2, [])
            with refused(LogConflict, what="an empty append at a stale seq"):
                await store.append("run_1", 1, [])
            same_events(await whole(store), tokens(1, 2), "the log")

    async def test_a_stale_append_is_refused_and_leaves_nothing(self) -> None:
        """Only who saw the last event may write behind it."""
        async with self.opened() as store:
            await begin(store)
            await store.append("run_1", 0, tokens(1, 3))
            for expected in (0, 1, 2, 4, 100):
                with refused(LogConflict, what=f"an append after {expected} of 3"):
                    batch = tokens(expected + 1, expected + 1, "stale")
                    await store.append("run_1", expected, batch)
                with refused(LogConflict, what=f"an end after {expected} of 3"):
                    await store.end("run_1", expected, [complete(expected + 1)])
            same_events(await whole(store), tokens(1, 3), "the log")
            await store.append("run_1", 3, tokens(4, 4))
            same_events(await whole(store), tokens(1, 4), "the log")

    async def test_events_that_leave_a_gap_are_refused(self) -> None:
        """At the front, within the batch, and one that comes twice."""
        async with self.opened() as store:
            await begin(store)
            await store.append("run_1", 0, tokens(1, 3))
            gaps = ([5], [3], [4, 6], [4, 4], [4, 4, 6], [5, 4], [0])
            for seqs in gaps:
                batch = [event for seq in seqs for event in tokens(seq, seq)]
                with refused(LogConflict, what=f"events {seqs} behind 3"):
                    await store.append("run_1", 3, batch)
            with refused(LogConflict, what="an end that leaves a gap"):
                await store.end("run_1", 3, [*tokens(4, 4), complete(6)])
            same_events(await whole(store), tokens(1, 3), "the log")
            same((await store.run("run_1")).status, "running", "the status")

    async def test_of_many_that_race_to_append_one_gets_in(self) -> None:
        """Round after round; and no one was ever shown what was refused."""
        random = Random(SEED)  # noqa: S311 - no secret
        async with self.opened() as store:
            await begin(store)
            async with beside(followed(store)) as (seen,):
                log: list[Event] = []
                for number in range(ROUNDS):
                    batches = [
                        tokens(len(log) + 1, len(log) + random.randint(1, 3), f"{number}/{racer}")
                        for racer in range(RACERS)
                    ]
                    tries = [_tries(store, len(log), b, random.randrange(3)) for b in batches]
                    got_in = await asyncio.gather(*tries)
                    same(sum(got_in), 1, f"appends that got in, of {RACERS} in round {number}")
                    log += batches[got_in.index(True)]
                    same_events(await whole(store), log, f"the log after round {number}")
                await store.end("run_1", len(log), [complete(len(log) + 1)])
                same_events(await seen, await whole(store), "what a follower was shown")

    async def test_an_append_and_an_end_that_race_do_not_both_get_in(self) -> None:
        """A late writer cannot write behind the end."""
        async with self.opened() as store:
            for number in range(8):
                run_id = f"run_{number}"
                await begin(store, run_id)
                ending = store.end(run_id, 0, [complete(1)])
                calls = [_tries(store, 0, tokens(1, 1), 0, run_id), _works(ending)]
                got_in = await asyncio.gather(*(calls if number % 2 else reversed(calls)))
                same(sum(got_in), 1, "calls that got in, of an append and an end")
                same(len(await whole(store, run_id)), 1, "events in the log")

    async def test_runs_that_are_written_at_once_do_not_mix(self) -> None:
        """Each log has its own events, in their order."""
        random = Random(SEED)  # noqa: S311 - no secret
        sizes = {f"run_{n}": [random.randint(1, 4) for _ in range(10)] for n in range(10)}

        async def write(run_id: str) -> None:
            last = 0
            for size in sizes[run_id]:
                await store.append(run_id, last, tokens(last + 1, last + size, run_id))
                last += size
            await store.end(run_id, last, [complete(last + 1)])

        async with self.opened() as store:
            for run_id in sizes:
                await begin(store, run_id)
            await asyncio.gather(*map(write, sizes))
            for run_id, counts in sizes.items():
                want = [*tokens(1, sum(counts), run_id), complete(sum(counts) + 1)]
                same_events(await whole(store, run_id), want, f"the log of {run_id}")

    async def test_an_append_that_is_cancelled_got_in_whole_or_not_at_all(self) -> None:
        """And the store goes on."""
        random = Random(SEED)  # noqa: S311 - no secret
        async with self.opened() as store:
            await begin(store)
            last = 0
            for _ in range(20):
                task = asyncio.create_task(store.append("run_1", last, tokens(last + 1, last + 3)))
                for _ in range(random.randrange(4)):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                last = await _settled(store, last, last + 3)
            await store.append("run_1", last, tokens(last + 1, last + 1))
            same_events(await whole(store), tokens(1, last + 1), "the log")

    async def test_append_refuses_a_terminal_event(self) -> None:
        """Only `end` ends a run."""
        async with self.opened() as store:
            await begin(store)
            for batch in ([complete(1)], [*tokens(1, 1), failed(2)], [cancelled(1), *tokens(2, 2)]):
                with refused(LogConflict, what="an append with a terminal event"):
                    await store.append("run_1", 0, batch)
            same(await whole(store), [], "the log")
            expect((await store.run("run_1")).live, "the run has ended")

    async def test_end_takes_one_terminal_event_as_the_last(self) -> None:
        """Not none, not two, not in the middle."""
        bad: list[list[Event]] = [
            [],
            tokens(1, 2),
            [complete(1), failed(2)],
            [complete(1), *tokens(2, 2)],
        ]
        async with self.opened() as store:
            await begin(store)
            for batch in bad:
                with refused(LogConflict, what=f"an end with {[type(e).__name__ for e in batch]}"):
                    await store.end("run_1", 0, batch)
            same(await whole(store), [], "the log")
            expect((await store.run("run_1")).live, "the run has ended")

    async def test_the_end_is_in_the_record(self) -> None:
        """Status, reason, usage and time of the terminal event; no owner any more."""
        async with self.opened() as store:
            for event in (complete(3, "length"), failed(3), cancelled(3)):
                run_id = type(event).__name__
                made = await begin(store, run_id, owner="me", lease_until=EPOCH * 2, spec=b"s")
                expect(made.live and made.usage is None, "a new run has an end")
                await store.append(run_id, 0, tokens(1, 1))
                await store.end(run_id, 1, [*tokens(2, 2), event])
                record = await store.run(run_id)
                got = (record.status, record.reason, record.usage)
                same(got, ending_of(event), "status, reason and usage")
                same((record.ended_at, record.last_seq), (event.at, 3), "end and last seq")
                same((record.owner, record.lease_until), ("", 0.0), "owner and lease")

    async def test_nothing_follows_the_end(self) -> None:
        """No event, no second end."""
        async with self.opened() as store:
            await begin(store)
            await store.end("run_1", 0, [*tokens(1, 1), complete(2)])
            for batch in (tokens(3, 3), []):
                with refused(LogConflict, what="an append behind the end"):
                    await store.append("run_1", 2, batch)
            with refused(LogConflict, what="a second end"):
                await store.end("run_1", 2, [failed(3)])
            same_events(await whole(store), [*tokens(1, 1), complete(2)], "the log")
            same((await store.run("run_1")).status, "complete", "the status")

    async def test_a_run_that_is_not_there_is_named(self) -> None:
        """Every method that needs one says so, whatever the id looks like."""
        async with self.opened() as store:
            for run_id in ("run_0", "../run_1", "a/b", "%", "x" * 10_000):
                await all_refused(
                    RunNotFound,
                    f"the run {run_id[:20]!r}",
                    store.append(run_id, 0, tokens(1, 1)),
                    store.end(run_id, 0, [complete(1)]),
                    store.read(run_id, 0),
                    store.run(run_id),
                    store.post(Signal(run_id, "cancel")),
                    store.cut(run_id, 1),
                    followed(store, run_id),
                )


async def _works(call: Awaitable[object]) -> bool:
    try:
        await call
    except LogConflict:
        return False
    return True


async def _tries(
    store: Store, last: int, events: Sequence[Event], naps: int, run_id: str = "run_1"
) -> bool:
    for _ in range(naps):
        await asyncio.sleep(0)
    return await _works(store.append(run_id, last, events))


async def _settled(store: Store, without: int, with_it: int) -> int:
    """Where the log stands: nobody else writes, so an empty append tells."""
    for last in (without, with_it):
        if await _works(store.append("run_1", last, [])):
            return last
    raise AssertionError(f"the log stands neither at {without} nor at {with_it}")
