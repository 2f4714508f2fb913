"""Hand-offs: another agent takes the conversation over, and its answer is the run's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headrace import Agent, Channel, Network, ReActAgent, tool
from headrace.agents.floor import as_told
from headrace.agents.guards import redact
from headrace.agents.handoff import Handoff
from headrace.agents.nesting import Nesting
from headrace.errors import ConnectionFailed, RunFailed
from headrace.events import (
    AgentEnd,
    AgentStart,
    Answer,
    Complete,
    StepEnd,
    StepStart,
    Token,
    ToolEnd,
    ToolStart,
)
from headrace.messages import Image, Message, Opaque, Reasoning, ToolCall, ToolResult
from headrace.models.request import ModelRequest
from headrace.runs.fold import fold
from headrace.runs.stores.memory import MemoryStore
from headrace.runs.stores.sqlite import SQLiteStore
from headrace.runs.stores.store import Store
from headrace.runtime import Runtime
from headrace.testing import Gate, ScriptedModel, Step, check_events
from headrace.tools.tool import AnyTool
from tests.agents.networks import asks, log_of, model_of, network, of, scripted
from tests.runtime.orphans import orphan, record_of, recovered

TO_BILLING = asks(("transfer_to_billing", "Refund order 12"))


class Named(ScriptedModel):
    """A script that has a name of its own."""

    def __init__(self, name: str, *steps: Step) -> None:
        super().__init__(steps)
        self.model = name


@tool(idempotent=True)
def look(order: int) -> str:
    """Look an order up."""
    return f"order {order} cost 5"


# Who speaks ----------------------------------------------------------------------------------


async def test_the_one_who_takes_over_speaks_as_the_run() -> None:
    billing = scripted("billing", Step(text=["Refunded ", "5."]))
    desk = network(
        "desk",
        asks(("transfer_to_billing", "Refund"), text="Moment. "),
        agents=[billing],
        handoffs=["billing"],
    )
    events = await log_of(desk)
    assert {event.agent for event in events} == {""}
    (start,), (end,) = of(events, AgentStart), of(events, AgentEnd)
    assert (start.agent, start.name, start.task) == ("", "billing", "Refund")
    assert (end.agent, end.name, end.output, end.error) == ("", "billing", "Refunded 5.", None)
    (told,) = of(events, ToolEnd)
    assert (told.output, told.error) == ("billing answers from here on.", None)
    assert told.seq < start.seq < of(events, Token)[1].seq < end.seq
    assert of(events, Answer)[0].content == "Moment. Refunded 5."
    assert [step.step for step in of(events, StepStart)] == [1, 2]
    assert len(model_of(desk).requests) == 1


async def test_every_view_gives_the_answer_of_who_took_over() -> None:
    def made() -> Agent:
        billing = Agent("billing", Named("b", Step(text=["Refunded ", "5."])), description="Pays.")
        return Agent("desk", Named("d", TO_BILLING), tools=[Handoff(billing)])

    response = await made().run("Refund me")
    assert (response.content, response.finish_reason) == ("Refunded 5.", "stop")
    assert response.model == "scripted:b"
    assert response.messages[-1].text == "Refunded 5."
    chunks = [chunk async for chunk in made().run_stream("Refund me")]
    assert [chunk.content for chunk in chunks if chunk.content] == ["Refunded ", "5."]
    assert chunks[-1].metadata is not None
    assert chunks[-1].metadata["model"] == "scripted:b"
    channel = Channel[str]()
    await made().execute_stream("Refund me", channel)
    assert [piece async for piece in channel] == ["Refunded ", "5."]
    assert fold(await log_of(made())).model == "scripted:b"


async def test_it_streams_as_it_comes() -> None:
    gate = Gate()
    billing = scripted("billing", Step(text=["Re", gate, "funded"]))
    desk = scripted("desk", TO_BILLING, tools=[Handoff(billing)])
    seen = ""
    async with asyncio.timeout(10):
        async for chunk in desk.run_stream("Refund me"):
            seen += chunk.content
            if seen == "Re":
                assert not gate.opened.is_set()
                gate.open()
    assert seen == "Refunded"


async def test_it_has_its_own_model_instructions_tools_and_bounds() -> None:
    refund = Step(tool_calls=[("look", {"order": 12})])
    billing = scripted(
        "billing", refund, Step(text="5"), tools=[look], instructions="Pay.", max_steps=2
    )
    desk = scripted(
        "desk", TO_BILLING, tools=[Handoff(billing)], instructions="Route.", max_steps=1
    )
    events = await log_of(desk)
    assert isinstance(events[-1], Complete)
    assert events[-1].finish_reason == "stop"
    assert fold(events).text == "5"
    request = model_of(billing).requests[0]
    assert request.messages[0] == Message.system("Pay.")
    assert [spec.name for spec in request.tools] == ["look"]


async def test_its_forced_tool_is_forced_once() -> None:
    refund = Step(tool_calls=[("look", {"order": 12})])
    billing = scripted("billing", refund, Step(text="5"), tools=[look], tool_choice="required")
    await log_of(scripted("desk", TO_BILLING, tools=[Handoff(billing)]))
    choices = [request.options.tool_choice for request in model_of(billing).requests]
    assert choices == ["required", "auto"]


async def test_agents_hand_over_along_the_routes_of_their_network() -> None:
    refunds = scripted("refunds", Step(text="Done."))
    billing = scripted("billing", asks(("transfer_to_refunds", "12")), tools=[look])
    desk = network(
        "desk",
        TO_BILLING,
        agents=[billing, refunds],
        handoffs={"desk": ["billing"], "billing": ["refunds"]},
    )
    events = await log_of(desk)
    marks = [(type(e).__name__, e.name) for e in events if isinstance(e, AgentStart | AgentEnd)]
    assert marks == [
        ("AgentStart", "billing"),
        ("AgentEnd", "billing"),
        ("AgentStart", "refunds"),
        ("AgentEnd", "refunds"),
    ]
    assert fold(events).text == "Done."
    names = {
        agent.name: [spec.name for spec in model_of(agent).requests[0].tools]
        for agent in (desk, billing, refunds)
    }
    assert names == {
        "desk": ["billing", "refunds", "transfer_to_billing"],
        "billing": ["look", "transfer_to_refunds"],
        "refunds": [],
    }


async def test_a_network_takes_over_with_its_agents() -> None:
    clerk = scripted("clerk", Step(text="5"))
    billing = network("billing", asks(("clerk", "how much")), Step(text="It is 5."), agents=[clerk])
    events = await log_of(scripted("desk", TO_BILLING, tools=[Handoff(billing)]))
    assert [start.agent for start in of(events, AgentStart)] == ["", "clerk"]
    assert fold(events).text == "It is 5."


async def test_below_it_speaks_under_the_path_of_who_handed_over() -> None:
    billing = scripted("billing", Step(text="5"))
    desk = network("desk", TO_BILLING, handoffs=[billing])
    top = network("house", asks(("desk", "Refund")), Step(text="ok"), agents=[desk])
    events = await log_of(top)
    starts = [(start.agent, start.name) for start in of(events, AgentStart)]
    assert starts == [("desk", "desk"), ("desk", "billing")]
    assert [(end.name, end.output) for end in of(events, AgentEnd)] == [
        ("billing", "5"),
        ("desk", "5"),
    ]


async def test_its_failure_is_the_runs_and_its_end_is_there() -> None:
    billing = scripted("billing", Step(error=ConnectionFailed("No line.")))
    desk = scripted("desk", TO_BILLING, tools=[Handoff(billing)])
    (end,) = of(await log_of(desk), AgentEnd)
    assert end.error == "the run failed"
    again = scripted("billing", Step(error=ConnectionFailed("No line.")))
    with pytest.raises(RunFailed, match="No line"):
        await scripted("desk", TO_BILLING, tools=[Handoff(again)]).run("x")


async def test_a_cancel_ends_it() -> None:
    gate = Gate()
    billing = scripted("billing", Step(text=["Re", gate]))
    async with scripted("desk", TO_BILLING, tools=[Handoff(billing)]).start("Refund") as run:
        run.begin()
        await gate.reached.wait()
        await run.cancel()
        events = [event async for event in run.events()]
    check_events(events)
    ends = [type(event) for event in events if isinstance(event, StepEnd | AgentEnd)]
    assert ends == [StepEnd, StepEnd, AgentEnd]


async def test_what_people_say_meanwhile_goes_to_who_has_it() -> None:
    gate = Gate()
    billing = scripted("billing", Step(text=["Well", gate]), Step(text=", done."))
    desk = scripted("desk", TO_BILLING, tools=[Handoff(billing)])
    async with desk.start("Refund") as run:
        run.begin()
        await gate.reached.wait()
        run.send("Hurry")
        gate.open()
        assert (await run.result()).content == "Well, done."
    assert model_of(billing).requests[1].messages[-1] == Message.user("Hurry")


# How far -------------------------------------------------------------------------------------


async def test_of_two_hand_offs_in_one_step_the_first_is_done() -> None:
    billing, sales = scripted("billing", Step(text="5")), scripted("sales", Step(text="never"))
    both = asks(("transfer_to_billing", "x"), ("transfer_to_sales", "x"))
    events = await log_of(network("desk", both, handoffs=[billing, sales]))
    assert [end.error for end in of(events, ToolEnd)] == [
        None,
        "The conversation goes to billing already.",
    ]
    assert fold(events).text == "5"


async def test_no_more_hand_offs_than_the_bound() -> None:
    refunds = scripted("refunds", Step(text="never"))
    billing = scripted(
        "billing", asks(("transfer_to_refunds", "x")), Step(text="I do."), tools=[Handoff(refunds)]
    )
    desk = network("desk", TO_BILLING, handoffs=[billing], nesting=Nesting(handoffs=1))
    events = await log_of(desk)
    assert "handed over 1 times" in str(of(events, ToolEnd)[1].error)
    assert fold(events).text == "I do."


async def test_bad_arguments_hand_nothing_over() -> None:
    billing = scripted("billing", Step(text="never"))
    bad = Step(tool_calls=[("transfer_to_billing", "{not json")])
    events = await log_of(scripted("desk", bad, Step(text="Sorry."), tools=[Handoff(billing)]))
    assert of(events, AgentStart) == []
    assert fold(events).text == "Sorry."


# What it sees --------------------------------------------------------------------------------


async def test_it_sees_what_was_said_and_calls_as_words() -> None:
    billing = scripted("billing", Step(text="5"))
    step = Step(
        text="Moment.",
        tool_calls=[("look", {"order": 12}), ("transfer_to_billing", {"task": "Refund 12"})],
    )
    await log_of(scripted("desk", step, tools=[look, Handoff(billing)]), "My order 12 broke")
    (request,) = model_of(billing).requests
    assert [message.role for message in request.messages] == ["user", "assistant", "user"]
    asked, said, told = (message.text for message in request.messages)
    assert (asked, said) == ("My order 12 broke", "Moment.")
    assert 'the tool look was called with {"order": 12} and gave: order 12 cost 5' in told
    assert told.endswith("answer it from here on. You are asked: Refund 12]")
    assert "transfer" not in told


def test_a_conversation_is_told_without_calls_and_in_turns() -> None:
    image = Image(url="https://example.com/x.png")
    told = as_told(
        [
            Message.user("Hi", image),
            Message.assistant(
                Reasoning("hm"), Opaque("anthropic", "{}"), ToolCall("1", "look", '{"a": 1}')
            ),
            Message.tool(ToolResult("1", "look", "broken", is_error=True)),
            Message.assistant("One", ToolCall("2", "transfer_to_b", "{}")),
            Message.tool(ToolResult("2", "transfer_to_b", "b answers")),
            Message.assistant("Two"),
        ],
        frozenset({"transfer_to_b"}),
    )
    assert [message.role for message in told] == ["user", "assistant", "user"]
    assert told[0].content[:2] == Message.user("Hi", image).content
    assert told[0].text.endswith('called with {"a": 1} and failed: broken]')
    assert told[1].text == "One\n\nTwo"
    assert not any(message.tool_calls for message in told)


# After a crash -------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    kept: Store = MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "runs.db")
    yield kept
    await kept.close()


def crossed(ran: list[str]) -> Agent:
    """A desk, billing and refunds; each has a tool of its own kind that is named `act`."""

    def act(name: str, *, idempotent: bool) -> AnyTool:
        @tool(name="act", idempotent=idempotent)
        def act() -> str:
            """Act."""
            ran.append(name)
            return name

        return act

    def answers(*steps: Step) -> ScriptedModel:
        """By what was asked, so that it goes on rightly from anywhere."""
        script = ScriptedModel()
        script.steps = [lambda request: steps[_asked(request)]] * 20
        return script

    def _asked(request: ModelRequest) -> int:
        return sum(message.role == "tool" for message in request.messages)

    use = Step(tool_calls=[("act", {})])
    refunds = Agent(
        "refunds",
        answers(use, Step(text=["All ", "done."])),
        description="Refunds.",
        tools=[act("refunds", idempotent=False)],
    )
    billing = Agent(
        "billing",
        answers(use, Step(text="Moment. ", tool_calls=[("transfer_to_refunds", {"task": "12"})])),
        description="Bills.",
        tools=[act("billing", idempotent=True), Handoff(refunds)],
    )
    return Agent(
        "desk",
        answers(TO_BILLING),
        tools=[act("desk", idempotent=True), Handoff(billing)],
    )


async def test_from_wherever_it_was_cut_it_goes_on_with_who_had_it(store: Store) -> None:
    whole = await log_of(crossed([]))
    assert fold(whole).text == "Moment. All done."
    for cut in range(1, len(whole) - 1):
        ran: list[str] = []
        before = whole[:cut]
        record = record_of(f"r{cut}", "desk", asked="Go")
        log = await recovered(store, await orphan(store, record, before), crossed(ran))
        state = fold(log)
        assert (state.status, state.text) == ("complete", "Moment. All done."), cut
        done = {end.output for end in of(before, ToolEnd)}
        assert not {"billing", "refunds"} & done & set(ran), f"{cut}: done twice: {ran}"
        begun = of(before, ToolStart)
        if len(begun) == 4 and "refunds" not in done:  # it may have been done: never again
            assert "refunds" not in ran
        assert [start.name for start in of(log, AgentStart)] == ["billing", "refunds"], cut
        assert [end.name for end in of(log, AgentEnd)] == ["billing", "refunds"], cut


async def test_an_agent_that_is_gone_is_told(store: Store) -> None:
    whole = await log_of(crossed([]))
    starts = [place for place, event in enumerate(whole) if isinstance(event, AgentStart)]
    record = record_of("r", "desk", asked="Go")
    run_id = await orphan(store, record, whole[: starts[0] + 1])
    log = await recovered(store, run_id, Agent("desk", ScriptedModel()))
    state = fold(log)
    assert (state.status, state.error_code) == ("error", "agent_unknown")
    assert "handed over to 'billing'" in str(state.error_message)


async def test_a_sessions_next_run_begins_with_its_own_agent(store: Store) -> None:
    billing = scripted("billing", Step(text="5"))
    desk = scripted("desk", TO_BILLING, Step(text="Bye."), tools=[Handoff(billing)])
    async with Runtime(store) as runtime:
        first = await runtime.submit(desk, "Refund", session="s")
        assert (await first.result()).content == "5"
        second = await runtime.submit(desk, "Bye", session="s")
        assert (await second.result()).content == "Bye."
    asked = model_of(desk).requests[1].messages
    assert [message.role for message in asked] == ["user", "assistant", "tool", "assistant", "user"]


async def test_bounds_hold_over_a_crash(store: Store) -> None:
    def desk() -> Agent:
        refunds = scripted("refunds", Step(text="never"))
        onward = asks(("transfer_to_refunds", "x"))
        billing = scripted("billing", onward, Step(text="I do."), tools=[Handoff(refunds)])
        bounds = Nesting(handoffs=1)
        return network("desk", TO_BILLING, handoffs=[billing], nesting=bounds)

    whole = await log_of(desk())
    place = next(n for n, event in enumerate(whole) if isinstance(event, AgentStart))
    run_id = await orphan(store, record_of("r", "desk", asked="Go"), whole[: place + 1])
    log = await recovered(store, run_id, desk())
    assert "handed over 1 times" in str(of(log, ToolEnd)[1].error)


async def test_an_agent_that_was_being_asked_may_be_asked_again(store: Store) -> None:
    def team() -> Agent:
        def answer(request: ModelRequest) -> Step:
            return asks(("finder", "x")) if len(request.messages) < 4 else Step(text="42")

        finder = Agent("finder", ScriptedModel([lambda _: Step(text="42")] * 2), description="F.")
        return Network("team", ScriptedModel([answer] * 4), agents=[finder])

    whole = await log_of(team())
    place = next(n for n, event in enumerate(whole) if isinstance(event, AgentStart))
    run_id = await orphan(store, record_of("r", "team", asked="Go"), whole[: place + 1])
    log = await recovered(store, run_id, team())
    assert fold(log).text == "42"
    assert [end.error for end in of(log, AgentEnd)] == ["outcome unknown", None]
    assert [start.agent for start in of(log, AgentStart)] == ["finder", "finder-2"]


# With other kinds of agents -------------------------------------------------------------------


async def test_guards_and_the_output_type_of_who_handed_over_hold_on() -> None:
    billing = scripted("billing", Step(text='{"result": 5}'))
    desk = network("desk", TO_BILLING, handoffs=[billing], output_type=int, output_by="schema")
    assert (await desk.run("x")).output == 5

    secret = scripted("billing", Step(text=["my pass", "word"]))
    guarded = network("desk", TO_BILLING, handoffs=[secret], guards=[redact("password", "…")])
    assert (await guarded.run("x")).content == "my …"


async def test_a_react_agent_hands_over_and_takes_over() -> None:
    text = 'Thought: Not mine.\nAction: transfer_to_billing\nAction Input: {"task": "Refund 12"}\n'
    script = ScriptedModel([Step(text="Thought: Mine.\nFinal Answer: Refunded.")])
    billing = ReActAgent("billing", script, description="Pays.")
    desk = ReActAgent("desk", ScriptedModel([Step(text=text)]), tools=[Handoff(billing)])
    events = await log_of(desk)
    assert fold(events).text == "Refunded."
    assert [start.task for start in of(events, AgentStart)] == ["Refund 12"]


async def test_one_without_a_model_takes_nothing_over() -> None:
    billing = Agent("billing", "no-such-provider:x", description="Pays.")
    desk = scripted("desk", TO_BILLING, Step(text="Sorry."), tools=[Handoff(billing)])
    events = await log_of(desk)
    assert "no-such-provider" in str(of(events, ToolEnd)[0].error)
    assert fold(events).text == "Sorry."
