"""The dispatcher: many runs, many receivers, in order, none lost, none held up."""

from __future__ import annotations

import asyncio
import gc

import pytest

from headrace.errors import ChannelClosed, ConsumerError, StreamTimeout, UsageError
from headrace.events import (
    TERMINAL,
    Event,
    RunStart,
    Token,
    ToolEnd,
    ToolProgress,
    ToolStart,
    type_of,
)
from headrace.runs.fold import fold
from headrace.runs.run import Run
from headrace.runs.writer import Writer
from headrace.testing.clock import run_with_fake_clock
from headrace.views import dispatcher as module
from headrace.views.dispatcher import EventDispatcher, Receiver
from tests.support.loop import leftovers, now
from tests.views.runs_of import cut_after, run_of, say, saying, settle, use_tool


async def to_the_end(receiver: Receiver) -> list[Event]:
    """Events up to and with the first terminal one."""
    events = []
    while True:
        events.append(await receiver.recv())
        if isinstance(events[-1], TERMINAL):
            return events


async def test_a_receiver_gets_every_event_of_a_run_as_its_log_has_them() -> None:
    dispatcher = EventDispatcher()
    receiver = dispatcher.subscribe()
    run = saying("Hello", " world!")
    dispatcher.attach(run)
    events = await to_the_end(receiver)
    step = ["step_start", "token", "token", "step_end"]
    assert [type_of(e) for e in events] == ["run_start", *step, "answer", "complete"]
    assert events == [e async for e in run.events()]


async def test_every_receiver_gets_everything_in_order() -> None:
    dispatcher = EventDispatcher()
    receivers = [dispatcher.subscribe() for _ in range(5)]
    tasks = [asyncio.create_task(to_the_end(receiver)) for receiver in receivers]
    run = saying(*[f"{i} " for i in range(100)])
    dispatcher.attach(run)
    for events in await asyncio.gather(*tasks):
        assert [e.seq for e in events] == list(range(1, 106))
        assert fold(events) == run.snapshot()


async def test_a_run_in_the_background_with_a_dispatcher_of_its_own() -> None:
    """The shape of a web handler: subscribe, start, relay until the end."""
    dispatcher = EventDispatcher()
    receiver = dispatcher.subscribe()

    async def handle() -> None:
        run = saying("so ", "far")
        dispatcher.attach(run)
        await run.result()

    background = asyncio.create_task(handle())
    frames = []
    async for event in receiver:
        if isinstance(event, Token):
            frames.append(event.content)
        if isinstance(event, TERMINAL):
            break
    await background
    assert frames == ["so ", "far"]


async def test_a_failed_run_has_its_end_too() -> None:
    dispatcher = EventDispatcher()
    receiver = dispatcher.subscribe()
    dispatcher.attach(cut_after("so far"))
    assert type_of((await to_the_end(receiver))[-1]) == "error"


class Gated:
    """A run that says one piece, waits to be let on, and says the rest."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.run = run_of(self._body)

    async def _body(self, writer: Writer) -> None:
        say(writer, "before ")
        await self.go.wait()
        say(writer, "after")


async def test_a_late_subscriber_sees_live_runs_from_their_first_event() -> None:
    dispatcher = EventDispatcher()
    gated = Gated()
    dispatcher.attach(gated.run)
    await settle()
    whole, new = dispatcher.subscribe(), dispatcher.subscribe(replay=False)
    gated.go.set()
    events = await to_the_end(whole)
    assert [e.seq for e in events] == [1, 2, 3, 4, 5, 6, 7]
    assert [e.seq for e in await to_the_end(new)] == [4, 5, 6, 7]


async def test_a_late_subscriber_sees_no_run_that_has_ended() -> None:
    dispatcher = EventDispatcher()
    dispatcher.attach(saying("over"))
    await dispatcher.drain()
    receiver = dispatcher.subscribe()
    second = saying("next")
    dispatcher.attach(second)
    first = await receiver.recv()
    assert isinstance(first, RunStart)
    assert first.run_id == second.id


async def test_runs_interleave_and_each_keeps_its_order() -> None:
    dispatcher = EventDispatcher()
    receiver = dispatcher.subscribe()
    runs = [saying(*[f"{i} " for i in range(20)]) for _ in range(3)]
    for run in runs:
        dispatcher.attach(run)
    got: dict[str, list[Event]] = {}
    order = []
    while sum(isinstance(events[-1], TERMINAL) for events in got.values()) < 3:
        run_id, event = await receiver.recv_with_run()
        got.setdefault(run_id, []).append(event)
        order.append(run_id)
    for run in runs:
        assert [e.seq for e in got[run.id]] == list(range(1, 26))
    assert len({run_id for run_id in order[:12]}) == 3


async def test_a_busy_run_does_not_starve_another() -> None:
    dispatcher = EventDispatcher()
    receiver = dispatcher.subscribe()

    async def flood(writer: Writer) -> None:
        for _ in range(50):
            say(writer, *["x"] * 100)
            await asyncio.sleep(0)

    dispatcher.attach(run_of(flood))
    quiet = saying("quiet")
    dispatcher.attach(quiet)
    seen = 0
    while (await receiver.recv_with_run())[0] != quiet.id:
        seen += 1
    assert seen < 1000


LONG = 30
"""Steps of a long run, each with 100 pieces of 100 characters and a tool."""


def long_run() -> Run:
    async def body(writer: Writer) -> None:
        for i in range(LONG):
            say(writer, *["x" * 100] * 100)
            use_tool(writer, f"call_{i}")
            await asyncio.sleep(0)

    return run_of(body)


async def test_a_receiver_that_lags_gets_joined_deltas_and_every_structural_event() -> None:
    dispatcher = EventDispatcher()
    receiver, prompt = dispatcher.subscribe(), dispatcher.subscribe()
    run = long_run()
    dispatcher.attach(run)
    eager = asyncio.create_task(to_the_end(prompt))
    await dispatcher.drain()
    lagging = await to_the_end(receiver)
    assert sum(isinstance(e, Token) for e in lagging) == LONG
    tools = [e.call_id for e in lagging if isinstance(e, ToolStart | ToolEnd)]
    assert tools == [f"call_{i // 2}" for i in range(2 * LONG)]
    assert fold(lagging) == run.snapshot()
    assert [e.seq for e in await eager] == list(range(1, 102 * LONG + 6))


async def test_a_receiver_that_nobody_reads_stalls_nobody_and_stays_small() -> None:
    dispatcher = EventDispatcher()
    unread, read = dispatcher.subscribe(), dispatcher.subscribe()

    async def body(writer: Writer) -> None:
        for _ in range(1000):
            say(writer, *["x"] * 100)
            await asyncio.sleep(0)

    run = run_of(body)
    dispatcher.attach(run)
    reading = asyncio.create_task(to_the_end(read))
    await dispatcher.drain()
    await reading
    assert sum(map(len, unread._waiting.values())) < 9000
    assert fold(await to_the_end(unread)).text == "x" * 100_000


async def test_a_receiver_far_behind_is_told_so_and_lets_go() -> None:
    dispatcher = EventDispatcher()
    receiver = dispatcher.subscribe()

    async def body(writer: Writer) -> None:
        writer.put(ToolStart, "", "call_1", "look", {})
        for _ in range(40):
            writer.put(ToolProgress, "", "call_1", "x" * 1024 * 1024)

    for _ in range(2):
        run = run_of(body)
        dispatcher.attach(run)
        assert (await run.result()).finish_reason == "stop"
    await dispatcher.drain()
    assert receiver._waiting == {}
    for _ in range(2):
        with pytest.raises(ConsumerError, match=str(module.MAX_BACKLOG)):
            await receiver.recv()


async def test_a_receiver_that_was_dropped_costs_nothing_more() -> None:
    dispatcher = EventDispatcher()
    dispatcher.subscribe()
    gc.collect()
    assert len(dispatcher._receivers) == 0


def test_recv_says_how_long_it_waited_and_may_go_on() -> None:
    async def main() -> None:
        dispatcher = EventDispatcher()
        receiver = dispatcher.subscribe()
        with pytest.raises(StreamTimeout, match="60 s"):
            await receiver.recv()
        assert now() == 60.0
        with pytest.raises(StreamTimeout, match=r"0\.5 s"):
            await receiver.recv(timeout=0.5)
        dispatcher.attach(saying("late"))
        assert isinstance(await receiver.recv(), RunStart)
        await dispatcher.drain()
        await settle()
        assert leftovers() == []

    run_with_fake_clock(main())


def test_an_iteration_waits_as_long_as_the_dispatcher_is_open() -> None:
    async def main() -> None:
        dispatcher = EventDispatcher()
        receiver = dispatcher.subscribe()
        reading = asyncio.create_task(_all(receiver))
        await asyncio.sleep(86_400)
        dispatcher.attach(saying("late"))
        await dispatcher.drain()
        dispatcher.close()
        assert len(await reading) == 6

    run_with_fake_clock(main())


async def _all(receiver: Receiver) -> list[Event]:
    return [event async for event in receiver]


async def test_a_closed_dispatcher_ends_its_receivers_after_what_they_have() -> None:
    dispatcher = EventDispatcher()
    receiver = dispatcher.subscribe()
    dispatcher.attach(saying("a"))
    await dispatcher.drain()
    dispatcher.close()
    dispatcher.close()
    assert dispatcher.closed
    assert len([await receiver.recv() for _ in range(6)]) == 6
    with pytest.raises(ChannelClosed):
        await receiver.recv()
    with pytest.raises(ChannelClosed):
        dispatcher.subscribe()
    with pytest.raises(ChannelClosed):
        dispatcher.attach(saying("b"))


async def test_closing_the_dispatcher_leaves_its_runs_alone() -> None:
    dispatcher = EventDispatcher()
    gated = Gated()
    dispatcher.attach(gated.run)
    await settle()
    dispatcher.close()
    gated.go.set()
    assert (await gated.run.result()).content == "before after"


async def test_closing_a_receiver_ends_only_that_one() -> None:
    dispatcher = EventDispatcher()
    one, other = dispatcher.subscribe(), dispatcher.subscribe()
    waiting = asyncio.create_task(one.recv())
    await settle()
    one.close()
    one.close()
    with pytest.raises(ChannelClosed):
        await waiting
    dispatcher.attach(saying("a"))
    assert len(await to_the_end(other)) == 6


async def test_a_cancelled_recv_loses_no_event() -> None:
    dispatcher = EventDispatcher()
    receiver = dispatcher.subscribe()
    waiting = asyncio.create_task(receiver.recv())
    await settle()
    dispatcher.attach(saying("a"))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert [e.seq for e in await to_the_end(receiver)] == [1, 2, 3, 4, 5, 6]


async def test_tasks_that_share_a_receiver_share_its_events() -> None:
    dispatcher = EventDispatcher()
    receiver = dispatcher.subscribe()
    tasks = [asyncio.create_task(_all(receiver)) for _ in range(3)]
    await settle()
    dispatcher.attach(saying(*"abcdef"))
    await dispatcher.drain()
    dispatcher.close()
    shares = await asyncio.gather(*tasks)
    assert sorted(e.seq for share in shares for e in share) == list(range(1, 12))


async def test_attaching_a_run_twice_tells_it_once() -> None:
    dispatcher = EventDispatcher()
    receiver = dispatcher.subscribe()
    run = saying("a")
    dispatcher.attach(run)
    dispatcher.attach(run)
    await dispatcher.drain()
    dispatcher.close()
    assert [e.seq for e in await _all(receiver)] == [1, 2, 3, 4, 5, 6]


def test_attaching_needs_an_event_loop() -> None:
    with pytest.raises(UsageError, match="event loop"):
        EventDispatcher().attach(saying("a"))


def test_drain_with_nothing_to_wait_for_returns() -> None:
    asyncio.run(EventDispatcher().drain())
