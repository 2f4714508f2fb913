"""The laws of a store can fail: each broken store is caught by the law that it breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from headrace.errors import LogConflict, ReplayGap, RunNotFound
from headrace.events import Event, Token
from headrace.messages import Message
from headrace.runs.stores.memory import MemoryStore
from headrace.runs.stores.record import RunRecord, SessionRecord
from headrace.runs.stores.store import READ_BYTES, Store
from headrace.testing import StoreLaws


class LetsStaleAppendsIn(MemoryStore):
    async def append(self, run_id: str, expected_last_seq: int, events: Sequence[Event]) -> None:
        last = (await self.run(run_id)).last_seq
        moved = [replace(event, seq=seq) for seq, event in enumerate(events, start=last + 1)]
        await super().append(run_id, last, moved)


class ShowsBeforeItCommits(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self._shown: list[list[Event]] = []

    async def append(self, run_id: str, expected_last_seq: int, events: Sequence[Event]) -> None:
        self._shown.append(list(events))
        await asyncio.sleep(0)
        await super().append(run_id, expected_last_seq, events)

    async def follow(self, run_id: str, after: int = 0) -> AsyncIterator[list[Event]]:
        while (await self.run(run_id)).live:
            while self._shown:
                yield self._shown.pop(0)
            await asyncio.sleep(0)
        yield [(await self.read(run_id, 0))[-1]]


class DropsTheLastEvent(MemoryStore):
    async def read(self, run_id: str, after: int, max_bytes: int = READ_BYTES) -> list[Event]:
        return (await super().read(run_id, after, max_bytes))[:-1]


class LosesNul(MemoryStore):
    async def append(self, run_id: str, expected_last_seq: int, events: Sequence[Event]) -> None:
        cleaned = [
            replace(event, content=event.content.replace("\x00", ""))
            if isinstance(event, Token)
            else event
            for event in events
        ]
        await super().append(run_id, expected_last_seq, cleaned)


class CommitsEventByEvent(MemoryStore):
    async def append(self, run_id: str, expected_last_seq: int, events: Sequence[Event]) -> None:
        if not events:
            await super().append(run_id, expected_last_seq, events)
        for event in events:
            await super().append(run_id, event.seq - 1, [event])
            await asyncio.sleep(0)


class CommitsLater(MemoryStore):
    async def append(self, run_id: str, expected_last_seq: int, events: Sequence[Event]) -> None:
        call = super().append(run_id, expected_last_seq, events)
        self._task = asyncio.create_task(call)


class ForgetsWhatWasSaid(MemoryStore):
    async def end(
        self,
        run_id: str,
        expected_last_seq: int,
        events: Sequence[Event],
        said: Sequence[Message] = (),
        *,
        instead: bool = False,
    ) -> None:
        await super().end(run_id, expected_last_seq, events)


class SaysItLater(MemoryStore):
    async def end(
        self,
        run_id: str,
        expected_last_seq: int,
        events: Sequence[Event],
        said: Sequence[Message] = (),
        *,
        instead: bool = False,
    ) -> None:
        await super().end(run_id, expected_last_seq, events)
        session = (await self.run(run_id)).session
        for _ in range(5):
            await asyncio.sleep(0)
        if session is not None:
            version = (await self.session(session)).version
            await self.append_session(session, version, said)


class RewritesTheWholeSession(MemoryStore):
    async def end(
        self,
        run_id: str,
        expected_last_seq: int,
        events: Sequence[Event],
        said: Sequence[Message] = (),
        *,
        instead: bool = False,
    ) -> None:
        session = self._sessions.find(self._runs.get(run_id).fixed.session)
        if session is not None and said and instead:
            session.cut(0, 0.0)
        await super().end(run_id, expected_last_seq, events, said, instead=instead)


class ForgetsWhoSaidIt(MemoryStore):
    async def session(self, session: str) -> SessionRecord:
        found = await super().session(session)
        return replace(found, runs=("",) * len(found.messages))


class TakesTheNewestTitle(MemoryStore):
    async def create(self, record: RunRecord) -> RunRecord:
        made = await super().create(record)
        if (session := self._sessions.find(record.session)) is not None:
            session.title = record.title
        return made


class ClaimsTwice(MemoryStore):
    async def claim(self, run_id: str, owner: str, seconds: float) -> RunRecord | None:
        if (await self.run(run_id)).owner:
            return None
        await asyncio.sleep(0)
        await self.release((await self.run(run_id)).owner)
        return await super().claim(run_id, owner, seconds)


class ReadsOverAHole(MemoryStore):
    async def read(self, run_id: str, after: int, max_bytes: int = READ_BYTES) -> list[Event]:
        try:
            return await super().read(run_id, after, max_bytes)
        except ReplayGap as gap:
            return await super().read(run_id, gap.last, max_bytes)


class NeverWakesWhoFollows(MemoryStore):
    async def follow(self, run_id: str, after: int = 0) -> AsyncIterator[list[Event]]:
        if (await self.run(run_id)).last_seq <= after:
            await asyncio.Event().wait()
        async for piece in super().follow(run_id, after):
            yield piece


class TakesARemovedRunForItsEnd(MemoryStore):
    async def follow(self, run_id: str, after: int = 0) -> AsyncIterator[list[Event]]:
        try:
            async for piece in super().follow(run_id, after):
                yield piece
        except RunNotFound:
            return


class ReadsItAllAtOnce(MemoryStore):
    async def read(self, run_id: str, after: int, max_bytes: int = READ_BYTES) -> list[Event]:
        return await super().read(run_id, after, 2**40)


class ForgetsKeys(MemoryStore):
    async def create(self, record: RunRecord) -> RunRecord:
        return await super().create(replace(record, idempotency_key=None))


class TakesTerminalEvents(MemoryStore):
    async def append(self, run_id: str, expected_last_seq: int, events: Sequence[Event]) -> None:
        try:
            await super().append(run_id, expected_last_seq, events)
        except LogConflict:
            await super().end(run_id, expected_last_seq, events)


class StaysOpen(MemoryStore):
    async def close(self) -> None:
        """It is not."""


class ListsOldestFirst(MemoryStore):
    async def runs(self, **only: Any) -> list[RunRecord]:
        return (await super().runs(**only))[::-1]


def laws_of(make: type[Store]) -> StoreLaws:
    class Laws(StoreLaws):
        patience = 0.5

        def make_store(self) -> Store:
            return make()

    return Laws()


@pytest.mark.parametrize(
    ("broken", "law", "told"),
    [
        (LetsStaleAppendsIn, "a_stale_append_is_refused_and_leaves_nothing", "an append after 0"),
        (LetsStaleAppendsIn, "of_many_that_race_to_append_one_gets_in", "16, where 1"),
        (ShowsBeforeItCommits, "of_many_that_race_to_append_one_gets_in", "a follower was shown"),
        (DropsTheLastEvent, "events_come_back_in_order_and_equal", "the log"),
        (LosesNul, "unusual_text_comes_back_equal", "at seq 3"),
        (CommitsEventByEvent, "an_append_that_is_cancelled_got_in_whole_or_not_at_all", "neither"),
        (CommitsEventByEvent, "events_that_leave_a_gap_are_refused", "not refused|the log"),
        (CommitsLater, "what_an_append_has_added_is_there_when_it_returns", "at once"),
        (ForgetsWhatWasSaid, "the_end_of_a_run_adds_what_was_said_and_frees_the_session", "sess"),
        (SaysItLater, "what_was_said_is_committed_with_the_end", "the session"),
        (RewritesTheWholeSession, "what_both_begin_with_stays_as_it_was", "after the run a"),
        (ForgetsWhoSaidIt, "each_message_tells_the_run_that_it_came_from", "whose the messages"),
        (TakesTheNewestTitle, "a_session_has_the_title_of_its_first_question", "title after c"),
        (ClaimsTwice, "of_many_that_race_to_claim_one_gets_the_run", "claims of run_0"),
        (ReadsOverAHole, "what_was_cut_is_a_named_gap", "reading behind 0 of 4: not refused"),
        (NeverWakesWhoFollows, "a_follower_that_waits_is_shown_the_next_event", "0.5 s .* wait"),
        (TakesARemovedRunForItsEnd, "a_follower_is_told_that_the_run_was_removed", "stops though"),
        (ReadsItAllAtOnce, "a_long_log_is_read_in_bounded_pieces", "a read of 262144 bytes"),
        (ForgetsKeys, "a_key_that_was_used_gives_the_run_that_it_was_used_for", "the key"),
        (ForgetsKeys, "of_many_that_race_with_one_key_one_makes_the_run", "12, where 1"),
        (TakesTerminalEvents, "append_refuses_a_terminal_event", "not refused"),
        (StaysOpen, "a_closed_store_says_so", "not refused by StoreUnavailable"),
        (StaysOpen, "who_follows_is_told_of_the_close", "0.5 s .* wait"),
        (ListsOldestFirst, "runs_are_listed_newest_first_without_their_spec", "all runs"),
    ],
)
async def test_a_broken_store_is_caught(broken: type[Store], law: str, told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        await getattr(laws_of(broken), f"test_{law}")()
    await getattr(laws_of(MemoryStore), f"test_{law}")()
