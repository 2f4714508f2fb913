"""Tools of servers at an address: the SDK's own, and one of the revision that is most in use."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest
from aiohttp import web

from headrace.errors import ToolServerError
from headrace.tools.mcp import http, mcp_tools
from headrace.tools.mcp.connection import MAX_TOOLS, Connection
from headrace.tools.mcp.stdio_transport import MAX_MESSAGE
from tests.tools.mcp import offering
from tests.tools.mcp.serving import Answer, Handshaking, call, over_http, result, text, until


async def test_the_sdks_own_server() -> None:
    offering.noted.clear()
    heard: list[str] = []
    async with over_http(offering.server.streamable_http_app()) as origin:
        async with mcp_tools(http(f"{origin}/mcp")) as tools:
            assert (await call(tools, "add", a=1, b=2)).output == "3"
            counted = await call(tools, "count", to=3, on_progress=heard.append)
            assert counted.output == "counted to 3"
            assert heard == ["at 1 (1/3)", "at 2 (2/3)", "at 3 (3/3)"]
            assert "no such file" in ((await call(tools, "fail")).error or "")
            hanging = asyncio.Event()
            task = asyncio.create_task(call(tools, "hang", on_progress=lambda _: hanging.set()))
            await hanging.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: offering.noted == ["cancelled"])
            assert (await call(tools, "add", a=1, b=1)).output == "2"


async def test_headers_go_with_every_request_and_the_session_ends() -> None:
    server = Handshaking()
    async with server.there() as url:
        async with mcp_tools(http(url, headers={"Authorization": "Bearer t0ken1"})) as tools:
            assert (await call(tools, "do")).output == "done"
            assert tools[0].spec.parameters == {"type": "object", "properties": {}}
            assert len(server.sessions) == 1
        assert not server.sessions
    assert {headers["Authorization"] for headers in server.headers} == {"Bearer t0ken1"}


async def test_a_cancelled_call_is_told_by_a_notification() -> None:
    async def never(message: dict[str, Any], request: web.Request) -> None:
        await asyncio.Event().wait()

    server = Handshaking(never)
    for seconds in (0.2, 1.0, 5.0):  # a busy machine may take the first one before it has asked
        async with server.there() as url, mcp_tools(http(url), timeout=seconds) as tools:
            error = (await call(tools, "do")).error or ""
            assert f"took more than {seconds:g} s" in error
            if any(message["method"] == "tools/call" for message in server.seen):
                told = await asyncio.wait_for(server.saw("notifications/cancelled"), 5)
                break
    asked = await asyncio.wait_for(server.saw("tools/call"), 5)
    assert told["params"]["requestId"] == asked["id"]


async def test_a_session_that_ended_is_made_again() -> None:
    server = Handshaking()
    async with server.there() as url, mcp_tools(http(url)) as tools:
        server.sessions.clear()
        done = await asyncio.gather(*[call(tools, "do") for _ in range(3)])
        assert [(each.output, each.error) for each in done] == [("done", None)] * 3
        assert len(server.sessions) == 1


async def test_a_server_that_is_away_and_comes_back() -> None:
    async def cut(message: dict[str, Any], request: web.Request) -> None:
        assert request.transport is not None
        request.transport.abort()

    server = Handshaking(cut)
    async with server.there() as url, mcp_tools(http(url)) as tools:
        lost = await call(tools, "do")
        assert "was lost during the call" in (lost.error or "")
        server.answer = None
        assert (await call(tools, "do")).output == "done"


async def test_a_server_that_does_not_let_go_is_left() -> None:
    server = Handshaking()
    server.stays = True
    async with server.there() as url:
        connection = Connection(http(url), 10.0, close=0.1)
        link = await connection.open()
        await connection.close()
        await asyncio.wait({link.task}, timeout=5)
        assert link.task.done()


def pages(size: int, count: int) -> Answer:
    """Answers lists of tools: `count` pages of `size` tools each."""

    async def answer(message: dict[str, Any], request: web.Request) -> web.Response | None:
        if message["method"] != "tools/list":
            return None
        page = int((message.get("params") or {}).get("cursor", 0))
        schema = {"type": "object"}
        tools = [{"name": f"t{page}_{n}", "inputSchema": schema} for n in range(size)]
        more = {"nextCursor": str(page + 1)} if page + 1 < count else {}
        return result(message, {"tools": tools, **more})

    return answer


async def test_a_list_of_many_pages() -> None:
    async with Handshaking(guard=pages(250, 4)).there() as url:
        async with mcp_tools(http(url)) as tools:
            assert len(tools) == MAX_TOOLS == len({tool.name for tool in tools})


@pytest.mark.parametrize(("size", "count"), [(MAX_TOOLS + 1, 1), (1, 10**9), (0, 10**9)])
async def test_a_list_that_has_no_end(size: int, count: int) -> None:
    async with Handshaking(guard=pages(size, count)).there() as url:
        with pytest.raises(ToolServerError, match="more than 1000 tools, or its list has no end"):
            async with mcp_tools(http(url)):
                pass


async def test_one_lost_call_does_not_end_the_others() -> None:
    """A stream that breaks off is one call's trouble; the connection is given up after the rest."""
    go = asyncio.Event()
    came = 0

    async def answer(message: dict[str, Any], request: web.Request) -> web.StreamResponse | None:
        nonlocal came
        came += 1
        if came == 1:
            await go.wait()
            return None
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        return response

    server = Handshaking(answer)
    async with server.there() as url, mcp_tools(http(url)) as tools:
        first = asyncio.create_task(call(tools, "do"))
        await server.saw("tools/call")
        lost = await call(tools, "do")
        assert "was lost during the call" in (lost.error or "")
        go.set()
        assert (await first).output == "done"


@pytest.mark.parametrize("status", [401, 503])
async def test_a_server_that_refuses_us(status: int) -> None:
    async def guard(message: dict[str, Any], request: web.Request) -> web.Response:
        return web.Response(status=status, text="key t0ken1")

    async with Handshaking(guard=guard).there() as url:
        with pytest.raises(ToolServerError, match=f"HTTP status {status}") as caught:
            async with mcp_tools(http(f"{url}?key=t0ken1")):
                pass
    assert "t0ken1" not in str(caught.value)


async def test_nobody_there() -> None:
    async with Handshaking().there() as url:
        pass
    with pytest.raises(ToolServerError, match=f"{url} cannot be used. ConnectError"):
        async with mcp_tools(http(url)):
            pass


@pytest.mark.parametrize("packed", [False, True])
async def test_a_body_that_is_too_long_or_packed(packed: bool) -> None:
    async def answer(message: dict[str, Any], request: web.Request) -> web.StreamResponse:
        assert request.headers["accept-encoding"] == "identity"
        long = result(message, text("x" * (10 if packed else MAX_MESSAGE)))
        if packed:
            long.body = gzip.compress(bytes(long.body or b""))  # type: ignore[arg-type]
            long.headers["content-encoding"] = "gzip"
        return long

    server = Handshaking(answer)
    async with server.there() as url, mcp_tools(http(url)) as tools:
        refused = await call(tools, "do")
        assert "longer than a message may be" in (refused.error or "")
        server.answer = None
        assert (await call(tools, "do")).output == "done"
