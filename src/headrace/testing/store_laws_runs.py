"""Laws of a store: records of runs, idempotency keys, lists, retention, closing."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace

from headrace.errors import LogConflict, ReplayGap, RunNotFound, StoreUnavailable
from headrace.runs.stores.record import RunRecord, Signal
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
    EVERY_MESSAGE,
    complete,
    failed,
    full_record,
    run_record,
    tokens,
)


class RunLaws(StoreLawsBase):
    """What is kept of a run beside its events, and for how long."""

    async def test_a_record_comes_back_equal(self) -> None:
        """With every field that its maker gave."""
        async with self.opened() as store:
            for record in (run_record(), full_record()):
                same(await store.create(record), record, "the record that create gives")
                same(await store.run(record.id), record, "the record")

    async def test_a_second_run_of_the_same_id_is_refused(self) -> None:
        """And the first one stays as it was."""
        async with self.opened() as store:
            record = await begin(store, title="first")
            await store.append("run_1", 0, tokens(1, 1))
            with refused(LogConflict, what="a second run of the same id"):
                await begin(store, title="second")
            same(await store.run("run_1"), replace(record, last_seq=1), "the record")
            same_events(await whole(store), tokens(1, 1), "the log")

    async def test_a_key_that_was_used_gives_the_run_that_it_was_used_for(self) -> None:
        """For the same user only; whether that run has ended or not; and nothing is made."""
        async with self.opened() as store:
            first = await begin(store, "a", idempotency_key="k", fingerprint="f", spec=b"s")
            again = await begin(store, "b", idempotency_key="k", session="s1")
            same(again, first, "the record of the key")
            await _end(store, "a")
            ended = await store.run("a")
            same(await begin(store, "b", idempotency_key="k"), ended, "the key's ended run")
            same(await begin(store, "a", idempotency_key="k"), ended, "the same run again")
            with refused(RunNotFound, what="the run that was not made"):
                await store.run("b")
            same(await store.sessions(), [], "sessions")
            same((await begin(store, "c", idempotency_key="k", user="u")).id, "c", "another user's")
            same((await begin(store, "d", idempotency_key="other")).id, "d", "another key")
            same((await begin(store, "e")).id, "e", "a run without key")
            same((await begin(store, "f")).id, "f", "a second run without key")

    async def test_of_many_that_race_with_one_key_one_makes_the_run(self) -> None:
        """All get its record."""
        async with self.opened() as store:
            made = await asyncio.gather(
                *(begin(store, f"run_{n}", idempotency_key="k", user="u") for n in range(12))
            )
            same(len({record.id for record in made}), 1, "runs that were told")
            same([record.id for record in await store.runs()], [made[0].id], "runs that are there")

    async def test_a_key_is_free_again_once_its_run_is_forgotten(self) -> None:
        """It is kept as long as the record."""
        async with self.opened() as store:
            await begin(store, "a", idempotency_key="k")
            await _end(store, "a")
            await store.delete_run("a")
            same((await begin(store, "b", idempotency_key="k")).id, "b", "the new run")

    async def test_runs_are_listed_newest_first_without_their_spec(self) -> None:
        """By the time that they were made, whatever the order of the calls."""
        async with self.opened() as store:
            await _make_runs(store)
            same(await _ids(store), ["e", "d", "c", "b", "a"], "all runs")
            want = replace(await store.run("b"), spec=b"")
            same([r for r in await store.runs() if r.id == "b"], [want], "a record in a list")

    async def test_lists_of_runs_can_be_narrowed(self) -> None:
        """By user, session and status, and all at once."""
        async with self.opened() as store:
            await _make_runs(store)
            wants: list[tuple[dict[str, Any], list[str]]] = [
                ({"user": "u"}, ["d", "c", "b"]),
                ({"user": ""}, ["e", "a"]),
                ({"user": "nobody"}, []),
                ({"session": "s"}, ["c", "b"]),
                ({"status": "running"}, ["e", "c", "a"]),
                ({"status": "complete"}, ["b"]),
                ({"status": "error"}, ["d"]),
                ({"status": "cancelled"}, []),
                ({"user": "u", "session": "s", "status": "running"}, ["c"]),
                ({"user": "", "session": "s"}, []),
            ]
            for only, want in wants:
                same(await _ids(store, **only), want, f"runs of {only}")

    async def test_lists_of_runs_come_in_pages(self) -> None:
        """At most `limit`, and those made before a time."""
        async with self.opened() as store:
            for n in range(7):
                await begin(store, f"run_{n}", created_at=EPOCH + n)
            same(await _ids(store, limit=2), ["run_6", "run_5"], "the first page")
            got: list[str] = []
            before = None
            while page := await store.runs(before=before, limit=3):
                expect(len(page) <= 3, "a page is longer than its limit")
                got += [record.id for record in page]
                before = page[-1].created_at
            same(got, [f"run_{n}" for n in reversed(range(7))], "all pages")
            same(await _ids(store, before=EPOCH), [], "runs before the first")

    async def test_a_finished_run_can_be_forgotten(self) -> None:
        """With its events; one that is not there is no error; others stay."""
        async with self.opened() as store:
            for run_id in ("a", "b"):
                await begin(store, run_id)
                await _end(store, run_id)
            await store.delete_run("a")
            await store.delete_run("a")
            await store.delete_run("never there")
            calls = (store.run("a"), store.read("a", 0), followed(store, "a"))
            await all_refused(RunNotFound, "a run that was forgotten", *calls)
            same(await _ids(store), ["b"], "runs")
            same(len(await whole(store, "b")), 2, "events of the other run")
            await begin(store, "a")
            same(await store.read("a", 0), [], "the log of a new run of that id")

    async def test_a_live_run_cannot_be_forgotten(self) -> None:
        """Its writer would write into nothing."""
        async with self.opened() as store:
            await begin(store)
            await store.append("run_1", 0, tokens(1, 1))
            with refused(LogConflict, what="forgetting a live run"):
                await store.delete_run("run_1")
            same_events(await whole(store), tokens(1, 1), "the log")

    async def test_retention_takes_events_first_and_records_later(self) -> None:
        """Of finished runs, by the time of their end; it tells how many it touched."""
        async with self.opened() as store:
            for n, run_id in enumerate(("old", "middle", "new", "live")):
                await begin(store, run_id, created_at=EPOCH - 1000 + n, idempotency_key=run_id)
                end = replace(complete(2), at=EPOCH + n)
                if run_id == "live":
                    await store.append(run_id, 0, tokens(1, 1))
                else:
                    await store.end(run_id, 0, [*tokens(1, 1), end])
            same(await store.prune(EPOCH, EPOCH), 0, "runs touched that ended not before")
            same(await store.prune(EPOCH + 2, EPOCH + 1), 2, "runs touched")
            same(await _ids(store), ["live", "new", "middle"], "runs that are left")
            same((await store.run("middle")).cut, 2, "the cut of the middle one")
            with refused(ReplayGap, what="reading what retention took"):
                await store.read("middle", 0)
            same(len(await whole(store, "new")), 2, "events of the new one")
            same(len(await whole(store, "live")), 1, "events of the live one")
            same(await store.prune(EPOCH + 2, EPOCH + 1), 0, "runs touched the second time")
            same((await begin(store, "old", idempotency_key="old")).last_seq, 0, "the old key's")
            same(await store.prune(EPOCH + 9, EPOCH + 9), 2, "runs touched at last")
            same(sorted(await _ids(store)), ["live", "old"], "runs that live")

    async def test_a_store_can_be_closed_twice(self) -> None:
        """The second time is no error."""
        async with self.opened() as store:
            await begin(store)
            await store.close()
            await store.close()

    async def test_a_closed_store_says_so(self) -> None:
        """Every method, also where it would have nothing to do."""
        async with self.opened() as store:
            await begin(store)
            await store.close()
            await all_refused(StoreUnavailable, "a closed store", *_every_call(store))

    async def test_who_follows_is_told_of_the_close(self) -> None:
        """It does not wait for ever, and does not take it for the end."""
        async with self.opened() as store:
            await begin(store)
            begun = asyncio.Event()
            async with beside(followed(store, started=begun.set)) as (task,):
                await store.append("run_1", 0, tokens(1, 1))
                await begun.wait()
                await store.close()
                with refused(StoreUnavailable, what="following a store that is closed"):
                    await task


async def _make_runs(store: Store) -> None:
    """Runs a to e, made in that order but for b and c."""
    await begin(store, "a", created_at=EPOCH + 1)
    await begin(store, "d", created_at=EPOCH + 4, user="u")
    await begin(store, "b", created_at=EPOCH + 2, user="u", session="s", spec=b"x")
    await store.end("b", 0, [complete(1)])
    await begin(store, "c", created_at=EPOCH + 3, user="u", session="s")
    await begin(store, "e", created_at=EPOCH + 5)
    await store.end("d", 0, [failed(1)])


async def _ids(store: Store, **only: Any) -> list[str]:
    return [record.id for record in await store.runs(**only)]


async def _end(store: Store, run_id: str) -> RunRecord:
    await store.end(run_id, 0, [*tokens(1, 1), complete(2)])
    return await store.run(run_id)


def _every_call(store: Store) -> list[Any]:
    return [
        begin(store, "run_2"),
        store.append("run_1", 0, tokens(1, 1)),
        store.append("run_1", 0, []),
        store.end("run_1", 0, [complete(1)]),
        store.read("run_1", 0),
        followed(store),
        store.run("run_1"),
        store.runs(),
        store.delete_run("run_0"),
        store.orphans("default"),
        store.claim("run_1", "me", 1.0),
        store.renew("me", 1.0),
        store.release("me"),
        store.post(Signal("run_1", "cancel")),
        store.signals("me"),
        store.settle([1]),
        store.session("s"),
        store.sessions(),
        store.append_session("s", 0, EVERY_MESSAGE),
        store.delete_session("s"),
        store.cut("run_1", 1),
        store.prune(0.0, 0.0),
    ]
