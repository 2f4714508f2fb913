"""Runs one tool call: checked, watched, bounded; whatever happens, there is an outcome."""

from __future__ import annotations

import asyncio
import difflib
import inspect
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any

from msgspec import Struct

from headrace.errors import InvalidArguments, ToolError
from headrace.messages import ToolCall
from headrace.tools.context import RunContext
from headrace.tools.output import MAX_ERROR, as_text, cut, encodable, error_text
from headrace.tools.threads import ProgressRelay, in_thread
from headrace.tools.tool import AnyTool, Kind

MAX_RESULT = 256 * 1024
"""Bytes of UTF-8 of one result, at most (DESIGN 7)."""

MAX_PROGRESS = 16 * 1024
"""Bytes of UTF-8 of one piece of progress, at most."""

GRACE = 1.0
"""Seconds that a cancelled coroutine has for its clean-up, before it is left behind."""

_left_behind: set[asyncio.Task[Any]] = set()


class ToolOutcome(Struct, frozen=True):
    """What became of one call.

    Attributes:
        output: What the model reads: the result, or what failed.
        error: What failed, or None.
        duration_ms: From the call to the outcome, on the event loop's clock.
    """

    output: str
    error: str | None
    duration_ms: float


async def execute(
    tool: AnyTool,
    call: ToolCall,
    context: RunContext,
    *,
    timeout: float | None,
    on_progress: Callable[[str], None],
    max_result: int = MAX_RESULT,
) -> ToolOutcome:
    """Run one call and give its outcome.

    Bad arguments, the tool's exceptions and its deadline are outcomes with an `error` written
    for the model. Whether it is cancelled or late, the tool is told by its `RunContext`; a
    coroutine is cancelled, a generator closed; a thread that does not listen is left behind, and
    its late result and progress are dropped.

    Args:
        tool: The tool.
        call: What the model asked for.
        context: The run's; the tool gets one of its own made from it.
        timeout: Seconds, or None for no limit; the tool's own `timeout` wins.
        on_progress: Takes each piece of progress, in the event loop; must not raise.
        max_result: Bytes of UTF-8 of the result; a longer one is cut and says so.

    Raises:
        asyncio.CancelledError: the call was cancelled from outside.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    relay = ProgressRelay(on_progress)
    own = context.for_call(call.id, tool.name, lambda text: relay.send(_progress(text)))
    task = loop.create_task(_attempt(tool, call, own, max_result), name=f"tool {tool.name}")
    limit = tool.timeout if tool.timeout is not None else timeout
    late = True
    try:
        await asyncio.wait({task}, timeout=limit)
        late = not task.done()
    finally:
        relay.close()
        if not task.done():
            own.signal.set()
            await _stop(task)
    output, error = _late(tool.name, limit) if late else _result(task, tool.name)
    return ToolOutcome(output, error, (loop.time() - started) * 1e3)


def unknown_tool(name: str, known: Iterable[str]) -> ToolOutcome:
    """The outcome of a call to a tool that there is not; names the nearest one."""
    names = sorted(known)
    near = difflib.get_close_matches(name[:64], names, n=1)
    guess = f" Did you mean {near[0]!r}?" if near else ""
    there = f" There are: {', '.join(names)}." if names else " There are no tools."
    text = cut(encodable(f"There is no tool named {name[:64]!r}.{guess}{there}"), MAX_ERROR)
    return ToolOutcome(text, text, 0.0)


async def _attempt(
    tool: AnyTool, call: ToolCall, context: RunContext, max_result: int
) -> tuple[str, str | None]:
    """Output and error of the call; only a cancel (or Ctrl-C) comes out as an exception."""
    try:
        arguments: dict[str, Any] = tool.validate(call.arguments)
        arguments.update(dict.fromkeys(tool.arguments.context_parameters, context))
        text = await _RUN[tool.kind](tool, arguments, context)
        return cut(text, max_result), None
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise
    except InvalidArguments as error:
        return error.message, error.message
    except BaseException as error:  # a tool's `sys.exit()` too ends the tool, not the server
        text = error_text(error)
        return text, text


async def _coroutine(tool: AnyTool, arguments: dict[str, Any], context: RunContext) -> str:
    return as_text(await tool.fn(**arguments))


async def _async_generator(tool: AnyTool, arguments: dict[str, Any], context: RunContext) -> str:
    last = ""
    async with aclosing(tool.fn(**arguments)) as values:
        async for value in values:
            last = as_text(value)
            context.progress(last)
            await asyncio.sleep(0)  # one that never waits must not starve its own deadline
    return last


async def _function(tool: AnyTool, arguments: dict[str, Any], context: RunContext) -> str:
    def work() -> str | Awaitable[Any]:
        value = tool.fn(**arguments)
        return value if inspect.isawaitable(value) else as_text(value)

    result = await in_thread(work, tool.name)
    return as_text(await result) if inspect.isawaitable(result) else str(result)


async def _generator(tool: AnyTool, arguments: dict[str, Any], context: RunContext) -> str:
    def work() -> str:
        values = tool.fn(**arguments)
        last = ""
        try:
            while not context.cancelled:
                last = as_text(next(values))
                context.progress(last)
        except StopIteration as end:
            return last if end.value is None else as_text(end.value)
        finally:
            values.close()
        return last

    return str(await in_thread(work, tool.name))


_RUN: dict[Kind, Callable[[AnyTool, dict[str, Any], RunContext], Awaitable[str]]] = {
    "function": _function,
    "coroutine": _coroutine,
    "generator": _generator,
    "async_generator": _async_generator,
}


async def _stop(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task}, timeout=GRACE)
    if not task.done():
        _left_behind.add(task)
        task.add_done_callback(_left_behind.discard)


def _result(task: asyncio.Task[tuple[str, str | None]], name: str) -> tuple[str, str | None]:
    if not task.cancelled():
        return task.result()
    text = f"The tool {name} was cancelled from within."
    return text, text


def _late(name: str, limit: float | None) -> tuple[str, str]:
    text = f"The tool {name} took more than {limit or 0:g} s and was stopped."
    return text, text


def _progress(text: str) -> str:
    if not isinstance(text, str):
        raise ToolError(f"Progress is told as text, not as {type(text).__name__}.")
    return cut(encodable(text), MAX_PROGRESS)
