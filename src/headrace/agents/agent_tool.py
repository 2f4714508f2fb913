"""An agent as a tool of another: its events are the run's own, under its path."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any

from headrace.agents.calls import Here
from headrace.agents.drive import drive
from headrace.errors import HeadraceError, InvalidArguments, ToolError, UsageError
from headrace.events import AgentEnd, AgentStart
from headrace.messages import Message, ToolCall
from headrace.runs.approvals import StandingStill
from headrace.runs.run import Outcome
from headrace.tools.execute import MAX_RESULT, ToolOutcome
from headrace.tools.output import cut, error_text
from headrace.tools.tool import Tool, is_tool_name

if TYPE_CHECKING:
    from headrace.agents.agent import Agent


class AgentTool(Tool[[str], Any]):
    """What `Agent.as_tool` gives.

    Called by a model it runs inside that model's run: `agent_start`, every event of the agent with
    its path, `agent_end`; its answer, or how it failed, is the call's result. It sees the task and
    nothing else of the conversation. Its bound is its own deadline of a run, not that of a tool.

    Args:
        agent: Who answers.
        name: The tool's name; the agent's by default.
        description: What it is good for; the agent's by default.

    Raises:
        UsageError: a name that no tool can have; no description to choose it by.
    """

    def __init__(
        self, agent: Agent, name: str | None = None, description: str | None = None
    ) -> None:
        async def ask(task: str) -> str:
            """Ask.

            Args:
                task: All that it needs to know: it sees nothing of this conversation.
            """
            return (await agent.run(task)).content

        told = agent.description if description is None else description
        if not told.strip():
            raise UsageError(
                f"The agent {agent.name!r} has no description: a model could not choose it.",
                hint=f'Write Agent({agent.name!r}, description="What it is good for", …).',
            )
        super().__init__(ask, name=_name_of(agent) if name is None else name, description=told)
        self.agent = agent

    async def run_inside(self, call: ToolCall, here: Here) -> ToolOutcome:
        """Run the agent for one call.

        Raises:
            asyncio.CancelledError: the call was cancelled; the agent's end is written.
        """
        started = perf_counter()
        try:
            task = str(self.validate(call.arguments)["task"])
        except InvalidArguments as error:
            return ToolOutcome(error.message, error.message, 0.0)
        nest = here.settings.nest
        refusal = nest.refusal(here.agent, self.name, task)
        if refusal is not None:
            return ToolOutcome(refusal, refusal, 0.0)
        output, failed = await self._answer(task, nest.enter(here.agent, self.name, task), here)
        if failed is not None:
            nest.failed(here.agent, self.name, task)
        text = output if failed is None else failed
        return ToolOutcome(text, failed, (perf_counter() - started) * 1e3)

    async def _answer(self, task: str, path: str, here: Here) -> tuple[str, str | None]:
        """Its answer, or what failed; every start with its end."""
        writer, started = here.writer, perf_counter()
        writer.put(AgentStart, path, self.agent.name, task)

        def end(output: str, error: str | None) -> None:
            if not writer.closed:
                took = round((perf_counter() - started) * 1e3, 3)
                writer.put(AgentEnd, path, self.agent.name, output, took, error)

        try:
            output = cut(await self._drive(task, path, here), MAX_RESULT)
        except asyncio.CancelledError:
            end("", "cancelled")
            raise
        except Exception as error:  # told to whoever called it; its own run goes on
            failed = str(error) if isinstance(error, HeadraceError) else error_text(error)
            end("", failed)
            return "", failed
        end(output, None)
        return output, None

    async def _drive(self, task: str, path: str, here: Here) -> str:
        settings, seconds = here.settings, self.agent.deadlines.run
        plan = self.agent.plan(
            settings.run_id, settings.context, settings.retract, path=path, nest=settings.nest
        )
        try:
            async with asyncio.timeout(seconds) as limit:
                with StandingStill(limit, path, here.writer.approvals):
                    outcome = await drive(plan, [Message.user(task)], here.writer)
        except TimeoutError:
            if not limit.expired():
                raise
            raise ToolError(f"{self.agent.name} took more than {seconds or 0:g} s.") from None
        return _answer_of(self.agent.name, outcome)


def _answer_of(name: str, outcome: Outcome) -> str:
    """What the agent said at last.

    Raises:
        ToolError: it came to no answer.
    """
    last = outcome.messages[-1] if outcome.messages else Message("assistant")
    text = last.text if last.role == "assistant" else ""
    match outcome.finish_reason:
        case "max_steps":
            raise ToolError(f"{name} made all its model calls and came to no answer.")
        case "content_filter":
            raise ToolError(f"The answer of {name} was filtered by its provider.")
        case "length":
            return f"{text}\n[cut: {name} reached its limit of tokens]"
    return text


def _name_of(agent: Agent) -> str:
    if is_tool_name(agent.name):
        return agent.name
    raise UsageError(
        f"The agent {agent.name[:80]!r} cannot be a tool under its name.",
        hint='A tool has 1 to 64 of a-z, A-Z, 0-9, _ and -: agent.as_tool("its_name").',
    )
