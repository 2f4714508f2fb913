"""A hand-off: a tool that gives the whole conversation to another agent, which answers it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from headrace.agents.calls import CallSettings, Here
from headrace.agents.drive import Plan
from headrace.errors import ConfigurationError, InvalidArguments, UsageError
from headrace.messages import ToolCall
from headrace.tools.execute import ToolOutcome
from headrace.tools.tool import AnyTool, Tool, is_tool_name

if TYPE_CHECKING:
    from headrace.agents.agent import Agent

PREFIX = "transfer_to_"


class Handoff(Tool[[str], Any]):
    """Put it into an agent's `tools`, and its model may hand the conversation over.

    The other agent goes on with the conversation: it speaks where the first one spoke, so that its
    text is the run's answer in every view, with its own model, instructions, tools and bounds.
    `agent_start` and `agent_end` tell who speaks. It sees what was said before; calls of tools it
    sees as words (`headrace.agents.floor.as_told`).

    Args:
        agent: Who takes over.
        name: The tool's name; ``transfer_to_`` and the agent's by default.
        description: When to hand over to it; the agent's by default.
        further: Hand-offs that the agent has in this conversation beside its own tools.

    Attributes:
        agent: Who takes over.

    Raises:
        UsageError: a name that no tool can have; no description to choose it by; a hand-off in
            `further` with the name of one of the agent's tools.
    """

    def __init__(
        self,
        agent: Agent,
        name: str | None = None,
        description: str | None = None,
        *,
        further: Iterable[Handoff] = (),
    ) -> None:
        async def hand_over(task: str = "") -> str:
            """Hand over.

            Args:
                task: What is asked, in a few words; the conversation itself goes along.
            """
            return f"{agent.name} answers from here on."

        told = agent.description if description is None else description
        if not told.strip():
            raise UsageError(
                f"The agent {agent.name!r} has no description: a model could not choose it.",
                hint=f'Write Agent({agent.name!r}, description="What it is good for", …).',
            )
        own = f"{PREFIX}{agent.name}" if name is None else name
        if not is_tool_name(own):
            raise UsageError(
                f"A hand-off cannot be named {own[:80]!r}.",
                hint='A tool has 1 to 64 of a-z, A-Z, 0-9, _ and -: Handoff(agent, "its_name").',
            )
        super().__init__(
            hand_over,
            name=own,
            description=f"Hand the conversation over to {agent.name}, who answers it: {told}",
            idempotent=True,
        )
        self.agent = agent
        self._further = {each.name: each for each in further}
        if both := self._further.keys() & agent.tools.keys():
            raise UsageError(f"{agent.name!r} has two tools named {min(both)!r}.")

    @property
    def to(self) -> str:
        """The other agent's name."""
        return self.agent.name

    @property
    def tools_of_next(self) -> Mapping[str, AnyTool]:
        """The other agent's tools, and the hand-offs that it has besides."""
        return {**self.agent.tools, **self._further}

    def plan_of_next(self, calls: CallSettings, path: str) -> Plan:
        """The other agent's plan, as a part of the same run."""
        plan = self.agent.plan(
            calls.run_id, calls.context, calls.retract, path=path, nest=calls.nest
        )
        if not self._further:
            return plan
        tools = {**plan.calls.tools, **self._further}
        specs = (*plan.specs, *(each.spec for each in self._further.values()))
        return replace(plan, specs=specs, calls=replace(plan.calls, tools=tools))

    async def run_inside(self, call: ToolCall, here: Here) -> ToolOutcome:
        """Take the call; the loop goes on with the other agent once the step's calls are over."""
        started = perf_counter()
        try:
            self.validate(call.arguments)
            self.agent.model  # noqa: B018 - one that cannot be made takes nothing over
        except (InvalidArguments, ConfigurationError) as error:
            return ToolOutcome(str(error), str(error), 0.0)
        refusal = here.settings.nest.hand_over(here.agent, self.to)
        if refusal is not None:
            return ToolOutcome(refusal, refusal, 0.0)
        took = (perf_counter() - started) * 1e3
        return ToolOutcome(f"{self.to} answers from here on.", None, took)
