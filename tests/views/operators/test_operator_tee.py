"""`tee`: one stream, several readers, none of whom hurts another."""

from __future__ import annotations

import asyncio
import gc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import UsageError
from headrace.models.chunk import StreamChunk
from headrace.testing.clock import run_with_fake_clock
from headrace.views.operators import tee
from tests.support.loop import leftovers
from tests.views.operators.sources import Source, first, timed


@given(
    st.lists(st.tuples(st.text(max_size=4), st.sampled_from([0.0, 0.1])), max_size=20),
    st.lists(st.sampled_from([0.0, 0.05, 1.0]), min_size=1, max_size=4),
)
@settings(deadline=None)
def test_every_branch_has_everything(items: list[tuple[str, float]], takes: list[float]) -> None:
    async def main() -> None:
        source = Source([text for text, _ in items], [wait for _, wait in items])
        branches = tee(source, len(takes))
        got = await asyncio.gather(*map(timed, branches, takes))
        for branch in got:
            assert [text for _, text in branch] == [text for text, _ in items]
        assert source.closed_at is not None
        assert leftovers() == []

    run_with_fake_clock(main())


def test_less_than_one_branch_is_refused() -> None:
    with pytest.raises(UsageError, match="0"):
        tee(Source(["a"]), 0)


def test_a_slow_branch_costs_the_memory_of_its_text_and_stalls_nobody() -> None:
    async def main() -> None:
        source = Source(["ab"] * 30_000)
        fast, slow = tee(source)
        assert len(await timed(fast)) == 30_000
        rest = [text async for text in slow]
        assert "".join(rest) == "ab" * 30_000
        assert len(rest) < 5_000

    run_with_fake_clock(main())


def test_the_joined_chunks_of_a_slow_branch_are_counted_anew() -> None:
    chunks = [StreamChunk("ab", i) for i in range(10_000)]
    chunks.append(StreamChunk("", 10_000, True, "stop"))

    async def main() -> None:
        fast, slow = tee(Source(chunks))
        assert [item async for item in fast] == chunks
        rest = [chunk async for chunk in slow]
        assert [chunk.index for chunk in rest] == list(range(len(rest)))
        assert "".join(chunk.content for chunk in rest) == "ab" * 10_000
        assert [chunk.is_final for chunk in rest].index(True) == len(rest) - 1 < 9_000

    run_with_fake_clock(main())


def test_the_fastest_branch_sets_the_pace() -> None:
    async def main() -> None:
        source = Source(["x"] * 10_000)
        fast, slow = tee(source)
        await anext(fast)
        await asyncio.sleep(1)
        assert source.given <= 2 * 64
        await asyncio.gather(fast.aclose(), slow.aclose())

    run_with_fake_clock(main())


def test_leaving_one_branch_does_not_stop_the_others() -> None:
    async def main() -> None:
        source = Source(["a", "b", "c"], 0.1)
        one, other = tee(source)
        assert await first(one, 1) == ["a"]
        assert source.closed_at is None
        with pytest.raises(StopAsyncIteration):
            await anext(one)
        assert [text async for text in other] == ["a", "b", "c"]

    run_with_fake_clock(main())


def test_cancelling_one_reader_mid_wait_does_not_cut_the_source() -> None:
    async def main() -> None:
        one, other = tee(Source(["a", "b"], 1.0))
        reading = asyncio.create_task(timed(one))
        await asyncio.sleep(0.5)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert [text async for text in other] == ["a", "b"]

    run_with_fake_clock(main())


def test_the_source_is_closed_when_the_last_has_left() -> None:
    async def main() -> None:
        source = Source(["a"] * 100, 0.1)
        one, other = tee(source)
        await first(one, 2)
        assert source.closed_at is None
        await first(other, 3)
        assert source.closed_at == pytest.approx(0.3)
        assert leftovers() == []

    run_with_fake_clock(main())


def test_dropping_the_branches_closes_the_source_too() -> None:
    async def main() -> None:
        source = Source(["a"] * 100, 0.1)
        branches = tee(source, 3)
        await anext(branches[0])
        del branches
        gc.collect()
        await asyncio.sleep(1)
        assert source.closed_at == pytest.approx(0.1)
        assert leftovers() == []

    run_with_fake_clock(main())


def test_an_error_reaches_every_branch_after_its_items() -> None:
    async def main() -> None:
        branches = tee(Source(["a", "b"], error=ValueError("broke")), 3)
        for branch in branches:
            assert [await anext(branch), await anext(branch)] == ["a", "b"]
            with pytest.raises(ValueError, match="broke"):
                await anext(branch)
            with pytest.raises(StopAsyncIteration):
                await anext(branch)

    run_with_fake_clock(main())
