"""`Output`: the type of an agent's answer: its JSON Schema, and the check of what a model wrote.

The types are pydantic's, which is imported when an `Output` is made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from headrace.agents.output.schema import (
    KEY,
    adapter_of,
    as_object,
    closed,
    is_open,
    label_of,
    wrapped,
)
from headrace.errors import InvalidOutput, UsageError
from headrace.models.request import Options, ToolSpec

if TYPE_CHECKING:
    from pydantic import ValidationError

    from headrace.agents.drive import Plan

OutputBy = Literal["schema", "tool"]
"""How a model is asked for a structured answer: by a JSON Schema as `response_format`, or by a tool
whose arguments are the answer."""

RETRIES = 2
"""How often a model is asked again after an answer that does not fit."""

MAX_FAULTS = 4096
"""Characters of what a model is told about an answer that does not fit, at most."""

TOOL = "final_answer"
"""The tool whose arguments are the answer."""

_TOLD = "Give the final answer, once. It ends the conversation."


class Output:
    """What an agent's answer is.

    A type whose JSON is no object (a list, a union, a number) is asked for as an object with the
    one property ``result``: tools take, and most providers answer with, objects only.

    Args:
        type_: A pydantic model, a dataclass, a TypedDict, or any type that pydantic can validate.
        retries: How often a model is asked again after an answer that does not fit.
        by: How it is asked; by default as the model can.

    Attributes:
        name: The type's, as the model sees it: ``[a-zA-Z0-9_-]{1,64}``.
        schema: JSON Schema (2020-12) of an object.
        wrapped: Whether the value is that object's ``result``.
        is_open: Whether the schema has objects of any properties, or holds itself.

    Raises:
        UsageError: a type that has no JSON Schema, or a bad setting.
    """

    def __init__(self, type_: Any, *, retries: int = RETRIES, by: OutputBy | None = None) -> None:
        if retries < 0:
            raise UsageError(f"output_retries is at least 0, not {retries}.")
        if by not in (None, "schema", "tool"):
            raise UsageError(f'output_by is "schema" or "tool", not {by!r}.')
        self.retries = retries
        self.by = by
        self.label = label_of(type_)
        self.name = re.sub(r"[^a-zA-Z0-9_-]+", "_", self.label).strip("_")[:64] or "answer"
        self._bare, schema = adapter_of(type_, self.label)
        self.wrapped = schema.get("type") != "object"
        self._adapter = wrapped(type_) if self.wrapped else self._bare
        self.schema = closed(as_object(schema) if self.wrapped else schema)
        self.is_open = is_open(self.schema)

    @property
    def opens(self) -> str:
        """What an answer can begin with."""
        return "{[" if self.wrapped else "{"

    @property
    def response_format(self) -> dict[str, Any]:
        """The option of a request that is answered by schema."""
        return {"name": self.name, "schema": self.schema}

    @property
    def tool(self) -> ToolSpec:
        """The tool of a request that is answered by tool."""
        about = str(self.schema.get("description", ""))
        return ToolSpec(TOOL, f"{_TOLD} {about}".strip(), self.schema)

    def check_agent(self, tools: Mapping[str, object], options: Options) -> None:
        """Check that nothing else of an agent stands in the way.

        Raises:
            UsageError: a tool of the answer's name, or a `response_format` of its own.
        """
        if TOOL in tools:
            raise UsageError(
                f"A tool of an agent with an output_type cannot be named {TOOL!r}.",
                hint='Rename it: @tool(name="…").',
            )
        if options.response_format is not None:
            raise UsageError(
                "output_type and response_format both say what the answer is.",
                hint="Leave response_format out.",
            )

    def of_next(self, plan: Plan) -> Plan:
        """The plan of an agent that takes over from one with this output type.

        Its answer is of this type, unless it has one of its own.
        """
        if plan.output is not None:
            return plan
        from msgspec.structs import replace

        from headrace.agents.output.model import OutputModel

        return replace(plan, model=OutputModel(plan.model, self), output=self)

    def value(self, text: str) -> Any:
        """The answer as an instance of the type.

        Args:
            text: The answer's JSON.

        Raises:
            InvalidOutput: names every fault, in words for the model.
        """
        from pydantic import ValidationError

        try:
            return self._validated(text)
        except ValidationError as error:
            raise InvalidOutput(self._faults(error, text)) from None
        except Exception as error:  # a validator of the user's own broke
            what = f"{type(error).__name__}: {error}"[:500]
            raise InvalidOutput(
                f"The answer could not be checked as {self.label}: {what}"
            ) from error

    def restored(self, text: str, told: Any) -> Any:
        """The answer of a run that has ended elsewhere.

        Args:
            text: Its last message.
            told: Its JSON value, given back where the type has changed since.
        """
        try:
            return self.value(text)
        except InvalidOutput:
            return told

    def json_value(self, value: Any) -> Any:
        """An instance of the type as a JSON value, as `complete.output` has it."""
        return self._bare.dump_python(
            value, mode="json", by_alias=True, warnings=False, fallback=str
        )

    def unwrapped(self, value: object) -> object:
        """A JSON value without the object around it; UNSET where it has none yet."""
        from msgspec import UNSET

        if not self.wrapped or not isinstance(value, dict):
            return value
        return value.get(KEY, UNSET)

    def known(self, value: Any) -> Any:
        """A JSON value without what the type has no place for."""
        from headrace.agents.output.known import known

        if self.wrapped and not isinstance(value, dict):
            return known({KEY: value}, self.schema)[KEY]
        return known(value, self.schema)

    def faults(self, value: object) -> Sequence[Mapping[str, Any]]:
        """What does not fit in a JSON value that may not be whole: pydantic's errors, strictly."""
        from pydantic import ValidationError
        from pydantic_core import to_json

        bare = self.wrapped and not isinstance(value, dict)
        adapter = self._bare if bare else self._adapter
        try:
            adapter.validate_json(to_json(value), strict=True)
        except ValidationError as error:
            return error.errors(include_url=False, include_context=False, include_input=False)
        except Exception:  # a validator of the user's own broke
            return ({"type": "broken", "loc": ()},)
        return ()

    def _validated(self, text: str) -> Any:
        from pydantic import ValidationError

        try:
            value = self._adapter.validate_json(text)
        except ValidationError:
            if not self.wrapped:
                raise
            try:  # a model that left the object around it out
                return self._bare.validate_json(text)
            except ValidationError:
                pass
            raise
        return getattr(value, KEY) if self.wrapped else value

    def _faults(self, error: ValidationError, text: str) -> str:
        if not text.strip():
            return f"There is no JSON of {self.label} in the answer."
        lines = [f"The answer is no valid {self.label}:"]
        size = len(lines[0])
        for line in _told(error):
            size += len(line) + 1
            if size > MAX_FAULTS - 100:
                lines.append("- and more")
                break
            lines.append(line)
        return "\n".join(lines)


def _told(error: ValidationError) -> Iterator[str]:
    for fault in error.errors(include_url=False, include_context=False):
        path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in fault["loc"])
        where = _short(path.removeprefix("."), 120)
        line = f"- {where}: {fault['msg']}" if where else f"- {fault['msg']}"
        if fault["type"] not in ("missing", "json_invalid"):
            got = json.dumps(fault["input"], default=str, ensure_ascii=False)
            line = f"{_short(line, 400)}; got {_short(got, 80)}"
        yield _short(line, 500)


def _short(text: str, limit: int) -> str:
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
