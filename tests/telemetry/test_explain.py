"""`explain`: the parts add up to the whole, and each is what the log says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import events as e
from headrace.errors import UsageError
from headrace.events import Event
from headrace.messages import Message
from headrace.runs.stores.record import RunRecord
from headrace.telemetry.explain import GAP, Explainer, explain
from headrace.telemetry.explain_log import LONGEST_GAPS, TROUBLES
from headrace.telemetry.explain_timeline import micros
from headrace.telemetry.explained import Gap, InTurn, Trouble
from headrace.usage import Timing, Usage
from tests.frontends.remote_server import story
from tests.strategies import logs
from tests.telemetry.told_logs import BEGUN, Log, adds_up, hello, record, seconds, timed_logs


@given(timed_logs(), st.sampled_from([0.0, 0.25, 1e6]), st.sampled_from([0.001, 1.0]))
def test_the_parts_of_any_log_add_up(log: list[Event], before: float, gap: float) -> None:
    told = explain(record(before), log, gap=gap)
    adds_up(told, BEGUN - before, log[-1].at)
    assert told.parts["queue"] == micros(before)


@given(logs(), st.integers(1, 200))
def test_the_parts_of_any_cut_of_a_log_add_up(log: list[Event], count: int) -> None:
    """A run that goes on, or whose process was lost, at any point."""
    cut = log[:count]
    adds_up(explain(None, cut), cut[0].at, cut[-1].at)
    adds_up(explain(None, cut, now=1e4), cut[0].at, 1e4 if count < len(log) else cut[-1].at)


def test_a_run_has_its_queue_its_waiting_and_its_streaming() -> None:
    told = explain(record(before=0.5), hello().end(5.02))
    assert seconds(told) == {"queue": 0.5, "waiting": 4.0, "streaming": 1.0, "headrace": 0.02}
    assert told.duration_us == 5_520_000
    assert told.first_token_us == 4_510_000
    assert told.before_first_token["waiting"] == 4_000_000
    (step,) = told.steps
    assert (step.at_us, step.waiting_us, step.streaming_us) == (510_000, 4_000_000, 1_000_000)
    assert (step.output, step.finish_reason, step.withdrawn) == (5, "stop", False)
    assert (told.run_id, told.agent, told.model) == ("run_x", "guide", "scripted:one")
    assert (told.status, told.reason) == ("complete", "stop")


def test_without_a_record_it_begins_with_its_first_event() -> None:
    told = explain(None, hello().end(5.02))
    assert told.began_at == BEGUN
    assert "queue" not in seconds(told)


def test_a_clock_that_was_put_back_makes_no_queue() -> None:
    told = explain(record(before=-3), hello().end(5.02))
    assert (told.began_at, told.parts["queue"]) == (BEGUN, 0)


def test_tools_that_run_side_by_side_count_once() -> None:
    log = Log()
    log.begin(0)
    log.say(1)
    log.finish(1, "tool_calls")
    log.put(1, e.ToolStart, "a", "look", {})
    log.put(1, e.ToolStart, "b", "look", {})
    log.put(2, e.ToolStart, "c", "fetch", {})
    log.put(3, e.ToolEnd, "a", "look", "", 1.0, "it broke")
    log.put(4, e.ToolEnd, "b", "look", "", 1.0, None)
    log.put(4.5, e.ToolEnd, "c", "fetch", "", 1.0, None)
    told = explain(None, log.end(5))
    assert seconds(told) == {"waiting": 1.0, "tools": 3.5, "headrace": 0.5}
    look, fetch = told.tools
    assert (look.name, look.calls, look.failed) == ("look", 2, 1)
    assert (look.us, look.longest_us) == (3_000_000, 3_000_000)
    assert (fetch.name, fetch.us) == ("fetch", 2_500_000)
    assert told.in_turn == ()


def test_a_tool_that_ends_while_the_model_speaks_costs_nothing() -> None:
    log = Log()
    log.begin(0)
    log.say(1)
    log.put(1, e.ToolStart, "c1", "look", {})
    log.put(2, e.ToolEnd, "c1", "look", "", 1.0, None)
    log.say(3)
    log.finish(3, "tool_calls")
    told = explain(None, log.end(3))
    assert seconds(told) == {"waiting": 1.0, "streaming": 2.0}
    assert told.tools[0].us == 1_000_000


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        ((1, 2), (2, 4), (InTurn(1, "", 2, 3_000_000),)),
        ((1, 2), (1.5, 4), ()),
        ((0.5, 0.75), (2, 4), ()),  # begun early: it could not wait for the other
    ],
)
def test_calls_that_ran_one_after_another_are_found(
    first: tuple[float, float], second: tuple[float, float], found: tuple[InTurn, ...]
) -> None:
    log = Log()
    log.begin(0)
    log.finish(1, "tool_calls")
    log.put(first[0], e.ToolStart, "a", "look", {})
    log.put(second[0], e.ToolStart, "b", "look", {})
    log.put(first[1], e.ToolEnd, "a", "look", "", 1.0, None)
    log.put(second[1], e.ToolEnd, "b", "look", "", 1.0, None)
    log.events.sort(key=lambda event: event.at)
    assert explain(None, log.end(5)).in_turn == found


def test_calls_of_two_steps_are_not_called_one_after_another() -> None:
    log = Log()
    for step in (1, 2):
        log.begin(step, step)
        log.finish(step, "tool_calls", step)
        log.tool(step, step + 0.5)
    assert explain(None, log.end(4)).in_turn == ()


def test_a_try_that_failed_before_any_content_is_lost() -> None:
    log = Log()
    log.begin(0)
    log.note(2, "retry", "Too many requests. Asking again in 1.0 s.")
    log.note(2.5, "option_ignored")  # says nothing of the try
    log.say(4)
    log.finish(5)
    told = explain(None, log.end(5))
    assert seconds(told) == {"lost": 2.0, "waiting": 2.0, "streaming": 1.0}
    assert (told.retries, told.warnings, told.withdrawn) == (1, 2, 0)
    assert told.troubles[0] == Trouble(
        2_000_000, "retry", "Too many requests. Asking again in 1.0 s."
    )
    (step,) = told.steps
    assert (step.lost_us, step.waiting_us) == (2_000_000, 2_000_000)


def test_a_model_that_goes_on_with_an_answer_loses_nothing() -> None:
    log = Log()
    log.begin(0)
    log.say(1)
    log.note(2, "fallback", "one failed. Asking two to go on with the answer.")
    log.say(3)
    log.finish(3)
    told = explain(None, log.end(3))
    assert seconds(told) == {"waiting": 1.0, "streaming": 2.0}
    assert told.retries == 1


def test_a_withdrawn_step_is_lost_whole_and_another_agents_is_not() -> None:
    log = Log()
    log.begin(0, agent="helper")
    begun = log.begin(0)
    log.say(1, 2, text="12345")
    log.say(2.5, agent="helper")
    log.finish(3, "error")
    log.note(3, "stream_truncated", "It ended early. The step is asked again.")
    log.put(3.5, e.Retract, begun.seq + 1, "stream_truncated")
    log.finish(4, agent="helper")
    log.begin(5)
    log.say(6)
    log.finish(7)
    told = explain(None, log.end(7))
    # While the helper's answer streamed, that is what the time went to.
    assert seconds(told) == {"waiting": 3.5, "streaming": 2.5, "headrace": 1.0}
    lost, again = [step for step in told.steps if not step.agent]
    assert (lost.withdrawn, lost.lost_us, lost.waiting_us) == (True, 3_000_000, 0)
    assert not again.withdrawn
    assert (told.withdrawn, told.withdrawn_chars) == (1, 10)


def test_a_withdrawn_step_alone_is_lost_until_it_is_withdrawn() -> None:
    log = Log()
    begun = log.begin(0)
    log.say(1)
    log.finish(3, "error", held_ms=500)
    log.put(3.5, e.Retract, begun.seq + 1, "stream_truncated")
    log.begin(3.5)
    log.say(4)
    log.finish(5)
    told = explain(None, log.end(5, held_ms=500))
    assert seconds(told) == {"lost": 3.5, "waiting": 0.5, "streaming": 1.0}


def test_the_time_without_a_process_is_no_ones() -> None:
    log = Log()
    begun = log.begin(0)
    log.say(1)
    log.note(13, "recovered", "The process that ran this was lost; another goes on.")
    log.finish(13, "error")
    log.put(13, e.Retract, begun.seq + 1, "recovered")
    log.begin(13)
    log.say(14)
    log.finish(15)
    told = explain(None, log.end(15))
    assert seconds(told) == {"lost": 1.0, "interrupted": 12.0, "waiting": 1.0, "streaming": 1.0}


def test_silences_are_told_from_the_threshold_on() -> None:
    log = Log()
    log.begin(0)
    log.say(2, 2, 3, 3.999)  # what waits for the first content is no gap
    log.put(8, e.Thought, "hm")
    log.put(9.5, e.ToolArgs, "c1", "look", "{}")
    log.finish(12)  # the silence at the end is one
    told = explain(None, log.end(15))
    assert GAP == 1.0
    assert (told.gaps, told.gap_us) == (4, 9_001_000)
    assert told.longest_gaps == (
        Gap(3_999_000, 4_001_000, 1),
        Gap(9_500_000, 2_500_000, 1),
        Gap(8_000_000, 1_500_000, 1),
        Gap(2_000_000, 1_000_000, 1),
    )
    assert (told.steps[0].gaps, told.steps[0].gap_us) == (4, told.gap_us)
    assert explain(None, log.events, gap=3).longest_gaps == told.longest_gaps[:1]
    assert explain(None, log.events, gap=3).gap_over_us == 3_000_000


def test_only_the_longest_silences_and_the_first_warnings_are_kept() -> None:
    log = Log()
    log.begin(0)
    at = 1.0
    for length in [*range(1, 31)]:
        log.say(at := at + length)
    for number in range(30):
        log.note(at, "slow", str(number))
    log.finish(at)
    told = explain(None, log.end(at), gap=1)
    assert (told.gaps, len(told.longest_gaps)) == (29, LONGEST_GAPS)
    assert [gap.us // 10**6 for gap in told.longest_gaps] == [*range(30, 20, -1)]
    assert (told.warnings, len(told.troubles)) == (30, TROUBLES)
    assert told.troubles[-1].message == "19"


def test_what_the_log_held_up_is_the_stores() -> None:
    log = hello()
    log.finish(5.01)  # a second end of a step that has ended says nothing
    told = explain(None, log.end(5.01))
    assert told.parts["store"] == 0
    log = Log()
    log.begin(0)
    log.say(1)
    log.finish(3, "tool_calls", held_ms=1500)
    log.tool(3, 5)
    told = explain(None, log.end(6, held_ms=2000))
    assert seconds(told) == {
        "waiting": 1.0, "streaming": 0.5, "tools": 1.5, "store": 2.0, "headrace": 1.0,
    }  # fmt: skip
    assert told.steps[0].held_us == 1_500_000


def test_no_more_is_the_stores_than_there_is() -> None:
    log = Log()
    log.begin(0)
    log.say(1)
    log.finish(2, held_ms=99_000)
    told = explain(None, log.end(2, held_ms=1e6))
    assert seconds(told) == {"waiting": 1.0, "store": 1.0}


def test_waiting_for_a_person_is_told_though_the_call_has_begun() -> None:
    log = Log()
    log.put(0, e.ToolStart, "c1", "look", {})
    log.put(1, e.ApprovalNeeded, "c1", "look", {})
    log.put(4, e.Approval, "c1", True)
    log.put(5, e.ToolEnd, "c1", "look", "", 1.0, None)
    assert seconds(explain(None, log.end(5))) == {"tools": 2.0, "person": 3.0}


def test_a_person_who_never_decided_was_waited_for_to_the_end() -> None:
    log = Log()
    log.put(1, e.ApprovalNeeded, "c1", "look", {})
    assert seconds(explain(None, log.cancel(4, "too late"))) == {"headrace": 1.0, "person": 3.0}


def test_agents_that_work_side_by_side_count_once() -> None:
    log = Log()
    log.begin(0, agent="a")
    log.begin(0, agent="b")
    log.say(1, agent="a")
    log.say(2, agent="b")
    log.finish(3, agent="a")
    log.finish(4, agent="b")
    told = explain(None, log.end(4))
    assert seconds(told) == {"waiting": 1.0, "streaming": 3.0}
    assert [(step.agent, step.waiting_us) for step in told.steps] == [
        ("a", 1_000_000),
        ("b", 2_000_000),
    ]
    assert told.first_token_us is None  # a helper's words are no answer
    assert told.before_first_token == {}


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ({}, "run_w"),
        ({"ended_at": None}, None),
        ({"ended_at": BEGUN + 0.001}, None),  # it ended when this one had begun
        ({"ended_at": BEGUN - 2.5}, None),  # it had ended when this one was submitted
        ({"created_at": BEGUN - 1.5}, None),  # it came later
        ({"session": "other"}, None),
    ],
)
def test_the_run_that_it_waited_for_is_named(other: dict[str, object], found: str | None) -> None:
    fields: dict[str, object] = {
        "created_at": BEGUN - 60, "session": "talk", "ended_at": BEGUN - 0.01,
    }  # fmt: skip
    before = RunRecord("run_w", "guide", "m", **(fields | other))  # type: ignore[arg-type]
    own = record(before=2, session="talk")
    told = explain(own, hello().end(6), others=[own, before])
    assert told.behind == found


def test_a_run_that_goes_on_is_told_to_now() -> None:
    log = Log()
    log.begin(1)
    told = explain(None, log.events, now=BEGUN + 31)
    assert (told.status, told.reason) == ("running", "")
    assert seconds(told) == {"headrace": 1.0, "waiting": 30.0}
    assert told.steps[0].finish_reason is None
    log.say(2)
    log.put(3, e.ToolStart, "c1", "look", {})
    told = explain(None, log.events, now=BEGUN + 10)
    assert seconds(told) == {"headrace": 1.0, "waiting": 1.0, "streaming": 8.0}
    assert told.tools[0].us == 7_000_000
    assert explain(None, log.events).duration_us == 3_000_000
    assert explain(None, log.events, now=BEGUN - 5).duration_us == 3_000_000  # another clock
    assert explain(None, log.end(4), now=BEGUN + 99).duration_us == 4_000_000


def test_usage_is_the_ends_and_before_it_the_steps() -> None:
    log = Log()
    for step in (1, 2):
        log.begin(step, step)
        log.finish(step, "tool_calls", step, usage=Usage(10, 5, cached=4))
    assert explain(None, log.events).usage == Usage(20, 10, cached=8)
    told = explain(None, log.end(9, usage=Usage(1, 2), tokens_per_second=7.5))
    assert (told.usage, told.tokens_per_second) == (Usage(1, 2), 7.5)


def test_who_answered_is_the_model() -> None:
    log = Log()
    log.begin(0, model="one | two")
    fields = (1, "stop", Usage(), Timing(1.0), Message("assistant"), "two")
    log.put(1, e.StepEnd, *fields)
    told = explain(None, log.end(1))
    assert (told.model, told.steps[0].model) == ("two", "two")


@pytest.mark.parametrize("events", [[], hello().events[1:]])
def test_without_a_first_event_there_is_nothing_to_explain(events: list[Event]) -> None:
    with pytest.raises(UsageError, match="no events"):
        explain(None, events)


@pytest.mark.parametrize("gap", [0, -1, float("nan")])
def test_a_silence_has_a_length(gap: float) -> None:
    with pytest.raises(UsageError, match="longer than 0"):
        explain(None, [], gap=gap)


def test_events_are_taken_as_they_come() -> None:
    explainer = Explainer()
    log = hello()
    for event in log.events:
        explainer.add(event)
    assert explainer.explanation().status == "running"
    explainer.add(log.end(5.02)[-1])
    assert explainer.explanation(record(0.5)) == explain(record(0.5), log.events)


def test_the_logs_that_other_tests_read_add_up() -> None:
    for log in (story("Hel", "lo."), story()):
        adds_up(explain(None, log), log[0].at, log[-1].at)
