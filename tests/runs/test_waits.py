"""How long a run waits for people: together, below each other, and to which end."""

from __future__ import annotations

from headrace.events import AgentEnd, Approval, ApprovalNeeded, Event, StepStart
from headrace.runs.waits import Waits, waited, waits


def asked(at: float, agent: str = "", call: str = "c") -> Event:
    return ApprovalNeeded(1, at, agent, call, "pay", {})


def decided(at: float, agent: str = "", call: str = "c") -> Event:
    return Approval(1, at, agent, call, True)


def test_waits_side_by_side_are_one() -> None:
    log = [asked(10, call="a"), asked(12, call="b"), decided(15, call="a"), decided(20, call="b")]
    assert waited(log, 100) == 10
    assert waited([*log, asked(30, call="a"), decided(31, call="a")], 100) == 11
    assert waited(list(log[:3]), 100) == 90
    assert waited([], 100) == 0


def test_an_agent_waits_for_what_is_below_it_alone() -> None:
    found = Waits()
    for event in (asked(0, "team/one"), asked(5, "two"), decided(8, "two"), decided(9, "team/one")):
        found.take(event)
    spent = {path: found.seconds(path, 100) for path in ("", "team", "team/one", "two", "tea")}
    assert spent == {"": 9, "team": 9, "team/one": 9, "two": 3, "tea": 0}


def test_a_wait_ends_with_its_agent_or_when_the_agent_goes_on() -> None:
    ends: dict[str, Event] = {
        "its own": AgentEnd(1, 5, "team/one", "one", "", 1.0),
        "the one above": AgentEnd(1, 5, "team", "team", "", 1.0),
        "a step": StepStart(1, 5, "team/one", 2, "m"),
        "decided": decided(5, "team/one"),
    }
    for event in ends.values():
        assert not waits([asked(0, "team/one"), event])
        assert waited([asked(0, "team/one"), event], 100) == 5
    others: list[Event] = [
        AgentEnd(1, 5, "team/one-2", "one", "", 1.0),
        AgentEnd(1, 5, "", "next", "", 1.0),
        StepStart(1, 5, "team", 2, "m"),
        decided(5, "team"),
        decided(5, "team/one", "d"),
    ]
    for event in others:
        assert waits([asked(0, "team/one"), event]), event
