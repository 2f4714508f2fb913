"""`mcp_tools`: the tools of one server, as long as it is connected."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Collection, Sequence
from typing import overload

import mcp_types as types

from headrace.errors import UsageError
from headrace.tools.mcp.connection import Connection
from headrace.tools.mcp.home import Home
from headrace.tools.mcp.mcp_tool import McpApproval, McpTool
from headrace.tools.mcp.servers import Http, Server, Stdio
from headrace.tools.mcp.tool_names import checked_prefix, tool_names

CONNECT = 30.0
"""Seconds to start a server, to connect to it and to learn its tools."""


class McpTools(Sequence[McpTool]):
    """The tools of one server; see `mcp_tools`.

    Attributes:
        instructions: What the server says about their use, or ``""``.
    """

    def __init__(
        self,
        server: Server,
        *,
        prefix: str,
        only: Collection[str] | None,
        timeout: float | None,
        approval: McpApproval,
        trusted: bool,
        connect: float,
    ) -> None:
        self._server = server
        self._prefix = prefix
        self._only = only
        self._timeout = timeout
        self._approval = approval
        self._trusted = trusted
        self._connection = Connection(server, connect)
        self._tools: list[McpTool] | None = None
        self._home: Home | None = None
        self.instructions = ""

    def __enter__(self) -> McpTools:
        """Connect in a thread of its own, for a program without an event loop.

        Raises:
            ToolServerError: as with ``async with``.
            UsageError: as there; an event loop runs in this thread.
        """
        self._home = home = Home()
        try:
            return home.run(self.__aenter__())
        except BaseException:
            home.close()
            raise

    def __exit__(self, *_: object) -> None:
        """Disconnect, as with ``async with``."""
        home, self._home = self._home, None
        if home is not None:
            try:
                home.run(self.__aexit__())
            finally:
                home.close()

    async def __aenter__(self) -> McpTools:
        """Connect, and learn the tools.

        Raises:
            ToolServerError: the server cannot be started, reached or understood in time.
            UsageError: a tool of `only` is not there; a second time.
        """
        if self._tools is not None:
            raise UsageError("The tools of an MCP server are connected once.", hint=_AGAIN)
        self._tools = []
        try:
            link = await self._connection.open()
            self.instructions = link.client.instructions or ""
            self._tools = self._made(link.listed)
        except BaseException:
            await self._connection.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Disconnect; a server that was started is stopped."""
        await self._connection.close()

    async def refresh(self) -> None:
        """Ask the server again what it offers.

        An agent keeps the tools that it was made with: make a new one with the new tools.

        Raises:
            ToolServerError: the server is gone.
            UsageError: a tool of `only` is not there; the connection is closed.
        """
        self._tools = self._made(await self._connection.tools())

    def __len__(self) -> int:
        return len(self._there())

    @overload
    def __getitem__(self, index: int) -> McpTool: ...
    @overload
    def __getitem__(self, index: slice) -> list[McpTool]: ...
    def __getitem__(self, index: int | slice) -> McpTool | list[McpTool]:
        """The tools in the server's order."""
        return self._there()[index]

    def __repr__(self) -> str:
        return f"<McpTools of {self._server.label}>"

    def _there(self) -> list[McpTool]:
        if self._tools is None:
            raise UsageError("The MCP server is not connected yet.", hint=_AGAIN)
        return self._tools

    def _made(self, offered: Sequence[types.Tool]) -> list[McpTool]:
        by_name = {tool.name: tool for tool in reversed(offered)}  # of two, the first
        names = tool_names((tool.name for tool in offered), self._prefix)
        wanted = names if self._only is None else self._chosen(names)
        return [
            McpTool(
                by_name[theirs],
                ours,
                self._connection,
                timeout=self._timeout,
                approval=self._approval,
                trusted=self._trusted,
            )
            for theirs, ours in names.items()
            if theirs in wanted
        ]

    def _chosen(self, names: Collection[str]) -> Collection[str]:
        only = self._only or ()
        for name in only:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                guess = f"Did you mean {near[0]!r}? " if near else ""
                raise UsageError(
                    f"The MCP server {self._server.label} has no tool {name!r}.",
                    hint=f"{guess}It has: {', '.join(sorted(names)) or 'none'}.",
                )
        return only


_AGAIN = "Write `async with mcp_tools(…) as tools:`."


def mcp_tools(
    server: Stdio | Http,
    *,
    prefix: str = "",
    only: Collection[str] | None = None,
    timeout: float | None = None,
    approval: McpApproval = False,
    trusted: bool = False,
    connect: float = CONNECT,
) -> McpTools:
    """The tools of an MCP server.

    ``async with mcp_tools(stdio("python", "server.py")) as tools: agent = Agent(tools=tools)``

    Connected inside the `async with`, and not after it; a server that was lost is started or
    connected to again with the next call. The list is read once. In a program without an event
    loop a plain `with` does the same.

    Args:
        server: `stdio(…)` or `http(…)`.
        prefix: Set before each name, so that tools of two servers stay apart.
        only: The names, as the server has them, of those that are wanted; all by default.
        timeout: Seconds for one call, in place of the run's own limit.
        approval: Whether a person has to approve each call before it is made; or what says so
            (``lambda name, arguments: name == "delete"``). Where it raises, a person is asked.
        trusted: Believe the server's word that a tool changes nothing (it may then start while the
            model is still writing) or may be repeated (it may then run again after a crash).
        connect: Seconds to start a server, to connect to it and to learn its tools.

    Raises:
        UsageError: something else than a server, a bad prefix, a bad number of seconds, or an
            approval that is a coroutine function.
    """
    if not isinstance(server, Stdio | Http):
        raise UsageError(
            f"An MCP server is stdio(…) or http(…), not {type(server).__name__}.",
            hint='Write mcp_tools(stdio("python", "server.py")).',
        )
    if isinstance(only, str):
        raise UsageError("`only` is a list of names.", hint=f'Write only=["{only[:64]}"].')
    if inspect.iscoroutinefunction(approval):
        raise UsageError("`approval` of an MCP server is a plain function, not a coroutine's.")
    for what, seconds in (("timeout", timeout), ("connect", connect)):
        if seconds is not None and not seconds > 0:
            raise UsageError(f"`{what}` of an MCP server must be more than 0 s.")
    return McpTools(
        server,
        prefix=checked_prefix(prefix),
        only=only,
        timeout=timeout,
        approval=approval,
        trusted=trusted,
        connect=connect,
    )
