"""Agents with an output type: what is shown, what is given, what is asked again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, assert_type

import pytest
from pydantic import BaseModel, TypeAdapter

from headrace import Agent, Channel, Response, RunFailed, Runtime, fallback, fold, tool
from headrace.agents.handoff import Handoff
from headrace.agents.output import RETRIES
from headrace.agents.react import ReActAgent
from headrace.errors import StreamTruncated, UsageError
from headrace.events import (
    AgentEnd,
    Answer,
    Complete,
    Error,
    Event,
    Partial,
    Retract,
    StepEnd,
    StepStart,
    Thought,
    Token,
    ToolArgs,
    ToolEnd,
    Warn,
)
from headrace.messages import Message
from headrace.models.deltas import Failure, TextDelta, ToolCallDelta
from headrace.providers.scripted import Batches
from headrace.testing import Gate, ScriptedModel, Step, check_events

E = TypeVar("E", bound=Event)


class Person(BaseModel):
    name: str
    age: int = 3


@dataclass
class Place:
    city: str


ADA = Person(name="Ada Lovelace of London", age=36)
JSON = '{"name": "Ada Lovelace of London", "age": 36}'
BAD = '{"name": "Ada Lovelace of London", "age": "old"}'
PLAIN = {"name": "Ada Lovelace of London", "age": 36}


@tool
def look(q: str) -> str:
    """Look it up."""
    return f"{q}: found"


def pieces(text: str, size: int = 7) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def agent(*steps: Any, type_: Any = Person, **options: Any) -> Agent:
    return Agent(model=ScriptedModel(steps), output_type=type_, **options)


async def log_of(agent: Agent, **options: Any) -> list[Event]:
    async with agent.start("Who?", **options) as run:
        events = [event async for event in run.events()]
    check_events(events)
    return events


def of(events: Sequence[Event], kind: type[E]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


# What is shown and given ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "step", [Step(text=pieces(JSON)), Step(tool_calls=[("final_answer", pieces(JSON))])]
)
async def test_the_answer_is_json_as_tokens_with_partial_values(step: Step) -> None:
    events = await log_of(agent(step))
    assert "".join(e.content for e in of(events, Token)) == JSON
    assert [e.content for e in of(events, Answer)] == [JSON]
    assert of(events, ToolArgs) == []
    values = [e.value for e in of(events, Partial)]
    assert len(values) > 2
    assert values[-1] == PLAIN
    assert all(set(value) <= {"name", "age"} for value in values)
    assert all(ADA.name.startswith(value["name"]) for value in values)
    (end,) = of(events, Complete)
    assert (end.output, end.finish_reason) == (PLAIN, "stop")
    assert fold(events).output == PLAIN


async def test_a_partial_value_comes_while_the_model_still_writes() -> None:
    gate = Gate()
    async with agent(Step(text=[JSON[:30], gate, JSON[30:]])).start("Who?") as run:
        async for event in run.events():
            if isinstance(event, Partial):
                value = event.value
                break
        assert value == {"name": "Ada Lovelace of Lond"}
        assert not run.ended
        gate.open()
        assert (await run.result()).output == ADA


async def test_the_response_has_an_instance() -> None:
    response = await agent(Step(text=JSON)).run("Who?")
    assert response.output == ADA
    assert isinstance(response.output, Person)
    assert response.content == JSON


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        (Place, '{"city": "Rome"}', Place("Rome")),
        (list[Place], '{"result": [{"city": "Rome"}]}', [Place("Rome")]),
        (int | None, '{"result": null}', None),
    ],
)
async def test_any_type_that_has_a_schema(type_: Any, text: str, value: object) -> None:
    given = agent(Step(text=text), type_=type_)
    async with given.start("?") as run:
        assert (await run.result()).output == value
        (end,) = of([event async for event in run.events()], Complete)
    assert end.output == TypeAdapter(type_).dump_python(value, mode="json")


async def test_defaults_are_in_the_output() -> None:
    events = await log_of(agent(Step(text='{"name": "Ada"}')))
    assert of(events, Complete)[0].output == {"name": "Ada", "age": 3}
    assert of(events, Partial)[-1].value == {"name": "Ada", "age": 3}


async def test_partials_have_no_wrapping() -> None:
    text = json.dumps({"result": [{"city": "Rome on the Tiber"}, {"city": "Paris"}]})
    events = await log_of(agent(Step(text=pieces(text)), type_=list[Place]))
    values = [e.value for e in of(events, Partial)]
    assert all(isinstance(value, list) for value in values)
    assert values[-1] == [{"city": "Rome on the Tiber"}, {"city": "Paris"}]


async def test_what_is_said_around_it_is_a_thought() -> None:
    events = await log_of(agent(Step(text=f"Sure!\n```json\n{JSON}\n```")))
    assert [e.content for e in of(events, Thought)] == ["Sure!\n"]
    assert of(events, Answer)[0].content == JSON


async def test_tools_come_first() -> None:
    given = agent(
        Step(text="Let me look.", tool_calls=[("look", {"q": "Ada"})]),
        Step(tool_calls=[("final_answer", JSON)]),
        tools=[look],
    )
    events = await log_of(given)
    assert [e.output for e in of(events, ToolEnd)] == ["Ada: found"]
    assert fold(events).text == JSON
    assert of(events, Complete)[0].output == PLAIN


async def test_without_an_output_type_nothing_changes() -> None:
    events = await log_of(Agent(model=ScriptedModel([Step(text=JSON)])))
    assert of(events, Partial) == []
    assert of(events, Complete)[0].output is None


# Every view -------------------------------------------------------------------------------------


async def test_every_view_gives_it() -> None:
    def one() -> Agent:
        return agent(Step(text=pieces(JSON)))

    channel: Channel[str] = Channel(64)
    responses = [
        await one().run("?"),
        await one().execute_stream("?", channel),
        await one().run_callback("?", lambda text: None),
    ]
    assert [response.output for response in responses] == [ADA] * 3
    chunks = [chunk async for chunk in one().run_stream("?")]
    assert "".join(chunk.content for chunk in chunks) == JSON
    assert (chunks[-1].metadata or {})["output"] == ADA


def test_the_synchronous_views_give_it() -> None:
    assert agent(Step(text=JSON)).run_sync("?").output == ADA
    chunks = list(agent(Step(text=JSON)).stream_sync("?"))
    assert (chunks[-1].metadata or {})["output"] == ADA


async def test_a_detached_run_gives_an_instance_where_the_agent_is_known() -> None:
    given = agent(Step(text=JSON))
    async with Runtime(agents=[given]) as runtime:
        run = await runtime.submit(given, "Who?")
        assert (await run.result()).output == ADA
        assert (await run.snapshot()).output == PLAIN
        runtime.agents.clear()
        assert (await run.result()).output == PLAIN


# What does not fit ------------------------------------------------------------------------------


async def test_what_does_not_fit_is_withdrawn_told_and_asked_again() -> None:
    model = ScriptedModel([Step(text=pieces(BAD)), Step(text=pieces(JSON))])
    events = await log_of(Agent(model=model, output_type=Person))
    (retract,) = of(events, Retract)
    first, _ = of(events, StepStart)
    assert (retract.since, retract.reason) == (first.seq + 1, "invalid_output")
    (warning,) = of(events, Warn)
    assert (warning.code, "age" in warning.message) == ("invalid_output", True)
    assert of(events, Complete)[0].output == PLAIN
    assert of(events, Answer)[0].content == JSON == fold(events).text
    asked = model.requests[1].messages
    assert [message.role for message in asked] == ["user", "assistant", "user"]
    assert asked[1].text == BAD
    assert "- age:" in asked[2].text


async def test_the_conversation_has_only_the_answer_that_stands() -> None:
    given = agent(Step(text=BAD), Step(text=JSON))
    async with given.start("Who?") as run:
        response = await run.result()
        folded = run.snapshot().messages
    assert response.messages == (Message.user("Who?"), Message.assistant(JSON))
    assert tuple(folded) == response.messages[1:]


async def test_what_is_no_json_is_asked_again() -> None:
    model = ScriptedModel([Step(text="I would rather not."), Step(text=JSON)])
    response = await Agent(model=model, output_type=Person).run("Who?")
    assert response.output == ADA
    assert [message.role for message in model.requests[1].messages] == ["user", "user"]


async def test_it_is_told_until_the_answer_fits_tools_or_not() -> None:
    model = ScriptedModel(
        [Step(text=BAD), Step(tool_calls=[("look", {"q": "Ada"})]), Step(text=JSON)]
    )
    response = await Agent(model=model, output_type=Person, tools=[look]).run("Who?")
    assert response.output == ADA
    roles = [message.role for message in model.requests[2].messages]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]


async def test_asking_again_is_bounded() -> None:
    with ScriptedModel([Step(text=BAD)] * (RETRIES + 1)) as model:
        events = await log_of(Agent(model=model, output_type=Person))
    (end,) = of(events, Error)
    assert (end.code, end.retryable) == ("invalid_output", False)
    assert "Asked 3 times." in end.message
    assert "age" in end.message
    assert len(of(events, Retract)) == RETRIES
    assert fold(events).text == BAD


@pytest.mark.parametrize("retries", [0, 1, 4])
async def test_the_bound_is_the_agents(retries: int) -> None:
    with ScriptedModel([Step(text=BAD)] * (retries + 1)) as model:
        with pytest.raises(RunFailed) as caught:
            await Agent(model=model, output_type=Person, output_retries=retries).run("Who?")
    assert (caught.value.code, caught.value.partial) == ("invalid_output", BAD)


async def test_max_steps_bounds_it_too() -> None:
    with ScriptedModel([Step(text=BAD)] * 2) as model:
        with pytest.raises(RunFailed) as caught:
            await Agent(model=model, output_type=Person, max_steps=2).run("Who?")
    assert caught.value.code == "invalid_output"


async def test_a_run_without_an_answer_fails() -> None:
    given = agent(Step(tool_calls=[("look", {"q": "a"})]), tools=[look], max_steps=1)
    with pytest.raises(RunFailed, match="all its model calls") as caught:
        await given.run("Who?")
    assert caught.value.code == "invalid_output"


async def test_an_answer_that_was_cut_is_not_asked_again() -> None:
    with ScriptedModel([Step(text=JSON[:20], finish_reason="length")]) as model:
        with pytest.raises(RunFailed, match="limit of tokens") as caught:
            await Agent(model=model, output_type=Person).run("Who?")
    assert caught.value.code == "invalid_output"


async def test_an_answer_that_is_whole_counts_though_the_model_was_cut() -> None:
    response = await agent(Step(text=f"{JSON}\nAnd", finish_reason="length")).run("Who?")
    assert (response.output, response.finish_reason) == (ADA, "length")


async def test_what_viewers_cannot_give_back_is_an_error_at_once() -> None:
    with ScriptedModel([Step(text=BAD)]) as model:
        with pytest.raises(RunFailed) as caught:
            async for _ in Agent(model=model, output_type=Person).run_stream("Who?"):
                pass
    assert caught.value.code == "invalid_output"


async def test_an_answer_of_which_nothing_was_shown_is_asked_again_in_every_view() -> None:
    given = agent(Step(text="No."), Step(text=JSON))
    assert "".join([chunk.content async for chunk in given.run_stream("Who?")]) == JSON


# With the rest ----------------------------------------------------------------------------------


async def test_a_model_that_breaks_is_asked_again_by_the_same_way() -> None:
    cut: Batches = [
        [ToolCallDelta(0, "c", "final_answer", JSON[:30])],
        [Failure(StreamTruncated("Cut."))],
    ]
    model = ScriptedModel([cut, Step(tool_calls=[("final_answer", JSON)])])
    events = await log_of(Agent(model=model, output_type=Person))
    assert [e.reason for e in of(events, Retract)] == ["stream_truncated"]
    assert of(events, Complete)[0].output == PLAIN
    assert [[spec.name for spec in r.tools] for r in model.requests] == [["final_answer"]] * 2


@pytest.mark.parametrize("midstream", ["retry", "continue"])
async def test_what_a_fallback_has_left_is_asked_by_the_same_way(midstream: Any) -> None:
    cut: Batches = [[TextDelta(JSON[:30])], [Failure(StreamTruncated("Cut."))]]
    second = ScriptedModel([Step(tool_calls=[("final_answer", JSON)])])
    model = fallback(ScriptedModel([cut]), second, midstream=midstream)
    events = await log_of(Agent(model=model, output_type=Person))
    assert of(events, Complete)[0].output == PLAIN
    assert fold(events).text == JSON
    assert [spec.name for spec in second.requests[0].tools] == ["final_answer"]


async def test_another_model_goes_on_with_the_json() -> None:
    cut: Batches = [[TextDelta(JSON[:30])], [Failure(StreamTruncated("Cut."))]]
    second = ScriptedModel([Step(text=JSON[30:])])
    second.continues = True
    model = fallback(ScriptedModel([cut]), second, midstream="continue")
    events = await log_of(Agent(model=model, output_type=Person))
    assert of(events, Retract) == []
    assert of(events, Complete)[0].output == PLAIN


async def test_below_another_agent_its_json_is_the_result() -> None:
    below = agent(
        Step(text=pieces(BAD)), Step(text=pieces(JSON)), name="finder", description="Finds."
    )
    above = Agent(
        model=ScriptedModel([Step(tool_calls=[("finder", {"task": "Ada"})]), Step(text="Ada.")]),
        tools=[below.as_tool()],
    )
    events = await log_of(above)
    assert {e.agent for e in of(events, Partial)} == {"finder"}
    assert [(e.agent, e.reason) for e in of(events, Retract)] == [("finder", "invalid_output")]
    assert [e.output for e in of(events, AgentEnd)] == [JSON]
    assert [e.output for e in of(events, ToolEnd)] == [JSON]
    assert fold(events).text == "Ada."
    assert of(events, Complete)[0].output is None


async def test_below_another_agent_what_never_fits_is_its_failure() -> None:
    below = agent(Step(text=BAD), name="finder", description="Finds.", output_retries=0)
    above = Agent(
        model=ScriptedModel([Step(tool_calls=[("finder", {"task": "Ada"})]), Step(text="No.")]),
        tools=[below.as_tool()],
    )
    (end,) = of(await log_of(above), AgentEnd)
    assert "no valid Person" in (end.error or "")


async def test_above_others_the_routers_own_answer_counts() -> None:
    below = Agent("helper", ScriptedModel([Step(text="36")]), description="Helps.")
    given = agent(
        Step(tool_calls=[("helper", {"task": "How old?"})]),
        Step(text=JSON),
        tools=[below.as_tool()],
    )
    assert (await given.run("Who?")).output == ADA


async def test_what_people_say_goes_on_before_the_answer_is_checked() -> None:
    gate = Gate()
    model = ScriptedModel([Step(text=["{}", gate]), Step(text=JSON)])
    async with Agent(model=model, output_type=Person).start("Who?") as run:
        run.begin()
        await gate.reached.wait()
        run.send("Ada")
        gate.open()
        assert (await run.result()).output == ADA
    assert [end.step for end in of([e async for e in run.events()], StepEnd)] == [1, 2]


async def test_a_conversation_goes_on_with_it() -> None:
    model = ScriptedModel([Step(text=JSON), Step(text='{"name": "Grace"}')])
    given = Agent(model=model, output_type=Person)
    first = await given.run("Who?")
    second: Response = await given.run("And then?", history=first.messages)
    assert second.output == Person(name="Grace")
    assert model.requests[1].messages[1] == Message.assistant(JSON)


async def test_a_model_that_cannot_call_tools_answers_in_it_too() -> None:
    model = ScriptedModel(
        [
            Step(text="Thought: I look.\nAction: look\nAction Input: Ada\n"),
            Step(text=f"Thought: I know.\nAction: final_answer\nAction Input: {JSON}"),
        ]
    )
    events = await log_of(ReActAgent(model=model, output_type=Person, tools=[look]))
    assert [e.output for e in of(events, ToolEnd)] == ["Ada: found"]
    assert (of(events, Complete)[0].output, fold(events).text) == (PLAIN, JSON)
    told = ScriptedModel([Step(text=f"Thought: I know.\nFinal Answer: {JSON}")])
    assert (await ReActAgent(model=told, output_type=Person).run("Who?")).output == ADA


# Bad input --------------------------------------------------------------------------------------


def test_bad_settings_are_refused_when_the_agent_is_made() -> None:
    class Nothing:
        pass

    bad: list[dict[str, Any]] = [
        {"output_type": Nothing},
        {"output_type": "Person"},
        {"output_type": Person, "output_retries": -1},
        {"output_type": Person, "output_by": "magic"},
        {"output_type": Person, "response_format": "json_object"},
    ]
    for options in bad:
        with pytest.raises(UsageError):
            Agent(model=ScriptedModel(), **options)


def test_the_default_of_the_bound() -> None:
    given = agent()
    assert given.output is not None
    assert given.output.retries == RETRIES


async def test_who_takes_over_answers_in_the_type_that_was_asked_for() -> None:
    below = Agent("clerk", ScriptedModel([Step(text="No."), Step(text=JSON)]), description="Files.")
    calls = [("transfer_to_clerk", {"task": "Answer."})]
    events = await log_of(agent(Step(tool_calls=calls), tools=[Handoff(below)]))
    assert of(events, Complete)[0].output == PLAIN
    assert fold(events).text == JSON


# Types ------------------------------------------------------------------------------------------


async def test_a_type_checker_knows_the_outputs_type() -> None:
    given = Agent(model=ScriptedModel([Step(text=JSON)]), output_type=Person)
    assert_type(given, Agent[Person])
    response = await given.run("Who?")
    assert_type(response.output, Person)
    assert_type(Agent(model=ScriptedModel()), Agent[Any])
    assert_type(Agent(model=ScriptedModel(), output_type=list[Place]), Agent[list[Place]])
    assert_type(Agent(model=ScriptedModel(), output_type=Literal["a", "b"]), Agent[Any])
    assert response.output.age == 36
