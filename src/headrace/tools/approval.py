"""`@tool(approval=…)`: which calls a person is asked about."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any

from headrace.errors import UsageError

Approval = bool | Callable[..., object]
"""Whether a person has to approve a call, or a function of its arguments that says so."""

_logger = logging.getLogger("headrace.tools")


class Predicate:
    """A function of some of a tool's arguments.

    Args:
        says: Takes arguments by their names; what it gives is true where a person is asked.
        fn: The tool's function, whose defaults stand for arguments that were left out.
        name: The tool's name.

    Raises:
        UsageError: a coroutine function; an argument that the tool does not have.
    """

    def __init__(self, says: Callable[..., object], fn: Callable[..., Any], name: str) -> None:
        call = getattr(says, "__call__", says)  # noqa: B004  # an object's own may be one, too
        if inspect.iscoroutinefunction(says) or inspect.iscoroutinefunction(call):
            raise UsageError(
                f"The approval of the tool {name!r} is a coroutine function.",
                hint="Give a plain function of the call's arguments.",
            )
        self._says = says
        self._name = name
        parameters = inspect.signature(fn).parameters
        defaults = {p.name: p.default for p in parameters.values()}
        self._defaults = {k: v for k, v in defaults.items() if v is not inspect.Parameter.empty}
        self._takes = _takes(says, name, list(parameters))

    def __call__(self, arguments: Mapping[str, Any]) -> bool:
        """Whether a person is asked; so, too, where the function cannot say."""
        given = {**self._defaults, **arguments}
        names = given if self._takes is None else [n for n in self._takes if n in given]
        try:
            return bool(self._says(**{name: given[name] for name in names}))
        except Exception as error:  # it may not decide by failing that no one is asked
            _logger.warning(
                "The approval of the tool %s failed (%s), so a person is asked",
                self._name,
                type(error).__name__,
            )
            return True


def _takes(says: Callable[..., object], name: str, known: list[str]) -> list[str] | None:
    """The names of the arguments that the function takes; None for all."""
    try:
        parameters = inspect.signature(says).parameters.values()
    except (TypeError, ValueError):  # a builtin gets all; where it refuses, a person is asked
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    for p in parameters:
        takes_any = p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        if p.default is p.empty and (not takes_any or p.name not in known):
            raise UsageError(
                f"The approval of the tool {name!r} asks for {p.name!r}, which is no argument of "
                "it that can be given by its name.",
                hint=f"The tool has: {', '.join(known) or 'none'}.",
            )
    return [p.name for p in parameters if p.name in known]
