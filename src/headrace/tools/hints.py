"""A function's parameters and their types, read from its signature."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_type_hints

from headrace.errors import UsageError
from headrace.tools.typed_dicts import pydantic_type

_PLAIN = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def parameters_of(fn: Callable[..., Any], name: str) -> tuple[inspect.Parameter, ...]:
    """The function's parameters.

    Raises:
        UsageError: for one without a type hint, positional-only or variadic.
    """
    parameters = tuple(_signature(fn, name).parameters.values())
    for parameter in parameters:
        _check_parameter(parameter, name)
    return parameters


def hints_of(
    fn: Callable[..., Any], parameters: Sequence[inspect.Parameter], names: Mapping[str, Any]
) -> dict[str, Any]:
    """Each parameter's type, with `names` known beside those of the function's module.

    Raises:
        NameError: a hint names something unknown (as yet).
    """
    if not parameters:
        return {}
    annotations = {p.name: p.annotation for p in parameters}
    # Only the parameters: what a tool returns may be imported for type checkers alone.
    holder = types.SimpleNamespace(__annotations__=annotations)
    found = get_type_hints(holder, _globals(fn), dict(names), include_extras=True)
    return {name: pydantic_type(hint) for name, hint in found.items()}


def written_function(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function that someone wrote, behind partials and callable objects."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return fn if inspect.isroutine(fn) else type(fn).__call__


def _globals(fn: Callable[..., Any]) -> dict[str, Any]:
    found: dict[str, Any] = getattr(inspect.unwrap(written_function(fn)), "__globals__", {})
    return found


def _signature(fn: Callable[..., Any], name: str) -> inspect.Signature:
    try:
        return inspect.signature(fn)
    except (TypeError, ValueError) as error:
        raise UsageError(f"The tool {name!r} has no readable signature: {error}.") from None


def _check_parameter(parameter: inspect.Parameter, name: str) -> None:
    if parameter.kind not in _PLAIN:
        kind = parameter.kind.description
        raise UsageError(
            f"The tool {name!r} has a {kind} parameter {parameter.name!r}.",
            hint="A model names its arguments: use plain parameters.",
        )
    if parameter.annotation is parameter.empty:
        hint = "Write one, such as `query: str`."
        if parameter.name == "self":
            hint = "Make the tool from the bound method: `tool(thing.method)`."
        raise UsageError(
            f"The parameter {parameter.name!r} of the tool {name!r} has no type hint.", hint=hint
        )
