"""AG-UI's encoder keeps every promise of an encoder, over generated logs."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from headrace import events as e
from headrace.errors import StoreUnavailable
from headrace.messages import Message
from headrace.protocols.ag_ui.encode import NOT_RUN, RETRACTED, AGUIEncoder
from headrace.runs.fold import fold
from headrace.runs.policies import join_deltas
from headrace.usage import Receipt, Timing
from tests.protocols.ag_ui_reading import (
    METRICS,
    USAGE,
    calls,
    expected_calls,
    frames,
    read,
    text,
    usage,
    whole,
)
from tests.strategies import EVENTS, TEXT, Scribe


def encoded(events: list[e.Event]) -> bytes:
    return AGUIEncoder().encode(events)


@given(whole())
def test_it_folds_to_what_the_log_does(log: list[e.Event]) -> None:
    state = fold(log)
    seen = read(encoded(log))
    assert text(seen.messages) == state.text
    assert text(seen.messages, "reasoning") == state.reasoning
    assert sorted(calls(seen.messages)) == sorted(expected_calls(log))


@given(whole())
def test_the_end_tells_reason_usage_and_metrics(log: list[e.Event]) -> None:
    end = read(encoded(log)).ends[0]
    told = end.get("result") or end["metadata"]["headrace"]
    last = log[-1]
    assert told["finish_reason"] == fold(log).finish_reason
    assert told["metrics"]["time_to_first_token_ms"] == 12.5
    if isinstance(last, e.Error):
        assert (end["type"], end["code"], end["message"]) == ("RUN_ERROR", last.code, last.message)
        assert told["retryable"] is last.retryable
    else:
        outcome = "cancelled" if isinstance(last, e.Cancelled) else "success"
        assert (end["type"], end["outcome"]) == ("RUN_FINISHED", {"type": outcome})
    if isinstance(last, e.Complete):
        assert told.get("output") == last.output
    if told["usage"] is not None:
        assert usage(told) == USAGE
        (counts,) = end["usage"]
        assert counts == {
            "inputTokens": 7,
            "outputTokens": 5,
            "totalTokens": 12,
            "cachedInputTokens": 3,
            "reasoningTokens": 2,
        }


@given(whole(), st.lists(st.integers(0, 60), max_size=8))
def test_cuts_change_no_byte(log: list[e.Event], cuts: list[int]) -> None:
    encoder = AGUIEncoder()
    ends = [0, *sorted(cuts), len(log)]
    parts = [encoder.encode(log[a:b]) for a, b in itertools.pairwise(ends)]
    assert b"".join(parts) == encoded(log)


@given(whole())
def test_joined_deltas_change_only_how_text_is_cut(log: list[e.Event]) -> None:
    one, other = read(encoded(log)), read(encoded(join_deltas(log)))
    assert one.messages == other.messages
    assert one.ends == other.ends


@given(whole(), st.integers(0, 60), st.integers(0, 60))
def test_a_fork_stands_apart(log: list[e.Event], at: int, more: int) -> None:
    first = AGUIEncoder()
    before = first.encode(log[:at])
    other = first.fork()
    first.encode(log[at : at + more])
    first.fail(StoreUnavailable("It is full."))
    assert before + other.encode(log[at:]) == encoded(log)
    assert other.key == first.key == AGUIEncoder().key


@given(whole(), st.integers(0, 60))
def test_a_failure_closes_everything_and_is_an_error(log: list[e.Event], at: int) -> None:
    encoder = AGUIEncoder()
    data = encoder.encode(log[: min(at, len(log) - 1)])
    data += encoder.fail(StoreUnavailable("It is full.", hint="Make room."))
    (end,) = read(data).ends
    assert (end["type"], end["code"]) == ("RUN_ERROR", "store_unavailable")
    assert end["metadata"]["headrace"] == {"retryable": True, "hint": "Make room."}
    assert encoder.encode(log[at:]) == encoder.fail(StoreUnavailable("Again.")) == b""


@given(whole())
def test_nothing_follows_the_end(log: list[e.Event]) -> None:
    encoder = AGUIEncoder()
    encoder.encode(log)
    assert encoder.encode(log) == encoder.fail(StoreUnavailable("Late.")) == b""


@given(st.lists(EVENTS, max_size=12))
def test_any_event_is_whole_frames(events: list[e.Event]) -> None:
    start = e.RunStart(1, 1.0, "", "run_x", "a", "m")
    frames(encoded([start, *events]))


FORGED = st.sampled_from(["\n\ndata: {}\n\n", "\r\r", "\r\n\r\n", "\x00", "\u2028", "\x85", '"}\n'])


@given(TEXT, FORGED, TEXT)
def test_no_text_name_or_id_forges_a_frame(before: str, forged: str, after: str) -> None:
    odd = before + forged + after
    scribe = Scribe()
    scribe.put(e.RunStart, odd, odd, odd, odd)
    scribe.put(e.StepStart, 1, odd)
    for kind, *fields in ((e.Thought, odd), (e.Token, odd, 0), (e.ToolArgs, odd, odd, odd)):
        scribe.put(kind, *fields)
    scribe.put(e.ToolStart, odd, odd, {odd: odd})
    scribe.put(e.ToolProgress, odd, odd)
    scribe.put(e.ToolEnd, odd, odd, odd, 1.0, odd)
    scribe.put(e.AgentStart, odd, odd, agent=odd)
    scribe.put(e.AgentEnd, odd, odd, 1.0, odd, agent=odd)
    scribe.put(e.Warn, odd, odd)
    scribe.put(e.Retract, 3, odd)
    scribe.put(e.Error, odd, odd, False, METRICS)
    events = frames(AGUIEncoder(odd, odd).encode(scribe.events))
    plain = [event["type"] for event in frames(AGUIEncoder().encode(_plain(scribe.events)))]
    assert [event["type"] for event in events] == plain
    assert events[0]["threadId"] == events[0]["runId"] == odd
    assert events[-1]["message"] == odd


def _plain(events: list[e.Event]) -> list[e.Event]:
    """The same events, every text in them a single letter."""

    def clean(value: Any) -> Any:
        return "x" if isinstance(value, str) else {"x": "x"} if isinstance(value, dict) else value

    return [
        msgspec.structs.replace(
            event,
            **{k: clean(v) for k, v in msgspec.structs.asdict(event).items() if k != "agent" or v},
        )
        for event in events
    ]


def begun(*kinds: tuple[Any, ...]) -> list[e.Event]:
    """A run's start and its first step's, and what follows."""
    scribe = Scribe()
    scribe.put(e.RunStart, "run_x", "assistant", "m", "session_1")
    scribe.put(e.StepStart, 1, "m")
    for kind, *fields in kinds:
        scribe.put(kind, *fields)
    return scribe.events


def types(events: list[e.Event]) -> list[str]:
    return [event["type"] for event in frames(encoded(events))]


def test_a_lone_surrogate_is_a_question_mark() -> None:
    assert frames(encoded(begun((e.Token, "a\ud800b", 0))))[-1]["delta"] == "a?b"


def test_empty_pieces_open_nothing() -> None:
    assert types(begun((e.Token, "", 0), (e.Thought, ""), (e.ToolArgs, "c", "f", ""))) == [
        "RUN_STARTED",
        "STEP_STARTED",
    ]


def test_the_start_names_the_run_as_the_client_does() -> None:
    (start,) = frames(AGUIEncoder("t", "r").encode(begun()[:1]))
    assert (start["threadId"], start["runId"], start["protocolVersion"]) == ("t", "r", "1.0")
    assert start["metadata"]["headrace"]["run_id"] == "run_x"
    (start,) = frames(AGUIEncoder().encode(begun()[:1]))
    assert (start["threadId"], start["runId"]) == ("session_1", "run_x")
    assert AGUIEncoder("t").key != AGUIEncoder("u").key


def test_withdrawn_messages_become_activities_that_say_why() -> None:
    log = begun((e.Thought, "hm"), (e.Token, "no", 0), (e.Retract, 3, "stream_truncated"))
    seen = read(encoded(log)).messages
    assert [(m["role"], m["activityType"], m["content"]) for m in seen] == [
        ("activity", RETRACTED, {"reason": "stream_truncated"})
    ] * 2


def test_text_goes_on_in_a_new_message_after_a_retract_within_a_step() -> None:
    log = begun((e.Token, "no", 0), (e.Retract, 3, "guard"), (e.Token, "yes", 0))
    assert text(read(encoded(log)).messages) == "yes"


def test_a_call_that_never_ran_is_answered() -> None:
    log = begun((e.ToolArgs, "c", "f", '{"a'), (e.Error, "internal", "It broke.", False, METRICS))
    (result,) = [m for m in read(encoded(log)).messages if m["role"] == "tool"]
    assert result["content"] == NOT_RUN


def test_a_call_that_never_ran_is_answered_before_the_next_step() -> None:
    log = begun(
        (e.ToolArgs, "c", "f", "{"),
        (e.StepStart, 2, "m"),
        (e.ToolArgs, "c", "f", "{}"),
        (e.ToolStart, "c", "f", {}),
        (e.ToolEnd, "c", "f", "found", 1.0),
        (e.ToolEnd, "c", "f", "again", 1.0),
    )
    seen = frames(encoded(log))
    results = [(r["toolCallId"], r["content"]) for r in seen if r["type"] == "TOOL_CALL_RESULT"]
    assert results == [("c", NOT_RUN), ("c_2", "found")]
    assert [x["delta"] for x in seen if x["type"] == "TOOL_CALL_ARGS"] == ["{", "{}"]


def test_reasoning_is_closed_when_text_or_a_call_begins_and_text_stays_open() -> None:
    log = begun(
        (e.Thought, "a"),
        (e.Token, "b", 0),
        (e.Thought, "c"),
        (e.Token, "d", 1),
        (e.Thought, "e"),
        (e.ToolArgs, "c", "f", "{}"),
        (e.StepEnd, 1, "tool_calls", USAGE, Timing(1.0), Message("assistant")),
    )
    thinks = ["START", "MESSAGE_START", "MESSAGE_CONTENT", "MESSAGE_END", "END"]
    assert types(log)[2:] == [
        *[f"REASONING_{kind}" for kind in thinks],
        *["TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT"],
        *[f"REASONING_{kind}" for kind in thinks],
        "TEXT_MESSAGE_CONTENT",
        *[f"REASONING_{kind}" for kind in thinks],
        *["TOOL_CALL_START", "TOOL_CALL_ARGS"],
        *["TEXT_MESSAGE_END", "TOOL_CALL_END", "STEP_FINISHED"],
    ]


def test_raw_arguments_stay_as_they_are() -> None:
    log = begun((e.ToolStart, "c", "f", '{"a'), (e.ToolEnd, "c", "f", "", 1.0, "no JSON"))
    assert calls(read(encoded(log)).messages) == [("f", '{"a', "no JSON")]


def test_ids_that_the_client_knows_are_given_anew() -> None:
    log = begun((e.ToolStart, "c", "f", {}), (e.ToolProgress, "c", "half"))
    data = AGUIEncoder(taken=["c", "c_2"]).encode(log)
    assert read(data).calls == {"c_3"}
    progress = frames(data)[-1]
    assert (progress["type"], progress["name"]) == ("CUSTOM", "headrace.tool_progress")
    assert progress["metadata"]["headrace"] == {"tool_call_id": "c_3"}
    assert progress["value"]["call_id"] == "c"


def test_a_subagent_is_told_of_and_its_text_is_not_the_answer() -> None:
    scribe = Scribe()
    scribe.put(e.RunStart, "run_x", "assistant", "m")
    scribe.put(e.AgentStart, "a", "task", agent="a")
    scribe.put(e.AgentStart, "b", "part", agent="a/b")
    scribe.put(e.Token, "mine", 0, agent="a/b")
    scribe.put(e.ToolStart, "c", "f", {}, agent="a/b")
    scribe.put(e.AgentEnd, "b", "done", 1.0, agent="a/b")
    scribe.put(e.AgentEnd, "a", "", 1.0, "it broke", agent="a")
    _, a, b, tool, b_end, a_end = frames(encoded(scribe.events))
    assert (a["name"], a["description"], "parentSubagentRunId" in a) == ("a", "task", False)
    assert b["parentSubagentRunId"] == a["subagentRunId"]
    assert (tool["name"], tool["value"]["agent"]) == ("headrace.tool_start", "a/b")
    assert (b_end["type"], b_end["result"]) == ("SUBAGENT_FINISHED", "done")
    assert (a_end["type"], a_end["message"]) == ("SUBAGENT_ERROR", "it broke")
    assert a_end["subagentRunId"] == a["subagentRunId"]


def test_what_is_still_at_work_is_closed_with_the_run() -> None:
    scribe = Scribe()
    scribe.put(e.RunStart, "run_x", "assistant", "m")
    scribe.put(e.AgentStart, "a", "task", agent="a")
    scribe.put(e.Cancelled, "enough", USAGE, METRICS, Receipt())
    assert types(scribe.events)[-2:] == ["SUBAGENT_ERROR", "RUN_FINISHED"]
    assert read(encoded(scribe.events)).ends


def test_other_events_are_custom_and_whole() -> None:
    log = begun(
        (e.Partial, {"a": None}),
        (e.ApprovalNeeded, "c", "f", {"a": 1}),
        (e.Approval, "c", True),
        (e.Input, "also"),
        (e.Warn, "slow", "It is slow."),
    )
    customs = frames(encoded(log))[2:]
    names = ["partial", "approval_needed", "approval", "input", "warning"]
    assert [event["name"] for event in customs] == [f"headrace.{name}" for name in names]
    assert customs[0]["value"]["value"] == {"a": None}
    assert customs[1]["value"]["input"] == {"a": 1}
