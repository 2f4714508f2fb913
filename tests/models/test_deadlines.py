"""Deadlines of a model call, in virtual time: each wait ends when it should, and only then."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from headrace.errors import DeadlineExceeded, ProviderError, RateLimited, UsageError
from headrace.messages import Opaque
from headrace.models.deadlines import Deadlines
from headrace.models.deltas import (
    Delta,
    Note,
    OpaqueDelta,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    UsageDelta,
)
from headrace.models.retry import NO_RETRY, RetryPolicy
from headrace.testing.clock import run_with_fake_clock
from headrace.usage import Usage
from tests.support.fake_model import ASK, AT_ONCE, REFUSED, STOP, FakeModel, Item, Try, text
from tests.support.loop import leftovers, now

LIMITS = Deadlines(first_content=5, gap=2, run=100)
NOTHING_NEW: list[Item] = [[], [UsageDelta(Usage(1, 1))], [Note("x", "y")]]
FOREVER = Deadlines(None, None, None, None, None)


async def read(model: FakeModel) -> tuple[list[Delta], ProviderError | None, float]:
    """Everything that a stream gives, the error that ends it, and when."""
    got: list[Delta] = []
    failed = None
    try:
        async with model.stream(ASK) as batches:
            async for batch in batches:
                got += batch
    except ProviderError as error:
        failed = error
    at = now()
    tries = [one for one in model.tries if isinstance(one, Try)]
    assert all(one.closed == one.opened and not one.reads_after_close for one in tries)
    return got, failed, at


def run(model: FakeModel) -> tuple[list[Delta], ProviderError | None, float]:
    """`read` alone in a loop: no task and no timer is left."""

    async def main() -> tuple[list[Delta], ProviderError | None, float]:
        result = await read(model)
        assert not leftovers()
        return result

    return run_with_fake_clock(main())


def late(
    *script: Item, limits: Deadlines = LIMITS, open_takes: float = 0.0
) -> tuple[str, float, bool]:
    """Which wait of this one try ran out, when, and whether asking again may help."""
    model = FakeModel(Try(*script, open_takes=open_takes), deadlines=limits, retry=NO_RETRY)
    _, error, at = run(model)
    assert isinstance(error, DeadlineExceeded)
    assert error.provider == "fake"
    assert error.seconds == getattr(limits, error.wait)
    return error.wait, at, error.retryable


def paced(wait: float, batch: Item, times: int) -> list[Item]:
    return [item for _ in range(times) for item in (wait, batch)]


def test_the_defaults_are_those_of_the_contract() -> None:
    assert Deadlines() == Deadlines(connect=10, first_content=120, gap=60, tool=60, run=900)


@pytest.mark.parametrize("wrong", ["60", 0, -1.0, float("nan")])
@pytest.mark.parametrize("name", Deadlines.__struct_fields__)
def test_a_deadline_that_is_none_is_refused_where_it_is_set(name: str, wrong: Any) -> None:
    with pytest.raises(UsageError, match=f"The deadline {name} is"):
        Deadlines(**{name: wrong})
    assert getattr(Deadlines(**{name: None}), name) is None


def test_no_first_content() -> None:
    assert late() == ("first_content", 5.0, True)


def test_connecting_counts_into_the_first_content() -> None:
    assert late(open_takes=1000) == ("first_content", 5.0, True)
    assert late(open_takes=3) == ("first_content", 5.0, True)


def test_no_further_content() -> None:
    assert late(4.5, text("a"), 1.5, text("b")) == ("gap", 8.0, True)


@pytest.mark.parametrize("nothing", NOTHING_NEW, ids=["empty", "usage", "note"])
def test_what_is_no_content_resets_nothing(nothing: Item) -> None:
    assert late(*paced(0.3, nothing, 100)) == ("first_content", 5.0, True)
    assert late(text("a"), *paced(0.3, nothing, 100)) == ("gap", 2.0, True)


@pytest.mark.parametrize(
    "content",
    [
        TextDelta("a"),
        ReasoningDelta("a"),
        ToolCallDelta(0, "c", "look", ""),
        OpaqueDelta(Opaque("fake", "{}")),
    ],
    ids=lambda delta: type(delta).__name__,
)
def test_each_content_resets_the_gap(content: Delta) -> None:
    assert late(1, [content], *paced(1.9, [content], 20)) == ("gap", 1 + 20 * 1.9 + 2, True)


def test_the_whole_call() -> None:
    assert late(*paced(1.0, text("a"), 1000)) == ("run", 100.0, False)
    assert late(limits=Deadlines(first_content=5, run=3)) == ("run", 3.0, False)


@pytest.mark.parametrize(
    "limits", [FOREVER, Deadlines(first_content=5, gap=None, run=None)], ids=["none", "first only"]
)
def test_without_a_deadline_one_waits_for_ever_and_keeps_no_timer(limits: Deadlines) -> None:
    async def main() -> None:
        model = FakeModel(Try(1, text("a"), 1e6, [STOP]), deadlines=limits)
        task = asyncio.create_task(read(model))
        await asyncio.sleep(100)
        waiting = [timer.when() for timer in leftovers() if isinstance(timer, asyncio.TimerHandle)]
        assert waiting == [1e6 + 1]  # the script's own
        assert await task == ([TextDelta("a"), STOP], None, 1e6 + 1)

    run_with_fake_clock(main())


def test_the_readers_time_does_not_count() -> None:
    async def main() -> None:
        usage = [UsageDelta(Usage(1, 1))]
        one = Try(text("a"), 1.5, usage)
        async with FakeModel(one, deadlines=LIMITS).stream(ASK) as batches:
            assert await anext(batches) == text("a")
            await asyncio.sleep(50)
            assert await anext(batches) == usage
            assert now() == 51.5
            await asyncio.sleep(20)
            with pytest.raises(DeadlineExceeded, match="2 s"):
                await anext(batches)
            assert now() == 72.0  # half a second of the gap was left
        assert not leftovers()

    run_with_fake_clock(main())


@pytest.mark.parametrize("before", [True, False])
def test_a_cancel_at_the_same_moment_wins(before: bool) -> None:
    async def main() -> None:
        one = Try()
        task = asyncio.ensure_future(read(FakeModel(one, deadlines=LIMITS, retry=AT_ONCE)))
        if not before:
            await asyncio.sleep(0)
        asyncio.get_running_loop().call_at(5.0, task.cancel)
        await asyncio.wait([task])
        assert now() == 5.0
        assert task.cancelled()
        assert one.closed
        assert not leftovers()

    run_with_fake_clock(main())


def test_an_enclosing_timeout_is_not_disturbed() -> None:
    async def main() -> None:
        _, error, at = await read(FakeModel(Try(), deadlines=LIMITS, retry=NO_RETRY))
        assert isinstance(error, DeadlineExceeded)
        task = asyncio.current_task()
        assert (at, task and task.cancelling()) == (5.0, 0)
        await read(FakeModel(Try(), deadlines=FOREVER))

    async def timed() -> float:
        async with asyncio.timeout(20):
            await main()
        return now()

    with pytest.raises(TimeoutError):
        run_with_fake_clock(timed())


def test_a_deadline_works_in_a_task_that_cleans_up_after_its_cancel() -> None:
    async def clean_up() -> object:
        try:
            await asyncio.sleep(1e6)
        except asyncio.CancelledError:
            return (await read(FakeModel(Try(), deadlines=LIMITS, retry=NO_RETRY)))[1]
        return None

    async def main() -> None:
        task = asyncio.create_task(clean_up())
        await asyncio.sleep(1)
        task.cancel()
        assert isinstance(await task, DeadlineExceeded)

    run_with_fake_clock(main())


class Stubborn(Try):
    """Takes an interruption for a reason to give what it has."""

    async def read(self) -> list[Delta]:
        try:
            return await super().read()
        except asyncio.CancelledError:
            return [TextDelta("anyhow"), STOP]


def test_an_interruption_that_is_swallowed_is_taken_back() -> None:
    async def main() -> int | None:
        got, error, at = await read(FakeModel(Stubborn(), deadlines=LIMITS))
        assert (got, error, at) == ([TextDelta("anyhow"), STOP], None, 5.0)
        task = asyncio.current_task()
        return task.cancelling() if task else None

    assert run_with_fake_clock(main()) == 0


def test_each_try_has_its_own_time_for_the_first_content() -> None:
    model = FakeModel(Try(), Try(4.9, text("a"), [STOP]), deadlines=LIMITS)
    got, error, at = run(model)
    assert error is None
    assert [type(delta) for delta in got] == [Note, TextDelta, type(STOP)]
    assert at == pytest.approx(9.9, abs=1e-3)


def test_connecting_too_long_is_retried() -> None:
    slow = DeadlineExceeded("connect", 10, provider="fake")
    got, error, _ = run(FakeModel(slow, Try(text("a"), [STOP])))
    assert error is None
    assert isinstance(got[0], Note)
    assert "connecting took more than 10 s" in got[0].message


def test_no_retry_after_the_whole_time() -> None:
    limits = Deadlines(first_content=50, run=10)
    model = FakeModel(Try(), Try(text("a"), [STOP]), deadlines=limits)
    got, error, at = run(model)
    assert (got, at, len(model.requests)) == ([], 10.0, 1)
    assert isinstance(error, DeadlineExceeded)
    assert error.wait == "run"


def test_no_wait_for_a_retry_that_would_come_too_late() -> None:
    busy = RateLimited("busy", retry_after=50)
    limits = Deadlines(run=10)
    model = FakeModel(busy, REFUSED, deadlines=limits, retry=RetryPolicy())
    assert run(model) == ([], busy, 0.0)
    assert len(model.requests) == 1
