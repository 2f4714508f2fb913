"""The sentences of an explanation, by values: what is said, and what is left unsaid."""

from __future__ import annotations

import pytest
from hypothesis import given

from headrace import events as e
from headrace.events import Event
from headrace.runs.stores.record import RunRecord
from headrace.telemetry.explain import explain
from headrace.telemetry.explain_words import ALWAYS, LABELS, percent, took, words
from headrace.usage import Usage
from tests.telemetry.told_logs import BEGUN, Log, hello, record, timed_logs


def said(log: Log, before: float = 0.0, now: float | None = None) -> str:
    """All sentences, a line each."""
    return "\n".join(words(explain(record(before), log.events, now=now)))


def answered(log: Log, at: float = 5.01, **more: object) -> Log:
    """The log with a good end."""
    log.end(at, **more)  # type: ignore[arg-type]
    return log


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, "0.0 ms"),
        (400, "0.4 ms"),
        (9_949, "9.9 ms"),
        (12_000, "12 ms"),
        (994_999, "995 ms"),
        (995_000, "1.0 s"),
        (4_200_000, "4.2 s"),
        (59_900_000, "59.9 s"),
        (59_960_000, "1 min 0 s"),
        (185_000_000, "3 min 5 s"),
        (7_380_000_000, "2 h 3 min"),
    ],
)
def test_lengths_are_told_in_their_unit(us: int, text: str) -> None:
    assert took(us) == text


@pytest.mark.parametrize(
    ("us", "whole", "text"),
    [
        (69, 100, "69 %"),
        (0, 100, "0 %"),
        (1, 1000, "<1 %"),
        (9, 1000, "<1 %"),
        (10, 1000, "1 %"),
        (0, 0, "0 %"),
    ],
)
def test_a_small_share_is_not_nothing(us: int, whole: int, text: str) -> None:
    assert percent(us, whole) == text


def test_every_part_has_a_name() -> None:
    assert set(LABELS) == set(explain(None, hello().events).parts)
    assert set(ALWAYS) < set(LABELS)


def test_a_good_run_says_where_its_time_went() -> None:
    text = said(answered(hello(), 5.02, tokens_per_second=7.5), before=0.09)
    assert text.splitlines() == [
        "The run took 5.1 s and ended with stop: the model said all that it had to say.",
        "Most of that, 4.0 s (78 %), went to waiting for a model's first content.",
        "The provider took 4.0 s of the 4.1 s before the first token. A shorter prompt, one whose "
        "begin the provider can cache, less reasoning, or a smaller or nearer model begin sooner.",
        "90 ms went by between its submit and its begin: the store that kept its record, a "
        "session's turn, or a process that was busy.",
        "Tokens: 10 read, 5 written, as the provider counts.",
        "7.5 tokens a second of the time that models took.",
    ]


def test_a_quick_run_is_told_in_two_lines() -> None:
    log = Log()
    log.begin(0)
    log.say(0.01)
    log.finish(0.02)
    assert said(answered(log, 0.02)).splitlines() == [
        "The run took 20 ms and ended with stop: the model said all that it had to say.",
        "Tokens: 10 read, 5 written, as the provider counts.",
    ]


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("length", "the answer is cut: the model reached its limit of tokens. Raise max_tokens"),
        ("content_filter", "the provider withheld the rest"),
        ("max_steps", "raise max_steps"),
        ("tool_calls", "asked for tools"),
        ("something_new", "ended with something_new: it ended."),
    ],
)
def test_a_finish_reason_is_told_with_what_it_means(reason: str, says: str) -> None:
    log = hello()
    log.end(5.01, reason)
    assert says in said(log).splitlines()[0]


def test_a_failed_run_has_its_error() -> None:
    log = Log()
    log.begin(0)
    log.finish(30, "error")
    log.fail(30, "rate_limited", "Too many requests.")
    first, *more = said(log).splitlines()
    assert first == "The run failed after 30.0 s with rate_limited: Too many requests."
    assert "No text of an answer came at all." in more
    assert any("estimated in part" in line for line in more)


def test_a_cancelled_run_has_its_reason() -> None:
    log = hello()
    log.cancel(6, "user pressed stop")
    assert said(log).startswith("The run was cancelled after 6.0 s: user pressed stop.")
    log = hello()
    log.cancel(6, "")
    assert "no reason was given" in said(log)


def test_a_live_run_tells_what_it_does() -> None:
    log = Log()
    assert said(log, now=BEGUN + 2).startswith("The run has not ended; this is 2.0 s of it.\n")
    log.begin(1)
    text = said(log, now=BEGUN + 31)
    assert "this is 31.0 s of it. Step 1 waits since 30.0 s for scripted:one to begin." in text
    assert "No text" not in text
    log.say(2)
    assert "Step 1 streams since 8.0 s." in said(log, now=BEGUN + 10)


def test_what_else_came_before_the_first_token_is_named() -> None:
    log = Log()
    log.begin(0)
    log.put(1, e.ToolArgs, "c1", "look", "{}")
    log.finish(1, "tool_calls")
    log.tool(1, 3)
    log.begin(3, 2)
    log.say(4)
    log.finish(5, step=2)
    text = said(answered(log))
    assert (
        "The provider took 2.0 s of the 4.0 s before the first token (tools 2.0 s). It was asked "
        "2 times until then: each step waits for the one before and its tools." in text
    )


def test_a_run_that_waited_for_its_session_names_the_other() -> None:
    other = RunRecord("run_w", "guide", "m", BEGUN - 9, session="talk", ended_at=BEGUN - 0.01)
    own = record(3, session="talk")
    text = "\n".join(words(explain(own, answered(hello()).events, others=[other])))
    assert "It waited 3.0 s for its turn: run_w was live in its session." in text
    assert "went by between" not in text


def test_a_lost_process_is_told() -> None:
    log = Log()
    log.note(12, "recovered", "The process that ran this was lost; another goes on.")
    text = said(answered(log, 13))
    assert "For 12.0 s no process had it: its own was lost, and another took it up." in text
    assert "given up" not in text


def test_lost_tries_are_told_with_the_first_reason() -> None:
    log = Log()
    begun = log.begin(0)
    log.note(1, "retry", "Too many requests. Asking again in 0.5 s")
    log.say(2, 3)
    log.finish(4, "error")
    log.note(4, "stream_truncated", "It ended early. The step is asked again.")
    log.put(4, e.Retract, begun.seq + 1, "stream_truncated")
    log.begin(4)
    log.say(5)
    log.finish(6)
    assert (
        "1 try was given up and made again, or by another model; 10 characters that were shown "
        "already were withdrawn (once). That took 4.0 s. At 1.0 s: Too many requests. Asking "
        "again in 0.5 s." in said(answered(log, 6))
    )


def test_silences_are_told_with_where_they_were() -> None:
    log = Log()
    log.begin(0)
    log.say(1, 3)
    log.finish(3)
    text = said(answered(log, 3))
    assert "1 silence of 2.0 s in mid-answer, at 1.0 s in step 1. The run's log did not" in text
    assert "the model or the network to it" in text
    log = Log()
    log.begin(0, agent="helper")
    log.say(1, 3, 7, 8.5, agent="helper")
    log.finish(8.5, agent="helper")
    text = said(answered(log, 9))
    assert (
        "3 silences over 1 s in mid-answer, 7.5 s in all, the longest 4.0 s, at 3.0 s in step 1 "
        "of helper." in text
    )


def test_a_silence_that_the_log_made_is_not_blamed_on_the_model() -> None:
    log = Log()
    log.begin(0)
    log.say(1, 3)
    log.finish(3, held_ms=1800)
    text = said(answered(log, 3, held_ms=1800))
    assert "the model or the network" not in text
    assert "Its own log held it up for 1.8 s: the store commits more slowly" in text


def test_tools_one_after_another_are_told_with_what_to_do() -> None:
    log = Log()
    log.begin(0)
    log.say(0.1)
    log.finish(1, "tool_calls")
    log.tool(1, 2, "a")
    log.tool(2, 4, "b")
    text = said(answered(log))
    assert (
        "Step 1 asked for 2 tools at once, and they ran one after another (3.0 s). Is "
        "parallel_tools 1, or do they block the event loop?" in text
    )
    assert "The run waited 3.0 s for its tools: look 3.0 s (2 calls)." in text


def test_failed_calls_are_counted() -> None:
    log = Log()
    log.put(0, e.ToolStart, "a", "look", {})
    log.put(0.001, e.ToolEnd, "a", "look", "", 1.0, "it broke")
    log.tool(0.001, 0.002, "b")
    text = said(answered(log, 0.01))
    assert "Calls that failed: look 1 of 2." in text
    assert "waited" not in text


def test_waiting_for_a_person_is_told() -> None:
    log = Log()
    log.put(1, e.ApprovalNeeded, "c1", "look", {})
    log.put(61, e.Approval, "c1", True)
    assert "It waited 1 min 0 s for a person to decide" in said(answered(log, 62))


def test_time_that_no_one_has_is_told_when_it_is_much() -> None:
    log = Log()
    log.begin(3)
    log.say(3.1)
    log.finish(3.2)
    assert "3.0 s lie between steps and tools." in said(answered(log, 3.2))
    assert "lie between" not in said(answered(hello(), 5.05))


@pytest.mark.parametrize(
    ("usage", "says"),
    [
        (Usage(100, 20), "Tokens: 100 read, 20 written, as the provider counts."),
        (
            Usage(200, 20, cached=150, reasoning=8),
            "Tokens: 200 read (75 % of them from the provider's cache), 20 written (8 of them "
            "reasoning), as the provider counts.",
        ),
        (Usage(100, 20, exact=False), "Tokens: ≈100 read, ≈20 written, estimated in part"),
    ],
)
def test_usage_is_told_with_how_it_is_known(usage: Usage, says: str) -> None:
    log = hello()
    log.end(5.01, usage=usage)
    assert says in said(log)


def test_no_usage_is_not_told() -> None:
    log = hello()
    log.end(5.01, usage=Usage())
    assert "Tokens" not in said(log)


@pytest.mark.parametrize(
    ("steps", "usage", "told"),
    [
        (2, Usage(4000, 9), True),
        (1, Usage(4000, 9), False),  # nothing was there to be cached
        (2, Usage(2000, 9), False),  # too short for a cache
        (2, Usage(4000, 9, cached=1), False),
        (2, Usage(4000, 9, exact=False), False),
    ],
)
def test_a_cache_that_is_never_used_is_told(steps: int, usage: Usage, told: bool) -> None:
    log = Log()
    for step in range(1, steps + 1):
        log.begin(step, step)
        log.finish(step, "tool_calls", step)
    log.end(9, usage=usage)
    assert ("None came from its cache, as far as it tells" in said(log)) is told


@given(timed_logs())
def test_any_run_can_be_told(log: list[Event]) -> None:
    sentences = words(explain(None, log))
    assert sentences
    assert all(line and line[-1] in ".?" and "\n" not in line for line in sentences)
