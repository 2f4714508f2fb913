"""A run: its first event, its one end, what its callers get."""

from __future__ import annotations

import asyncio

import pytest

from headrace.errors import (
    LogConflict,
    RunCancelled,
    UsageError,
)
from headrace.events import (
    AgentStart,
    Answer,
    Complete,
    Event,
    RunStart,
    StepStart,
    Token,
)
from headrace.messages import Message
from headrace.runs.run import Outcome, Run, new_run_id
from headrace.runs.writer import Writer
from headrace.testing.clock import run_with_fake_clock
from headrace.usage import Usage
from tests.support.drivers import (
    DONE,
    begin_step,
    for_ever,
    hello,
    log_of,
    open_ended,
    read_text,
    run_of,
    say,
)


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
        begin_step(writer)
        writer.put(AgentStart, "helper", "helper", "help")
        writer.put(StepStart, "helper", 1, "scripted:one")
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
        writer._at += 1000  # the clock was ahead, and has been set back
        begin_step(writer)
        say(writer, "a")
        return DONE

    first, *others = await log_of(run_of(driver))
    assert {event.at for event in others} == {others[0].at}
    assert others[0].at >= first.at + 999


async def test_its_duration_counts_from_its_beginning() -> None:
    run = run_of(hello)
    await asyncio.sleep(0.02)
    first, *_, before, answer, last = await log_of(run)
    assert isinstance(answer, Answer)
    assert isinstance(last, Complete)
    # It is counted a moment before these two are written, however long that moment is.
    earliest, latest = ((event.at - first.at) * 1e3 for event in (before, last))
    assert earliest - 0.01 <= last.metrics.duration_ms <= latest + 0.01
