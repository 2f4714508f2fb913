"""One model call: retried before its first content, never after; closed once, from every state."""

from __future__ import annotations

import asyncio

import pytest

from headrace.errors import (
    AuthenticationFailed,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    StreamTruncated,
    UsageError,
)
from headrace.messages import Opaque
from headrace.models.deltas import (
    Delta,
    Failure,
    Note,
    OpaqueDelta,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    UsageDelta,
)
from headrace.models.request import ModelRequest, Options
from headrace.models.retry import NO_RETRY, RetryPolicy
from headrace.models.stream import ModelStream, truncated
from headrace.testing.clock import run_with_fake_clock
from headrace.usage import Usage
from tests.support.fake_model import ASK, AT_ONCE, CUT, REFUSED, STOP, FakeModel, Try, text
from tests.support.loop import leftovers, now

BUSY = ProviderUnavailable("fake: busy.")
USED = UsageDelta(Usage(3, 0))


def stream(*tries: Try | ProviderError, retry: RetryPolicy = AT_ONCE) -> ModelStream:
    return FakeModel(*tries, retry=retry).stream(ASK)


async def read(batches: ModelStream) -> tuple[list[list[Delta]], BaseException | None]:
    got: list[list[Delta]] = []
    try:
        async with batches:
            async for batch in batches:
                got.append(batch)
    except ProviderError as error:
        return got, error
    finally:
        assert not leftovers()
    return got, None


async def read_all(batches: ModelStream) -> list[list[Delta]]:
    async with batches:
        return [batch async for batch in batches]


def words(got: list[list[Delta]]) -> str:
    return "".join(d.content for batch in got for d in batch if isinstance(d, TextDelta))


async def test_a_plain_answer() -> None:
    one = Try(text("He"), [], text("l", "lo"), [TextDelta("!"), STOP], text("never"))
    got, error = await read(stream(one))
    assert error is None
    assert got == [text("He"), text("l", "lo"), [TextDelta("!"), STOP]]
    assert one.closes == 1


async def test_the_connection_is_closed_with_the_finish_not_later() -> None:
    one = Try([TextDelta("a"), STOP])
    batches = stream(one)
    assert await anext(batches) == [TextDelta("a"), STOP]
    assert one.closed
    for _ in range(2):
        with pytest.raises(StopAsyncIteration):
            await anext(batches)
    assert not leftovers()


@pytest.mark.parametrize(
    "lost",
    [
        BUSY,
        Try(BUSY),
        Try([Failure(BUSY)]),
        Try([], [], [Failure(BUSY)]),
        Try([USED], BUSY),
        Try([USED, Failure(BUSY)]),
    ],
    ids=["refused", "broken", "failed", "silent", "broken after usage", "failed after usage"],
)
async def test_a_try_without_content_is_retried_and_says_so(lost: Try | ProviderError) -> None:
    got, error = await read(stream(lost, Try(text("ok"), [STOP])))
    assert error is None
    notes = [d for batch in got for d in batch if isinstance(d, Note)]
    assert [note.code for note in notes] == ["retry"]
    assert notes[0].message == "fake: busy. Asking again in 0.0 s."
    assert words(got) == "ok"
    assert isinstance(lost, ProviderError) or lost.closes == 1


async def test_notes_that_came_with_a_failure_are_kept() -> None:
    note = Note("fallback", "Another model answers.")
    got, _ = await read(stream(Try([note, USED, Failure(BUSY)]), Try([STOP])))
    assert got[0][0] == note
    assert [type(delta) for delta in got[0]] == [Note, Note]


async def test_each_retry_is_announced_and_the_last_error_comes_out() -> None:
    last = Try([USED, Failure(CUT)])
    got, error = await read(stream(REFUSED, Try(BUSY), last))
    assert error is CUT
    assert [type(d) for batch in got for d in batch] == [Note, Note, UsageDelta]


async def test_without_retries_the_first_error_comes_out() -> None:
    assert await read(stream(REFUSED, retry=NO_RETRY)) == ([], REFUSED)


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationFailed("x"),
        RateLimited("x", retryable=False),
        RateLimited("x", retry_after=61),
    ],
    ids=["key", "quota", "a long wait"],
)
async def test_what_cannot_pass_is_not_retried(error: ProviderError) -> None:
    assert await read(stream(error, Try(text("never"), [STOP]))) == ([], error)


CONTENT = [
    TextDelta("a"),
    ReasoningDelta("a"),
    ToolCallDelta(0, "c", "look", "{"),
    OpaqueDelta(Opaque("fake", "{}")),
]


@pytest.mark.parametrize("content", CONTENT, ids=lambda delta: type(delta).__name__)
@pytest.mark.parametrize("how", ["raised", "failed", "failed in the same batch"])
async def test_after_content_nothing_is_retried(content: Delta, how: str) -> None:
    scripts: dict[str, Try] = {
        "raised": Try([content], CUT),
        "failed": Try([content], [Failure(CUT)]),
        "failed in the same batch": Try([content, Failure(CUT)]),
    }
    one = scripts[how]
    assert await read(stream(one, Try([content], [STOP]))) == ([[content]], CUT)
    assert one.closes == 1


async def test_after_an_error_there_is_nothing() -> None:
    batches = stream(Try([TextDelta("a"), Failure(CUT)]))
    assert await anext(batches) == text("a")
    with pytest.raises(StreamTruncated):
        await anext(batches)
    with pytest.raises(StopAsyncIteration):
        await anext(batches)


async def test_other_exceptions_come_out_as_they_are_and_close() -> None:
    one = Try(text("a"), UsageError("This model has no eyes."))
    batches = stream(one)
    assert await anext(batches) == text("a")
    with pytest.raises(UsageError):
        await anext(batches)
    await batches.aclose()
    assert one.closes == 1
    assert not leftovers()


def test_the_wait_that_the_provider_told_is_kept() -> None:
    async def main() -> None:
        got, error = await read(stream(RateLimited("fake: busy.", retry_after=7), Try([STOP])))
        assert error is None
        assert got[0] == [Note("retry", "fake: busy. Asking again in 7.0 s.")]
        assert now() == 7.0

    run_with_fake_clock(main())


async def test_closing_before_the_first_read_asks_nothing() -> None:
    model = FakeModel(Try(text("never")))
    batches = model.stream(ASK)
    await batches.aclose()
    assert [batch async for batch in batches] == []
    assert model.requests == []


async def test_closing_between_two_batches_closes_at_once() -> None:
    one = Try(text("a"), text("b"))
    batches = stream(one)
    await anext(batches)
    await batches.aclose()
    assert one.closes == 1
    assert [batch async for batch in batches] == []
    await batches.aclose()
    assert (one.closes, leftovers()) == (1, [])


async def test_closing_with_a_failure_to_come_gives_nothing_more() -> None:
    batches = stream(Try([TextDelta("a"), Failure(CUT)]))
    await anext(batches)
    await batches.aclose()
    assert [batch async for batch in batches] == []


async def test_closing_while_a_retry_is_announced_ends_it() -> None:
    batches = stream(REFUSED, Try(text("never")))
    assert isinstance((await anext(batches))[0], Note)
    await batches.aclose()
    assert [batch async for batch in batches] == []


def test_closing_from_elsewhere_while_it_is_opened() -> None:
    async def main() -> None:
        one = Try(text("never"), open_takes=1)
        batches = stream(one)
        reader = asyncio.create_task(read_all(batches))
        await asyncio.sleep(0.5)
        await batches.aclose()
        assert await reader == []
        assert one.closed
        assert not leftovers()

    run_with_fake_clock(main())


@pytest.mark.parametrize("script", [[], [1e3, [TextDelta("b")]]], ids=["silent", "slow"])
def test_a_cancel_while_reading_closes(script: list[float | list[Delta]]) -> None:
    async def main() -> None:
        one = Try(text("a"), *script)
        task = asyncio.create_task(read_all(stream(one)))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert (one.closes, leftovers()) == (1, [])

    run_with_fake_clock(main())


async def test_the_request_takes_the_models_options_where_it_says_nothing() -> None:
    model = FakeModel(Try([STOP]), options=Options.of(temperature=1, seed=4))
    async with model.stream(ModelRequest.of("Hi", temperature=0)) as batches:
        async for _ in batches:
            pass
    assert model.requests[0].options == Options.of(temperature=0, seed=4)


def test_the_error_of_a_cut_stream() -> None:
    error = truncated("openai")
    assert (error.provider, error.code, error.retryable) == ("openai", "stream_truncated", True)
    assert "ended before the answer did" in str(error)
