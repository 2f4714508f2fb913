"""The channel: order, bounds, the end, cancels; and a run poured into one."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import BackpressureTimeout, ChannelClosed, RunFailed, UsageError
from headrace.events import Cancelled
from headrace.runs.writer import Writer
from headrace.testing.clock import run_with_fake_clock
from headrace.views.channel import Channel, pour
from tests.support.loop import leftovers, now
from tests.views.runs_of import Endless, cut_after, run_of, say, saying, settle


async def drained(channel: Channel[str]) -> list[str]:
    return [item async for item in channel]


async def test_items_come_in_order_and_the_end_after_them() -> None:
    channel: Channel[str] = Channel()
    for item in "abc":
        await channel.send(item)
    channel.close()
    assert channel.closed
    assert await drained(channel) == ["a", "b", "c"]
    with pytest.raises(ChannelClosed):
        await channel.receive()


async def test_closing_twice_is_harmless_and_the_first_error_stays() -> None:
    channel: Channel[str] = Channel()
    await channel.send("a")
    channel.close(ValueError("first"))
    channel.close(ValueError("second"))
    channel.close()
    items = aiter(channel)
    assert await anext(items) == "a"
    with pytest.raises(ValueError, match="first"):
        await anext(items)
    with pytest.raises(ValueError, match="first"):
        await channel.receive()


async def test_a_channel_error_given_to_close_is_not_taken_for_the_end() -> None:
    channel: Channel[str] = Channel()
    channel.close(ChannelClosed("upstream"))
    with pytest.raises(ChannelClosed, match="upstream"):
        await anext(channel)


async def test_sending_after_the_end_is_refused() -> None:
    channel: Channel[str] = Channel()
    channel.close()
    with pytest.raises(ChannelClosed):
        await channel.send("late")


def test_a_negative_capacity_is_refused() -> None:
    with pytest.raises(UsageError, match="-1"):
        Channel(-1)


async def test_a_full_channel_holds_the_sender_until_there_is_room() -> None:
    channel: Channel[str] = Channel(2)
    await channel.send("a")
    await channel.send("b")
    third = asyncio.create_task(channel.send("c"))
    await settle()
    assert not third.done()
    assert await channel.receive() == "a"
    await third
    assert [await channel.receive(), await channel.receive()] == ["b", "c"]


async def test_unbuffered_send_returns_once_the_item_was_taken() -> None:
    channel: Channel[str] = Channel(0)
    send = asyncio.create_task(channel.send("a"))
    await settle()
    assert not send.done()
    assert await channel.receive() == "a"
    await send
    receive = asyncio.create_task(channel.receive())
    await settle()
    await channel.send("b")
    assert await receive == "b"


def test_a_sender_that_waits_too_long_is_told_how_long_and_how_full() -> None:
    async def main() -> None:
        channel: Channel[str] = Channel(1, timeout=2.5)
        await channel.send("kept")
        with pytest.raises(BackpressureTimeout, match=r"2\.5 s .*capacity 1\."):
            await channel.send("lost")
        assert now() == 2.5
        channel.close()
        assert await drained(channel) == ["kept"]
        assert leftovers() == []

    run_with_fake_clock(main())


def test_without_a_timeout_a_sender_waits_for_ever() -> None:
    async def main() -> None:
        channel: Channel[str] = Channel(0, timeout=None)
        send = asyncio.create_task(channel.send("a"))
        await asyncio.sleep(1e6)
        assert not send.done()
        assert await channel.receive() == "a"
        await send

    run_with_fake_clock(main())


async def test_close_wakes_every_receiver_and_every_sender() -> None:
    empty: Channel[str] = Channel()
    receivers = [asyncio.create_task(drained(empty)) for _ in range(3)]
    full: Channel[str] = Channel(0)
    senders = [asyncio.create_task(full.send(item)) for item in "ab"]
    await settle()
    empty.close()
    full.close()
    assert await asyncio.gather(*receivers) == [[], [], []]
    ends = await asyncio.gather(*senders, return_exceptions=True)
    assert [type(end) for end in ends] == [ChannelClosed, ChannelClosed]
    assert await drained(full) == []


async def test_senders_and_receivers_are_served_in_the_order_they_came() -> None:
    channel: Channel[int] = Channel(0)
    senders = [asyncio.create_task(channel.send(i)) for i in range(5)]
    await settle()
    assert [await channel.receive() for _ in range(5)] == [0, 1, 2, 3, 4]
    await asyncio.gather(*senders)
    receivers = [asyncio.create_task(channel.receive()) for _ in range(5)]
    await settle()
    for i in range(5):
        await channel.send(i)
    assert await asyncio.gather(*receivers) == [0, 1, 2, 3, 4]


async def test_a_cancelled_send_leaves_nothing_behind() -> None:
    channel: Channel[str] = Channel(0)
    first = asyncio.create_task(channel.send("gone"))
    second = asyncio.create_task(channel.send("kept"))
    await settle()
    first.cancel()
    await settle()
    assert await channel.receive() == "kept"
    await second


async def test_a_cancelled_receive_loses_nothing_even_when_the_item_was_on_its_way() -> None:
    channel: Channel[str] = Channel()
    waits = asyncio.create_task(channel.receive())
    await settle()
    waits.cancel()
    await settle()
    receive = asyncio.create_task(channel.receive())
    await settle()
    await channel.send("a")  # handed to the receiver, which has not run yet
    receive.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receive
    assert await channel.receive() == "a"


@settings(deadline=None)
@given(
    capacity=st.integers(0, 3),
    senders=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    receivers=st.integers(1, 3),
    cancels=st.lists(st.integers(0, 30), max_size=6),
)
def test_nothing_is_lost_or_doubled_whoever_is_cancelled(
    capacity: int, senders: list[int], receivers: int, cancels: list[int]
) -> None:
    """Each receiver that is cancelled is replaced; each sender's items keep their order."""

    async def main() -> None:
        channel: Channel[tuple[int, int]] = Channel(capacity, timeout=None)
        got: list[tuple[int, int]] = []

        async def send(who: int, count: int) -> None:
            for i in range(count):
                await channel.send((who, i))

        async def receive() -> None:
            while True:
                got.append(await channel.receive())

        sending = [asyncio.create_task(send(who, n)) for who, n in enumerate(senders)]
        receiving = [asyncio.create_task(receive()) for _ in range(receivers)]
        for turn in range(31):
            for _ in range(cancels.count(turn)):
                receiving[0].cancel()
                receiving = [*receiving[1:], asyncio.create_task(receive())]
            await asyncio.sleep(0)
        await asyncio.gather(*sending)
        await settle()
        for task in receiving:
            task.cancel()
        await asyncio.gather(*receiving, return_exceptions=True)
        channel.close()
        got.extend([item async for item in channel])
        assert sorted(got) == [(who, i) for who, n in enumerate(senders) for i in range(n)]

    asyncio.run(main())


@pytest.mark.parametrize("capacity", [0, 1, 64])
@pytest.mark.parametrize("private", [False, True])
async def test_a_run_poured_into_a_channel_closes_it_and_gives_the_response(
    capacity: int, private: bool
) -> None:
    channel: Channel[str] = Channel(capacity)
    reader = asyncio.create_task(drained(channel))
    response = await pour(saying("Hello", " ", "world!", private=private), channel)
    assert channel.closed
    assert "".join(await reader) == response.content == "Hello world!"


async def test_a_failed_run_closes_the_channel_after_its_text_and_raises() -> None:
    channel: Channel[str] = Channel()
    with pytest.raises(RunFailed) as failed:
        await pour(cut_after("so ", "far"), channel)
    assert failed.value.code == "stream_truncated"
    assert await drained(channel) == ["so ", "far"]


def test_a_reader_that_stops_reading_ends_the_run_with_an_error() -> None:
    async def main() -> None:
        async def body(writer: Writer) -> None:
            say(writer, *"abcdefgh")
            await asyncio.sleep(1e6)

        run = run_of(body)
        channel: Channel[str] = Channel(4, timeout=5.0)
        pouring = asyncio.create_task(pour(run, channel))
        assert await channel.receive() == "a"
        with pytest.raises(BackpressureTimeout, match="5 s"):
            await pouring
        assert now() == 5.0
        assert await drained(channel) == ["b", "c", "d", "e"]
        assert run.snapshot().status == "cancelled"
        await settle()
        assert leftovers() == []

    run_with_fake_clock(main())


async def test_cancelling_the_pour_cancels_the_run_and_closes_the_channel() -> None:
    endless = Endless()
    channel: Channel[str] = Channel(0)
    pouring = asyncio.create_task(pour(endless.run, channel))
    assert await channel.receive() == "0 "
    pouring.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pouring
    assert channel.closed
    assert endless.stopped.is_set()


async def test_a_reader_that_closes_the_channel_ends_the_run() -> None:
    endless = Endless()
    channel: Channel[str] = Channel(0)
    pouring = asyncio.create_task(pour(endless.run, channel))
    await channel.receive()
    channel.close()
    with pytest.raises(ChannelClosed):
        await pouring
    end = await endless.run.cancel()
    assert isinstance(end, Cancelled)
    assert end.reason == "the channel's reader is gone"
