"""Viewers that drop or disconnect when they lag, and how a policy is named."""

from __future__ import annotations

import pytest

from headrace.errors import UsageError, ViewerLagged
from headrace.events import AgentStart, Complete, Event, StepStart, Token, ToolEnd, Warn
from headrace.runs.log import Log
from headrace.runs.policies import Policy, PolicyName
from headrace.runs.run import Outcome
from headrace.runs.viewer import Viewer
from headrace.runs.writer import Writer
from headrace.usage import Metrics, Usage
from tests.support.drivers import DONE, begin_step, end_step, hello, run_of, say

KIB = 1024


def tokens(first: int, last: int, text: str) -> list[Event]:
    return [Token(seq, 1.0, "", text, seq) for seq in range(first, last + 1)]


def end(seq: int) -> Event:
    return Complete(seq, 1.0, "", "stop", Usage(), Metrics())


async def read(viewer: Viewer) -> list[Event]:
    return [event for batch in [b async for b in viewer] for event in batch]


async def test_drop_says_what_it_left_out() -> None:
    log = Log()
    viewer = Viewer(log, policy="drop")
    start, tool = StepStart(1, 1.0, "", 1, "m"), ToolEnd(502, 1.0, "", "c", "look", "found", 1.0)
    log.append(0, [start, *tokens(2, 501, "x" * 100), tool, *tokens(503, 1000, "y" * 100)])
    log.append(1000, [end(1001)])
    seen = await read(viewer)
    assert [event.seq for event in seen] == [1, 501, 502, 1000, 1001]
    assert [seen[0], seen[2], seen[4]] == [start, tool, end(1001)]
    for gap, (first, last) in zip((seen[1], seen[3]), ((2, 501), (503, 1000)), strict=True):
        assert isinstance(gap, Warn)
        assert (gap.code, gap.agent) == ("gap", "")
        assert f"Events {first} to {last}," in gap.message


async def test_drop_drops_nothing_while_it_keeps_up() -> None:
    log = Log()
    viewer, seen = Viewer(log, policy="drop"), list[Event]()
    for first in range(1, 2001, 100):
        log.append(first - 1, tokens(first, first + 99, "x" * 600))
        seen += await anext(viewer)
    assert seen == tokens(1, 2000, "x" * 600)


@pytest.mark.parametrize("policy", ["drop", "disconnect"])
async def test_what_was_there_before_it_came_is_no_lag(policy: PolicyName) -> None:
    log = Log()
    events = [*tokens(1, 1000, "x" * 300), end(1001)]
    log.append(0, events)
    assert await read(Viewer(log, policy=policy)) == events
    assert await read(Viewer(log, 500, policy)) == events[500:]


async def test_a_few_large_pieces_are_a_lag_too() -> None:
    log = Log()
    viewer = Viewer(log, policy="drop")
    log.append(0, tokens(1, 3, "x" * 30 * KIB))
    assert [type(event) for event in await anext(viewer)] == [Warn]


async def test_disconnect_says_how_far_behind_and_where_to_read_on() -> None:
    log = Log()
    viewer = Viewer(log, policy="disconnect")
    log.append(0, tokens(1, 64, "x" * KIB))
    assert await anext(viewer) == tokens(1, 64, "x" * KIB)  # as much as it may
    log.append(64, tokens(65, 129, "x" * KIB))
    for _ in range(2):
        with pytest.raises(ViewerLagged, match=r"65 KiB of text behind.*64 of 129") as caught:
            await anext(viewer)
        assert "after=64" in caught.value.hint
        assert caught.value.retryable
    assert viewer.after == 64
    log.append(129, [end(130)])
    again = Viewer(log, viewer.after, "disconnect")  # its second try gets through
    assert await read(again) == [*tokens(65, 129, "x" * KIB), end(130)]


async def test_disconnect_counts_text_not_events() -> None:
    log = Log()
    viewer = Viewer(log, policy="disconnect")
    agents: list[Event] = [AgentStart(seq, 1.0, "", "helper", "x" * KIB) for seq in range(1, 1001)]
    log.append(0, [*agents, end(1001)])
    assert await read(viewer) == [*agents, end(1001)]


async def chatty(writer: Writer) -> Outcome:
    begin_step(writer)
    say(writer, *["x" * KIB] * 100)
    end_step(writer)
    return DONE


async def test_a_runs_viewers_take_a_policy_each() -> None:
    run = run_of(chatty)
    viewers = [
        run.batches(policy="merge"),
        run.batches(policy=Policy("drop")),
        run.batches(policy="disconnect"),
    ]
    await run.result()
    joined, dropped = (
        [event async for batch in viewers[0] for event in batch],
        await read(viewers[1]),
    )
    assert len([event for event in joined if isinstance(event, Token)]) == 2
    assert not [event for event in dropped if isinstance(event, Token)]
    assert len([event for event in dropped if isinstance(event, Warn)]) == 1
    with pytest.raises(ViewerLagged):
        await read(viewers[2])


async def test_a_runs_events_take_a_policy_too() -> None:
    run = run_of(hello)
    every = [event async for event in run.events()]
    for policy in ("merge", "drop", "disconnect", "block"):
        assert [event async for event in run.events(2, policy=policy)] == every[2:]


async def test_an_unknown_policy_is_refused_by_name() -> None:
    run = run_of(hello)
    with pytest.raises(UsageError, match=r"'skip'.*merge, drop, disconnect, block"):
        run.batches(policy="skip")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="Known are"):
        await anext(run.events(policy=7))  # type: ignore[arg-type]
    await run.result()
