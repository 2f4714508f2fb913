"""A real MCP server, written with the SDK: a program, and an application for HTTP."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import (
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
    ToolAnnotations,
)

server = MCPServer("offering", instructions="Ask before you delete.")


noted: list[str] = []


def note(word: str) -> None:
    """Leave a word where the test looks for it: in a file, if this is another process."""
    noted.append(word)
    if path := os.environ.get("NOTES"):
        with Path(path).open("a", encoding="utf-8") as notes:
            notes.write(f"{word}\n")


@server.tool(annotations=ToolAnnotations(read_only_hint=True, idempotent_hint=True))
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool(name="files.list")
def files_list() -> dict[str, Any]:
    """List files."""
    return {"files": ["a.txt", "ü.txt"]}


@server.tool()
async def count(to: int, context: Context[Any, Any]) -> str:
    """Count, and tell of it."""
    for each in range(1, to + 1):
        await context.report_progress(each, to, f"at {each}")
    return f"counted to {to}"


@server.tool()
async def hang(context: Context[Any, Any]) -> str:
    """Begin, and never end."""
    try:
        await context.report_progress(1, None, "hanging")  # from here on it may be cancelled
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        note("cancelled")
        raise
    return ""


@server.tool()
def fail() -> str:
    """Fail."""
    raise ToolError("no such file")


@server.tool()
def mixed() -> CallToolResult:
    """Give all kinds of content."""
    text = TextResourceContents(uri="file:///n.txt", text="notes")
    blob = BlobResourceContents(uri="file:///b", mime_type="application/zip", blob="QUJDRA==")
    return CallToolResult(
        content=[
            TextContent(text="hello"),
            ImageContent(data="QUJD", mime_type="image/png"),
            ResourceLink(uri="file:///l.txt", name="l", mime_type="text/plain"),
            EmbeddedResource(resource=text),
            EmbeddedResource(resource=blob),
        ]
    )


@server.tool()
def big(size: int) -> str:
    """Give a long text."""
    return "x" * size


@server.tool()
def die(code: int) -> str:
    """End the whole process."""
    note("died")
    print("dying with", os.environ.get("API_KEY", "no key"), file=sys.stderr, flush=True)
    os._exit(code)


@server.tool()
def pid() -> int:
    """The process's number."""
    return os.getpid()


if __name__ == "__main__":
    print("a banner that is no message", flush=True)
    server.run()
