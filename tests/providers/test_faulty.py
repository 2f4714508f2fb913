"""A model broken in a chosen way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from headrace.errors import DeadlineExceeded, RateLimited, StreamTruncated
from headrace.models.deadlines import Deadlines
from headrace.models.deltas import TextDelta
from headrace.models.request import ModelRequest
from headrace.models.retry import RetryPolicy
from headrace.testing import (
    Cut,
    Fail,
    FaultyModel,
    ScriptedModel,
    Slow,
    Stall,
    Step,
    run_with_fake_clock,
)

ASK = ModelRequest.of("hi")
PIECES = ["one ", "two ", "three"]


def scripted(**options: Any) -> ScriptedModel:
    return ScriptedModel([Step(text=PIECES)] * 3, **options)


@pytest.mark.parametrize("after", range(4))
async def test_a_cut_keeps_what_came_before(after: int) -> None:
    inner = scripted()
    with pytest.raises(StreamTruncated) as caught:
        await FaultyModel(inner, Cut(after)).complete(ASK)
    assert getattr(caught.value.turn, "text", None) == "".join(PIECES[:after])
    assert inner.open_streams == 0


async def test_batches_are_cut_between_deltas() -> None:
    inner = ScriptedModel([[[TextDelta("a"), TextDelta("b"), TextDelta("c")]]])
    with pytest.raises(StreamTruncated) as caught:
        await FaultyModel(inner, Cut(2)).complete(ASK)
    assert getattr(caught.value.turn, "text", None) == "ab"


@pytest.mark.parametrize(("after", "wait", "seconds"), [(0, "first_content", 7), (2, "gap", 3)])
def test_a_stall_runs_into_its_deadline(after: int, wait: str, seconds: float) -> None:
    async def watch() -> tuple[DeadlineExceeded, float]:
        deadlines = Deadlines(first_content=7, gap=3)
        model = FaultyModel(scripted(), Stall(after), deadlines=deadlines)
        with pytest.raises(DeadlineExceeded) as caught:
            await model.complete(ASK)
        return caught.value, asyncio.get_running_loop().time()

    error, now = run_with_fake_clock(watch())
    assert error.wait == wait
    assert now == pytest.approx(seconds)


@pytest.mark.parametrize("after", [0, 1])
async def test_a_failure_is_the_providers(after: int) -> None:
    model = FaultyModel(scripted(), Fail(RateLimited("slow down", provider="scripted"), after))
    with pytest.raises(RateLimited, match="slow down"):
        await model.complete(ASK)


async def test_only_the_first_requests_break() -> None:
    inner = scripted(retry=RetryPolicy(retries=2, base=0.0))
    model = FaultyModel(inner, Fail(RateLimited("slow down")), times=2)
    assert (await model.complete(ASK)).text == "one two three"
    assert len(inner.requests) == 1


def test_slow_takes_longer() -> None:
    async def watch() -> float:
        await FaultyModel(scripted(), Slow(10.0)).complete(ASK)
        return asyncio.get_running_loop().time()

    assert run_with_fake_clock(watch()) == pytest.approx(40.0)
