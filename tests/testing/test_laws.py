"""The checker of the laws finds each breach."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import events as ev
from headrace.messages import Message
from headrace.testing import check_events
from headrace.testing.laws import Pairs
from headrace.usage import Metrics, Timing, Usage


def log(*bodies: ev.Event) -> list[ev.Event]:
    """The bodies with `seq` and `at` that fit."""
    return [
        msgspec.structs.replace(body, seq=i, at=float(i // 2))
        for i, body in enumerate(bodies, start=1)
    ]


def make(kind: type[ev.Event], *fields: Any, agent: str = "") -> ev.Event:
    return kind(0, 0.0, agent, *fields)


def step_end(step: int, agent: str = "") -> ev.Event:
    return make(ev.StepEnd, step, "stop", Usage(), Timing(1.0), Message("assistant"), agent=agent)


START = make(ev.RunStart, "r1", "a", "demo:demo")
END = make(ev.Complete, "stop", Usage(), Metrics())
STEP = make(ev.StepStart, 1, "demo:demo")
TOOL = make(ev.ToolStart, "c1", "search", {})
TOOL_END = make(ev.ToolEnd, "c1", "search", "found", 1.0)
SUB = "a/b"
ASKS = make(ev.ApprovalNeeded, "c1", "search", {})
SAYS = make(ev.Approval, "c1", True)
BELOW = make(ev.AgentStart, "b", "task", agent=SUB)

GOOD = log(
    START,
    STEP,
    make(ev.Thought, "hm"),
    make(ev.Token, "x", 0),
    make(ev.Token, "y", 1),
    make(ev.Retract, 4, "retry"),
    make(ev.Token, "x", 0),
    make(ev.ToolArgs, "c1", "search", "{}"),
    TOOL,
    step_end(1),
    make(ev.ToolProgress, "c1", "half"),
    make(ev.AgentStart, "b", "task", agent=SUB),
    make(ev.StepStart, 1, "demo:demo", agent=SUB),
    make(ev.Token, "z", 0, agent=SUB),
    step_end(1, SUB),
    make(ev.AgentEnd, "b", "z", 1.0, agent=SUB),
    TOOL_END,
    make(ev.StepStart, 2, "demo:demo"),
    make(ev.Token, "x", 0),
    step_end(2),
    make(ev.Answer, "xx"),
    END,
)


def test_a_good_log_passes() -> None:
    check_events(GOOD)
    check_events(log(START, END))


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (log(START), "after event 0.*no terminal"),
        ([], "after event -1.*no terminal"),
        (log(END), r"event 0 \(complete\): run_start is the first"),
        (log(START, START, END), r"event 1 \(run_start\)"),
        (log(START, END, END), "event 2 .*after the terminal"),
        (log(START, STEP, END), "event 2 .*steps"),
        (log(START, TOOL, END), "event 2 .*still open"),
        (log(START, make(ev.AgentStart, "b", "t"), END), "still open"),
        (log(START, TOOL_END, END), "no start of"),
        (log(START, TOOL, TOOL_END, TOOL_END, END), "event 3 .*no start of"),
        (log(START, TOOL, make(ev.ToolEnd, "c1", "other", "", 1.0), END), "no start of"),
        (log(START, make(ev.AgentEnd, "b", "", 1.0), END), "no start of"),
        (log(START, make(ev.ToolProgress, "c1", "x"), END), "not running"),
        (log(START, STEP, STEP, END), "step 1 has not ended"),
        (log(START, STEP, step_end(2), END), "step 2 ends, but 1 runs"),
        (log(START, step_end(1), END), "step 1 ends, but None runs"),
        (log(START, make(ev.StepStart, 0, "m"), END), "count from 1"),
        (log(START, make(ev.Token, "x", 0), END), "no step of '' runs"),
        (log(START, STEP, make(ev.Token, "x", 1)), "index is 1, not 0"),
        (log(START, STEP, make(ev.Token, "x", 0), make(ev.Token, "x", 0)), "index is 0, not 1"),
        (log(START, STEP, make(ev.Thought, "x", agent="b")), "no step of 'b' runs"),
        (log(START, make(ev.StepStart, 1, "m", agent=SUB)), "'a/b' has not begun"),
        (log(START, make(ev.ToolStart, "c1", "search", {}, agent=SUB)), "'a/b' has not begun"),
        (
            log(
                START,
                BELOW,
                make(ev.StepStart, 1, "m", agent=SUB),
                make(ev.AgentEnd, "b", "", 1.0, agent=SUB),
            ),
            "event 3 .*still open in 'a/b'",
        ),
        (log(START, ASKS, TOOL), "waits for an approval"),
        (log(START, ASKS, ASKS), "waits already"),
        (log(START, SAYS), "waits for no approval"),
        (log(START, ASKS, SAYS, SAYS), "event 3 .*waits for no approval"),
    ],
)
def test_each_breach_is_found_at_its_place(bad: list[ev.Event], why: str) -> None:
    with pytest.raises(AssertionError, match=why):
        check_events(bad)


def test_time_does_not_fall() -> None:
    bad = [*log(START), *(msgspec.structs.replace(END, seq=2, at=-1.0),)]
    with pytest.raises(AssertionError, match="at falls"):
        check_events(bad)


def test_a_call_waits_for_its_approval_and_may_wait_for_ever() -> None:
    check_events(log(START, ASKS, SAYS, TOOL, TOOL_END, END))
    check_events(log(START, ASKS, END))


def test_pairs_go_on_with_what_was_left_open() -> None:
    pairs = Pairs([BELOW, TOOL])  # type: ignore[list-item]
    for event in (make(ev.AgentEnd, "b", "", 1.0, agent=SUB), TOOL_END, END):
        pairs.take(event)
    assert pairs.ended
    with pytest.raises(AssertionError, match="after the terminal"):
        pairs.take(START)
    with pytest.raises(AssertionError, match="still open"):
        Pairs([TOOL]).take(END)  # type: ignore[list-item]


@given(st.data())
def test_a_log_with_any_event_missing_doubled_or_swapped_fails(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GOOD) - 2))
    change = data.draw(st.sampled_from(["missing", "doubled", "swapped"]))
    bad = list(GOOD)
    if change == "missing":
        del bad[at]
    elif change == "doubled":
        bad.insert(at, bad[at])
    else:
        bad[at], bad[at + 1] = bad[at + 1], bad[at]
    with pytest.raises(AssertionError):
        check_events(bad)
