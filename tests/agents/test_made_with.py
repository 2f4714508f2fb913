"""What an agent cannot be made with is said where it is made, and in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from headrace import Agent, Network, ReActAgent
from headrace.agents.budgets import Budget
from headrace.agents.guards import redact
from headrace.errors import UnknownOption, UsageError
from headrace.testing import ScriptedModel


def add(a: int, b: int) -> int:
    """Add."""
    return a + b


BAD: dict[str, tuple[Callable[[Any], object], str]] = {
    "one tool": (lambda make: make(tools=add), "`tools` is a list, not one function"),
    "a tool's name": (lambda make: make(tools="add"), "`tools` is a list, not 'add'"),
    "an agent among tools": (
        lambda make: make(tools=[Agent("below", description="Knows.")]),
        "not from Agent. Write tools=[agent.as_tool()]",
    ),
    "a list among tools": (lambda make: make(tools=[[add]]), "not from list. Put them in one by"),
    "one guard": (lambda make: make(guards=redact("x")), "`guards` is a list, not one PatternG"),
    "no number": (lambda make: make(max_steps="3"), "`max_steps` is a whole number of at least 1"),
    "half a step": (lambda make: make(max_steps=1.5), "at least 1, not '1.5'"),
    "no tools at once": (lambda make: make(parallel_tools=0), "`parallel_tools` is a whole number"),
    "a model's class": (lambda make: make(model=ScriptedModel), "not the class ScriptedModel"),
    "no model": (lambda make: make(model=5), "`model` is a model or the name of one, not 5"),
    "a number as budget": (
        lambda make: make(budget=5000),
        "`budget` is a Budget, not 5000. Write budget=Budget(…), from headrace.agents.budgets.",
    ),
    "a number as nesting": (lambda make: make(nesting=3), "`nesting` is a Nesting, not 3"),
    "a name that is nearly right": (lambda make: make(tool=[add]), "Did you mean tools?"),
    "a number as deadlines": (lambda make: make(deadlines=30), "`deadlines` is a Deadlines, not"),
}


def network(**given: Any) -> Agent:
    return Network(agents=[Agent("below", description="Knows.")], **given)


@pytest.mark.parametrize("make", [Agent, ReActAgent, network])
@pytest.mark.parametrize("what", BAD)
def test_what_it_cannot_be_made_with_is_refused(what: str, make: Callable[..., Agent]) -> None:
    build, says = BAD[what]
    with pytest.raises(UsageError) as refused:
        build(make)
    assert says in str(refused.value)


def test_another_model_is_checked_as_the_first_one_is() -> None:
    with pytest.raises(UsageError, match="`model` is a model or the name"):
        Agent(model="demo").with_model(5)  # type: ignore[arg-type]


def test_what_it_can_be_made_with() -> None:
    class Mine:
        """A model of one's own needs no base class."""

        name = provider = "mine"

        def stream(self, request: object) -> None: ...

    agent = Agent(model=Mine(), tools=(add,), guards=iter([redact("x")]), budget=Budget(tools=1))  # type: ignore[arg-type]
    assert (list(agent.tools), len(agent.guards)) == (["add"], 1)


def test_a_history_is_a_list_of_messages() -> None:
    agent = Agent(model="demo")
    with pytest.raises(UsageError, match="`history` is a list, not 'before'"):
        agent.run_sync("Hi", history="before")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"holds headrace\.Message items, not dict"):
        agent.start("Hi", history=[{"role": "user", "content": "Before"}])  # type: ignore[list-item]


def test_an_odd_name_among_a_models_options() -> None:
    with pytest.raises(UnknownOption, match="Did you mean temperature"):
        Agent(model="demo", temperatur=1)
