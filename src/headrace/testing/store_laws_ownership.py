"""Laws of a store: who runs a run, for how long, and what others may tell the owner."""

from __future__ import annotations

import asyncio
import time

from headrace.errors import LogConflict, RunEnded, RunNotFound
from headrace.runs.stores.record import Signal
from headrace.runs.stores.store import Store
from headrace.testing.store_laws_base import (
    StoreLawsBase,
    begin,
    expect,
    poll,
    refused,
    same,
    same_events,
    whole,
)
from headrace.testing.store_laws_samples import EPOCH, ODD_TEXTS, complete, tokens

SHORT = 0.05
"""Seconds of a lease that is to run out."""

LONG = 3600.0
"""Seconds of a lease that is not."""


class OwnershipLaws(StoreLawsBase):
    """At most one owns a run; a lost owner is replaced by one other."""

    async def test_a_run_whose_lease_holds_is_nobodys_to_claim(self) -> None:
        """It is no orphan; its owner alone may claim it again."""
        async with self.opened() as store:
            await begin(store, owner="me", lease_until=time.time() + LONG)
            same(await store.orphans("default"), [], "orphans")
            same(await store.claim("run_1", "you", LONG), None, "another's claim")
            record = await store.run("run_1")
            same((record.owner, record.recoveries), ("me", 0), "owner and recoveries")
            expect(await store.claim("run_1", "me", LONG) is not None, "an own claim is refused")
            same((await store.run("run_1")).recoveries, 1, "recoveries")

    async def test_a_run_whose_lease_has_run_out_is_claimed_once(self) -> None:
        """The record shows the new owner and that it was taken up once more, spec and all."""
        async with self.opened() as store:
            await begin(store, owner="me", lease_until=EPOCH, spec=b"\x00s", recoveries=1)
            now = time.time()
            record = await store.claim("run_1", "you", LONG)
            expect(record is not None, "a run whose lease has run out cannot be claimed")
            same(record, await store.run("run_1"), "the record that claim gives")
            if record is not None:
                got = (record.owner, record.recoveries, record.spec)
                same(got, ("you", 2, b"\x00s"), "owner, recoveries and spec")
                late = record.lease_until - now - LONG
                expect(-60 < late < 60, f"the lease of {LONG:g} s is wrong by {late:g} s")
            same(await store.claim("run_1", "they", LONG), None, "a second claim")
            same(await store.orphans("default"), [], "orphans")

    async def test_of_many_that_race_to_claim_one_gets_the_run(self) -> None:
        """Run after run."""
        async with self.opened() as store:
            for number in range(10):
                run_id = f"run_{number}"
                await begin(store, run_id)
                got = await asyncio.gather(
                    *(store.claim(run_id, f"owner_{n}", LONG) for n in range(8))
                )
                owners = [record.owner for record in got if record is not None]
                same(len(owners), 1, f"claims of {run_id} that were granted")
                record = await store.run(run_id)
                same((record.owner, record.recoveries), (owners[0], 1), "owner and recoveries")

    async def test_what_has_ended_or_is_not_there_is_not_to_be_claimed(self) -> None:
        """It is no orphan either."""
        async with self.opened() as store:
            await begin(store)
            await store.end("run_1", 0, [complete(1)])
            for run_id in ("run_1", "never there"):
                same(await store.claim(run_id, "me", LONG), None, f"what a claim of {run_id} gives")
            same(await store.orphans("default"), [], "orphans")
            same((await store.run("run_1")).recoveries, 0, "recoveries")

    async def test_orphans_are_of_one_host_and_oldest_first(self) -> None:
        """At most `limit`."""
        async with self.opened() as store:
            for n in (2, 0, 3, 1):
                await begin(store, f"run_{n}", created_at=EPOCH + n)
            await begin(store, "elsewhere", host="other", lease_until=EPOCH, owner="x")
            await begin(store, "held", owner="me", lease_until=time.time() + LONG)
            same(await store.orphans("default"), [f"run_{n}" for n in range(4)], "orphans")
            same(await store.orphans("default", limit=2), ["run_0", "run_1"], "two orphans")
            same(await store.orphans("other"), ["elsewhere"], "orphans of another host")
            same(await store.orphans("nowhere"), [], "orphans of no host")

    async def test_a_lease_runs_out(self) -> None:
        """Then the run is an orphan, and another takes it."""
        async with self.opened() as store:
            await begin(store)
            expect(await store.claim("run_1", "me", SHORT) is not None, "a free run is not given")
            await _orphaned(store)
            taken = await store.claim("run_1", "you", LONG)
            same(taken and (taken.owner, taken.recoveries), ("you", 2), "owner and recoveries")

    async def test_a_lease_that_is_renewed_holds(self) -> None:
        """All of the owner's live runs, and nobody else's; also one that ran out untaken."""
        async with self.opened() as store:
            for run_id in ("a", "b", "theirs", "ended"):
                await begin(store, run_id)
                owner = "you" if run_id == "theirs" else "me"
                await store.claim(run_id, owner, SHORT)
            await store.end("ended", 0, [complete(1)])
            await _orphaned(store, count=3)
            await store.renew("me", LONG)
            same(await store.orphans("default"), ["theirs"], "orphans")
            same(await store.claim("a", "you", LONG), None, "a claim of what was renewed")
            same((await store.run("ended")).lease_until, 0.0, "the lease of the ended run")
            await store.renew("nobody", LONG)
            await store.renew("me", SHORT)
            await _orphaned(store, count=3)

    async def test_who_has_lost_a_run_cannot_renew_it(self) -> None:
        """Nor write behind the new owner's events."""
        async with self.opened() as store:
            await begin(store, owner="me", lease_until=EPOCH)
            await store.append("run_1", 0, tokens(1, 1))
            await store.claim("run_1", "you", SHORT)
            await store.append("run_1", 1, tokens(2, 2, "yours"))
            await store.renew("me", LONG)
            await _orphaned(store)
            with refused(LogConflict, what="an append of who has lost the run"):
                await store.append("run_1", 1, tokens(2, 2, "mine"))
            log = [*tokens(1, 1), *tokens(2, 2, "yours")]
            same_events(await whole(store), log, "the log")

    async def test_what_is_released_can_be_claimed_at_once(self) -> None:
        """All of the owner's live runs, and nobody else's."""
        async with self.opened() as store:
            for run_id, owner in (("a", "me"), ("b", "me"), ("c", "you")):
                await begin(store, run_id, owner=owner, lease_until=time.time() + LONG)
            await store.release("me")
            same(sorted(await store.orphans("default")), ["a", "b"], "orphans")
            same((await store.run("a")).owner, "", "the owner")
            same(await store.claim("c", "they", LONG), None, "a claim of another's run")
            record = await store.claim("a", "they", LONG)
            same(record and record.owner, "they", "the owner")

    async def test_signals_reach_the_owner_in_order_until_they_are_settled(self) -> None:
        """As they were posted, each with an id of its own."""
        async with self.opened() as store:
            for run_id, owner in (("a", "me"), ("b", "me"), ("c", "you")):
                await begin(store, run_id, owner=owner, lease_until=time.time() + LONG)
            same(await store.signals("me"), [], "signals at first")
            posted = [
                Signal("a", "input", "one"),
                Signal("b", "cancel", "stop"),
                Signal("c", "cancel", ""),
                Signal("a", "approval", '{"call_id": "c1"}'),
                *(Signal("a", "input", text) for text in ODD_TEXTS),
            ]
            for signal in posted:
                await store.post(signal)
            mine = [signal for signal in posted if signal.run_id != "c"]
            got = await store.signals("me")
            same([_plain(signal) for signal in got], mine, "my signals")
            same(await store.signals("me"), got, "my signals, asked again")
            yours = await store.signals("you")
            same([_plain(signal) for signal in yours], [posted[2]], "your signals")
            ids = [signal.id for signal in got + yours]
            same(len(set(ids)), len(posted), "ids that differ")
            await store.settle([got[0].id, got[2].id])
            same(await store.signals("me"), [got[1], *got[3:]], "what is not settled")
            await store.settle([])
            await store.settle([got[0].id, 2**40])
            await store.settle(iter([signal.id for signal in got]))
            same(await store.signals("me"), [], "what is not settled")
            same(await store.signals("you"), yours, "your signals")

    async def test_signals_go_to_whoever_owns_the_run_now(self) -> None:
        """A run that nobody owns keeps them for who takes it up."""
        async with self.opened() as store:
            await begin(store)
            await store.post(Signal("run_1", "cancel", "stop"))
            same(await store.signals("me"), [], "signals of who owns nothing")
            await store.claim("run_1", "me", LONG)
            same(len(await store.signals("me")), 1, "signals of the owner")
            await store.release("me")
            same(await store.signals("me"), [], "signals of who has given up the run")
            await store.claim("run_1", "you", LONG)
            same(len(await store.signals("you")), 1, "signals of the next owner")

    async def test_a_run_that_has_ended_takes_no_signal(self) -> None:
        """And what was left for it is gone."""
        async with self.opened() as store:
            await begin(store, owner="me", lease_until=time.time() + LONG)
            await store.post(Signal("run_1", "input", "hello"))
            await store.end("run_1", 0, [complete(1)])
            for owner in ("me", ""):
                same(await store.signals(owner), [], f"signals for {owner!r}")
            with refused(RunEnded, what="a signal for a run that has ended"):
                await store.post(Signal("run_1", "cancel"))
            await store.delete_run("run_1")
            with refused(RunNotFound, what="a signal for a run that is gone"):
                await store.post(Signal("run_1", "cancel"))


async def _orphaned(store: Store, count: int = 1) -> None:
    """Wait until the leases of so many runs have run out."""

    async def enough() -> bool:
        return len(await store.orphans("default")) >= count

    await poll(enough, "a short lease runs out")


def _plain(signal: Signal) -> Signal:
    return Signal(signal.run_id, signal.kind, signal.content)
