"""What a running tool is given."""

from __future__ import annotations

import asyncio
import threading

from headrace.tools.context import CancelSignal, RunContext


async def test_the_signal_wakes_tasks_and_threads() -> None:
    signal = CancelSignal()
    woken: list[bool] = []
    thread = threading.Thread(target=lambda: woken.append(signal.wait_sync(30)))
    thread.start()
    tasks = [asyncio.create_task(signal.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)
    signal.set()
    signal.set()
    await asyncio.wait_for(asyncio.gather(*tasks), 5)
    await asyncio.to_thread(thread.join, 5)
    assert woken == [True]
    assert signal.is_set
    await signal.wait()


async def test_the_signal_can_be_set_from_a_thread() -> None:
    context = RunContext()
    waiter = asyncio.create_task(context.wait_cancelled())
    await asyncio.sleep(0)
    threading.Thread(target=context.signal.set).start()
    await asyncio.wait_for(waiter, 5)
    assert context.cancelled


async def test_a_cancelled_waiter_is_forgotten() -> None:
    signal = CancelSignal()
    waiter = asyncio.create_task(signal.wait())
    await asyncio.sleep(0)
    waiter.cancel()
    await asyncio.wait({waiter})
    assert not signal._waiters
    signal.set()


def test_waiters_of_a_closed_loop_hurt_nobody() -> None:
    signal = CancelSignal()

    async def leave() -> None:
        signal._waiters.add(asyncio.get_running_loop().create_future())

    asyncio.run(leave())
    signal.set()
    assert signal.wait_sync(0)


def test_a_context_made_by_hand_works_alone() -> None:
    context = RunContext({"user": "u1"})
    context.progress("nobody hears it")
    assert not context.cancelled
    assert not context.wait_cancelled_sync(0)
    assert context.context["user"] == "u1"


def test_each_call_has_its_own_signal_and_the_runs_context() -> None:
    shared = {"user": "u1"}
    run = RunContext(shared, run_id="r1")
    heard: list[str] = []
    call = run.for_call("c1", "search", heard.append)
    call.signal.set()
    call.progress("half")
    assert (call.run_id, call.call_id, call.tool_name) == ("r1", "c1", "search")
    assert call.context is shared
    assert not run.cancelled
    assert heard == ["half"]
