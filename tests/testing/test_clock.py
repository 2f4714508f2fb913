"""The clock that jumps."""

from __future__ import annotations

import asyncio
import time

import pytest

from headrace.testing import run_with_fake_clock
from headrace.testing.clock import STUCK


def test_an_hour_takes_no_time() -> None:
    async def sleep() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    began = time.monotonic()
    assert run_with_fake_clock(sleep()) == pytest.approx(3600)
    assert time.monotonic() - began < 30


def test_timers_run_in_their_order() -> None:
    order: list[str] = []

    async def note(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        order.append(name)

    async def main() -> None:
        await asyncio.gather(note("c", 30), note("a", 0.1), note("b", 20))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await asyncio.Event().wait()
        order.append(f"{asyncio.get_running_loop().time():.0f}")

    run_with_fake_clock(main())
    assert order == ["a", "b", "c", "90"]


def test_a_thread_is_awaited_where_no_timer_runs() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, time.sleep, 0.01)
        return loop.time()

    assert run_with_fake_clock(main()) < STUCK


def test_waiting_for_nothing_is_an_error() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="Nothing will ever happen"):
        run_with_fake_clock(main(), stuck=0.01)


def test_errors_come_out() -> None:
    async def main() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_with_fake_clock(main())
