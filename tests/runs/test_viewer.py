"""A viewer: in order, to the end, and when it lags it gets joined deltas."""

from __future__ import annotations

import asyncio

import pytest

from headrace.errors import ReplayGap
from headrace.events import Complete, Event, Token, Warn
from headrace.runs.log import Log
from headrace.runs.viewer import Viewer
from headrace.testing.clock import run_with_fake_clock
from headrace.usage import Metrics, Usage


def token(seq: int, text: str = "x") -> Token:
    return Token(seq, 1.0, "", text, seq - 1)


def end(seq: int) -> Complete:
    return Complete(seq, 1.0, "", "stop", Usage(), Metrics())


async def read(viewer: Viewer) -> list[Event]:
    return [event for batch in [b async for b in viewer] for event in batch]


@pytest.mark.parametrize("after", range(6))
async def test_a_viewer_reads_from_any_seq_to_the_end(after: int) -> None:
    log = Log()
    log.append(0, [token(1), token(2)])
    log.append(2, [token(3), end(4)])
    viewer = Viewer(log, after)
    assert [event.seq for event in await read(viewer)] == list(range(after + 1, 5))
    with pytest.raises(StopAsyncIteration):
        await anext(viewer)


def test_viewers_follow_a_live_log_each_at_its_pace() -> None:
    async def slow(viewer: Viewer) -> list[int]:
        seqs: list[int] = []
        async for batch in viewer:
            seqs += [event.seq for event in batch]
            await asyncio.sleep(3.5)
        return seqs

    async def main() -> None:
        log = Log()
        quick, lagging = (
            asyncio.create_task(read(Viewer(log))),
            asyncio.create_task(slow(Viewer(log))),
        )
        for seq in range(1, 20):
            await asyncio.sleep(1)
            log.append(seq - 1, [token(seq)])
        log.append(19, [end(20)])
        assert [event.seq for event in await quick] == list(range(1, 21))
        assert await lagging == list(range(1, 21))

    run_with_fake_clock(main())


def test_a_viewer_ahead_of_the_log_waits_for_its_event() -> None:
    async def main() -> None:
        log = Log()
        task = asyncio.create_task(read(Viewer(log, 2)))
        for seq in (1, 2, 3):
            await asyncio.sleep(1)
            log.append(seq - 1, [token(seq)])
        log.append(3, [end(4)])
        assert await task == [token(3), end(4)]

    run_with_fake_clock(main())


def test_a_viewer_ahead_of_the_end_ends() -> None:
    async def main() -> None:
        log = Log()
        task = asyncio.create_task(read(Viewer(log, 100)))
        await asyncio.sleep(1)
        log.append(0, [token(1), end(2)])
        assert await task == []

    run_with_fake_clock(main())


async def test_a_lag_over_64_kib_is_joined() -> None:
    log = Log()
    log.append(0, [token(seq, "x" * 100) for seq in range(1, 1001)])
    log.append(1000, [Warn(1001, 1.0, "", "code", "words")])
    batch = await anext(Viewer(log))
    assert len(batch) == 3
    assert "".join(e.content for e in batch if isinstance(e, Token)) == "x" * 100_000
    assert batch[-1] == Warn(1001, 1.0, "", "code", "words")


async def test_a_smaller_lag_is_handed_on_as_it_is() -> None:
    log = Log()
    log.append(0, [token(seq, "x" * 60) for seq in range(1, 1001)])
    assert len(await anext(Viewer(log))) == 1000


async def test_a_second_viewer_of_a_private_log_is_told_what_it_missed() -> None:
    log = Log(private=True)
    log.append(0, [token(1), end(2)])
    assert len(await read(Viewer(log))) == 2
    with pytest.raises(ReplayGap):
        await anext(Viewer(log))
