"""Background mode: reading on over another connection, and cancelling at the provider."""

from __future__ import annotations

import asyncio
import json
from statistics import median
from typing import Any

import pytest

from headrace.errors import DeadlineExceeded, ProviderError, StreamTruncated
from headrace.models.assembler import Turn, assemble
from headrace.models.deadlines import Deadlines
from headrace.models.deltas import Delta, Note, TextDelta
from headrace.models.request import ModelRequest
from headrace.models.retry import NO_RETRY, RetryPolicy
from headrace.models.stream import ModelStream
from headrace.providers.openai_responses.client import OpenAIResponses
from tests.providers.openai_responses.responses_bodies import (
    called,
    completed,
    created,
    failed,
    message,
    text,
)
from tests.support.loopback import FIN, RESET, STALL, Loopback, Script, reply, stream

ASK = ModelRequest.of("Hi")
CANCELLED = reply(200, {"id": "resp_1", "status": "cancelled"})


def numbered(*bodies: bytes) -> list[bytes]:
    """The events with sequence numbers from 0."""
    pieces = b"".join(bodies).split(b"\n\n")[:-1]
    return [
        piece.replace(b'{"type"', b'{"sequence_number": %d, "type"' % number) + b"\n\n"
        for number, piece in enumerate(pieces)
    ]


ANSWER = numbered(
    created(),  # 0
    text("a"),
    text("b"),
    text("c"),
    called("k", "f", '{"x":1}', 1),  # 4 to 7
    completed(message("abc")),  # 8
)


def model(server: Loopback, **settings: Any) -> OpenAIResponses:
    settings = {"retry": RetryPolicy(0, base=0.0), "base_url": server.url, **settings}
    return OpenAIResponses("m", provider="acme", background=True, **settings)


async def into(deltas: list[Delta], stream: ModelStream) -> None:
    async with stream as batches:
        async for batch in batches:
            deltas += batch


async def first_text(stream: ModelStream) -> None:
    async for batch in stream:
        if TextDelta("a") in batch:
            return


async def read(server: Loopback, **settings: Any) -> tuple[Turn, list[Note]]:
    deltas: list[Delta] = []
    await into(deltas, model(server, **settings).stream(ASK))
    return assemble(deltas), [delta for delta in deltas if isinstance(delta, Note)]


async def failure(server: Loopback, **settings: Any) -> tuple[ProviderError, Turn]:
    with pytest.raises(ProviderError) as caught:
        await model(server, **settings).complete(ASK)
    assert isinstance(caught.value.turn, Turn)
    return caught.value, caught.value.turn


def asked(server: Loopback) -> list[str]:
    return [f"{request.method} {request.target}" for request in server.requests]


def after(number: int) -> str:
    return f"GET /v1/responses/resp_1?stream=true&starting_after={number}"


CANCEL = "POST /v1/responses/resp_1/cancel"


def whole(turn: Turn) -> bool:
    calls = [(call.id, call.name, call.arguments) for call in turn.tool_calls]
    return (turn.text, calls, turn.finish_reason) == ("abc", [("k", "f", '{"x":1}')], "tool_calls")


# --- reading on -------------------------------------------------------------------------------


async def test_without_a_break_it_is_one_request() -> None:
    async with Loopback(stream(*ANSWER)) as server:
        turn, notes = await read(server)
    assert whole(turn)
    assert notes == []
    assert asked(server) == ["POST /v1/responses"]
    sent = json.loads(server.requests[0].body)
    assert (sent["background"], sent["store"], sent["stream"]) == (True, True, True)


@pytest.mark.parametrize("end", [FIN, RESET, None])
@pytest.mark.parametrize("cut", range(1, len(ANSWER)))
async def test_a_break_anywhere_leaves_no_seam(cut: int, end: object) -> None:
    broken = stream(*ANSWER[:cut], ANSWER[cut][:-9], 0.005, end=end)
    async with Loopback(broken, stream(*ANSWER[cut:])) as server:
        turn, notes = await read(server)
    assert whole(turn)
    assert [note.code for note in notes] == ["reconnect"]
    assert asked(server) == ["POST /v1/responses", after(cut - 1)]


async def test_it_may_break_again_and_again() -> None:
    pieces = [stream(piece, end=FIN) for piece in ANSWER[:-1]]
    async with Loopback(*pieces, stream(ANSWER[-1])) as server:
        turn, notes = await read(server, reconnects=8)
    assert whole(turn)
    assert len(notes) == 8
    assert asked(server)[1:] == [after(number) for number in range(8)]


async def test_events_that_are_sent_again_count_once() -> None:
    async with Loopback(stream(*ANSWER[:6], end=FIN), stream(*ANSWER)) as server:
        turn, _ = await read(server)
    assert whole(turn)


async def test_a_reconnect_that_fails_is_tried_again() -> None:
    first = stream(*ANSWER[:3], end=RESET)
    refusals = [reply(503, b""), [FIN], reply(429, b"", headers={"retry-after-ms": "1"})]
    async with Loopback(first, *refusals, stream(*ANSWER[3:])) as server:
        turn, _ = await read(server)
    assert whole(turn)
    assert asked(server)[1:] == [after(2)] * 4


@pytest.mark.parametrize("reconnects", [0, 1, 3])
async def test_the_number_of_reconnects_is_bounded(reconnects: int) -> None:
    first = stream(*ANSWER[:3], end=FIN)
    retries = [stream(end=FIN)] * reconnects
    async with Loopback(first, *retries, CANCELLED) as server:
        error, turn = await failure(server, reconnects=reconnects)
    assert isinstance(error, StreamTruncated)
    assert turn.text == "ab"
    assert asked(server)[1:] == [after(2)] * reconnects + [CANCEL]


async def test_an_answer_that_can_no_longer_be_read_is_truncated_and_says_why() -> None:
    told = {"error": {"message": "more than 5 minutes old", "type": "invalid_request_error"}}
    async with Loopback(stream(*ANSWER[:3], end=FIN), reply(400, told), CANCELLED) as server:
        batches = model(server).stream(ASK)
        deltas: list[Delta] = []
        with pytest.raises(StreamTruncated):
            await into(deltas, batches)
    (note,) = [delta for delta in deltas if isinstance(delta, Note)]
    assert "more than 5 minutes old" in note.message
    assert assemble(deltas).text == "ab"
    assert asked(server)[1:] == [after(2), CANCEL]


@pytest.mark.parametrize(
    "begun",
    [
        [],
        [created().replace(b"resp_1", b"../models")],
        [created().replace(b"resp_1", b""), text("a")],
    ],
)
async def test_without_an_id_that_fits_a_path_nothing_is_asked(begun: list[bytes]) -> None:
    async with Loopback(stream(*begun, end=FIN)) as server:
        error, _ = await failure(server)
    assert isinstance(error, StreamTruncated)
    assert asked(server) == ["POST /v1/responses"]


async def test_without_numbers_there_is_no_place_to_read_on_from() -> None:
    async with Loopback(stream(created(), text("a"), end=FIN), CANCELLED) as server:
        error, turn = await failure(server)
    assert isinstance(error, StreamTruncated)
    assert turn.text == "a"
    assert asked(server) == ["POST /v1/responses", CANCEL]


async def test_a_failure_that_the_provider_tells_is_final() -> None:
    async with Loopback(stream(*ANSWER[:3], failed({"message": "Too hot"}))) as server:
        error, turn = await failure(server)
    assert "Too hot" in error.message
    assert turn.text == "ab"
    assert asked(server) == ["POST /v1/responses"]


async def test_the_gap_runs_on_over_reconnects() -> None:
    stalled = stream(*ANSWER[:3], end=FIN), [STALL], CANCELLED
    async with Loopback(*stalled) as server:
        error, _ = await failure(server, deadlines=Deadlines(gap=0.1))
        await server.asked(3)
    assert isinstance(error, DeadlineExceeded)
    assert asked(server)[1:] == [after(2), CANCEL]


async def test_before_any_content_the_usual_retry_asks_anew_when_it_cannot_be_read_on() -> None:
    gone = reply(404, {"error": {"message": "no such response"}})
    scripts: list[Script] = [stream(ANSWER[0], end=FIN), gone, CANCELLED, stream(*ANSWER)]
    async with Loopback(*scripts) as server:
        turn, _ = await read(server, retry=RetryPolicy(1, base=0.0))
    assert whole(turn)
    assert asked(server) == ["POST /v1/responses", after(0), CANCEL, "POST /v1/responses"]


# --- cancelling -------------------------------------------------------------------------------


async def test_leaving_closes_the_socket_and_cancels_at_the_provider() -> None:
    loop = asyncio.get_running_loop()
    late = []
    for _ in range(5):
        async with Loopback(stream(*ANSWER[:2], end=STALL), CANCELLED) as server:
            async with model(server, api_key="canary-0123456789").stream(ASK) as batches:
                await first_text(batches)
                left = loop.time()
            late.append(await server.closed(0) - left)
        assert asked(server) == ["POST /v1/responses", CANCEL]
        assert server.requests[1].headers["authorization"] == "Bearer canary-0123456789"
        assert server.requests[1].body == b""
    assert median(late) < 0.25  # one of them may fall into a pause of the machine


async def test_a_cancelled_task_cancels_at_the_provider() -> None:
    begun = asyncio.Event()
    async with Loopback(stream(*ANSWER[:2], end=STALL), CANCELLED) as server:
        told = model(server).stream(ASK, lambda _: begun.set())
        task = asyncio.ensure_future(told)
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.closed(0)
        assert asked(server) == ["POST /v1/responses", CANCEL]


async def test_a_closer_that_is_cancelled_does_not_keep_the_cancel_from_the_provider() -> None:
    answered = asyncio.Event()
    async with Loopback(stream(*ANSWER[:2], end=STALL), [answered, *CANCELLED]) as server:
        attempt = await model(server).open(ASK)
        while TextDelta("a") not in await attempt.read():
            pass
        closing = asyncio.create_task(attempt.close())
        await asyncio.sleep(0)  # one step: it waits now, and nothing has been sent yet
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await server.asked(2)
        answered.set()
    assert asked(server) == ["POST /v1/responses", CANCEL]


@pytest.mark.parametrize("script", [[STALL], [FIN], reply(500, b""), reply(404, {"error": "gone"})])
async def test_a_cancel_that_the_provider_does_not_take_is_given_up(script: Script) -> None:
    async with Loopback(stream(*ANSWER[:2], end=STALL), script) as server:
        begin = asyncio.get_running_loop().time()
        async with model(server, cancel_wait=0.1).stream(ASK) as batches:
            await first_text(batches)
        assert asyncio.get_running_loop().time() - begin < 2
    assert asked(server)[-1] == CANCEL


async def test_after_the_end_nothing_is_cancelled() -> None:
    async with Loopback(stream(*ANSWER)) as server:
        await read(server, retry=NO_RETRY)
    assert asked(server) == ["POST /v1/responses"]


async def test_closing_twice_cancels_once() -> None:
    async with Loopback(stream(*ANSWER[:2], end=STALL), CANCELLED) as server:
        attempt = await model(server).open(ASK)
        while not await attempt.read():
            pass
        await attempt.close()
        await attempt.close()
    assert asked(server) == ["POST /v1/responses", CANCEL]
