"""A server's tool as one of ours."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from functools import cached_property
from typing import Any

import mcp_types as types

from headrace.errors import InvalidArguments, UsageError
from headrace.models.request import ToolSpec
from headrace.tools.approval import Approval
from headrace.tools.context import RunContext
from headrace.tools.mcp.connection import Connection
from headrace.tools.mcp.result_text import progress_text, result_text
from headrace.tools.output import cut
from headrace.tools.threads import PENDING, post
from headrace.tools.tool import Tool

McpApproval = bool | Callable[[str, dict[str, Any]], object]
"""Whether a person has to approve a call, or what says so of a tool's name and arguments."""


class McpTool(Tool[..., Any]):
    """What `mcp_tools` gives; it works while its connection is open.

    Its schema is the server's, as it is, and the server checks the arguments by it; here they only
    have to be one JSON object.

    Args:
        offered: What the server says of it.
        name: Its name for the model.
        connection: The server.
        timeout: Seconds for one call; the run's own limit by default.
        approval: Whether a person has to approve each call; or a function of the tool's name on the
            server and the arguments that says so.
        trusted: Whether to believe the server that it changes nothing, or can be repeated.

    Attributes:
        server_name: Its name on the server.
    """

    def __init__(
        self,
        offered: types.Tool,
        name: str,
        connection: Connection,
        *,
        timeout: float | None = None,
        approval: McpApproval = False,
        trusted: bool = False,
    ) -> None:
        async def call(arguments: dict[str, Any], context: RunContext) -> str:
            told = _Progress(context.progress)

            async def tell(progress: float, total: float | None, message: str | None) -> None:
                told.send(progress_text(progress, total, message))

            return result_text(await connection.call(offered.name, arguments, tell))

        hints = offered.annotations if trusted else None
        super().__init__(
            call,
            name=name,
            description=offered.description or offered.title or "",
            read_only=bool(hints and hints.read_only_hint),
            idempotent=bool(hints and hints.idempotent_hint),
            timeout=timeout,
            approval=_for_one(approval, offered.name),
        )
        self.__name__ = name
        self.__doc__ = self.description
        self.server_name = offered.name
        self._schema = {"type": "object", "properties": {}, **offered.input_schema}

    def __call__(self, *positional: Any, **arguments: Any) -> Any:
        """Call it: ``await tool(path="notes.txt")`` gives its text.

        Raises:
            UsageError: arguments without names.
        """
        if positional:
            raise UsageError(f"The arguments of the tool {self.name!r} are given by name.")
        return self.fn(arguments, RunContext(tool_name=self.name))

    def __repr__(self) -> str:
        return f"<McpTool {self.name}>"

    @cached_property
    def spec(self) -> ToolSpec:
        """The tool as a model sees it."""
        return ToolSpec(self.name, self.description, self._schema)

    def validate(self, arguments_json: str) -> dict[str, Any]:
        """The arguments, if they are one JSON object; an empty text is ``{}``.

        Raises:
            InvalidArguments: they are not.
        """
        try:
            arguments = json.loads(arguments_json.strip() or "{}", parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise self._wrong(f"are not valid JSON ({error})", arguments_json) from None
        if not isinstance(arguments, dict):
            raise self._wrong("must be one JSON object", arguments_json)
        return {"arguments": arguments}

    def _wrong(self, what: str, got: str) -> InvalidArguments:
        shown = cut(got.encode("utf-8", "replace").decode(), 300)
        return InvalidArguments(f"The arguments of {self.name} {what}. Got: {shown}")


class _Progress:
    """Takes progress to the loop of the run, from that of the connection.

    Where the run falls behind, notices are left out: nobody may be made to wait in a loop that
    other calls are made in.
    """

    def __init__(self, progress: Callable[[str], None]) -> None:
        self._progress = progress
        self._loop = asyncio.get_running_loop()
        self._room = threading.Semaphore(PENDING)

    def send(self, text: str) -> None:
        if asyncio.get_running_loop() is self._loop:
            self._progress(text)
        elif self._room.acquire(blocking=False):
            post(self._loop, self._arrive, text)

    def _arrive(self, text: str) -> None:
        self._room.release()
        self._progress(text)


def _for_one(approval: McpApproval, name: str) -> Approval:
    """The approval for the tool of this name, as a function of `arguments` if it is one."""
    if isinstance(approval, bool):
        return approval
    says = approval
    return lambda arguments: says(name, arguments)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
