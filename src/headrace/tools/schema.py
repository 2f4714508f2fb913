"""A function's arguments: their JSON Schema for the model, and the check of what it sent.

The types are pydantic's, which is imported when a schema is first asked for: `@tool` itself
costs nothing.
"""

from __future__ import annotations

import inspect
import json
import types
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from headrace.errors import InvalidArguments, UsageError
from headrace.tools.context import RunContext
from headrace.tools.hints import hints_of, parameters_of

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

MAX_MESSAGE = 4096
"""Bytes of an `InvalidArguments` message, at most."""

_SHOWN = 80


class Arguments:
    """The arguments of one function.

    Args:
        fn: The function.
        name: The tool's name, for messages.
        descriptions: A parameter's name to its description.
        names: Names that its annotations may use beside those of its module.

    Raises:
        UsageError: for a parameter without a type hint, positional-only or variadic.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str,
        descriptions: Mapping[str, str],
        names: Mapping[str, Any],
    ) -> None:
        self._fn = fn
        self._name = name
        self._descriptions = descriptions
        self._all = parameters_of(fn, name)
        self._early: dict[str, Any] | None = None
        with suppress(NameError):  # a type may also be defined after the tool
            self._early = hints_of(fn, self._all, names)

    @cached_property
    def hints(self) -> dict[str, Any]:
        """Each parameter's type.

        Raises:
            UsageError: for a hint that names something unknown.
        """
        if self._early is not None:
            return self._early
        try:
            return hints_of(self._fn, self._all, {})
        except NameError as error:
            raise UsageError(
                f"The tool {self._name!r} has a type hint that cannot be resolved: {error}.",
                hint="Define the type in the tool's module, and not under TYPE_CHECKING.",
            ) from None

    @cached_property
    def context_parameters(self) -> tuple[str, ...]:
        """The parameters that get the `RunContext`."""
        return tuple(name for name, hint in self.hints.items() if _is_context(hint))

    @cached_property
    def _parameters(self) -> tuple[inspect.Parameter, ...]:
        return tuple(p for p in self._all if p.name not in self.context_parameters)

    @cached_property
    def _model(self) -> type[BaseModel]:
        """A pydantic model with a field for each argument.

        The fields are `arg0`, `arg1`… with the arguments' names as aliases, so that an argument
        may be called `schema`, `json` or `_id`.
        """
        from pydantic import ConfigDict, Field, create_model
        from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

        fields: dict[str, Any] = {}
        for i, p in enumerate(self._parameters):
            info = Field(alias=p.name)
            if p.default is not p.empty:  # the default itself stays the function's business
                info = Field(alias=p.name, default_factory=_unused)
            fields[f"arg{i}"] = (self.hints[p.name], info)
        try:
            config = ConfigDict(extra="forbid", hide_input_in_errors=True)
            return create_model(self._name, __config__=config, **fields)
        except (PydanticUserError, PydanticUndefinedAnnotation, TypeError) as error:
            raise self._unusable(error) from None

    @cached_property
    def json_schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of the arguments: an object, nested types under ``$defs``.

        Raises:
            UsageError: for a type that has none.
        """
        from pydantic.errors import PydanticUserError
        from pydantic.json_schema import GenerateJsonSchema

        class Untitled(GenerateJsonSchema):
            """Names of fields are titles enough."""

            def field_title_should_be_set(self, schema: Any) -> bool:
                return False

        try:
            schema = self._model.model_json_schema(schema_generator=Untitled)
        except PydanticUserError as error:
            raise self._unusable(error) from None
        schema = {"type": "object", "properties": {}, **schema}
        schema.pop("title", None)
        for p in self._parameters:
            _describe(schema["properties"][p.name], p, self._descriptions.get(p.name, ""))
        return schema

    def validate(self, arguments: str) -> dict[str, Any]:
        """Check what the model sent and give keyword arguments for the function.

        Args:
            arguments: JSON text of an object; an empty text is ``{}``. Values are converted as
                pydantic does (``"3"`` to 3); arguments left out are left out here too.

        Raises:
            InvalidArguments: names every fault at once, for the model; at most 4 KiB.
        """
        from pydantic import ValidationError

        try:
            model = self._model.model_validate_json(arguments.strip() or "{}")
        except ValidationError as error:
            raise InvalidArguments(self._faults(error, arguments)) from None
        except UsageError:
            raise
        except Exception as error:  # a validator of the user's own broke
            text = f"could not be checked: {type(error).__name__}: {error}"
            raise InvalidArguments(_short(f"The arguments of {self._name} {text}", 500)) from error
        return {
            p.name: getattr(model, f"arg{i}")
            for i, p in enumerate(self._parameters)
            if f"arg{i}" in model.model_fields_set
        }

    def _faults(self, error: ValidationError, arguments: str) -> str:
        faults = error.errors(include_url=False, include_context=False)
        first = faults[0]
        if not first["loc"]:
            got = f"Got: {_short(arguments, 200)}"
            if first["type"] == "model_type":
                return f"The arguments of {self._name} must be one JSON object. {got}"
            reason = first["msg"].removeprefix("Invalid JSON: ")
            return (
                f"The arguments of {self._name} are not valid JSON ({_short(reason, 300)}). "
                f"Send one JSON object. {got}"
            )
        lines = [f"The arguments of {self._name} are wrong:"]
        size = len(lines[0].encode())
        for i, fault in enumerate(faults):
            line = self._fault(fault)
            size += len(line.encode()) + 1
            if size > MAX_MESSAGE - 100:
                lines.append(f"- and {len(faults) - i} more")
                break
            lines.append(line)
        return "\n".join(lines)

    def _fault(self, fault: Any) -> str:
        where = _short(_path(fault["loc"]), 120)
        if fault["type"] == "extra_forbidden" and len(fault["loc"]) == 1:
            known = ", ".join(p.name for p in self._parameters) or "none"
            return f"- {where}: there is no such argument; known: {_short(known, 300)}"
        if fault["type"] == "missing":
            return f"- {where}: required, but missing; expected {self._expected(fault['loc'])}"
        got = _short(json.dumps(fault["input"], default=str, ensure_ascii=False), _SHOWN)
        return f"- {where}: {_short(fault['msg'], 300)}; got {got}"

    def _expected(self, loc: Sequence[Any]) -> str:
        schema = self.json_schema["properties"].get(loc[0], {}) if len(loc) == 1 else {}
        kind = schema.get("type", "a value")
        about = schema.get("description")
        return _short(f"{kind} ({about})" if about else str(kind), 300)

    def _unusable(self, error: Exception) -> UsageError:
        reason = str(error).splitlines()[0]
        return UsageError(
            f"The tool {self._name!r} takes an argument of a type that has no JSON Schema: "
            f"{reason}",
            hint="Use plain types, dataclasses or pydantic models.",
        )


def _is_context(hint: Any) -> bool:
    if get_origin(hint) in (Union, types.UnionType):
        return RunContext in get_args(hint)
    return hint is RunContext


def _unused() -> None:
    """Makes a field optional; the function's own default is what counts."""


def _describe(schema: dict[str, Any], parameter: inspect.Parameter, description: str) -> None:
    if description:
        schema.setdefault("description", description)
    if parameter.default is not parameter.empty and "default" not in schema:
        try:
            json.dumps(parameter.default)
        except (TypeError, ValueError):
            return
        schema["default"] = parameter.default


def _path(loc: Sequence[Any]) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return path.removeprefix(".")


def _short(text: str, limit: int) -> str:
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
