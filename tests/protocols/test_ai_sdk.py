"""The AI SDK's UI message stream: what a strict reader makes of it, whatever the cuts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from headrace import events as e
from headrace.errors import StoreUnavailable
from headrace.messages import Message
from headrace.protocols.ai_sdk.encode import AISDKEncoder
from headrace.protocols.ai_sdk.parts import HEADERS, NEVER_CALLED
from headrace.protocols.table import format_of
from headrace.usage import Metrics, Receipt, Timing, Usage
from tests.protocols.ai_sdk_reading import (
    batches,
    page_of,
    read,
    runs,
    same_inputs,
    unfinished,
    wanted,
)
from tests.strategies import EVENTS, Scribe, logs

BOTH = st.booleans()


def encoded(events: Sequence[e.Event], *, reset_step: bool = False) -> bytes:
    """The whole stream, event by event, as a live page gets it."""
    encoder = AISDKEncoder(reset_step)
    return b"".join(encoder.encode((event,)) for event in events)


def begun(*more: type[e.Event]) -> Scribe:
    """A run in its first step."""
    scribe = Scribe()
    scribe.put(e.RunStart, "run_x", "assistant", "scripted:one")
    scribe.put(e.StepStart, 1, "scripted:one")
    return scribe


def step_end(scribe: Scribe, reason: str = "stop") -> None:
    message = Message("assistant")
    scribe.put(e.StepEnd, 1, reason, Usage(1, 1), Timing(1.0), message)


@given(runs(), BOTH, st.data())
def test_any_cut_of_any_run_folds_to_what_its_log_does(
    events: list[e.Event], reset_step: bool, data: DataObject
) -> None:
    encoder = AISDKEncoder(reset_step)
    stream = b"".join(encoder.encode(batch) for batch in data.draw(batches(events)))
    page = page_of(stream)
    assert same_inputs(page.shown(), wanted(events))
    assert page.done == isinstance(events[-1], e.TERMINAL)
    if page.done:
        assert not unfinished(page)
        assert encoder.encode(events) == encoder.fail(StoreUnavailable("late")) == b""


@given(runs(), BOTH, st.data())
def test_a_failure_closes_what_is_open_and_looks_like_no_end(
    events: list[e.Event], reset_step: bool, data: DataObject
) -> None:
    events = [event for event in events if not isinstance(event, e.TERMINAL)]
    encoder = AISDKEncoder(reset_step)
    stream = b"".join(encoder.encode(batch) for batch in data.draw(batches(events)))
    page = page_of(stream + encoder.fail(StoreUnavailable("The events are gone.", hint="Reload.")))
    want = wanted(events)
    want.error = "The events are gone. Reload."
    assert same_inputs(page.shown(), want)
    assert page.done
    assert page.metadata["error"] == {"code": "store_unavailable", "retryable": True}


@given(runs(), BOTH, st.data())
def test_its_state_hangs_on_the_events_alone(
    events: list[e.Event], reset_step: bool, data: DataObject
) -> None:
    one, other = AISDKEncoder(reset_step), AISDKEncoder(reset_step)
    for batch in data.draw(batches(events)):
        one.encode(batch)
    for batch in data.draw(batches(events)):
        other.encode(batch)
    assert vars(one) == vars(other)


@given(runs(), st.data())
def test_forks_give_the_same_bytes_and_know_nothing_of_each_other(
    events: list[e.Event], data: DataObject
) -> None:
    first = AISDKEncoder()
    at = data.draw(st.integers(0, len(events)))
    first.encode(events[:at])
    second = first.fork()
    assert second.key == first.key == AISDKEncoder().key != AISDKEncoder(True).key
    ahead = second.encode(events[at:])
    assert first.encode(events[at:]) == ahead


@given(st.lists(EVENTS, max_size=8), BOTH)
def test_any_events_at_all_make_parts_that_fit_the_schema(
    events: list[e.Event], reset_step: bool
) -> None:
    encoder = AISDKEncoder(reset_step)
    read(encoder.encode(events))
    read(encoder.fail(StoreUnavailable("gone")))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=4, max_size=4))
def test_no_text_name_or_id_forges_a_frame(words: list[str]) -> None:
    text, name, call_id, output = (f"\n\ndata: [DONE]\r\n\r{word}\u2028\x00" for word in words)
    scribe = begun()
    scribe.put(e.Thought, text)
    scribe.put(e.Token, text, 0)
    scribe.put(e.ToolArgs, call_id, name, text)
    scribe.put(e.ToolStart, call_id, name, {text: text})
    scribe.put(e.ToolProgress, call_id, text)
    scribe.put(e.ToolEnd, call_id, name, output, 1.0)
    step_end(scribe, "tool_calls")
    scribe.put(e.Complete, "stop", Usage(), Metrics())
    stream = encoded(scribe.events)
    parts = read(stream)
    assert stream.count(b"\n\n") == len(parts) == 16
    assert not stream.replace(b"\n\n", b"").count(b"\n")
    assert b"\r" not in stream
    assert page_of(stream).shown().tools == [(call_id, name, {text: text}, output, None)]


@given(logs())
def test_what_was_withdrawn_before_a_page_came_is_never_written(events: list[e.Event]) -> None:
    stream = AISDKEncoder().encode(events)
    assert b"data-retract" not in stream
    assert b"reset-step" not in stream
    page = page_of(stream)
    texts = [part["text"] for part in page.parts if part["type"] == "text"]
    assert "".join(texts) == wanted(events).text


def test_a_whole_run_part_by_part() -> None:
    scribe = begun()
    scribe.put(e.Thought, "Hm")
    scribe.put(e.Token, "Let me ", 0)
    scribe.put(e.Token, "look.", 1)
    scribe.put(e.ToolArgs, "c1", "look", '{"q":')
    scribe.put(e.ToolArgs, "c1", "look", "1}")
    step_end(scribe, "tool_calls")
    scribe.put(e.ToolStart, "c1", "look", {"q": 1})
    scribe.put(e.ToolProgress, "c1", "half")
    scribe.put(e.ToolEnd, "c1", "look", "found", 1.5)
    scribe.put(e.StepStart, 2, "scripted:one")
    scribe.put(e.Token, "There.", 0)
    step_end(scribe)
    scribe.put(e.Answer, "Let me look.There.")
    scribe.put(e.Complete, "max_steps", Usage(3, 4), Metrics(), {"n": 1})
    parts = read(encoded(scribe.events))
    call = {"toolCallId": "c1", "toolName": "look", "providerExecuted": True, "dynamic": True}
    told = {"runId": "run_x", "agent": "assistant", "model": "scripted:one"}
    assert parts[:-2] == [
        {"type": "start", "messageId": "run_x", "messageMetadata": told},
        {"type": "start-step"},
        {"type": "reasoning-start", "id": "1"},
        {"type": "reasoning-delta", "id": "1", "delta": "Hm"},
        {"type": "reasoning-end", "id": "1"},
        {"type": "text-start", "id": "2"},
        {"type": "text-delta", "id": "2", "delta": "Let me "},
        {"type": "text-delta", "id": "2", "delta": "look."},
        {"type": "text-end", "id": "2"},
        {"type": "tool-input-start", **call},
        {"type": "tool-input-delta", "toolCallId": "c1", "inputTextDelta": '{"q":'},
        {"type": "tool-input-delta", "toolCallId": "c1", "inputTextDelta": "1}"},
        {
            "type": "tool-input-available",
            **call,
            "input": {"q": 1},
            "providerMetadata": {"headrace": {"seq": 9}},
        },
        {
            "type": "tool-output-available",
            "toolCallId": "c1",
            "output": "half",
            "preliminary": True,
        },
        {"type": "tool-output-available", "toolCallId": "c1", "output": "found"},
        {"type": "finish-step"},
        {"type": "start-step"},
        {"type": "text-start", "id": "3"},
        {"type": "text-delta", "id": "3", "delta": "There."},
        {"type": "text-end", "id": "3"},
        {"type": "finish-step"},
    ]
    assert parts[-2]["finishReason"] == "other"
    metadata = parts[-2]["messageMetadata"]
    assert (metadata["finishReason"], metadata["output"]) == ("max_steps", {"n": 1})
    assert metadata["usage"]["output"] == 4
    assert parts[-1] == {"type": "[DONE]"}


def test_a_step_is_taken_back_by_the_readers_own_part_or_by_a_mark() -> None:
    scribe = begun()
    scribe.put(e.Token, "Wrong", 0)
    scribe.put(e.ToolArgs, "c1", "look", "{")
    step_end(scribe, "error")
    scribe.put(e.Retract, 3, "stream_truncated")
    scribe.put(e.StepStart, 1, "scripted:one")
    scribe.put(e.Token, "Right", 0)
    marked, reset = encoded(scribe.events), encoded(scribe.events, reset_step=True)
    assert b'{"type":"reset-step"}' in reset
    assert b"data-retract" not in reset
    assert b'"data":{"steps":0,"reason":"stream_truncated"}' in marked
    assert page_of(marked).shown().text == page_of(reset).shown().text == "Right"
    assert not unfinished(page_of(marked))
    assert not unfinished(page_of(reset))


@pytest.mark.parametrize("reset_step", [False, True])
def test_several_steps_are_taken_back_at_once(reset_step: bool) -> None:
    scribe = begun()
    for step in (1, 2, 3):
        scribe.put(e.Token, f"{step}", 0)
        step_end(scribe)
        scribe.put(e.StepStart, step + 1, "scripted:one")
    second = next(x.seq for x in scribe.events if isinstance(x, e.StepStart) and x.step == 2)
    scribe.put(e.Token, "4", 0)
    scribe.put(e.Retract, second + 1, "guard")
    scribe.put(e.StepStart, 2, "scripted:one")
    scribe.put(e.Token, "right", 0)
    page = page_of(encoded(scribe.events, reset_step=reset_step))
    assert page.shown().text == wanted(scribe.events).text == "1right"


def test_a_tool_that_was_withdrawn_while_it_ran_ends_for_no_one() -> None:
    scribe = begun()
    scribe.put(e.ToolStart, "c1", "look", {})
    scribe.put(e.Retract, 3, "stream_truncated")
    scribe.put(e.ToolProgress, "c1", "half")
    scribe.put(e.ToolEnd, "c1", "look", "late", 1.0)
    for stream in (encoded(scribe.events), AISDKEncoder().encode(scribe.events)):
        assert b"late" not in stream
        assert b"half" not in stream


def test_blanks_after_whole_arguments_do_not_wake_a_call_that_runs() -> None:
    scribe = begun()
    scribe.put(e.ToolArgs, "c1", "look", "{}")
    scribe.put(e.ToolStart, "c1", "look", {})
    scribe.put(e.ToolArgs, "c1", "look", " ")
    scribe.put(e.ToolEnd, "c1", "look", "found", 1.0)
    scribe.put(e.ToolArgs, "c1", "look", "\n")
    page = page_of(encoded(scribe.events))
    assert [part["state"] for part in page.parts[1:]] == ["output-available"]


def test_malformed_arguments_come_as_they_are_with_the_error_of_the_call() -> None:
    scribe = begun()
    scribe.put(e.ToolArgs, "c1", "look", '{"q"')
    step_end(scribe, "tool_calls")
    scribe.put(e.ToolStart, "c1", "look", '{"q"')
    assert b'"tool-input-error"' in encoded(scribe.events)
    scribe.put(e.ToolEnd, "c1", "look", "", 0.0, "JSON ends too early")
    tools = page_of(encoded(scribe.events)).shown().tools
    assert tools == [("c1", "look", '{"q"', None, "JSON ends too early")]


def test_a_call_that_was_never_made_ends_with_the_run() -> None:
    scribe = begun()
    scribe.put(e.ToolArgs, "c1", "look", '{"q":')
    scribe.put(e.Cancelled, "left", Usage(3, 4, exact=False), Metrics(), Receipt())
    page = page_of(encoded(scribe.events))
    assert page.parts[1]["errorText"] == NEVER_CALLED
    assert page.shown().tools == []
    assert page.metadata["reason"] == "left"


def test_a_person_decides_about_a_call() -> None:
    scribe = begun()
    step_end(scribe, "tool_calls")
    for call_id, approved in (("yes", True), ("no", False)):
        scribe.put(e.ApprovalNeeded, call_id, "pay", {"sum": 9})
        state = page_of(encoded(scribe.events)).parts[-1]["state"]
        assert state == "approval-requested"
        scribe.put(e.Approval, call_id, approved, "ann")
    assert page_of(encoded(scribe.events)).parts[-1]["state"] == "output-denied"
    scribe.put(e.ToolStart, "yes", "pay", {"sum": 9})
    scribe.put(e.ToolEnd, "yes", "pay", "paid", 1.0)
    scribe.put(e.ToolStart, "no", "pay", {"sum": 9})
    scribe.put(e.ToolEnd, "no", "pay", "", 1.0, "ann refused")
    assert page_of(encoded(scribe.events)).shown().tools == [
        ("yes", "pay", {"sum": 9}, "paid", None),
        ("no", "pay", {"sum": 9}, None, "ann refused"),
    ]


def test_a_helper_shows_at_work_and_says_nothing_in_the_answer() -> None:
    scribe = begun()
    scribe.put(e.AgentStart, "helper", "help", agent="helper")
    scribe.put(e.StepStart, 1, "scripted:two", agent="helper")
    scribe.put(e.Token, "aside", 0, agent="helper")
    scribe.put(e.ToolStart, "c1", "look", {}, agent="helper")
    scribe.put(e.ToolEnd, "c1", "look", "aside", 1.0, agent="helper")
    scribe.put(e.Retract, 4, "retry", agent="helper")
    scribe.put(e.AgentEnd, "helper", "aside", 1.0, agent="helper")
    scribe.put(e.Warn, "slow", "It is slow.")
    scribe.put(e.Partial, {"n": 1})
    scribe.put(e.Input, "faster")
    stream = encoded(scribe.events)
    page = page_of(stream)
    assert b"aside" not in stream
    assert page.parts == [{"type": "step-start"}]
    assert [(part["type"], part["data"]) for part in page.passing] == [
        ("data-agent", {"agent": "helper", "name": "helper", "state": "working"}),
        ("data-agent", {"agent": "helper", "name": "helper", "state": "done"}),
        ("data-warning", {"code": "slow", "message": "It is slow."}),
        ("data-partial", {"n": 1}),
        ("data-input", {"content": "faster"}),
    ]


def test_a_helper_that_waits_for_a_person_is_told_of() -> None:
    scribe = begun()
    scribe.put(e.AgentStart, "helper", "help", agent="helper")
    scribe.put(e.ApprovalNeeded, "c1", "pay", {"sum": 9}, agent="helper")
    scribe.put(e.Approval, "c1", False, "ann", agent="helper")
    scribe.put(e.ApprovalNeeded, "c1", "pay", {"__proto__": 1}, agent="helper")
    scribe.put(e.Approval, "c1", True, agent="helper")
    page = page_of(encoded(scribe.events))
    assert page.parts == [{"type": "step-start"}]
    call = {"agent": "helper", "callId": "c1"}
    assert [part["data"] for part in page.passing if part["type"] == "data-approval"] == [
        {**call, "state": "needed", "name": "pay", "input": {"sum": 9}},
        {**call, "state": "denied"},
        {**call, "state": "needed", "name": "pay", "input": '{"__proto__":1}'},
        {**call, "state": "approved"},
    ]


def test_the_model_that_answered_in_a_fallback_is_named_at_the_end() -> None:
    scribe = begun()
    scribe.put(e.StepEnd, 1, "stop", Usage(1, 1), Timing(1.0), Message("assistant"), "other:two")
    scribe.put(e.Error, "rate_limited", "Too many.", True, Metrics())
    page = page_of(encoded(scribe.events))
    assert page.shown() == wanted(scribe.events)
    assert page.metadata["model"] == "other:two"
    assert page.metadata["usage"]["output"] == 1
    assert page.metadata["error"] == {"code": "rate_limited", "retryable": True}


def test_the_table_of_protocols_has_it() -> None:
    assert isinstance(format_of("ai-sdk").make(), AISDKEncoder)
    assert format_of("ai-sdk").headers == HEADERS
