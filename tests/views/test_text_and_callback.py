"""A run as pieces of text, and as calls."""

from __future__ import annotations

import asyncio

import pytest

from headrace.errors import RunCancelled, RunFailed
from headrace.events import Cancelled
from headrace.runs.writer import Writer
from headrace.testing.clock import run_with_fake_clock
from headrace.views.callback import call_back
from headrace.views.text import INTERRUPTED, text
from tests.support.loop import leftovers
from tests.views.runs_of import Endless, cut_after, run_of, say, say_below, saying, settle


async def test_text_gives_the_root_agents_pieces() -> None:
    async def body(writer: Writer) -> None:
        say(writer, "Hello", " ")
        say_below(writer, "helper", "not this")
        say(writer, "world!")

    assert [piece async for piece in text(run_of(body))] == ["Hello", " ", "world!"]


async def test_a_cut_run_raises_after_its_text() -> None:
    pieces = text(cut_after("so ", "far"))
    assert [await anext(pieces), await anext(pieces)] == ["so ", "far"]
    with pytest.raises(RunFailed) as failed:
        await anext(pieces)
    assert failed.value.partial == "so far"


async def test_a_cut_run_can_be_marked_instead() -> None:
    got = [piece async for piece in text(cut_after("so ", "far"), on_error="mark")]
    assert "".join(got) == "so far\n[Error: Stream interrupted]"
    assert got[-1] == INTERRUPTED


async def test_a_cancelled_run_is_marked_too() -> None:
    endless = Endless()
    got = []
    async for piece in text(endless.run, on_error="mark"):
        got.append(piece)
        if len(got) == 3:
            await endless.run.cancel("enough")
    assert got[:3] == ["0 ", "1 ", "2 "]
    assert got[-1] == INTERRUPTED


async def test_a_cancelled_run_raises_after_what_it_had_said() -> None:
    endless = Endless()
    pieces = text(endless.run)
    await anext(pieces)
    await endless.run.cancel("enough")
    with pytest.raises(RunCancelled, match="enough") as cancelled:
        async for _ in pieces:
            pass
    assert cancelled.value.partial.startswith("0 ")


async def test_a_run_that_ends_well_has_no_mark() -> None:
    assert "".join([p async for p in text(saying("fine"), on_error="mark")]) == "fine"


def test_abandoning_the_text_cancels_the_run() -> None:
    async def main() -> None:
        endless = Endless()
        pieces = text(endless.run)
        assert await anext(pieces) == "0 "
        await pieces.aclose()
        assert endless.stopped.is_set()
        assert isinstance(await endless.run.cancel(), Cancelled)
        await settle()
        assert leftovers() == []

    run_with_fake_clock(main())


@pytest.mark.parametrize("private", [False, True])
async def test_the_callback_gets_every_piece_and_the_caller_the_response(private: bool) -> None:
    got: list[str] = []
    response = await call_back(saying("Hello", " world!", private=private), got.append)
    assert got == ["Hello", " world!"]
    assert (response.content, response.finish_reason) == ("Hello world!", "stop")


async def test_an_async_callback_is_awaited_before_the_next_piece() -> None:
    got: list[str] = []

    async def take(piece: str) -> None:
        got.append("<")
        await asyncio.sleep(0)
        got.append(piece + ">")

    await call_back(saying("a", "b"), take)
    assert "".join(got) == "<a><b>"


async def test_what_the_callback_raises_stops_the_run_and_comes_out_unchanged() -> None:
    endless = Endless()
    error = ValueError("enough")

    def take(piece: str) -> None:
        if piece == "3 ":
            raise error

    with pytest.raises(ValueError, match="enough") as raised:
        await call_back(endless.run, take)
    assert raised.value is error
    assert endless.stopped.is_set()
    end = await endless.run.cancel()
    assert isinstance(end, Cancelled)
    assert end.reason == "callback failed"
    assert end.receipt.content.startswith("0 1 2 3 ")


async def test_cancelling_the_caller_of_the_callback_cancels_the_run() -> None:
    endless = Endless()
    first = asyncio.Event()
    calling = asyncio.create_task(call_back(endless.run, lambda _: first.set()))
    await first.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert endless.stopped.is_set()


async def test_a_failed_run_comes_out_of_the_callback_view_after_its_text() -> None:
    got: list[str] = []
    with pytest.raises(RunFailed):
        await call_back(cut_after("so ", "far"), got.append)
    assert got == ["so ", "far"]
