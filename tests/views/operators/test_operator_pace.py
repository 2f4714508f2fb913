"""`buffer` and `throttle`, on a clock that jumps."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from headrace.events import Token, ToolStart
from headrace.models.chunk import StreamChunk
from headrace.testing.clock import run_with_fake_clock
from headrace.views.operators import buffer, throttle
from tests.views.operators.sources import Source, timed

FINAL = StreamChunk("", 99, True, "stop", {"model": "m"})


def test_buffer_joins_what_comes_within_its_window_and_flushes_the_rest() -> None:
    async def main() -> None:
        source = Source(list("abcdef"), 0.02)
        assert await timed(buffer(source, 0.05)) == [(0.07, "abc"), (0.12, "def")]

    run_with_fake_clock(main())


def test_a_window_opens_with_the_first_piece_so_that_none_waits_longer() -> None:
    async def main() -> None:
        source = Source(["a", "b", "c"], [1.0, 1.0, 0.049])
        assert await timed(buffer(source)) == [(1.05, "a"), (2.049, "bc")]

    run_with_fake_clock(main())


def test_the_remainder_comes_at_the_end_without_a_wait() -> None:
    async def main() -> None:
        assert await timed(buffer(Source(["a", "b"], 0.01), 10.0)) == [(0.02, "ab")]

    run_with_fake_clock(main())


def test_a_structural_item_comes_at_once_after_the_text_before_it() -> None:
    tool = ToolStart(3, 1.0, "", "c1", "look", {})
    items = [Token(1, 1.0, "", "a", 0), Token(2, 1.0, "", "b", 1), tool, Token(4, 1.0, "", "c", 2)]

    async def main() -> None:
        got = await timed(buffer(Source(items, 0.01), 0.05))
        assert got == [(0.03, Token(2, 1.0, "", "ab", 0)), (0.03, tool), (0.04, items[3])]

    run_with_fake_clock(main())


def test_buffered_chunks_are_counted_anew_and_the_final_one_stays_last() -> None:
    chunks = [StreamChunk("a", 0), StreamChunk("b", 1, timestamp=7.0), FINAL]

    async def main() -> None:
        joined = StreamChunk("ab", 0, timestamp=7.0)
        final = StreamChunk("", 1, True, "stop", {"model": "m"})
        assert [c async for c in buffer(Source(chunks))] == [joined, final]

    run_with_fake_clock(main())


def test_while_the_reader_is_busy_the_source_is_held_after_a_bounded_lead() -> None:
    async def main() -> None:
        source = Source(["x"] * 10_000, 0.001)
        stream = buffer(source, 0.05)
        first = await anext(stream)
        read = source.given
        await asyncio.sleep(60)
        assert source.given <= read + 64
        assert len(first) + sum([len(item) async for item in stream]) == 10_000

    run_with_fake_clock(main())


def test_throttle_lets_the_first_through_then_one_an_interval_and_always_the_last() -> None:
    async def main() -> None:
        source = Source([str(i) for i in range(10)], [0.0, *[0.3] * 9])
        assert await timed(throttle(source, 1.0)) == [
            (0.0, "0"),
            (1.0, "123"),
            (2.0, "456"),
            (3.0, "789"),
        ]

    run_with_fake_clock(main())


@pytest.mark.parametrize("takes", [0.0, 0.4, 3.0])
def test_throttle_keeps_its_pace_whatever_the_reader_takes(takes: float) -> None:
    async def main() -> None:
        got = await timed(throttle(Source(["x"] * 500, 0.013), 1.0), takes)
        times = [at for at, _ in got]
        assert min(b - a for a, b in pairwise(times)) >= 1.0 - 1e-6
        assert "".join(text for _, text in got) == "x" * 500

    run_with_fake_clock(main())


def test_throttle_does_not_hold_structural_items_back_for_themselves() -> None:
    tools = [ToolStart(seq, 1.0, "", f"c{seq}", "look", {}) for seq in (2, 3)]
    last = Token(4, 1.0, "", "b", 1)

    async def main() -> None:
        first = Token(1, 1.0, "", "a", 0)
        got = await timed(throttle(Source([first, *tools, last]), 1.0))
        assert got == [(0.0, first), (0.0, tools[0]), (0.0, tools[1]), (1.0, last)]

    run_with_fake_clock(main())


def test_after_a_silence_text_goes_through_at_once() -> None:
    async def main() -> None:
        source = Source(["a", "b", "c"], [0.0, 7.5, 0.1])
        assert await timed(throttle(source, 1.0)) == [(0.0, "a"), (7.5, "b"), (8.5, "c")]

    run_with_fake_clock(main())


def test_held_text_costs_the_memory_of_its_text() -> None:
    """Thirty thousand pieces in one interval come out as one item, without being kept apart."""

    async def main() -> None:
        got = await timed(throttle(Source(["ab"] * 30_000, 1e-5), 1.0))
        assert [(at, len(text)) for at, text in got] == [(1e-05, 2), (1.00001, 59998)]

    run_with_fake_clock(main())
