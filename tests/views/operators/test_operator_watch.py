"""`with_timeout`, `with_metrics` and `with_progress`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from headrace.errors import StreamTimeout
from headrace.events import Thought, Token
from headrace.models.chunk import StreamChunk
from headrace.testing.clock import run_with_fake_clock
from headrace.usage import Metrics
from headrace.views.operators import with_metrics, with_progress, with_timeout
from tests.support.loop import leftovers, now
from tests.views.operators.sources import Source, first


def test_the_whole_stream_has_thirty_seconds_by_default() -> None:
    async def main() -> None:
        source = Source(["x"] * 100, 1.0)
        counted = with_metrics(with_timeout(source))
        with pytest.raises(StreamTimeout, match=r"^streaming timeout after 30 s"):
            await first(counted, 100)
        assert 29 <= counted.metrics.chunks <= 30
        assert now() == source.closed_at == 30.0
        assert leftovers() == []

    run_with_fake_clock(main())


def test_a_stream_that_ends_in_time_is_left_alone() -> None:
    async def main() -> None:
        got: list[str] = await first(with_timeout(Source(["a", "b"], 1.0), 2.5), 9)
        assert got == ["a", "b"]
        assert leftovers() == []

    run_with_fake_clock(main())


def test_the_readers_time_counts_but_a_stream_that_is_over_is_over() -> None:
    async def main() -> None:
        stream = with_timeout(Source(["a"]), 1.0)
        assert await anext(stream) == "a"
        await asyncio.sleep(5)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        stream = with_timeout(Source(["a", "b"]), 1.0)
        await anext(stream)
        await asyncio.sleep(5)
        with pytest.raises(StreamTimeout):
            await anext(stream)

    run_with_fake_clock(main())


async def test_a_source_that_never_waits_is_timed_too() -> None:
    async def flood() -> AsyncGenerator[str]:
        while True:
            yield "x"

    with pytest.raises(StreamTimeout, match=r"0\.01 s"):
        async for _ in with_timeout(flood(), 0.01):
            pass


def test_a_timeout_of_the_source_itself_is_no_timeout_of_ours() -> None:
    async def main() -> None:
        error = TimeoutError("mine")
        with pytest.raises(TimeoutError, match="mine") as raised:
            await first(with_timeout(Source(["a"], error=error), 30), 9)
        assert raised.value is error

    run_with_fake_clock(main())


def test_metrics_tell_the_first_piece_the_counts_and_the_time() -> None:
    async def main() -> None:
        stream = with_metrics(Source(["ab", "", "c", "def"], [0.25, 0.0, 0.1, 0.3]))
        assert stream.metrics == Metrics()
        await asyncio.sleep(10)  # its clock starts with the first item asked for
        assert await anext(stream) == "ab"
        assert stream.metrics.time_to_first_token_ms == 250.0
        assert [item async for item in stream] == ["", "c", "def"]
        await asyncio.sleep(10)
        metrics = stream.metrics
        assert (metrics.chunks, metrics.chars, metrics.duration_ms) == (3, 6, 650.0)
        assert metrics.gap_ms_p50 == pytest.approx(100, rel=0.06)

    run_with_fake_clock(main())


def test_metrics_count_the_answers_text_only() -> None:
    items = [
        Thought(1, 1.0, "", "thinking"),
        Token(2, 1.0, "helper", "not mine", 0),
        Token(3, 1.0, "", "mine", 0),
    ]

    async def main() -> None:
        events = with_metrics(Source(items))
        assert [e async for e in events] == items
        assert (events.metrics.chunks, events.metrics.chars) == (1, 4)
        chunks = with_metrics(Source([StreamChunk("ab"), StreamChunk("c", 1, True, "stop")]))
        assert len([c async for c in chunks]) == 2
        assert (chunks.metrics.chunks, chunks.metrics.chars) == (2, 3)

    run_with_fake_clock(main())


def test_metrics_stand_still_after_an_error_or_a_close() -> None:
    async def main() -> None:
        failing = with_metrics(Source(["a"], 1.0, error=ValueError("broke")))
        with pytest.raises(ValueError, match="broke"):
            await first(failing, 9)
        left = with_metrics(Source(["a", "b"], 1.0))
        await first(left, 1)
        await asyncio.sleep(10)
        assert failing.metrics.duration_ms == left.metrics.duration_ms == 1000.0

    run_with_fake_clock(main())


def test_progress_is_written_twice_a_second_at_most_and_at_the_end() -> None:
    async def main() -> None:
        written: list[str] = []
        items = ["ab"] * 12
        stream = with_progress(Source(items, 0.2), written.append)
        assert [item async for item in stream] == items
        assert written == [
            "\rReceived 3 chunks, 6 chars...",
            "\rReceived 6 chunks, 12 chars...",
            "\rReceived 9 chunks, 18 chars...",
            "\rReceived 12 chunks, 24 chars...",
            "\rComplete: 12 chunks, 24 chars\n",
        ]

    run_with_fake_clock(main())


def test_progress_does_not_call_a_broken_or_abandoned_stream_complete() -> None:
    async def main() -> None:
        written: list[str] = []
        with pytest.raises(ValueError, match="broke"):
            await first(with_progress(Source(["ab"], error=ValueError("broke")), written.append), 9)
        async with aclosing(with_progress(Source(["ab", "c"]), written.append)) as stream:
            await anext(stream)
        assert written == ["\rInterrupted: 1 chunks, 2 chars\n"] * 2

    run_with_fake_clock(main())
