"""A model that is asked for a structured answer, in the way that it can give one."""

from __future__ import annotations

from msgspec.structs import replace

from headrace.agents.output import TOOL, Output, OutputBy
from headrace.agents.output.reader import AnswerReader
from headrace.models.model import Model
from headrace.models.request import ModelRequest, Options
from headrace.models.wrapped import WrappedModel


class OutputModel(WrappedModel):
    """Asks another model for an answer of a type; the answer's text is its JSON.

    By schema (`response_format`) where the model takes one, and with tools where it takes both at
    once; else by a tool whose arguments are the answer, which it is made to call where that can be
    forced.

    Args:
        model: Who answers.
        output: With what.
    """

    def __init__(self, model: Model, output: Output) -> None:
        super().__init__(model)
        self.output = output

    def by(self, request: ModelRequest) -> OutputBy:
        """How the model is asked."""
        if self.output.by is not None:
            return self.output.by
        wanted = {"schema+tools" if request.tools else "schema"}
        if self.output.is_open:
            wanted.add("open schema")
        return "schema" if wanted <= self.features else "tool"

    def rewrite(self, request: ModelRequest) -> ModelRequest:
        """The request, with the schema or the tool."""
        options = request.options
        if self.by(request) == "schema":
            asked = replace(options, response_format=self.output.response_format)
            return ModelRequest(request.messages, request.tools, asked)
        tools = () if options.tool_choice == "none" else request.tools
        choice = replace(options, tool_choice=self._choice(options))
        return ModelRequest(request.messages, (*tools, self.output.tool), choice)

    def reader(self, request: ModelRequest) -> AnswerReader:
        """A reader that finds the answer, whichever way it comes."""
        return AnswerReader(TOOL, self.output.opens)

    def _choice(self, options: Options) -> str | None:
        if options.tool_choice not in (None, "auto", "none"):
            return options.tool_choice
        # A model that shows its reasoning may not be forced to call (Anthropic's documentation,
        # "Extended thinking", with tool use).
        free = options.reasoning_effort in (None, "none")
        return "required" if free and "tool_choice" in self.features else None
