"""The fold: a log made into its state, the same by the plainest model of it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace import events as e
from headrace.events import Event
from headrace.messages import Message, ToolCall, ToolResult
from headrace.runs.fold import Folder, RunState, fold
from headrace.usage import Metrics, Receipt, Timing, Usage
from tests.strategies import PIECES, Scribe, logs

SAID = Usage(1, 1)


def naive_text(events: list[Event], kind: type[e.Token] | type[e.Thought]) -> str:
    """The root's text as a list of pieces, cut at each retract."""
    pieces: list[tuple[int, str]] = []
    for event in events:
        if isinstance(event, kind) and not event.agent:
            pieces.append((event.seq, event.content))
        elif isinstance(event, e.Retract) and not event.agent:
            pieces = [piece for piece in pieces if piece[0] < event.since]
    return "".join(text for _, text in pieces)


@given(logs())
def test_text_reasoning_and_answer(events: list[Event]) -> None:
    state = fold(events)
    assert state.text == naive_text(events, e.Token)
    assert state.reasoning == naive_text(events, e.Thought)
    assert state.answer == state.text
    assert (state.status, state.last_seq) == ("complete", len(events))


PLAN = st.lists(st.tuples(st.sampled_from("ttthr"), PIECES, st.integers(0, 40)), max_size=40)


@given(PLAN)
def test_a_retract_cuts_exactly(plan: list[tuple[str, str, int]]) -> None:
    scribe = Scribe()
    for kind, piece, since in plan:
        if kind == "t":
            scribe.put(e.Token, piece, 0)
        elif kind == "h":
            scribe.put(e.Thought, piece)
        else:
            scribe.put(e.Retract, since, "guard")
    state = fold(scribe.events)
    assert state.text == naive_text(scribe.events, e.Token)
    assert state.reasoning == naive_text(scribe.events, e.Thought)


@settings(max_examples=50)
@given(logs())
def test_a_conversation_answers_each_call_in_the_order_it_was_asked(events: list[Event]) -> None:
    waiting: list[str] = []
    for message in fold(events).messages:
        if message.role == "tool":
            results = [part for part in message.content if isinstance(part, ToolResult)]
            assert [result.call_id for result in results] == waiting
            assert all(
                r.output == ("it broke" if r.is_error else f"found {r.call_id}") for r in results
            )
            waiting = []
        else:
            assert (message.role, waiting) == ("assistant", [])
            waiting = [call.id for call in message.tool_calls]
    assert waiting == []


@settings(max_examples=50)
@given(logs())
def test_tools_steps_and_usage(events: list[Event]) -> None:
    state = fold(events)
    starts = [event for event in events if isinstance(event, e.ToolStart)]
    assert [(tool.call_id, tool.seq) for tool in state.tools] == [
        (s.call_id, s.seq) for s in starts
    ]
    assert all(tool.duration_ms == 1.5 for tool in state.tools)
    assert state.steps == max(x.step for x in events if isinstance(x, e.StepStart) and not x.agent)
    assert state.usage == Usage(1, 2)


@settings(max_examples=50)
@given(logs(ended=False))
def test_a_state_in_between_is_not_changed_by_what_follows(events: list[Event]) -> None:
    folder, states = Folder(), list[RunState]()
    for event in events:
        folder.add(event)
        states.append(folder.state())
    for i, state in enumerate(states, start=1):
        assert state == fold(events[:i])
        assert state.status == "running"


def step(scribe: Scribe, number: int, *parts: str | ToolCall, reason: str = "tool_calls") -> None:
    message = Message.assistant(*parts)
    scribe.put(e.StepEnd, number, reason, SAID, Timing(1.0), message)


def tool(scribe: Scribe, call_id: str, output: str) -> None:
    scribe.put(e.ToolStart, call_id, "look", {})
    scribe.put(e.ToolEnd, call_id, "look", output, 1.0, None)


def test_two_steps_may_use_the_same_call_id() -> None:
    scribe = Scribe()
    for number in (1, 2):
        scribe.put(e.StepStart, number, "m")
        step(scribe, number, ToolCall("call_0", "look"))
        tool(scribe, "call_0", f"found {number}")
    state = fold(scribe.events)
    assert [t.output for t in state.tools] == ["found 1", "found 2"]
    assert [
        m.content[0].output for m in state.messages if isinstance(m.content[0], ToolResult)
    ] == [*("found 1", "found 2")]


def test_a_tool_may_end_before_its_step() -> None:
    scribe = Scribe()
    first, early, late = (ToolCall(name, "look") for name in ("first", "early", "late"))
    scribe.put(e.StepStart, 1, "m")
    step(scribe, 1, first)
    tool(scribe, "first", "1")
    scribe.put(e.StepStart, 2, "m")
    tool(scribe, "early", "3")
    step(scribe, 2, late, early)
    tool(scribe, "late", "2")
    assert fold(scribe.events).messages == [
        Message.assistant(first),
        Message.tool(ToolResult("first", "look", "1")),
        Message.assistant(late, early),
        Message.tool(ToolResult("late", "look", "2"), ToolResult("early", "look", "3")),
    ]


def test_a_lost_try_leaves_nothing_in_the_conversation() -> None:
    scribe = Scribe()
    asked = ToolCall("call_0", "look")
    scribe.put(e.StepStart, 1, "m")
    step(scribe, 1, asked)
    tool(scribe, "call_0", "found")
    lost = scribe.put(e.StepStart, 2, "m")
    scribe.put(e.Token, "half", 0)
    scribe.put(e.ToolStart, "call_0", "look", {})
    step(scribe, 2, "half", asked, reason="error")
    scribe.put(e.ToolEnd, "call_0", "look", "", 1.0, "withdrawn")
    before = fold(scribe.events)
    scribe.put(e.Retract, lost.seq + 1, "stream_truncated")
    after = fold(scribe.events)
    expected = [Message.assistant(asked), Message.tool(ToolResult("call_0", "look", "found"))]
    assert before.messages == expected
    assert after.messages == expected
    assert (before.text, after.text) == ("half", "")
    assert [t.output for t in after.tools] == ["found"]
    assert after.usage == SAID + SAID


def test_a_withdrawn_step_leaves_the_conversation() -> None:
    scribe = Scribe()
    start = scribe.put(e.StepStart, 1, "m")
    scribe.put(e.Token, "bad words", 0)
    step(scribe, 1, "bad words", reason="stop")
    assert fold(scribe.events).messages == [Message.assistant("bad words")]
    scribe.put(e.Retract, start.seq + 1, "guard")
    assert (fold(scribe.events).messages, fold(scribe.events).text) == ([], "")


def test_a_sub_agent_speaks_for_itself() -> None:
    scribe = Scribe()
    scribe.put(e.StepStart, 1, "m")
    scribe.put(e.Token, "mine", 0)
    scribe.put(e.Token, "theirs", 0, agent="helper")
    scribe.put(e.Thought, "theirs", agent="helper")
    scribe.put(e.StepStart, 9, "m", agent="helper")
    scribe.put(e.ToolStart, "c", "look", {}, agent="helper")
    scribe.put(e.ToolEnd, "c", "look", "found", 1.0, None, agent="helper")
    scribe.put(e.StepEnd, 9, "stop", SAID, Timing(1.0), Message.assistant("x"), agent="helper")
    scribe.put(e.Retract, 1, "guard", agent="other")
    step(scribe, 1, "mine", reason="stop")
    state = fold(scribe.events)
    assert (state.text, state.reasoning, state.steps) == ("mine", "", 1)
    assert state.messages == [Message.assistant("mine")]
    assert [(t.agent, t.output) for t in state.tools] == [("helper", "found")]
    assert state.usage == SAID + SAID
    scribe.put(e.Retract, 1, "guard", agent="helper")
    assert (fold(scribe.events).text, fold(scribe.events).tools) == ("mine", [])


def test_a_tool_that_runs() -> None:
    scribe = Scribe()
    scribe.put(e.ToolStart, "c", "look", {"x": 1})
    scribe.put(e.ToolProgress, "c", "a third")
    scribe.put(e.ToolProgress, "c", "half")
    (running,) = fold(scribe.events).tools
    assert (running.input, running.progress, running.output) == ({"x": 1}, "half", None)


def test_what_the_first_event_tells() -> None:
    start = e.RunStart(1, 1.0, "", "run_1", "bot", "demo:one", session="s1")
    state = fold([start])
    assert (state.run_id, state.agent_name, state.model, state.session, state.status) == (
        *("run_1", "bot", "demo:one", "s1", "running"),
    )


def test_each_end() -> None:
    metrics, used = Metrics(chunks=3), Usage(5, 6)
    done = fold([e.Complete(1, 1.0, "", "length", used, metrics, {"a": 1})])
    assert (done.status, done.finish_reason, done.output) == ("complete", "length", {"a": 1})
    failed = fold([e.Error(1, 1.0, "", "rate_limited", "Too many.", True, metrics, used)])
    assert (failed.status, failed.finish_reason) == ("error", "error")
    assert (failed.error_code, failed.error_message) == ("rate_limited", "Too many.")
    receipt = Receipt("so f", {"c": "running"}, 1.0)
    gone = fold([e.Cancelled(1, 1.0, "", "stop", used, metrics, receipt)])
    assert (gone.status, gone.finish_reason) == ("cancelled", "cancelled")
    assert (gone.cancel_reason, gone.receipt) == ("stop", receipt)
    assert all((s.metrics, s.usage) == (metrics, used) for s in (done, failed, gone))


def test_an_error_without_usage_keeps_the_sum() -> None:
    scribe = Scribe()
    scribe.put(e.StepStart, 1, "m")
    step(scribe, 1, "a", reason="stop")
    scribe.put(e.Error, "internal", "x", False, Metrics())
    assert fold(scribe.events).usage == SAID
