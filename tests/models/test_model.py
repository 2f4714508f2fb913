"""What `BaseModel` makes of a stream: a callback, a turn, chunks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import time
from typing import Any

import pytest

from headrace.errors import ProviderError, StreamTruncated, UnknownOption
from headrace.messages import Message, ToolCall
from headrace.models.assembler import Turn
from headrace.models.chunk import StreamChunk
from headrace.models.deltas import Delta, Failure, Finish, ToolCallDelta, UsageDelta
from headrace.models.model import Model
from headrace.models.request import ToolSpec
from headrace.testing.clock import run_with_fake_clock
from headrace.usage import Usage
from tests.support.fake_model import ASK, CUT, REFUSED, STOP, FakeModel, Try, text
from tests.support.loop import leftovers

CALL = ToolCallDelta(0, "c1", "look", '{"x": 1}')
ANSWER: list[list[Delta]] = [text("Hel"), [], text("l", "o"), [UsageDelta(Usage(3, 2)), STOP]]


def test_it_is_a_model_and_says_its_name() -> None:
    model = FakeModel()
    assert isinstance(model, Model)
    assert model.name == "fake:one"
    assert repr(model) == "<FakeModel fake:one>"
    model.model = ""
    assert model.name == "fake"


async def test_complete_gives_the_turn() -> None:
    one = Try(*ANSWER)
    turn = await FakeModel(one).complete(ASK)
    assert (turn.text, turn.finish_reason, turn.usage) == ("Hello", "stop", Usage(3, 2))
    assert turn.message == Message.assistant("Hello")
    assert (one.closes, leftovers()) == (1, [])


async def test_a_failure_keeps_the_turn_so_far() -> None:
    one = Try(text("Hel"), [CALL, Failure(StreamTruncated("cut"))])
    with pytest.raises(StreamTruncated) as caught:
        await FakeModel(one).complete(ASK)
    turn = caught.value.turn
    assert isinstance(turn, Turn)
    assert (turn.text, turn.finish_reason, turn.error) == ("Hel", "error", caught.value)
    assert turn.tool_calls == (ToolCall("c1", "look", '{"x": 1}'),)
    assert one.closes == 1


async def test_a_refusal_has_an_empty_turn() -> None:
    with pytest.raises(ProviderError) as caught:
        await FakeModel(REFUSED, REFUSED, REFUSED).complete(ASK)
    turn = caught.value.turn
    assert isinstance(turn, Turn)
    assert (turn.text, turn.usage, turn.finish_reason) == ("", None, "error")


async def test_a_callback_gets_each_piece_and_the_caller_the_turn() -> None:
    pieces: list[str] = []
    turn = await FakeModel(Try(*ANSWER)).stream(ASK, pieces.append)
    assert pieces == ["Hel", "l", "o"]
    assert turn.text == "Hello"


async def test_an_async_callback_is_awaited_piece_by_piece() -> None:
    pieces: list[str] = []

    async def take(piece: str) -> None:
        pieces.append(f"<{piece}")
        await asyncio.sleep(0)
        pieces.append(">")

    await FakeModel(Try(*ANSWER)).stream(ASK, take)
    assert "".join(pieces) == "<Hel><l><o>"


class Enough(Exception):
    """What a callback raises to stop."""


def stop_sync(piece: str) -> None:
    raise Enough(piece)


async def stop_async(piece: str) -> None:
    await asyncio.sleep(0)
    raise Enough(piece)


@pytest.mark.parametrize("on_chunk", [stop_sync, stop_async])
async def test_what_a_callback_raises_stops_the_stream(on_chunk: Callable[[str], Any]) -> None:
    one = Try(*ANSWER)
    with pytest.raises(Enough, match="Hel"):
        await FakeModel(one).stream(ASK, on_chunk)
    assert (one.closes, leftovers()) == (1, [])


def test_a_cancel_closes_a_completion() -> None:
    async def main() -> None:
        one = Try(text("a"))
        task = asyncio.create_task(FakeModel(one).complete(ASK))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert (one.closes, leftovers()) == (1, [])

    run_with_fake_clock(main())


async def chunks_of(*tries: Try) -> list[StreamChunk]:
    return [chunk async for chunk in FakeModel(*tries).complete_stream("Hi", temperature=0)]


async def test_chunks_count_and_only_the_last_is_final() -> None:
    before = time()
    chunks = await chunks_of(Try(*ANSWER))
    assert [chunk.content for chunk in chunks] == ["Hel", "l", "o", ""]
    assert [chunk.delta for chunk in chunks] == ["Hel", "l", "o", ""]
    assert [chunk.index for chunk in chunks] == [0, 1, 2, 3]
    assert [chunk.is_final for chunk in chunks] == [False, False, False, True]
    assert [chunk.finish_reason for chunk in chunks] == [None, None, None, "stop"]
    stamps = [before, *(chunk.timestamp for chunk in chunks), time()]
    assert stamps == sorted(stamps)
    assert [chunk.metadata for chunk in chunks[:3]] == [None] * 3
    assert chunks[-1].metadata == {"model": "fake:one", "usage": Usage(3, 2), "tokens": 5}


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ([[Finish("length")]], "length"),
        ([[Finish("content_filter")]], "content_filter"),
        ([[CALL], [STOP]], "tool_calls"),
    ],
)
async def test_the_final_chunk_knows_the_reason(script: list[list[Delta]], reason: str) -> None:
    final = (await chunks_of(Try(*script)))[-1]
    assert (final.finish_reason, final.is_final) == (reason, True)
    assert final.metadata == {"model": "fake:one", "usage": None, "tokens": None}


async def test_an_error_comes_out_of_the_iteration_after_the_text() -> None:
    one = Try(text("a"), CUT)
    stream = FakeModel(one).chat_stream("Hi")
    chunks = [await anext(stream)]
    with pytest.raises(StreamTruncated):
        await anext(stream)
    assert [(chunk.content, chunk.is_final) for chunk in chunks] == [("a", False)]
    assert one.closes == 1


async def test_leaving_chunks_early_closes() -> None:
    one = Try(*ANSWER)
    chunks = FakeModel(one).chat_stream("Hi")
    async for chunk in chunks:
        assert chunk.content == "Hel"
        break
    await chunks.aclose()
    assert (one.closes, leftovers()) == (1, [])


async def test_forgotten_chunks_are_closed_by_the_loop() -> None:
    one = Try(*ANSWER)
    chunks = FakeModel(one).chat_stream("Hi")
    await anext(chunks)
    del chunks
    await one.closing.wait()  # asyncio closes a generator that nobody holds any more
    await asyncio.sleep(0)
    assert leftovers() == []


async def test_a_chat_takes_a_conversation_tools_and_options() -> None:
    model = FakeModel(Try([STOP]))
    conversation = [Message.user("a"), Message.assistant("b"), Message.user("c")]
    tool = ToolSpec("look", "Looks.", {"type": "object"})
    async for _ in model.chat_stream(conversation, tools=[tool], seed=3):
        pass
    (request,) = model.requests
    assert request.messages == tuple(conversation)
    assert (request.tools, request.options.seed) == ((tool,), 3)


async def test_an_unknown_option_of_a_chat_is_refused_before_anything_is_sent() -> None:
    model = FakeModel(Try([STOP]))
    with pytest.raises(UnknownOption):
        await anext(model.chat_stream("Hi", temprature=1))
    assert model.requests == []
