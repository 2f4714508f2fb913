"""`ReActAgent`: an agent on a model that cannot call tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from headrace.agents.agent import Agent
from headrace.agents.drive import Plan
from headrace.agents.nesting import Nest
from headrace.errors import ToolError, UsageError
from headrace.models.model import Model
from headrace.models.react.model import ReActModel
from headrace.models.react.prompt import REMINDER, no_format
from headrace.models.react.reader import UNREADABLE
from headrace.tools.tool import Tool


class ReActAgent(Agent):
    """An agent that thinks aloud and says in words which tool it wants, on any model.

    The model is asked to write `Thought:`, `Action:`, `Action Input:` and `Final Answer:`. That is
    read as it comes: thoughts are `thought` events, an action is a call like any other, and `token`
    events are the answer's text alone. The arguments, views and bounds are those of `Agent`.

    An action that cannot be read (unknown tool, no JSON, no input) runs nothing: its `tool_end`
    has an `error`, which is the model's observation. Where the model can call tools, `Agent` is
    faster and surer.

    Raises:
        UsageError: as `Agent`; a `response_format`, or `output_by="schema"`; a tool named
            ``react_format``.
    """

    def _check(self) -> None:
        by_schema = self.output is not None and self.output.by == "schema"
        if self.options.response_format is not None or by_schema:
            raise no_format()
        if UNREADABLE in self.tools:
            raise UsageError(
                f"A tool of a ReActAgent cannot be named {UNREADABLE!r}.",
                hint="It is what a turn is called that cannot be read.",
            )

    def _read_by(self, model: Model) -> Model:
        return ReActModel(model)

    def plan(
        self,
        run_id: str,
        context: Mapping[str, Any],
        retract: bool,
        *,
        path: str = "",
        nest: Nest | None = None,
    ) -> Plan:
        """As `Agent.plan`, with what a turn becomes that cannot be read."""
        plan = super().plan(run_id, context, retract, path=path, nest=nest)
        tools = {**plan.calls.tools, UNREADABLE: _UNREADABLE}
        return replace(plan, calls=replace(plan.calls, tools=tools))


async def _unreadable() -> str:
    """Tells the model the form."""
    raise ToolError(REMINDER)


_UNREADABLE = Tool(_unreadable, name=UNREADABLE, read_only=True, idempotent=True)
