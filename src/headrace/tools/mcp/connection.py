"""The session with a server: made, held by a task of its own, made again when it was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import anyio
import httpx2
import mcp_types as types
from mcp import Client, MCPError
from mcp.shared.dispatcher import ProgressFnT
from mcp_types import CONNECTION_CLOSED, INVALID_REQUEST

from headrace.errors import ToolError, ToolServerError, UsageError
from headrace.tools.mcp.http_transport import HttpTransport
from headrace.tools.mcp.servers import Http, Server
from headrace.tools.mcp.stdio_transport import StdioTransport
from headrace.tools.output import MAX_ERROR, cut

T = TypeVar("T")

CLOSE = 10.0
"""Seconds to end a connection, before it is left behind."""

MAX_TOOLS = 1000
"""Tools of one server, at most."""

_MAX_PAGES = 100
_SETTLES = 0.5
_TERMINATED = "Session terminated"  # the SDK's word for a 404 to a session that is no more


class Connection:
    """A server as tools see it; it lives in the event loop that opened it.

    In others, in other threads, it may be used as long as that one runs.

    Args:
        server: Which one.
        connect: Seconds to connect and to learn its tools.
        close: Seconds to disconnect.
    """

    def __init__(self, server: Server, connect: float, *, close: float = CLOSE) -> None:
        self._server = server
        self._limit = connect
        self._close = close
        self._lock = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._link: _Link | None = None
        self._links: set[_Link] = set()

    async def open(self) -> _Link:
        """Connect.

        Raises:
            ToolServerError: no such server, or it does not speak the protocol.
        """
        self._loop = asyncio.get_running_loop()
        return await self._live()

    async def close(self) -> None:
        """Disconnect; calls that are still there fail."""
        self._closed = True
        await asyncio.gather(*[link.stop(self._close) for link in self._links])

    async def tools(self) -> list[types.Tool]:
        """What the server offers now.

        Raises:
            ToolServerError: the server is gone.
            UsageError: the connection is closed, or its event loop does not run.
        """
        return await self._at_home(self._tools)

    async def _tools(self) -> list[types.Tool]:
        link = await self._live()
        with link.in_use():
            try:
                return await _listed(link.client)
            except Exception as error:
                raise await self._failed(link, error) from None

    async def call(
        self, name: str, arguments: dict[str, Any], progress: ProgressFnT
    ) -> types.CallToolResult:
        """Call a tool; cancelled, it tells the server.

        Raises:
            ToolServerError: the server is gone, and cannot be had again.
            ToolError: the server refused the call.
            UsageError: the connection is closed, or its event loop does not run.
        """
        return await self._at_home(lambda: self._called(name, arguments, progress))

    async def _at_home(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do it in the event loop that the connection lives in; cancelled here, it is there too."""
        self._check()
        home = self._loop
        if home is None or home is asyncio.get_running_loop():
            return await work()
        if not home.is_running():
            raise UsageError(
                f"The connection to the MCP server {self._server.label} lives in an event loop "
                "that does not run now.",
                hint="Run the agent in the loop that connected, or while that one runs.",
            )
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), home))

    async def _called(
        self, name: str, arguments: dict[str, Any], progress: ProgressFnT
    ) -> types.CallToolResult:
        try:
            return await self._call(await self._live(), name, arguments, progress)
        except _SessionLost:  # it was not taken, so it may be sent again
            return await self._call(await self._live(), name, arguments, progress)

    async def _call(
        self, link: _Link, name: str, arguments: dict[str, Any], progress: ProgressFnT
    ) -> types.CallToolResult:
        with link.in_use():
            try:
                return await link.client.call_tool(name, arguments, progress_callback=progress)
            except Exception as error:
                raise await self._failed(link, error) from None

    async def _failed(self, link: _Link, error: Exception) -> ToolError:
        """The error for the model; the connection is given up if that is what failed."""
        label = self._server.label
        if isinstance(error, MCPError) and error.code == INVALID_REQUEST:
            if error.message == _TERMINATED:
                link.retire()
                return _SessionLost(f"The MCP server {label} has ended the session.")
        if not _is_lost(error):
            said = self._server.masked(str(error) or type(error).__name__)
            return ToolError(f"The MCP server {label} refused: {said}")
        link.retire()
        if self._closed:
            return ToolServerError(f"The connection to the MCP server {label} was closed.")
        await link.over()
        why = cut(self._server.masked(link.why() or str(error)), MAX_ERROR // 2)
        return ToolServerError(
            f"The MCP server {label} was lost during the call, which it may have done. {why}",
            hint="The next call connects again.",
        )

    async def _live(self) -> _Link:
        self._check()
        async with self._lock:
            self._check()
            if self._link is None or not self._link.usable:
                self._link = await self._connect()
            return self._link

    def _check(self) -> None:
        label = self._server.label
        if self._closed or self._loop is None:
            raise UsageError(
                f"The connection to the MCP server {label} is closed.",
                hint="Its tools work inside `async with mcp_tools(…)` only.",
            )

    async def _connect(self) -> _Link:
        link = _Link(self._server)
        self._links.add(link)
        link.task.add_done_callback(lambda _: self._links.discard(link))
        try:
            async with asyncio.timeout(self._limit) as limit:
                await link.opened()
        except TimeoutError:
            await link.stop(self._close)
            if not limit.expired():
                raise
            why = f"did not answer within {self._limit:g} s."
        except BaseException:
            await link.stop(self._close)
            raise
        else:
            if link.ready.is_set():
                return link
            why = "cannot be used."
        told = cut(self._server.masked(link.why()), MAX_ERROR)
        raise ToolServerError(f"The MCP server {self._server.label} {why} {told}".rstrip())


class _SessionLost(ToolServerError):
    """The server knows the session no more, and has not taken the call."""


class _Link:
    """One connection; one task opens it and closes it, as the SDK's cancel scopes ask for."""

    def __init__(self, server: Server) -> None:
        self.ready = asyncio.Event()
        self.listed: list[types.Tool] = []
        self._end = asyncio.Event()
        self._calls = 0
        self._retired = False
        self._fault: BaseException | None = None
        self._transport: HttpTransport | StdioTransport = (
            HttpTransport(server)
            if isinstance(server, Http)
            else StdioTransport(server, on_end=self._end.set)
        )
        self.task = asyncio.create_task(self._hold(), name=f"mcp {server.label}")

    @property
    def usable(self) -> bool:
        """Whether a call may be made."""
        return not (self._retired or self._end.is_set() or self.task.done())

    def why(self) -> str:
        """Why it is no more, as far as is known."""
        if isinstance(self._fault, ToolError):
            return str(self._fault)
        said = self._transport.ending()
        if self._fault is None or said:
            return said
        return f"{type(self._fault).__name__}: {self._fault}".rstrip(": ")

    async def opened(self) -> None:
        """Wait until it is ready, or has failed."""
        ready = asyncio.create_task(self.ready.wait())
        try:
            await asyncio.wait({ready, self.task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()

    def retire(self) -> None:
        """Make no further calls; it ends with the last that is under way."""
        self._retired = True
        if not self._calls:
            self._end.set()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """While a call is under way."""
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1
            if self._retired:
                self.retire()

    async def over(self) -> None:
        """Wait a moment for its end, if it is ending: then more is known of it."""
        if self._end.is_set():
            await asyncio.wait({self.task}, timeout=_SETTLES)

    async def stop(self, seconds: float) -> None:
        """End it now, or leave it behind."""
        self._end.set()
        if not self.ready.is_set():
            self.task.cancel()
        await asyncio.wait({self.task}, timeout=seconds)
        self.task.cancel()

    async def _hold(self) -> None:
        info = types.Implementation(name="headrace", version="1")
        try:
            async with Client(self._transport, client_info=info, cache=None) as self.client:
                self.listed = await _listed(self.client)
                self.ready.set()
                await self._end.wait()
        except Exception as error:
            self._fault = _first(error)


async def _listed(client: Client) -> list[types.Tool]:
    """All tools, over all pages.

    Raises:
        ToolServerError: there are too many.
    """
    tools: list[types.Tool] = []
    cursor = None
    for _ in range(_MAX_PAGES):
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if cursor is None or len(tools) > MAX_TOOLS:
            break
    if cursor is not None or len(tools) > MAX_TOOLS:
        raise ToolServerError(f"It offers more than {MAX_TOOLS} tools, or its list has no end.")
    return tools


def _is_lost(error: Exception) -> bool:
    if isinstance(error, MCPError):
        return error.code == CONNECTION_CLOSED
    lost = (anyio.ClosedResourceError, anyio.BrokenResourceError, httpx2.TransportError, OSError)
    return isinstance(error, lost)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
