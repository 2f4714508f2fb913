"""A run: its first event, its one end, what its callers get."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from headrace.errors import (
    LogConflict,
    ProviderError,
    RateLimited,
    RunCancelled,
    RunFailed,
    UsageError,
)
from headrace.events import Answer, Cancelled, Complete, Error, Event, RunStart, Token
from headrace.messages import Message
from headrace.runs.run import Outcome, Run, new_run_id
from headrace.runs.writer import Writer
from headrace.testing.clock import run_with_fake_clock
from headrace.testing.laws import check_events
from headrace.usage import Usage
from tests.support.drivers import DONE, begin_step, for_ever, hello, open_ended, run_of, say
from tests.support.loop import leftovers


async def log_of(run: Run) -> list[Event]:
    """All events of a run, checked against the laws; nothing is left in the loop."""
    events = [event async for event in run.events()]
    await asyncio.sleep(0)
    check_events(events)
    assert run.ended
    assert not leftovers()
    return events


async def test_a_good_run() -> None:
    run = run_of(hello)
    events = await log_of(run)
    types = [type(event).__name__ for event in events]
    assert types == ["RunStart", "StepStart", "Token", "Token", "StepEnd", "Answer", "Complete"]
    first, answer, last = events[0], events[-2], events[-1]
    assert isinstance(first, RunStart)
    assert (first.run_id, first.agent_name, first.model) == (run.id, "bot", "scripted:one")
    assert isinstance(answer, Answer)
    assert answer.content == "Hello"
    assert isinstance(last, Complete)
    assert (last.finish_reason, last.usage, last.output) == ("stop", Usage(3, 2), None)
    assert (last.metrics.chunks, last.metrics.chars) == (2, 5)
    assert last.metrics.tokens_per_second == 2.0
    assert last.metrics.time_to_first_token_ms is not None
    assert 0 <= last.metrics.time_to_first_token_ms <= last.metrics.duration_ms


@pytest.mark.parametrize("private", [False, True])
async def test_its_result(private: bool) -> None:
    run = run_of(hello, private=private)
    response = await run.result()
    assert (response.content, response.output, str(response)) == ("Hello", "Hello", "Hello")
    assert (response.finish_reason, response.usage) == ("stop", Usage(3, 2))
    assert response.messages == (Message.user("Hi"), Message.assistant("Hello"))
    assert (response.run_id, response.model) == (run.id, "scripted:one")
    assert response.metrics == run.check().metrics
    assert await run.result() == response


async def test_a_structured_output_is_the_results() -> None:
    async def driver(writer: Writer) -> Outcome:
        return Outcome("stop", (), output={"a": 1})

    assert (await run_of(driver).result()).output == {"a": 1}


async def test_its_text() -> None:
    assert [piece async for piece in run_of(hello).text()] == ["Hel", "lo"]


async def test_the_text_is_the_root_agents() -> None:
    async def driver(writer: Writer) -> Outcome:
        writer.put(Token, "helper", "theirs", 0)
        say(writer, "mine")
        return DONE

    run = run_of(driver)
    assert [piece async for piece in run.text()] == ["mine"]
    assert (await run.result()).content == "mine"


async def test_every_cursor_sees_the_same_and_later_ones_too() -> None:
    run = run_of(hello)
    first, second = await asyncio.gather(log_list(run), log_list(run))
    assert first == second == await log_list(run)
    assert [e.seq for batch in [b async for b in run.batches(4)] for e in batch] == [5, 6, 7]


async def log_list(run: Run) -> list[Event]:
    return [event async for event in run.events()]


async def test_its_snapshot() -> None:
    run = run_of(open_ended(for_ever))
    run.begin()
    await asyncio.sleep(0)
    state = run.snapshot()
    assert (state.text, state.status, state.run_id) == ("so f", "running", run.id)
    await run.cancel()
    assert run.snapshot().status == "cancelled"
    assert state.status == "running"


async def test_a_private_run_has_no_snapshot() -> None:
    run = run_of(hello, private=True)
    await run.result()
    with pytest.raises(UsageError, match="keeps no log"):
        run.snapshot()


class OddError(Exception):
    """Nothing that Headrace knows."""


ERRORS = [
    (RateLimited("Too many.", hint="Wait."), "rate_limited", "Too many. Wait.", True),
    (ProviderError("Broke."), "provider_error", "Broke.", False),
    (OddError("what?"), "internal", "OddError: what?", False),
    (TimeoutError("a tool's own"), "internal", "TimeoutError: a tool's own", False),
    (RunFailed("gap", "The helper failed."), "gap", "The helper failed.", False),
    (ExceptionGroup("two", [OddError("x")]), "internal", "ExceptionGroup: two (1 sub-exc", False),
]


@pytest.mark.parametrize(("error", "code", "words", "retryable"), ERRORS, ids=lambda v: str(v)[:9])
async def test_whatever_its_driver_raises_is_its_one_end(
    error: Exception, code: str, words: str, retryable: bool
) -> None:
    async def act(_: Writer) -> None:
        raise error

    run = run_of(open_ended(act))
    end = (await log_of(run))[-1]
    assert isinstance(end, Error)
    assert (end.code, end.retryable) == (code, retryable)
    assert end.message.startswith(words)
    assert end.usage == Usage(exact=False)
    assert end.metrics.chunks == 1
    for ask in (run.result(), read_text(run)):
        failed = await failure(ask)
        assert (failed.code, failed.retryable, failed.partial) == (code, retryable, "so f")
        assert (failed.__cause__, failed.run_id) == (error, run.id)


async def failure(ask: Coroutine[Any, Any, Any]) -> RunFailed:
    with pytest.raises(RunFailed) as caught:
        await ask
    return caught.value


async def read_text(run: Run) -> list[str]:
    return [piece async for piece in run.text()]


async def test_text_comes_before_the_error() -> None:
    async def act(_: Writer) -> None:
        raise OddError

    text = run_of(open_ended(act)).text()
    assert await anext(text) == "so f"
    with pytest.raises(RunFailed):
        await anext(text)


async def test_what_a_good_driver_left_open_is_closed() -> None:
    async def act(_: Writer) -> None:
        pass

    events = await log_of(run_of(open_ended(act)))
    assert [type(event).__name__ for event in events[-4:]] == [
        *("ToolEnd", "StepEnd", "Answer", "Complete"),
    ]


async def test_before_its_end_it_has_no_result() -> None:
    with pytest.raises(UsageError, match="not ended"):
        run_of(hello).check()


async def test_a_cancelled_run_says_what_there_was() -> None:
    run = run_of(open_ended(for_ever))
    async with run:
        await asyncio.sleep(0)
        await run.cancel("user pressed stop")
    for ask in (run.result(), read_text(run)):
        with pytest.raises(RunCancelled, match="user pressed stop") as caught:
            await ask
        assert (caught.value.partial, caught.value.run_id) == ("so f", run.id)


async def test_after_the_end_no_one_writes() -> None:
    kept: list[Writer] = []

    async def driver(writer: Writer) -> Outcome:
        kept.append(writer)
        return DONE

    await run_of(driver).result()
    with pytest.raises(LogConflict):
        say(kept[0], "late")


async def test_a_full_log_ends_with_an_error_and_its_pairs() -> None:
    async def act(writer: Writer) -> None:
        while True:
            say(writer, "x" * 1024 * 1024)

    run = run_of(open_ended(act))
    await failure(run.result())
    end = [event async for event in run.events(run.snapshot().last_seq - 3)]
    assert [type(event).__name__ for event in end] == ["ToolEnd", "StepEnd", "Error"]
    assert isinstance(end[-1], Error)
    assert end[-1].code == "log_too_large"


def test_its_time_begins_when_it_begins() -> None:
    started = asyncio.Event()

    async def driver(writer: Writer) -> Outcome:
        started.set()
        return DONE

    async def main() -> None:
        run = run_of(driver)
        assert not run.ended
        await asyncio.sleep(2000)  # longer than its deadline
        assert not started.is_set()
        assert (await run.result()).content == ""

    run_with_fake_clock(main())


def test_outside_a_loop_it_does_not_begin() -> None:
    run = run_of(hello)
    with pytest.raises(RuntimeError, match="no running event loop"):
        run.begin()
    events = asyncio.run(log_of(run))
    assert len(events) == 7


async def test_it_begins_once() -> None:
    run = run_of(hello)
    run.begin()
    run.begin()
    async with run:
        assert len(await log_of(run)) == 7


def test_ids_are_not_to_be_guessed() -> None:
    ids = {new_run_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(one.startswith("run_") and len(one) == 26 for one in ids)


async def test_its_repr() -> None:
    run = run_of(hello)
    assert repr(run) == f"<Run {run.id} at 0>"
    await run.result()
    assert repr(run) == f"<Run {run.id} at 7 ended>"


async def test_the_time_of_events_never_falls_even_when_the_clock_does() -> None:
    async def driver(writer: Writer) -> Outcome:
        writer._at += 1000  # the clock was an hour ahead and is set back
        begin_step(writer)
        say(writer, "a")
        return DONE

    ends = await log_of(run_of(driver))
    assert isinstance(ends[-1], Complete | Cancelled)
