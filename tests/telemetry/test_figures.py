"""What a run's events tell: values in, values out."""

from __future__ import annotations

import pytest

from headrace import events as ev
from headrace.messages import Message
from headrace.telemetry.figures import (
    OTHER,
    AgentCall,
    Measured,
    ModelCall,
    Recorder,
    RunBegan,
    RunEnded,
    ToolCall,
    Warned,
    Withdrawn,
    error_name,
    named,
)
from headrace.usage import Metrics, Receipt, Timing, Usage


class Told(Recorder):
    """Keeps what it is told."""

    def __init__(self, model: str) -> None:
        super().__init__(model, lambda: Gaps())
        self.last: list[Measured] = []

    def tell(self, measured: Measured, event: ev.Event | None) -> None:
        self.last.append(measured)

    def of(self, event: ev.Event) -> list[Measured]:
        """What this event tells."""
        self.last = []
        self.event(event)
        return self.last

    def losing(self) -> list[Measured]:
        """What is told when the run is lost."""
        self.last = []
        self.lost()
        return self.last


class Gaps(list[float]):
    """Keeps them all."""

    def add(self, value: float) -> None:
        self.append(value)


USAGE = Usage(10, 5, 4, 2)
METRICS = Metrics(100.0, 2000.0, 3, 12, 25.0)
MODEL = "openai:gpt-x"


def start(at: float = 1.0, agent: str = "", model: str = MODEL) -> ev.StepStart:
    return ev.StepStart(2, at, agent, 1, model)


def end(
    at: float = 3.0, agent: str = "", reason: ev.FinishReason = "stop", model: str = ""
) -> ev.StepEnd:
    message = Message.assistant("secret")
    return ev.StepEnd(9, at, agent, 1, reason, USAGE, Timing(2000.0, 500.0), message, model)


def told(*events: ev.Event, model: str = MODEL) -> list[Measured]:
    recorder = Told(model)
    return [measured for event in events for measured in recorder.of(event)]


def ended(*events: ev.Event) -> list[ModelCall]:
    """The model calls that have ended, each once."""
    recorder, found = Told(MODEL), list[ModelCall]()
    for event in events:
        found += [m for m in recorder.of(event) if isinstance(m, ModelCall) and m.ended]
    return found


def test_a_model_call_from_its_beginning_to_its_end() -> None:
    recorder = Told(MODEL)
    (began,) = recorder.of(start())
    assert isinstance(began, ModelCall)
    assert (began.provider, began.model, began.ended) == ("openai", "gpt-x", 0.0)
    (call,) = recorder.of(end())
    assert call is began
    assert (call.seconds, call.finish_reason, call.usage, call.error) == (2.0, "stop", USAGE, "")


def call_of(recorder: Told, event: ev.StepStart) -> ModelCall:
    (call,) = recorder.of(event)
    assert isinstance(call, ModelCall)
    return call


def felt(call: ModelCall) -> tuple[object, object]:
    return call.first, call.gaps


def test_content_gives_the_wait_for_the_first_and_the_gaps_after_it() -> None:
    recorder = Told(MODEL)
    call = call_of(recorder, start(1.0))
    assert felt(call) == (None, None)
    for at in (1.5, 1.75, 2.75):
        recorder.content("", 7, at)
    assert felt(call) == (0.5, [0.25, 1.0])
    assert call.reads == 3


def test_each_call_and_each_agent_has_a_first_content_of_its_own() -> None:
    recorder = Told(MODEL)
    one, helper = call_of(recorder, start(1.0)), call_of(recorder, start(1.0, agent="helper"))
    for agent, at in (("", 1.25), ("helper", 1.5), ("", 2.0)):
        recorder.content(agent, 1, at)
    recorder.of(end())
    two = call_of(recorder, start(4.0))
    recorder.content("", 1, 9.0)
    recorder.content("helper", 1, 9.0)
    assert [felt(call) for call in (one, two, helper)] == [
        (0.25, [0.75]),
        (5.0, None),
        (0.5, [7.5]),
    ]


def test_content_of_no_call_is_not_counted() -> None:
    recorder = Told(MODEL)
    recorder.content("", 1, 1.0)
    call = call_of(recorder, start())
    recorder.of(end())
    recorder.content("", 1, 4.0)
    assert (call.reads, call.first) == (0, None)


def test_of_a_fallback_the_one_that_answered_counts() -> None:
    asked = "openai:gpt-x, else anthropic:claude-y"
    recorder = Told(asked)
    (began,) = recorder.of(start(model=asked))
    assert isinstance(began, ModelCall)
    assert (began.provider, began.model, began.answered) == ("fallback", asked, False)
    (call,) = recorder.of(end(model="anthropic:claude-y"))
    assert isinstance(call, ModelCall)
    assert (call.provider, call.model, call.answered) == ("anthropic", "claude-y", True)


FAILED = end(reason="error")


@pytest.mark.parametrize(
    ("after", "error"),
    [
        (ev.Retract(10, 4.0, "", 3, "rate_limited"), "rate_limited"),
        (ev.Error(10, 4.0, "", "stream_truncated", "cut", True, METRICS), "stream_truncated"),
        (ev.Cancelled(10, 4.0, "", "why", USAGE, METRICS, Receipt()), OTHER),
        (start(4.0), OTHER),
    ],
)
def test_a_call_that_failed_is_told_when_its_error_has_a_name(after: ev.Event, error: str) -> None:
    assert ended(start(), FAILED) == []
    (call,) = ended(start(), FAILED, after)
    assert (call.error, call.seconds, call.finish_reason) == (error, 2.0, "error")


def test_a_call_that_failed_is_told_once() -> None:
    retract = ev.Retract(10, 4.0, "", 3, "rate_limited")
    again = ev.Error(10, 4.0, "", "internal", "", False, METRICS)
    assert len(ended(start(), FAILED, retract, again)) == 1


def test_another_agent_s_failure_is_not_named_by_the_run_s() -> None:
    error = ev.Error(10, 4.0, "", "internal", "", False, METRICS)
    calls = ended(start(), start(agent="a"), FAILED, end(agent="a", reason="error"), error)
    assert {call.agent: call.error for call in calls} == {"": "internal", "a": OTHER}


def test_a_cancelled_call_is_no_error() -> None:
    (call,) = ended(start(), end(reason="cancelled"))
    assert (call.finish_reason, call.error) == ("cancelled", "")


def test_an_end_whose_beginning_was_not_seen() -> None:
    (call,) = ended(end())
    assert (call.provider, call.model, call.seconds, call.began) == ("openai", "gpt-x", 2.0, 1.0)
    (tool,) = told(ev.ToolEnd(3, 5.0, "", "c1", "look", "secret", 500.0))
    assert isinstance(tool, ToolCall)
    assert (tool.name, tool.began, tool.seconds, tool.ended) == ("look", 4.5, 0.5, True)


def test_a_tool() -> None:
    recorder = Told(MODEL)
    (began,) = recorder.of(ev.ToolStart(3, 1.0, "", "c1", "look", {"key": "secret"}))
    assert isinstance(began, ToolCall)
    assert not began.ended
    (tool,) = recorder.of(ev.ToolEnd(4, 9.0, "", "c1", "look", "", 250.0, "cancelled"))
    assert tool is began
    assert (began.seconds, began.error, began.ended) == (0.25, "cancelled", True)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (None, ""),
        ("cancelled", "cancelled"),
        ("outcome unknown", "outcome_unknown"),
        ("ValueError: no user alice@example.org", OTHER),
        ("", OTHER),
    ],
)
def test_what_a_tool_says_of_its_failure_is_no_name(words: str | None, name: str) -> None:
    assert error_name(words) == name


def test_every_error_that_headrace_itself_writes_has_a_name() -> None:
    # Found in agents/drive.py, agents/calls.py, runs/run.py and runtime/recovery.py.
    written = "cancelled|the run failed|left open|not asked for|withdrawn|outcome unknown"
    assert OTHER not in map(error_name, written.split("|"))


@pytest.mark.parametrize("agent", ["helper", "a/helper", "a/helper-2"])
def test_a_sub_agent(agent: str) -> None:
    recorder = Told(MODEL)
    (began,) = recorder.of(ev.AgentStart(3, 1.0, agent, "helper", "secret"))
    assert isinstance(began, AgentCall)
    assert (began.agent, began.name) == (agent, "helper")
    (same,) = recorder.of(ev.AgentEnd(4, 2.0, agent, "helper", "secret", 1000.0))
    assert same is began
    assert (began.ended, began.seconds, began.error) == (True, 1.0, "")


def test_one_that_the_conversation_was_handed_to_speaks_at_the_path_of_the_one_before() -> None:
    recorder = Told(MODEL)
    (desk,) = recorder.of(ev.AgentStart(3, 1.0, "a", "desk", "secret"))
    (bills,) = recorder.of(ev.AgentStart(4, 2.0, "a", "bills", "secret"))
    assert recorder.of(ev.AgentEnd(5, 3.0, "a", "bills", "secret", 1000.0)) == [bills]
    assert recorder.of(ev.AgentEnd(6, 3.0, "a", "desk", "secret", 2000.0)) == [desk]


def test_a_run_begins_warns_withdraws_and_ends() -> None:
    found = told(
        ev.RunStart(1, 1.0, "", "run_1", "bot", MODEL),
        ev.Warn(2, 1.0, "", "retry", "secret"),
        ev.Warn(3, 1.0, "", "slow", "secret"),
        ev.Retract(4, 1.0, "", 2, "recovered"),
        ev.Input(5, 1.0, "", "secret"),
        ev.Answer(6, 1.0, "", "secret"),
        ev.Complete(7, 8.0, "", "length", USAGE, METRICS, "secret"),
    )
    assert found == [
        RunBegan(1.0),
        Warned("retry", True),
        Warned("slow", False),
        Withdrawn("recovered"),
        RunEnded(8.0, "complete", "length", METRICS, USAGE),
    ]
    assert "secret" not in str(found)


def test_the_reason_of_a_cancel_is_a_person_s_words() -> None:
    (end_,) = told(ev.Cancelled(2, 1.0, "", "secret", USAGE, METRICS, Receipt("secret")))
    assert end_ == RunEnded(1.0, "cancelled", "", METRICS, USAGE)


def test_an_error_without_usage() -> None:
    (found,) = told(ev.Error(2, 1.0, "", "internal", "secret", False, METRICS))
    assert found == RunEnded(1.0, "error", "internal", METRICS, Usage())


def test_what_is_lost_gives_its_failed_calls() -> None:
    recorder = Told(MODEL)
    for event in (start(), FAILED):
        recorder.of(event)
    assert [call.error for call in recorder.losing() if isinstance(call, ModelCall)] == [OTHER]
    assert recorder.losing() == []


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        ("openai:gpt-x", ("openai", "gpt-x")),
        ("ollama:llama3:8b", ("ollama", "llama3:8b")),
        ("demo", ("demo", "")),
        ("a:x, else b:y", ("fallback", "a:x, else b:y")),
    ],
)
def test_a_model_s_name_in_two(model: str, parts: tuple[str, str]) -> None:
    assert named(model) == parts
