"""The demo model as a model: streamed, paced, closed."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from math import inf, nan

import pytest

from headrace.errors import UsageError
from headrace.models.deltas import CONTENT, Finish
from headrace.models.model import Model
from headrace.models.request import ModelRequest
from headrace.providers.demo.library import Library
from headrace.providers.demo.model import FIRST, PACE, DemoModel, schedule
from headrace.providers.demo.reply import reply
from headrace.testing import run_with_fake_clock

LIBRARY = Library(())
QUESTION = ModelRequest.of("Write 200 words about runs")


def test_it_is_a_model() -> None:
    model = DemoModel()
    assert isinstance(model, Model)
    assert (model.provider, model.model, model.name) == ("demo", "demo", "demo:demo")


@pytest.mark.parametrize("speed", [0, inf, 1e6])
async def test_every_speed_streams_the_same(speed: float) -> None:
    model = DemoModel(speed=speed, library=LIBRARY)
    got = []
    async with model.stream(QUESTION) as batches:
        async for batch in batches:
            got += batch
    assert got == reply(QUESTION, LIBRARY)


async def test_the_whole_turn() -> None:
    turn = await DemoModel(speed=0, library=LIBRARY).complete(QUESTION)
    assert turn.finish_reason == "stop"
    assert turn.error is None
    assert turn.usage is not None
    assert turn.usage.exact


@pytest.mark.parametrize("speed", [0.5, 1.0, 8.0])
def test_the_pace_is_believable(speed: float) -> None:
    async def watch() -> list[float]:
        model = DemoModel(speed=speed, library=LIBRARY)
        times = []
        async with model.stream(QUESTION) as batches:
            async for batch in batches:
                now = asyncio.get_running_loop().time()
                times += [now for delta in batch if isinstance(delta, CONTENT)]
        return times

    times = run_with_fake_clock(watch())
    rate = (len(times) - 1) / (times[-1] - times[0])
    assert times[0] == pytest.approx(FIRST / speed)
    assert rate == pytest.approx(PACE * speed, rel=0.15)
    gaps = [b - a for a, b in pairwise(times)]
    assert max(gaps) < 3 / PACE / speed
    assert len({round(gap, 6) for gap in gaps}) > 20  # varied, as a model's are


def test_the_schedule_never_goes_back() -> None:
    deltas = reply(QUESTION, LIBRARY)
    due = schedule(deltas, 1.0)
    assert due is not None
    assert due == sorted(due) == schedule(deltas, 1.0)
    assert schedule(deltas, 0) is None


async def test_closing_ends_it() -> None:
    model = DemoModel(library=LIBRARY)
    async with model.stream(QUESTION) as batches:
        first = await anext(batches)
    assert len(first) < 5
    with pytest.raises(StopAsyncIteration):
        await anext(batches)


async def test_it_streams_to_the_end_with_its_own_library() -> None:
    async with DemoModel(speed=0).stream(ModelRequest.of("What is Headrace?")) as batches:
        last = [batch async for batch in batches][-1][-1]
    assert last == Finish("stop", "demo")


@pytest.mark.parametrize("speed", [-1, nan])
def test_a_speed_is_a_speed(speed: float) -> None:
    with pytest.raises(UsageError, match="speed"):
        DemoModel(speed=speed)
