"""From a run's events to the bars of its page."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from headrace import events as e
from headrace.events import Event
from headrace.messages import Message
from headrace.runs.policies import join_deltas
from headrace.usage import Metrics, Receipt, Timing, Usage
from tests.server.pages.dashboard_parts import call, called, told
from tests.strategies import logs

STARTS = (e.StepStart, e.ToolStart, e.AgentStart, e.ApprovalNeeded)


class Story:
    """Writes events at the seconds that a test says."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.put(0.0, e.RunStart, "run_x", "guide", "scripted:one")

    def put(self, at: float, kind: type[Event], *fields: object, agent: str = "") -> None:
        self.events.append(kind(len(self.events) + 1, 1000.0 + at, agent, *fields))

    def say(self, *times: float, kind: type[Event] = e.Token, agent: str = "") -> None:
        for at in times:
            self.put(at, kind, "x", *([0] if kind is e.Token else []), agent=agent)

    def end_step(self, at: float, reason: str = "stop", agent: str = "") -> None:
        message = Message("assistant")
        self.put(at, e.StepEnd, 1, reason, Usage(3, 2), Timing(1.0), message, agent=agent)

    async def drawn(self) -> Any:
        return await call("waterfall", told(self.events))


def near(times: list[float | None]) -> list[Any]:
    return [None if at is None else pytest.approx(at, abs=0.01) for at in times]


async def test_a_step_waits_thinks_and_answers() -> None:
    story = Story()
    story.put(1.0, e.StepStart, 1, "scripted:one")
    story.say(1.5, 1.75, kind=e.Thought)
    story.say(2.0, 2.25)
    story.end_step(2.5)
    story.put(2.5, e.Complete, "stop", Usage(3, 2), Metrics())
    drawn = await story.drawn()
    (bar,) = drawn["bars"]
    assert (bar["kind"], bar["label"], bar["depth"], bar["pieces"]) == ("step", "Step 1", 0, 4)
    assert bar["detail"] == "scripted:one · stop · 3 → 2 tokens"
    times = [bar[name] for name in ("start", "first", "token", "end")]
    assert times == near([1000, 1500, 2000, 2500])
    stretches = [(s["kind"], s["start"], s["end"]) for s in bar["stretches"]]
    assert stretches == [
        ("thought", *near([1500, 1750])),
        ("token", *near([1750, 2000 + 250])),
    ]
    assert (bar["gaps"], drawn["ended"], drawn["marks"]) == ([], True, [])
    whole, thought, token = await call("parts", bar, 2500)
    assert (whole["kind"], whole["left"], whole["width"]) == ("wait", *near([40, 60]))
    assert (thought["left"], thought["width"]) == tuple(near([60, 10]))
    # The answer reaches to the step's end: nothing but the provider's end came after it.
    assert (token["left"], token["width"]) == tuple(near([70, 30]))


async def test_only_a_second_of_silence_is_a_gap() -> None:
    story = Story()
    story.put(0.0, e.StepStart, 1, "scripted:one")
    story.say(5.0, 5.99, 7.0)
    story.end_step(9.0)
    (bar,) = (await story.drawn())["bars"]
    assert [(g["start"], g["end"]) for g in bar["gaps"]] == [
        tuple(near([5990, 7000])),
        tuple(near([7000, 9000])),
    ]


async def test_tools_run_side_by_side_and_fail_by_themselves() -> None:
    story = Story()
    for at, call_id in ((1.0, "a"), (1.5, "b")):
        story.put(at, e.ToolStart, call_id, "look", {})
    story.put(2.0, e.ToolEnd, "b", "look", "", 500.0, "it broke")
    story.put(3.0, e.ToolEnd, "a", "look", "found", 2000.0)
    first, second = (await story.drawn())["bars"]
    assert [first["start"], first["end"]] == near([1000, 3000])
    assert [second["start"], second["end"]] == near([1500, 2000])
    assert (first["error"], second["error"], second["depth"]) == (None, "it broke", 1)


async def test_an_agent_below_holds_its_own_steps() -> None:
    story = Story()
    story.put(0.0, e.StepStart, 1, "scripted:one")
    story.put(1.0, e.AgentStart, "helper", "help", agent="helper")
    story.put(1.0, e.StepStart, 1, "scripted:two", agent="helper")
    story.say(2.0, agent="helper")
    story.end_step(3.0, agent="helper")
    story.put(3.0, e.AgentEnd, "helper", "helped", 2000.0, agent="helper")
    root, agent, step = (await story.drawn())["bars"]
    assert [bar["depth"] for bar in (root, agent, step)] == [0, 1, 2]
    assert (root["token"], root["end"]) == (None, None)  # its helper's words are not its own
    assert [step["token"], step["end"], agent["end"]] == near([2000, 3000, 3000])


async def test_a_person_is_waited_for() -> None:
    story = Story()
    story.put(1.0, e.ApprovalNeeded, "c", "pay", {"sum": 5})
    story.put(4.0, e.Approval, "c", False, "ann", "too much")
    (bar,) = (await story.drawn())["bars"]
    assert (bar["kind"], bar["label"]) == ("approval", "pay: waits for a person")
    assert bar["detail"] == "denied by ann (too much)"
    assert [bar["start"], bar["end"]] == near([1000, 4000])


async def test_what_is_withdrawn_says_so_and_nothing_else_does() -> None:
    story = Story()
    story.put(0.0, e.ToolStart, "a", "look", {})
    story.put(0.1, e.ToolEnd, "a", "look", "found", 100.0)
    story.put(0.2, e.StepStart, 2, "scripted:one")
    since = len(story.events) + 1
    story.say(0.5)
    story.put(0.5, e.ToolStart, "b", "look", {})
    story.put(0.5, e.ToolStart, "b", "look", {}, agent="helper")
    story.end_step(0.6, "error")
    story.put(0.6, e.Retract, since, "stream_truncated")
    story.put(0.6, e.StepStart, 2, "scripted:one")
    drawn = await story.drawn()
    assert [(bar["kind"], bar["agent"], bar["withdrawn"]) for bar in drawn["bars"]] == [
        ("tool", "", False),
        ("step", "", True),
        ("tool", "", True),
        ("tool", "helper", False),
        ("step", "", False),
    ]
    (mark,) = drawn["marks"]
    assert (mark["kind"], mark["text"]) == ("retract", "Withdrawn: stream_truncated")


async def test_warnings_inputs_and_a_bad_end_are_marks() -> None:
    failed = Story()
    failed.put(1.0, e.Warn, "retry", "Asked again.")
    failed.put(2.0, e.Input, "Be brief.")
    failed.put(3.0, e.ToolStart, "a", "look", {})
    failed.put(4.0, e.Error, "timeout", "It took too long.", True, Metrics())
    stopped = Story()
    stopped.put(1.0, e.Cancelled, "enough", Usage(), Metrics(), Receipt())
    one, two = await called([("waterfall", told(s.events)) for s in (failed, stopped)])
    assert [(m["kind"], m["text"]) for m in one["marks"]] == [
        ("warning", "retry: Asked again."),
        ("input", "Be brief."),
        ("error", "timeout: It took too long."),
    ]
    assert [m["at"] for m in one["marks"]] == near([1000, 2000, 4000])
    assert one["bars"][0]["end"] == pytest.approx(4000)  # an end ends all
    assert [m["text"] for m in two["marks"]] == ["Cancelled: enough"]


async def test_joined_pieces_are_counted_and_no_silence_is_seen_in_them() -> None:
    story = Story()
    story.put(0.0, e.StepStart, 1, "scripted:one")
    story.say(*[1.0 + i / 2 for i in range(6)])
    story.end_step(3.6)
    loose, joined = await called(
        [("waterfall", told(story.events)), ("waterfall", told(join_deltas(story.events)))]
    )
    assert (loose["joined"], joined["joined"]) == (0, 5)
    assert joined["bars"][0]["gaps"] == loose["bars"][0]["gaps"] == []
    # A joined piece bears the time of its last part: what lay before it is no silence of a model.
    story.events[2:8] = [e.Token(8, 1003.5, "", "xxxxxx", 0)]
    apart = [story.events[0], story.events[1], e.Token(3, 1001.0, "", "x", 0), *story.events[2:]]
    drawn = await call("waterfall", told(apart))
    assert (drawn["joined"], drawn["bars"][0]["gaps"]) == (4, [])


async def test_every_legal_log_is_drawn_whole() -> None:
    found = list[list[Event]]()

    @settings(max_examples=150, derandomize=True, database=None)
    @given(logs())
    def collect(log: list[Event]) -> None:
        found.append(log)

    collect()
    for log, drawn in zip(
        found, await called([("waterfall", told(g)) for g in found]), strict=True
    ):
        starts = [event.seq for event in log if isinstance(event, STARTS)]
        assert [bar["seq"] for bar in drawn["bars"]] == starts
        last = (log[-1].at - log[0].at) * 1000
        assert drawn["ended"]
        assert drawn["last"] == pytest.approx(last)
        for bar in drawn["bars"]:
            assert 0 <= bar["start"] <= bar["end"] <= drawn["last"]
        pieces = [event for event in log if isinstance(event, e.Token | e.Thought | e.ToolArgs)]
        assert sum(bar["pieces"] for bar in drawn["bars"]) == len(pieces)


async def test_bars_have_a_bound() -> None:
    story = Story()
    for i in range(1002):
        story.put(1.0, e.ToolStart, f"c{i}", "look", {})
    drawn = await story.drawn()
    assert (len(drawn["bars"]), drawn["left_out"]) == (1000, 2)
    many = Story()
    many.put(0.0, e.StepStart, 1, "scripted:one")
    for i in range(600):
        many.say(2.0 * i, kind=e.Thought if i % 2 else e.Token)
        many.put(2.0 * i, e.Warn, "retry", "again")
    drawn = await many.drawn()
    (bar,) = drawn["bars"]
    assert (len(bar["gaps"]), len(bar["stretches"]), len(drawn["marks"])) == (200, 200, 500)
    assert bar["stretches"][-1]["end"] == pytest.approx(2000 * 599)  # the last one takes the rest


async def test_the_axis_has_round_times() -> None:
    fixed = {
        2500: [0, 500, 1000, 1500, 2000, 2500],
        1300: [0, 500, 1000],
        61_000: [0, 20_000, 40_000, 60_000],
        0: [0],
    }
    assert await called([("ticks", whole) for whole in fixed]) == list(fixed.values())
    lengths = (0.3, 7, 99.9, 12_345, 900_000)
    for whole, times in zip(
        lengths, await called([("ticks", whole) for whole in lengths]), strict=True
    ):
        assert 2 <= len(times) <= 7
        assert times[-1] <= whole


async def test_the_bars_of_an_agent_stand_together() -> None:
    """Agents that work side by side would else stand in each other's rows."""
    told = ["", "a", "b", "a", "a/c", "b", "a", "a/c", "", "d/e"]
    bars = [{"agent": agent, "seq": seq} for seq, agent in enumerate(told)]
    rows = await call("nested", bars)
    assert [(bar["agent"], bar["seq"]) for bar in rows] == [
        *[("", 0), ("a", 1), ("a", 3), ("a/c", 4), ("a/c", 7), ("a", 6)],
        *[("b", 2), ("b", 5), ("", 8), ("d/e", 9)],
    ]
