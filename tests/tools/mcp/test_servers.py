"""What names a server, and that it tells no secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from headrace.errors import UsageError
from headrace.tools.mcp import http, mcp_tools, stdio

SECRET = "sw0rdf1sh"


async def coroutine(name: str, arguments: dict[str, Any]) -> bool:
    return False


@pytest.mark.parametrize(
    "server",
    [
        stdio("/usr/bin/files", "--key", SECRET, env={"KEY": SECRET}),
        http(f"https://me:{SECRET}@a.test/mcp?key={SECRET}", headers={"X-Key": SECRET}),
    ],
)
def test_no_repr_tells_a_secret(server: Any) -> None:
    for thing in (server, mcp_tools(server), [server]):
        assert SECRET not in f"{thing} {thing!r}"
    assert repr(server) in ("<MCP server files>", "<MCP server https://a.test/mcp>")


def test_what_others_say_is_masked() -> None:
    said = stdio("x", env={"KEY": SECRET, "DEBUG": "1"}).masked(f"key {SECRET} 1")
    assert said == "key **** 1"
    server = http(f"https://a.test/?key={SECRET}%21", headers={"Authorization": "Bearer abcd1"})
    assert server.masked(f"{server.url} abcd1 Bearer abcd1") == "https://a.test/?key=**** **** ****"
    assert server.masked(f"{SECRET}!") == "****"


@pytest.mark.parametrize(
    "make",
    [
        lambda: stdio(""),
        lambda: stdio("a\0b"),
        lambda: stdio("a", 1),  # type: ignore[arg-type]
        lambda: stdio("a", env={"A=B": "x"}),
        lambda: stdio("a", env={"A": 1}),  # type: ignore[dict-item]
        lambda: http("a.test"),
        lambda: http("ftp://a.test"),
        lambda: http("http://[::1"),
        lambda: http("http://a.test:99999/"),
        lambda: http("http://a.test", headers={"A\n": "x"}),
        lambda: http("http://a.test", headers={"A": "x\r\nB: y"}),
        lambda: mcp_tools("python server.py"),  # type: ignore[arg-type]
        lambda: mcp_tools(stdio("x"), prefix="a b"),
        lambda: mcp_tools(stdio("x"), only="add"),
        lambda: mcp_tools(stdio("x"), timeout=0),
        lambda: mcp_tools(stdio("x"), connect=-1),
        lambda: mcp_tools(stdio("x"), approval=coroutine),
    ],
)
def test_what_cannot_work_is_refused_at_once(make: Callable[[], object]) -> None:
    with pytest.raises(UsageError):
        make()


def test_a_name_can_be_given() -> None:
    assert stdio("npx", "-y", "files", name="files").label == "files"
    assert http("http://a.test/mcp", name="a").label == "a"
