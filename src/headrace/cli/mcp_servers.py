"""`--mcp`: tools of MCP servers for a conversation."""

from __future__ import annotations

import shlex
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.errors import UsageError

if TYPE_CHECKING:
    from headrace.tools.tool import AnyTool

Commands = Annotated[
    list[str] | None,
    typer.Option(
        "--mcp",
        metavar="COMMAND",
        help="Give the model the tools of an MCP server: a command, or an address of http or "
        "https; may be repeated.",
    ),
]


class McpServers:
    """The servers that the command line names.

    Raises:
        UsageError: a command that cannot be read; a bad address.
        MissingExtra: there is one, and the extra ``mcp`` is not installed.
    """

    def __init__(self, commands: list[str] | None) -> None:
        self._servers = [_server(command) for command in commands or ()]
        self._open = AsyncExitStack()

    async def open(self) -> list[AnyTool]:
        """Connect to all of them; gives their tools.

        Raises:
            ToolServerError: one cannot be started, reached or understood.
        """
        tools: list[AnyTool] = []
        if self._servers:
            from headrace.tools.mcp import mcp_tools

            for server in self._servers:
                tools += await self._open.enter_async_context(mcp_tools(server))
        return tools

    async def close(self) -> None:
        """Disconnect from all of them."""
        await self._open.aclose()


def _server(command: str) -> Any:
    from headrace.tools.mcp import http, stdio

    if command.startswith(("http://", "https://")):
        return http(command)
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--mcp takes a command as a shell reads it: {error}.") from None
    if not words:
        raise UsageError("--mcp takes a command or an address, not nothing.")
    return stdio(*words)
