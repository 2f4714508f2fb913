"""`@tool`: a function that a model may call."""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, Literal, ParamSpec, TypeVar, overload

from headrace.errors import UsageError
from headrace.models.request import ToolSpec
from headrace.tools.approval import Approval, Predicate
from headrace.tools.docstring import read_docstring
from headrace.tools.hints import written_function
from headrace.tools.schema import Arguments

P = ParamSpec("P")
R = TypeVar("R")

Kind = Literal["function", "coroutine", "generator", "async_generator"]
"""How a tool runs; generators tell of progress with each value that they yield."""

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class Tool(Generic[P, R]):
    """A function, and what a model must know of it; calling it calls the function.

    Args:
        fn: A function, a coroutine function or a generator of either kind. Plain functions and
            generators run in a thread of their own.
        name: 1 to 64 of ``a-z A-Z 0-9 _ -``; the function's name by default.
        description: What it does, for the model; by default the docstring up to its sections.
        read_only: It changes nothing, so it may start while the model is still writing.
        idempotent: Running it twice with the same arguments does what running it once does.
        timeout: Seconds for one call, in place of the run's own limit.
        approval: Whether a person has to approve each call before it runs; or a function that
            says so from some of its arguments by their names (``lambda amount: amount > 100``).
            Where it raises, a person is asked.
        names: Names that the annotations may use beside those of the function's module.

    Raises:
        UsageError: for a bad name or timeout, a parameter without a type hint, ``*args``,
            ``**kwargs`` or positional-only parameters; for an `approval` that is a coroutine
            function, or asks for an argument that the tool does not have.
    """

    __name__: str
    approval: Approval = False
    _asks: Predicate | None = None

    def __init__(
        self,
        fn: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        read_only: bool = False,
        idempotent: bool = False,
        timeout: float | None = None,
        approval: Approval = False,
        names: Mapping[str, Any] | None = None,
    ) -> None:
        if not callable(fn):
            raise UsageError(
                f"A tool is made from a function, not from {type(fn).__name__}.", hint=_hint(fn)
            )
        self.fn = fn
        self.name = _checked_name(name if name is not None else getattr(fn, "__name__", ""))
        if timeout is not None and not timeout > 0:
            raise UsageError(f"The timeout of the tool {self.name!r} must be more than 0 s.")
        self.read_only = read_only
        self.idempotent = idempotent
        self.timeout = timeout
        self.kind = _kind(fn)
        doc = read_docstring(inspect.getdoc(written_function(fn)))
        self.description = description if description is not None else doc.description
        self.arguments = Arguments(fn, self.name, doc.parameters, names or {})
        self.approval = approval
        self._asks = Predicate(approval, fn, self.name) if callable(approval) else None
        functools.update_wrapper(self, fn, updated=())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself, unchecked."""
        return self.fn(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Tool {self.name}>"

    @cached_property
    def spec(self) -> ToolSpec:
        """The tool as a model sees it.

        Raises:
            UsageError: for an argument whose type has no JSON Schema.
        """
        return ToolSpec(self.name, self.description, self.arguments.json_schema)

    def validate(self, arguments_json: str) -> dict[str, Any]:
        """Check a model's arguments and give keyword arguments for the function.

        Raises:
            InvalidArguments: names every fault at once.
        """
        return self.arguments.validate(arguments_json)

    def needs_approval(self, arguments: Mapping[str, Any]) -> bool:
        """Whether a person has to approve a call with these arguments, as `validate` gives them."""
        return bool(self.approval) if self._asks is None else self._asks(arguments)


AnyTool = Tool[..., Any]
"""A tool of whatever signature."""


@overload
def tool(fn: Callable[P, R], /) -> Tool[P, R]: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    read_only: bool = False,
    idempotent: bool = False,
    timeout: float | None = None,
    approval: Approval = False,
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...


def tool(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a tool: ``@tool``, or ``@tool(name="find", read_only=True, timeout=5)``.

    The arguments' types come from the type hints, their descriptions from the docstring. A
    parameter annotated `RunContext` gets the run's context and is not shown to the model.

    A generator's values are its progress, each a `tool_progress` event; its result is what it
    returns, else the last value that it yielded.

    Raises:
        UsageError: as `Tool`.
    """
    # Types that were defined beside the tool, in the function around it.
    frame = sys._getframe(1)
    names = dict(frame.f_locals) if frame.f_locals is not frame.f_globals else {}
    if fn is not None:
        return Tool(fn, names=names)
    return lambda fn: Tool(fn, names=names, **options)


def as_tool(fn: Callable[..., Any] | AnyTool) -> AnyTool:
    """The tool itself, or a plain function made a tool.

    Raises:
        UsageError: as `Tool`.
    """
    return fn if isinstance(fn, Tool) else Tool(fn)


def tool_table(tools: Iterable[Callable[..., Any] | AnyTool]) -> dict[str, AnyTool]:
    """Name to tool, in order.

    Raises:
        UsageError: for two of one name, and as `Tool`.
    """
    table: dict[str, AnyTool] = {}
    for each in map(as_tool, tools):
        if each.name in table:
            raise UsageError(
                f"Two tools are named {each.name!r}.", hint='Rename one: @tool(name="…").'
            )
        table[each.name] = each
    return table


def is_tool_name(name: str) -> bool:
    """Whether a tool can have this name."""
    return _NAME.fullmatch(name) is not None


def _hint(given: object) -> str:
    """What was meant, where that is plain."""
    if hasattr(given, "as_tool"):
        return "Write tools=[agent.as_tool()], with a description of the agent."
    if isinstance(given, Sequence) and not isinstance(given, str):
        return "Put them in one by one: tools=[*these, …]."
    return ""


def _checked_name(name: str) -> str:
    if is_tool_name(name):
        return name
    raise UsageError(
        f"A tool cannot be named {name[:80]!r}.",
        hint='Give it 1 to 64 of a-z, A-Z, 0-9, _ and -: @tool(name="…").',
    )


def _kind(fn: Callable[..., Any]) -> Kind:
    target = written_function(fn)
    if inspect.isasyncgenfunction(target):
        return "async_generator"
    if inspect.iscoroutinefunction(target):
        return "coroutine"
    if inspect.isgeneratorfunction(target):
        return "generator"
    return "function"
