"""An agent over a fallback: what is shown, what is withdrawn, who is named, and what runs once."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import pytest

from headrace import Agent, RunFailed, fallback, fold, tool
from headrace.errors import ConfigurationError, ProviderUnavailable, StreamTruncated, UsageError
from headrace.events import (
    Answer,
    Cancelled,
    Complete,
    Error,
    Event,
    Retract,
    StepEnd,
    StepStart,
    Token,
    ToolEnd,
    Warn,
)
from headrace.messages import Message
from headrace.models.deltas import Failure, TextDelta, ToolCallDelta
from headrace.models.fallback import Fallback, Midstream
from headrace.models.request import ModelRequest
from headrace.testing import Cut, FaultyModel, Gate, ScriptedModel, Step, check_events
from headrace.usage import Usage

E = TypeVar("E", bound=Event)
ANSWER = "Water carries the wheel, and the wheel grinds the corn."


def scripted(name: str, *steps: Any, goes_on: bool = False) -> ScriptedModel:
    model = ScriptedModel(steps)
    model.model, model.continues = name, goes_on
    return model


def cut(*pieces: str) -> list[list[Any]]:
    return [*([TextDelta(piece)] for piece in pieces), [Failure(StreamTruncated("It was cut."))]]


def busy() -> Step:
    return Step(error=ProviderUnavailable("It is busy."))


async def events_of(agent: Agent, **options: Any) -> list[Event]:
    async with agent.start("hi", **options) as run:
        events = [event async for event in run.events()]
    check_events(events)
    return events


def of(events: list[Event], kind: type[E]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


async def test_a_switch_before_content_is_a_warning_and_who_answered_is_named() -> None:
    model = fallback(scripted("a", busy()), scripted("b", Step(text=ANSWER)))
    events = await events_of(Agent(model=model))
    (warning,) = of(events, Warn)
    assert warning.code == "fallback"
    assert warning.message == ("scripted:a failed: It is busy. Asking scripted:b instead.")
    assert [e.model for e in of(events, StepStart)] == ["scripted:a, else scripted:b"]
    assert [e.model for e in of(events, StepEnd)] == ["scripted:b"]
    assert (fold(events).model, fold(events).text) == ("scripted:b", ANSWER)
    assert of(events, Retract) == []


async def test_every_view_names_who_answered() -> None:
    def agent() -> Agent:
        return Agent(model=fallback(scripted("a", busy()), scripted("b", Step(text=ANSWER))))

    assert (await agent().run("hi")).model == "scripted:b"
    chunks = [chunk async for chunk in agent().run_stream("hi")]
    assert (chunks[-1].metadata or {})["model"] == "scripted:b"
    async with agent().start("hi") as run:
        assert run.model == "scripted:a, else scripted:b"
        assert (await run.result()).model == run.model == run.snapshot().model == "scripted:b"


async def test_retry_withdraws_the_broken_answer_and_asks_the_next_model() -> None:
    one = scripted("a", cut("Water ", "carries"))
    two = scripted("b", Step(text=["Rain ", "falls."], usage=Usage(5, 2)))
    events = await events_of(Agent(model=fallback(one, two, midstream="retry")))
    (retract,) = of(events, Retract)
    assert retract.since == of(events, Token)[0].seq
    (warning,) = of(events, Warn)
    assert warning.message == "scripted:a broke off: It was cut. Asking scripted:b instead."
    assert fold(events).text == of(events, Answer)[0].content == "Rain falls."
    assert [(e.finish_reason, e.model) for e in of(events, StepEnd)] == [
        ("error", "scripted:a"),
        ("stop", "scripted:b"),
    ]
    total = of(events, Complete)[0].usage
    assert total == of(events, StepEnd)[0].usage + Usage(5, 2)
    assert not total.exact


async def test_retry_goes_through_all_models_and_then_fails_with_the_last_error() -> None:
    models = [scripted(name, cut(f"{name} says ")) for name in "abc"]
    events = await events_of(Agent(model=fallback(*models, midstream="retry")))
    assert isinstance(events[-1], Error)
    assert len(of(events, Retract)) == 2
    assert fold(events).text == "c says "
    for model in models:
        model.assert_consumed()


async def test_a_switch_before_content_and_one_after_it_in_one_step() -> None:
    models = [
        scripted("a", cut("x")),
        scripted("b", busy()),
        scripted("c", Step(text=ANSWER)),
    ]
    events = await events_of(Agent(model=fallback(*models, midstream="retry")))
    assert fold(events).text == ANSWER
    assert [w.message.split(" ")[0] for w in of(events, Warn)] == ["scripted:a", "scripted:b"]


async def test_with_error_the_fallback_keeps_out_and_the_step_is_asked_again_as_ever() -> None:
    one = scripted("a", cut("Half"), Step(text=ANSWER))
    events = await events_of(Agent(model=fallback(one, scripted("b"))))
    assert fold(events).text == ANSWER
    one.assert_consumed()


@pytest.mark.parametrize("midstream", ["error", "retry", "continue"])
async def test_where_text_cannot_be_taken_back_a_broken_answer_is_an_error(
    midstream: Midstream,
) -> None:
    two = scripted("b", Step(text="never"))
    one = scripted("a", cut("Half"))
    agent = Agent(model=fallback(one, two, midstream=midstream))
    shown: list[str] = []
    with pytest.raises(RunFailed, match="It was cut") as caught:
        await agent.run_callback("hi", shown.append)
    assert "".join(shown) == caught.value.partial == "Half"
    one.steps.append(cut("Half"))
    *_, last = [chunk async for chunk in agent.run_stream("hi", on_error="chunk")]
    assert (last.finish_reason, (last.metadata or {})["model"]) == ("error", "scripted:a")
    assert two.requests == []


def going_on(request: ModelRequest) -> Step:
    (*_, last) = request.messages
    begun = last.text if last.role == "assistant" else ""
    assert ANSWER.startswith(begun)
    return Step(text=list(ANSWER[len(begun) :]))


@pytest.mark.parametrize("at", range(1, len(ANSWER)))
async def test_an_answer_that_goes_on_shows_nothing_twice_in_any_view(at: int) -> None:
    def agent() -> Agent:
        first = FaultyModel(ScriptedModel([Step(text=list(ANSWER))]), Cut(at))
        return Agent(
            model=fallback(first, scripted("b", going_on, goes_on=True), midstream="continue")
        )

    events = await events_of(agent())
    assert "".join(e.content for e in of(events, Token)) == fold(events).text == ANSWER
    assert [e.index for e in of(events, Token)] == list(range(len(of(events, Token))))
    assert (of(events, Retract), len(of(events, StepEnd))) == ([], 1)
    assert of(events, StepEnd)[0].message == Message.assistant(ANSWER)
    chunks = [chunk async for chunk in agent().run_stream("hi")]
    assert "".join(chunk.content for chunk in chunks) == ANSWER
    assert (await agent().run("hi")).content == ANSWER


async def test_an_answer_that_cannot_go_on_is_asked_afresh() -> None:
    one = scripted("a", [[TextDelta("So ")], [ToolCallDelta(0, "x", "add", "{")], *cut()])
    two = scripted("b", Step(text=ANSWER), goes_on=True)
    events = await events_of(Agent(model=fallback(one, two, midstream="continue")))
    assert fold(events).text == ANSWER
    assert len(of(events, Retract)) == 1
    assert two.requests[0].messages == (Message.user("hi"),)


@pytest.mark.parametrize("midstream", ["retry", "continue"])
async def test_finished_tools_never_run_again(midstream: Midstream) -> None:
    ran: list[int] = []

    @tool
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        ran.append(a)
        return a + b

    one = scripted("a", Step(text="Let me. ", tool_calls=[("add", {"a": 1, "b": 2})]), cut("It "))
    two = scripted("b", Step(text="is 3."), goes_on=True)
    events = await events_of(Agent(model=fallback(one, two, midstream=midstream), tools=[add]))
    assert ran == [1]
    assert [e.output for e in of(events, ToolEnd)] == ["3"]
    roles = [m.role for m in two.requests[0].messages]
    begun = ["assistant"] if midstream == "continue" else []
    assert roles == ["user", "assistant", "tool", *begun]
    whole = "Let me. It is 3." if midstream == "continue" else "Let me. is 3."
    assert fold(events).text == of(events, Answer)[0].content == whole


async def test_calls_of_a_broken_answer_never_run() -> None:
    ran: list[str] = []

    @tool
    def look(at: str) -> str:
        """Look."""
        ran.append(at)
        return "seen"

    call = ToolCallDelta(0, "x", "look", '{"at": "here"}')
    one = scripted("a", [[call], *cut()])
    two = scripted("b", Step(tool_calls=[("look", {"at": "there"})]))
    agent = Agent(model=fallback(one, two, midstream="retry"), tools=[look], max_steps=1)
    events = await events_of(agent)
    assert ran == ["there"]
    assert [t.input for t in fold(events).tools] == [{"at": "there"}]


@pytest.mark.parametrize("midstream", ["error", "retry", "continue"])
async def test_a_cancel_while_the_next_model_is_waited_for(midstream: Midstream) -> None:
    gate = Gate()
    broken = busy() if midstream == "error" else cut("So far")
    one, two = scripted("a", broken), scripted("b", [gate], goes_on=True)
    async with Agent(model=fallback(one, two, midstream=midstream)).start("hi") as run:
        reading = asyncio.create_task(_all(run.events()))
        await gate.reached.wait()
        end = await run.cancel("enough")
        events = await reading
    check_events(events)
    assert isinstance(end, Cancelled)
    assert end.receipt.content == ("So far" if midstream == "continue" else "")
    assert (one.open_streams, two.open_streams) == (0, 0)


async def _all(events: Any) -> list[Event]:
    return [event async for event in events]


async def test_parallel_runs_of_one_fallback_do_not_meet() -> None:
    one = scripted("a", *(cut("x") for _ in range(20)))
    two = scripted("b", *(Step(text=ANSWER) for _ in range(20)))
    agent = Agent(model=fallback(one, two, midstream="retry"))
    answers = await asyncio.gather(*(agent.run("hi") for _ in range(20)))
    assert {(a.content, a.model) for a in answers} == {(ANSWER, "scripted:b")}


async def test_all_models_fail() -> None:
    agent = Agent(model=fallback(scripted("a", busy()), scripted("b", busy())))
    with pytest.raises(RunFailed, match="busy") as caught:
        await agent.run("hi")
    assert caught.value.code == "provider_unavailable"
    notes = getattr(caught.value.__cause__, "__notes__", [])
    assert notes == ["scripted:a failed: It is busy."]


async def test_names_are_checked_at_once_and_made_when_asked() -> None:
    agent = Agent(model=fallback("openai:gpt-5", "demo", env={}))
    events = await events_of(agent)
    assert "No API key for openai" in of(events, Warn)[0].message
    assert of(events, StepEnd)[0].model == "demo:demo"
    with pytest.raises(ConfigurationError, match="opneai"):
        fallback("opneai:gpt-5", "demo")
    with pytest.raises(UsageError, match="models and names"):
        fallback(3, "demo")  # type: ignore[arg-type]
    assert isinstance(fallback("demo"), Fallback)
