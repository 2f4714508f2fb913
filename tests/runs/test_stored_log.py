"""A stored log: committed first and shown after, in batches, to the end or the failure."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from headrace.errors import (
    LogConflict,
    LogTooLarge,
    UsageError,
)
from headrace.events import Event, StepEnd, ToolEnd
from headrace.messages import Message
from headrace.runs.log import EVENT_COST
from headrace.runs.stored_log import StoredLog
from headrace.runs.viewer import Viewer
from headrace.usage import Timing, Usage
from tests.support.keepers import GatedKeeper
from tests.support.stored_logs import (
    Failures,
    begun,
    end,
    in_fake_time,
    kept,
    read,
    settled,
    tokens,
)


def test_nothing_is_shown_before_its_commit() -> None:
    async def main() -> None:
        keeper = GatedKeeper(gated=True)
        log = begun(keeper)
        seen = asyncio.create_task(read(Viewer(log)))
        log.append(0, tokens(1, 3))
        assert (log.written, log.closed) == (3, False)
        await settled()
        assert (log.last_seq, log.read(0), keeper.events) == (0, [], [])
        keeper.let_one()
        await settled()
        assert (log.last_seq, log.read(0)) == (3, tokens(1, 3)) == (3, keeper.events)
        log.append(3, [end(4)])
        assert (log.closed, log.ended) == (True, False)
        await settled()
        assert not seen.done()
        keeper.let_one()
        assert await seen == [*tokens(1, 3), end(4)]
        await log.wait_end()
        assert log.ended

    in_fake_time(main())


def test_what_comes_during_a_commit_goes_with_the_next() -> None:
    async def main() -> None:
        keeper = GatedKeeper(gated=True)
        log = begun(keeper)
        for seq in range(1, 6):
            log.append(seq - 1, tokens(seq, seq))
        await settled()
        for seq in range(6, 9):
            log.append(seq - 1, tokens(seq, seq))
        await settled()
        assert len(keeper.under_way) == 1
        keeper.let_one()
        await settled()
        assert log.last_seq == 5
        log.append(8, [end(9)])
        keeper.let_all()
        await kept(log)
        assert keeper.batches == [(1, 5), (6, 8), (9, 9)]

    in_fake_time(main())


def test_at_a_live_pace_each_event_is_committed_by_itself() -> None:
    async def main() -> None:
        keeper = GatedKeeper()
        log = begun(keeper)
        for seq in range(1, 4):
            log.append(seq - 1, tokens(seq, seq))
            await log.wait(seq - 1)
        log.append(3, [end(4)])
        await kept(log)
        assert keeper.batches == [(1, 1), (2, 2), (3, 3), (4, 4)]

    in_fake_time(main())


def test_what_was_said_goes_with_the_end_and_is_asked_for_then() -> None:
    async def main() -> None:
        keeper = GatedKeeper()
        messages = [Message.user("Hi")]

        def said() -> Sequence[Message]:
            return messages

        log = begun(keeper, said=said)
        log.append(0, tokens(1, 1))
        await log.wait(0)
        assert keeper.ends == []
        messages.append(Message.assistant("Hello"))
        log.append(1, [*tokens(2, 2), end(3)])
        await log.wait_end()
        assert keeper.ends == [[Message.user("Hi"), Message.assistant("Hello")]]
        assert keeper.batches == [(1, 1), (2, 3)]

    in_fake_time(main())


def test_what_is_written_before_it_begins_is_kept_from_then_on() -> None:
    async def main() -> None:
        keeper = GatedKeeper()
        log = StoredLog(keeper, "run_1")
        log.append(0, tokens(1, 2))
        log.append(2, [end(3)])
        await settled()
        assert (keeper.batches, log.last_seq, log.closed) == ([], 0, True)
        with pytest.raises(UsageError, match="has not begun"):
            log.when_done(keeper.let_all)
        log.begin(Failures().append)
        assert await read(Viewer(log)) == [*tokens(1, 2), end(3)]
        assert keeper.batches == [(1, 3)]

    in_fake_time(main())


def test_a_stale_or_late_writer_is_refused_before_anything_is_kept() -> None:
    async def main() -> None:
        keeper = GatedKeeper(gated=True)
        log = begun(keeper)
        log.append(0, tokens(1, 2))
        for expected in (0, 1, 3):
            with pytest.raises(LogConflict, match="stands at 2"):
                log.append(expected, tokens(expected + 1, expected + 1))
        with pytest.raises(LogConflict, match="gap"):
            log.append(2, tokens(4, 4))
        log.append(2, [])
        log.append(2, [end(3)])
        with pytest.raises(LogConflict, match="has ended"):
            log.append(3, tokens(4, 4))
        keeper.let_all()
        await kept(log)
        assert keeper.events == [*tokens(1, 2), end(3)]

    in_fake_time(main())


def test_a_full_log_takes_the_ends_of_what_was_begun() -> None:
    async def main() -> None:
        keeper = GatedKeeper()
        log = begun(keeper, counted=1000 - 2 * (EVENT_COST + 1), max_bytes=1000)
        log.append(0, tokens(1, 2))
        with pytest.raises(LogTooLarge, match="1000 bytes"):
            log.append(2, tokens(3, 3))
        ends: list[Event] = [
            ToolEnd(3, 1.0, "", "c", "look", "found", 1.0),
            StepEnd(4, 1.0, "", 1, "stop", Usage(), Timing(1.0), Message("assistant")),
            end(5),
        ]
        log.append(2, ends)
        await kept(log)
        assert keeper.events == [*tokens(1, 2), *ends]

    in_fake_time(main())


def test_a_run_that_is_taken_up_again_goes_on_where_it_stood() -> None:
    async def main() -> None:
        keeper = GatedKeeper()
        keeper.events = tokens(1, 5)
        log = begun(keeper, last_seq=5)
        assert (log.written, log.last_seq) == (5, 5)
        log.append(5, tokens(6, 6))
        log.append(6, [end(7)])
        assert await read(Viewer(log, 5)) == [*tokens(6, 6), end(7)]
        assert keeper.reads == []
        assert await read(Viewer(log)) == [*tokens(1, 6), end(7)]

    in_fake_time(main())
