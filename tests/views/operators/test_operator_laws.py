"""What holds for every operator, over every kind of item and any schedule."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.events import Event, Token
from headrace.models.chunk import StreamChunk
from headrace.runs.fold import fold
from headrace.testing.clock import run_with_fake_clock
from headrace.views.operators import (
    buffer,
    by_chars,
    smooth,
    tee,
    throttle,
    with_metrics,
    with_progress,
    with_timeout,
)
from headrace.views.operators.items import kind
from tests.strategies import logs
from tests.support.loop import leftovers
from tests.views.operators.sources import Source, first

Operator = Callable[[AsyncIterable[Any]], Any]

OPERATORS: dict[str, Operator] = {
    "buffer": lambda s: buffer(s, 0.05),
    "by_chars": lambda s: by_chars(s, 3),
    "smooth": lambda s: smooth(s),
    "smooth_line": lambda s: smooth(s, "line", 0),
    "throttle": lambda s: throttle(s, 0.1),
    "with_timeout": lambda s: with_timeout(s, 1e6),
    "with_metrics": with_metrics,
    "with_progress": lambda s: with_progress(s, lambda _: None),
    "tee": lambda s: tee(s, 1)[0],
    "composed": lambda s: smooth(buffer(with_timeout(throttle(by_chars(s, 4), 0.1), 1e6)), delay=0),
}

TEXT = st.text(st.sampled_from("ab \n\u4e2d\u3002\U0001f30a"), max_size=7)


@st.composite
def chunk_streams(draw: st.DrawFn) -> list[StreamChunk]:
    """Chunks as a run gives them: text, marks where tools run, one final chunk."""
    chunks: list[StreamChunk] = []
    for text in draw(st.lists(TEXT, max_size=12)):
        marks = draw(st.integers(0, 4)) == 0
        reason: Any = "tool_calls" if marks else None
        chunks.append(StreamChunk(text, len(chunks), False, reason, None, float(len(chunks))))
    last = draw(TEXT)
    chunks.append(StreamChunk(last, len(chunks), True, "stop", {"model": "m"}, 99.0))
    return chunks


STREAMS: st.SearchStrategy[list[Any]] = (
    st.lists(TEXT, max_size=15) | chunk_streams() | logs(ended=True)
)
WAITS = st.sampled_from([0.0, 0.0, 0.01, 0.05, 0.07, 0.3])


def folded(items: Sequence[Any]) -> object:
    """What a stream comes to: its text and its structural items in their places."""
    if items and isinstance(items[0], Event):
        return fold(items), [item for item in items if kind(item) is None]
    parts: list[object] = [""]
    for item in items:
        if kind(item) is None:
            parts += [msgspec.structs.replace(item, index=0), ""]
        else:
            parts[-1] = str(parts[-1]) + (item if isinstance(item, str) else item.content)
    return parts


def check_chunks(items: Sequence[Any]) -> None:
    """Indices without gaps, and no final chunk but the last."""
    chunks = [item for item in items if isinstance(item, StreamChunk)]
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert not any(chunk.is_final for chunk in chunks[:-1])


@pytest.mark.parametrize("name", OPERATORS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_folding_what_comes_out_gives_what_folding_what_went_in_gives(
    name: str, data: st.DataObject
) -> None:
    items = data.draw(STREAMS)
    waits = [data.draw(WAITS) for _ in items]
    takes = data.draw(WAITS)

    async def main() -> None:
        source = Source(items, waits)
        out = []
        async for item in OPERATORS[name](source):
            out.append(item)
            if takes:
                await asyncio.sleep(takes)
        assert folded(out) == folded(items)
        check_chunks(out)
        if items and isinstance(items[-1], StreamChunk):
            assert out[-1].is_final
        assert source.closed_at is not None
        assert leftovers() == []

    run_with_fake_clock(main())


@pytest.mark.parametrize("name", OPERATORS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_an_error_comes_out_after_everything_that_came_before_it(
    name: str, data: st.DataObject
) -> None:
    items = data.draw(st.lists(TEXT, max_size=8) | logs(ended=False))
    waits = [data.draw(WAITS) for _ in items]
    error = ValueError("broke")

    async def main() -> None:
        out: list[Any] = []
        stream = OPERATORS[name](Source(items, waits, error=error))
        raised = None
        try:
            async for item in stream:
                out.append(item)
        except ValueError as failed:
            raised = failed
        assert raised is error
        assert folded(out) == folded(items)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        await stream.aclose()
        assert leftovers() == []

    run_with_fake_clock(main())


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("wait", [0.001, 0.02])
def test_leaving_closes_the_source_at_once_and_leaves_nothing_behind(
    name: str, count: int, wait: float
) -> None:
    async def main() -> None:
        source = Source(["a \n"] * 1000, wait)
        await first(OPERATORS[name](source), count)
        assert (source.closed_at is not None) == (source.given > 0)
        assert source.given < 1000
        assert leftovers() == []

    run_with_fake_clock(main())


@pytest.mark.parametrize("name", OPERATORS)
def test_cancelling_the_reader_closes_the_source_at_once(name: str) -> None:
    async def main() -> None:
        source = Source(["a \n"] * 3, 0.02, hangs=True)
        stream = OPERATORS[name](source)

        async def read() -> None:
            try:
                async for _ in stream:
                    pass
            finally:
                await stream.aclose()

        reading = asyncio.create_task(read())
        await asyncio.sleep(5)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert source.closed_at == 5.0
        assert leftovers() == []

    run_with_fake_clock(main())


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_that_is_dropped_closes_its_source(name: str) -> None:
    async def main() -> None:
        source = Source(["a \n"] * 1000, 0.02)
        async for _ in OPERATORS[name](source):
            break
        await asyncio.sleep(1)
        assert source.closed_at is not None
        assert source.given < 20
        assert leftovers() == []

    run_with_fake_clock(main())


class Kept:
    """An iterator that only `aclose` closes: no collector helps."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.closed = False

    def __aiter__(self) -> Kept:
        return self

    async def __anext__(self) -> str:
        await asyncio.sleep(0.02)
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        return "a \n"

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize("name", OPERATORS)
def test_leaving_closes_a_source_by_its_own_aclose(name: str) -> None:
    async def main() -> None:
        source = Kept(1000)
        assert len(await first(OPERATORS[name](source), 1)) == 1
        assert source.closed

    run_with_fake_clock(main())


@pytest.mark.parametrize("name", ["buffer", "throttle", "tee"])
def test_the_task_that_read_a_source_closes_it(name: str) -> None:
    """A source may hold what only the task that entered it may leave, such as a cancel scope."""

    async def main() -> None:
        readers, closers = set(), []

        class Watched(Kept):
            async def __anext__(self) -> str:
                readers.add(asyncio.current_task())
                return await super().__anext__()

            async def aclose(self) -> None:
                closers.append(asyncio.current_task())

        await first(OPERATORS[name](Watched(1000)), 1)
        assert {closers[0]} == readers

    run_with_fake_clock(main())


@pytest.mark.parametrize("name", OPERATORS)
def test_an_empty_stream_stays_empty(name: str) -> None:
    async def main() -> None:
        assert [item async for item in OPERATORS[name](Source([]))] == []

    run_with_fake_clock(main())


def test_events_of_other_agents_are_never_mixed() -> None:
    tokens = [Token(i + 1, 1.0, "ab"[i % 2], str(i), i) for i in range(6)]

    async def main() -> None:
        assert [t async for t in buffer(Source(tokens), 1.0)] == tokens
        joined = [t async for t in buffer(Source(tokens[::2]), 1.0)]
        assert joined == [Token(5, 1.0, "a", "024", 0)]

    run_with_fake_clock(main())
