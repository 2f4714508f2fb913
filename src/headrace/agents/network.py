"""`Network`: a router that asks agents, and hands conversations over to agents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import UnionType
from typing import TYPE_CHECKING, Any

from headrace.agents.agent import Agent
from headrace.agents.made_with import listed
from headrace.errors import UsageError
from headrace.models.model import Model
from headrace.runs.response import Out

if TYPE_CHECKING:
    from typing import _SpecialForm

    from headrace.agents.agent_tool import AgentTool
    from headrace.agents.handoff import Handoff
    from headrace.agents.output import Output
    from headrace.tools.tool import AnyTool

Handoffs = Mapping[str, Iterable[str]] | Iterable["str | Agent | Handoff"]
"""Who may hand over to whom: see `Network`."""


class Network(Agent[Out]):
    """An agent that works through others.

    Each agent of `agents` is a tool of the router's model: asked for something, it answers the
    router, and its events are the run's under its path. Asked several in one step, they work at
    the same time. An agent of `handoffs` takes the whole conversation over: its answer is the
    run's. A network may stand wherever an agent may, so networks nest.

    Args:
        name: What people call it.
        model: The router's; as for `Agent`.
        instructions: The router's.
        tools: The router's own tools, beside the agents.
        agents: Whom it may ask; each has a name of its own and a description, by which the router
            chooses. One that shall have another name here is given as ``agent.as_tool("name")``.
        handoffs: Whom it may hand the conversation over to: agents, or names from `agents`. Or a
            mapping that says who may hand over to whom, by names, the network's own included:
            ``{"desk": ["billing"], "billing": ["refunds"]}``. An agent that is named in it only to
            be handed over to stands in `agents` as well, and may be asked, too.
        output_type: As for `Agent`; who takes over answers in it, too.
        **rest: As for `Agent`: `description`, `max_steps`, `parallel_tools`, `nesting`, …

    Raises:
        UsageError: no agents; two of one name, or one with the network's; one without a
            description; a hand-off to or from a name that there is not; hand-offs that go round;
            hand-offs that lead to an agent with another `output_type` than the network's; and
            as `Agent`.
    """

    def __init__(
        self,
        name: str = "network",
        model: str | Model | None = None,
        instructions: str = "",
        tools: Iterable[Callable[..., Any] | AnyTool] = (),
        *,
        agents: Iterable[Agent | AgentTool] = (),
        handoffs: Handoffs = (),
        output_type: type[Out] | UnionType | _SpecialForm | None = None,
        **rest: Any,
    ) -> None:
        from headrace.agents.routes import Routes

        routes = Routes(name, agents, handoffs)
        self.agents: Mapping[str, Agent] = routes.agents
        every = [*listed("tools", tools), *routes.tools]
        super().__init__(name, model, instructions, every, output_type=output_type, **rest)
        if self.output is not None:
            _check_outputs(name, self.output, self.tools, set())


def _check_outputs(
    name: str, own: Output, tools: Mapping[str, AnyTool], reached: set[Handoff]
) -> None:
    """Whoever may have the conversation, over however many hand-offs, answers in the one type.

    Raises:
        UsageError: someone has another; without one an agent takes the network's.
    """
    from headrace.agents.handoff import Handoff

    handoffs = (tool for tool in tools.values() if isinstance(tool, Handoff))
    for handoff in handoffs:
        theirs = handoff.agent.output
        if theirs is not None and own.schema != theirs.schema:
            raise UsageError(
                f"{name!r} may hand over to {handoff.to!r}, whose answer is of another type "
                "than its own output_type.",
                hint="Give both the same output_type.",
            )
        if handoff not in reached:
            reached.add(handoff)
            _check_outputs(name, own, handoff.tools_of_next, reached)
