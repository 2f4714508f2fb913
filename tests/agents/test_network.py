"""Networks: what a router asks of agents, in parallel, with paths, and what it is built with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from headrace import Agent, tool
from headrace.agents.handoff import Handoff
from headrace.agents.nesting import Nesting
from headrace.agents.network import Network
from headrace.errors import ConnectionFailed, UsageError
from headrace.events import AgentEnd, AgentStart, Answer, Token, ToolEnd, ToolStart
from headrace.models.deadlines import Deadlines
from headrace.testing import Gate, ScriptedModel, Step, check_events
from tests.agents.networks import asks, log_of, model_of, network, of, scripted


async def test_each_agent_is_a_tool_and_its_events_have_its_path() -> None:
    team = network(
        "team",
        asks(("finder", "Find it"), text="Looking."),
        Step(text=["It is ", "42."]),
        agents=[scripted("finder", Step(text="42")), scripted("critic", Step(text="ok"))],
    )
    events = await log_of(team)
    assert [spec.name for spec in model_of(team).requests[0].tools] == ["finder", "critic"]
    assert {event.agent for event in events} == {"", "finder"}
    said = [token.content for token in of(events, Token) if not token.agent]
    assert said == ["Looking.", "It is ", "42."]
    assert of(events, Answer)[0].content == "Looking.It is 42."


async def test_networks_nest_and_paths_tell_who_is_below_whom() -> None:
    deep = network(
        "lab",
        asks(("chemist", "mix")),
        Step(text="mixed"),
        agents=[
            scripted("chemist", Step(text="blue")),
        ],
    )
    middle = network("science", asks(("lab", "do")), Step(text="done"), agents=[deep])
    top = network("house", asks(("science", "go")), Step(text="ok"), agents=[middle])
    events = await log_of(top)
    assert [start.agent for start in of(events, AgentStart)] == [
        "science",
        "science/lab",
        "science/lab/chemist",
    ]
    assert [end.output for end in of(events, AgentEnd)] == ["blue", "mixed", "done"]


async def test_agents_that_are_asked_in_one_step_work_at_the_same_time() -> None:
    gates = [Gate(), Gate(), Gate()]
    agents = [scripted(f"a{i}", Step(text=["x", gate])) for i, gate in enumerate(gates)]
    team = network(
        "team", asks(("a0", "x"), ("a1", "x"), ("a2", "x")), Step(text="ok"), agents=agents
    )
    async with asyncio.timeout(10), team.start("Go") as run:
        run.begin()
        for gate in gates:
            await gate.reached.wait()
        for gate in gates:
            gate.open()
        await run.result()
        check_events([event async for event in run.events()])


async def test_the_final_answer_streams_as_it_comes() -> None:
    gate = Gate()
    team = network(
        "team",
        asks(("finder", "x")),
        Step(text=["It ", gate, "is."]),
        agents=[scripted("finder", Step(text="42"))],
    )
    seen = []
    async with asyncio.timeout(10):
        async for chunk in team.run_stream("Go"):
            if chunk.content == "It ":
                assert not gate.opened.is_set()
                gate.open()
            seen.append(chunk.content)
    assert "".join(seen) == "It is."


async def test_an_agent_sees_its_task_and_nothing_else() -> None:
    finder = scripted("finder", Step(text="42"), instructions="Be brief.")
    team = network("team", asks(("finder", "Find it")), Step(text="42"), agents=[finder])
    await log_of(team, "A secret question")
    (request,) = model_of(finder).requests
    assert [message.text for message in request.messages] == ["Be brief.", "Find it"]


async def test_a_failure_is_told_to_the_router_which_may_ask_again() -> None:
    finder = scripted("finder", Step(error=ConnectionFailed("No line.")), Step(text="42"))
    again = asks(("finder", "Find it"))
    team = network("team", again, again, Step(text="42"), agents=[finder])
    events = await log_of(team)
    first, second = of(events, ToolEnd)
    assert "No line." in str(first.error)
    assert (second.output, second.error) == ("42", None)
    told = model_of(team).requests[1].messages[-1].content[0]
    assert "No line." in str(told)
    assert [start.agent for start in of(events, AgentStart)] == ["finder", "finder-2"]


async def test_an_agent_without_an_answer_has_failed() -> None:
    @tool
    def look() -> str:
        """Look."""
        return "nothing"

    finder = scripted("finder", Step(tool_calls=[("look", {})]), tools=[look], max_steps=1)
    filtered = scripted("filtered", Step(text="x", finish_reason="content_filter"))
    cut = scripted("cut", Step(text="Half an", finish_reason="length"))
    team = network(
        "team",
        asks(("finder", "x"), ("filtered", "x"), ("cut", "x")),
        Step(text="ok"),
        agents=[finder, filtered, cut],
    )
    ends = {end.name: end for end in of(await log_of(team), AgentEnd)}
    assert "came to no answer" in str(ends["finder"].error)
    assert "filtered by its provider" in str(ends["filtered"].error)
    assert ends["cut"].error is None
    assert ends["cut"].output.startswith("Half an\n[cut: ")


async def test_an_agent_has_the_time_that_it_was_made_for() -> None:
    gate = Gate()
    slow = scripted("slow", Step(text=["x", gate]), deadlines=Deadlines(run=0.01))
    team = network("team", asks(("slow", "x")), Step(text="ok"), agents=[slow])
    (end,) = of(await log_of(team), AgentEnd)
    assert end.error == "slow took more than 0.01 s."


async def test_no_more_calls_by_one_agent_than_its_bound() -> None:
    finder = scripted("finder", Step(text="1"), Step(text="2"))
    team = network(
        "team",
        asks(("finder", "one"), ("finder", "two")),
        Step(text="done"),
        agents=[finder],
        nesting=Nesting(fan_out=1),
    )
    ends = of(await log_of(team), ToolEnd)
    assert [end.error for end in ends if end.error] == [
        "You have called 1 agents; no more are allowed."
    ]


async def test_a_path_belongs_to_one_call_whatever_agents_are_called() -> None:
    team = network(
        "team",
        asks(("a", "1"), ("a", "2"), ("a-2", "1")),
        Step(text="done"),
        agents=[
            Agent("a", ScriptedModel([lambda _: Step(text="x")] * 2), description="A."),
            scripted("a-2", Step(text="y")),
        ],
    )
    starts = of(await log_of(team), AgentStart)
    assert sorted(start.agent for start in starts) == ["a", "a-2", "a-2-2"]


async def test_a_routers_own_tools_stand_beside_its_agents() -> None:
    @tool
    def look() -> str:
        """Look."""
        return "seen"

    team = network(
        "team",
        Step(tool_calls=[("look", {}), ("finder", {"task": "x"})]),
        Step(text="ok"),
        tools=[look],
        agents=[scripted("finder", Step(text="42"))],
    )
    starts = of(await log_of(team), ToolStart)
    assert [start.name for start in starts] == ["look", "finder"]


async def test_a_network_is_an_agent_in_every_view() -> None:
    def made() -> Network:
        return network(
            "team",
            asks(("finder", "x")),
            Step(text=["It is ", "42."]),
            agents=[scripted("finder", Step(text="42"))],
        )

    said: list[str] = []
    assert (await made().run("Go")).content == "It is 42."
    await made().run_callback("Go", said.append)
    assert said == ["It is ", "42."]
    assert [c.content async for c in made().run_stream("Go") if c.content] == said
    assert await asyncio.to_thread(lambda: made().run_sync("Go").content) == "It is 42."


# What it is built with ------------------------------------------------------------------------


def named(name: str, **options: Any) -> Agent:
    return Agent(name, ScriptedModel(), description="Knows.", **options)


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "no agents": (lambda: Network("n"), "has no agents"),
    "two of one name": (
        lambda: Network("n", agents=[named("a"), named("a")]),
        "Two agents of the network 'n' are named 'a'",
    ),
    "its own name": (lambda: Network("n", agents=[named("n")]), "the network's own name"),
    "no description": (lambda: Network("n", agents=[Agent("a")]), "'a' has no description"),
    "a name for no tool": (
        lambda: Network("n", agents=[named("Billing desk")]),
        "'Billing desk' cannot be a tool under its name",
    ),
    "a tool's name": (
        lambda: Network("n", tools=[tool(name="a")(lambda: "")], agents=[named("a")]),
        "Two tools are named 'a'",
    ),
    "no agent": (lambda: Network("n", agents=["a"]), "are Agents, not str"),  # type: ignore[list-item]
    "an unknown hand-off": (
        lambda: Network("n", agents=[named("billing")], handoffs=["biling"]),
        "no agent named 'biling'. Did you mean 'billing'",
    ),
    "a hand-off that is none": (
        lambda: Network("n", agents=[named("a")], handoffs=[1]),  # type: ignore[list-item]
        "not int",
    ),
    "a string of hand-offs": (
        lambda: Network("n", agents=[named("a")], handoffs="a"),
        "are a list, not 'a'",
    ),
    "a hand-off twice": (
        lambda: Network("n", agents=[named("a")], handoffs=["a", "a"]),
        "Two tools are named 'transfer_to_a'",
    ),
    "another agent of a known name": (
        lambda: Network("n", agents=[named("a")], handoffs=[named("a")]),
        "Two agents of the network 'n' are named 'a'",
    ),
    "a route from no one": (
        lambda: Network("n", agents=[named("a")], handoffs={"x": ["a"]}),
        "no agent named 'x'",
    ),
    "a route to no one": (
        lambda: Network("n", agents=[named("a")], handoffs={"n": ["x"]}),
        "no agent named 'x'",
    ),
    "a route that nothing leads to": (
        lambda: Network("n", agents=[named("a"), named("b")], handoffs={"a": ["b"]}),
        "no hand-off leads to it from 'n'",
    ),
    "a cycle": (
        lambda: Network(
            "n",
            agents=[named("a"), named("b")],
            handoffs={"n": ["a"], "a": ["b"], "b": ["a"]},
        ),
        "go round: n → a → b → a",
    ),
    "a cycle back to the router": (
        lambda: Network("n", agents=[named("a")], handoffs={"n": ["a"], "a": ["n"]}),
        "go round: n → a → n",
    ),
    "a hand-off's name": (
        lambda: Handoff(named("a" * 60)),
        "A hand-off cannot be named",
    ),
    "a hand-off without a description": (lambda: Handoff(Agent("a")), "'a' has no description"),
    "a hand-off to another type": (
        lambda: Network("n", handoffs=[named("a", output_type=str)], output_type=int),
        "of another type",
    ),
    "a hand-off over another to another type": (
        lambda: Network(
            "n",
            agents=[named("a"), named("b", output_type=str)],
            handoffs={"n": ["a"], "a": ["b"]},
            output_type=int,
        ),
        "may hand over to 'b', whose answer is of another type",
    ),
    "an agent's own hand-off to another type": (
        lambda: Network(
            "n",
            handoffs=[named("a", tools=[Handoff(named("b", output_type=str))])],
            output_type=int,
        ),
        "may hand over to 'b', whose answer is of another type",
    ),
    "one agent in place of a list": (
        lambda: Network("n", agents=named("a")),  # type: ignore[arg-type]
        "`agents` is a list, not one Agent",
    ),
    "names in place of agents": (
        lambda: Network("n", agents=["a"]),  # type: ignore[list-item]
        "agents=[Agent(…), Agent(…)]",
    ),
    "agents in place of names": (
        lambda: Network("n", agents=[named("a")], handoffs={"n": [named("a")]}),
        "Agent is no name",
    ),
    "a nesting of nothing": (lambda: Nesting(handoffs=0), "at least 1"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_work_is_refused_when_it_is_built(what: str) -> None:
    build, says = BAD[what]
    with pytest.raises(UsageError) as refused:
        build()
    assert says in str(refused.value)


def test_ways_that_meet_again_do_not_go_round() -> None:
    names = [f"a{n}" for n in range(40)]
    # 2 ** 38 ways to the last one.
    routes = {"n": names[:2]} | {name: names[n + 1 :] for n, name in enumerate(names)}
    team = Network("n", agents=[named(name) for name in names], handoffs=routes)
    assert list(team.tools)[-2:] == ["transfer_to_a0", "transfer_to_a1"]


def test_an_agent_may_have_another_name_in_a_network() -> None:
    team = Network("n", agents=[named("Billing desk").as_tool("billing"), named("a")])
    assert list(team.tools) == list(team.agents) == ["billing", "a"]


def test_how_far_agents_may_call_agents_by_default() -> None:
    assert Agent().nesting == Nesting(depth=5, agents=64, fan_out=32, handoffs=8, repeats=False)


async def test_an_answer_is_no_longer_than_a_tools_result() -> None:
    long = "x" * (256 * 1024 + 1)
    finder, writer = scripted("finder", Step(text=long)), scripted("writer", Step(text=long))
    team = network(
        "team",
        asks(("finder", "x")),
        asks(("transfer_to_writer", "x")),
        agents=[finder],
        handoffs=[writer],
    )
    ends = of(await log_of(team), AgentEnd)
    assert [len(end.output.encode()) <= 256 * 1024 for end in ends] == [True, True]
    assert all("[cut: the first part of" in end.output for end in ends)
