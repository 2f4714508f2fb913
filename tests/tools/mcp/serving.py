"""MCP servers for tests: the real one as a process and over HTTP, and one that does as told."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from aiohttp import web

from headrace.messages import ToolCall
from headrace.tools.context import RunContext
from headrace.tools.execute import ToolOutcome, execute
from headrace.tools.mcp import McpTools, Stdio, stdio

PROGRAM = Path(__file__).with_name("offering.py")


def program(notes: Path, **env: str) -> Stdio:
    """The real server as a process."""
    return stdio(sys.executable, PROGRAM, env={"NOTES": str(notes), **env})


def script(text: str, **env: str) -> Stdio:
    """A server that is a few lines of Python."""
    return stdio(sys.executable, "-c", text, env=env, name="script")


async def call(
    tools: McpTools,
    name: str,
    *,
    timeout: float | None = 30.0,
    on_progress: Callable[[str], None] = lambda _: None,
    **arguments: Any,
) -> ToolOutcome:
    """One call, as an agent makes it."""
    (tool,) = [tool for tool in tools if tool.name == name]
    request = ToolCall("c1", name, json.dumps(arguments))
    return await execute(tool, request, RunContext(), timeout=timeout, on_progress=on_progress)


@asynccontextmanager
async def over_http(app: Any) -> AsyncIterator[str]:
    """Serve an application on loopback; gives its origin."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


async def until(true: Callable[[], object]) -> None:
    """Wait for what only another process, or the SDK, can say."""
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - nobody here can set an event
            await asyncio.sleep(0.01)


Answer = Callable[[dict[str, Any], web.Request], Awaitable[web.StreamResponse | None]]


class Handshaking:
    """A server of the revision 2025-11-25, with sessions, as most servers in the field are.

    Args:
        answer: Answers calls of tools, in place of ``done``.
        guard: Answers before anything else.

    Attributes:
        stays: Never answers when a session shall end.
    """

    def __init__(self, answer: Answer | None = None, guard: Answer | None = None) -> None:
        self.answer, self.guard = answer, guard
        self.stays = False
        self.sessions: set[str] = set()
        self.seen: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.arrived = asyncio.Event()

    @asynccontextmanager
    async def there(self) -> AsyncIterator[str]:
        """Be there at the address that this gives."""
        app = web.Application()
        app.router.add_post("/mcp", self._post)
        app.router.add_get("/mcp", self._refuse)
        app.router.add_delete("/mcp", self._delete)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            await web.SockSite(runner, listening).start()
            try:
                yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
            finally:
                await runner.cleanup()

    async def saw(self, method: str) -> dict[str, Any]:
        """Wait for the last message of this method."""
        while not (found := [each for each in self.seen if each["method"] == method]):
            self.arrived.clear()
            await self.arrived.wait()
        return found[-1]

    async def _refuse(self, _: web.Request) -> web.Response:
        return web.Response(status=405)

    async def _delete(self, request: web.Request) -> web.Response:
        if self.stays:
            await asyncio.Event().wait()
        self.sessions.discard(request.headers["mcp-session-id"])
        return web.Response()

    async def _post(self, request: web.Request) -> web.StreamResponse:
        message: dict[str, Any] = await request.json()
        self.seen.append(message)
        self.headers.append(dict(request.headers))
        self.arrived.set()
        if self.guard is not None and (response := await self.guard(message, request)) is not None:
            return response
        match message["method"]:
            case "server/discover":
                return web.Response(status=400)
            case "initialize":
                session = f"s{len(self.seen)}"
                self.sessions.add(session)
                return result(message, _WELCOME, {"mcp-session-id": session})
        if request.headers.get("mcp-session-id") not in self.sessions:
            return web.Response(status=404)
        match message["method"]:
            case "tools/list":
                return result(
                    message, {"tools": [{"name": "do", "inputSchema": {"type": "object"}}]}
                )
            case "tools/call":
                given = None if self.answer is None else await self.answer(message, request)
                return given or result(message, text("done"))
        return web.Response(status=202)


_WELCOME = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "handshaking", "version": "1"},
}


def text(words: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": words}]}


def result(
    message: dict[str, Any], value: dict[str, Any], headers: Mapping[str, str] | None = None
) -> web.Response:
    body = {"jsonrpc": "2.0", "id": message["id"], "result": value}
    return web.json_response(body, headers=headers)
