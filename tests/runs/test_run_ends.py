"""How a run ends that fails: with its driver's error, its pairs closed, its text kept."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import pytest

from headrace.errors import (
    ProviderError,
    RateLimited,
    RunFailed,
)
from headrace.events import (
    AgentStart,
    Error,
    StepStart,
)
from headrace.runs.writer import Writer
from headrace.usage import Usage
from tests.support.drivers import (
    begin_tool,
    log_of,
    open_ended,
    read_text,
    run_of,
    say,
)


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


async def test_what_is_open_is_closed_newest_first_whatever_it_is_called() -> None:
    async def act(writer: Writer) -> None:
        begin_tool(writer, "step")
        begin_tool(writer, "agent")
        writer.put(AgentStart, "helper", "helper", "help")
        writer.put(StepStart, "helper", 1, "scripted:two")
        raise OddError

    events = await log_of(run_of(open_ended(act)))
    assert [getattr(event, "call_id", type(event).__name__) for event in events[-7:]] == [
        *("StepEnd", "AgentEnd", "agent", "step", "c1", "StepEnd", "Error"),
    ]


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
