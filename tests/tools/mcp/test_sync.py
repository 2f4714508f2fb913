"""Tools of MCP servers in programs without an event loop, and in more loops than one."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from headrace import Agent
from headrace.errors import ToolServerError, UsageError
from headrace.testing import ScriptedModel, Step
from headrace.tools.mcp import McpTools, mcp_tools, stdio
from headrace.tools.mcp.mcp_tool import _Progress
from headrace.tools.threads import PENDING
from tests.tools.mcp.serving import call, program, until


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    path = tmp_path / "notes"
    path.touch()
    return path


def counting(tools: McpTools) -> Agent:
    model = ScriptedModel([Step(tool_calls=[("count", {"to": 2})]), Step(text="Done.")])
    return Agent(name="a", model=model, tools=tools)


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


# Without a loop -------------------------------------------------------------------------------


def test_a_plain_with_connects_for_the_sync_twins(notes: Path) -> None:
    with mcp_tools(program(notes), only=["count"]) as tools:
        response = counting(tools).run_sync("Count.")
        assert response.messages[2].content[0].output == "counted to 2"  # type: ignore[union-attr]
        text = [chunk.content for chunk in counting(tools).stream_sync("Count.")]
        assert "".join(text) == "Done."
    assert "headrace-mcp" not in threads()


def test_after_it_a_call_says_so(notes: Path) -> None:
    with mcp_tools(program(notes)) as tools:
        pass
    outcome = asyncio.run(call(tools, "pid"))
    assert "is closed" in (outcome.error or "")
    with pytest.raises(UsageError, match="connected once"), tools:
        pass
    assert "headrace-mcp" not in threads()


def test_a_server_that_cannot_be_started_leaves_no_thread() -> None:
    with pytest.raises(ToolServerError, match="cannot be started"), mcp_tools(stdio("no-such-x")):
        pass
    assert "headrace-mcp" not in threads()


async def test_in_a_loop_it_is_refused(notes: Path) -> None:
    with pytest.raises(UsageError, match="Write `async with mcp_tools"), mcp_tools(program(notes)):
        pass
    assert "headrace-mcp" not in threads()


# In another loop ------------------------------------------------------------------------------


async def test_another_threads_loop_may_call_while_this_one_runs(notes: Path) -> None:
    heard: list[str] = []

    def elsewhere(tools: McpTools) -> tuple[str, int]:
        async def calls() -> tuple[str, int]:
            counted = await call(tools, "count", to=3, on_progress=heard.append)
            await tools.refresh()
            return counted.output, len(tools)

        return asyncio.run(calls())

    async with mcp_tools(program(notes)) as tools:
        assert await asyncio.to_thread(elsewhere, tools) == ("counted to 3", len(tools))
        assert await asyncio.to_thread(counting(tools).run_sync, "Count.") is not None
    assert heard == ["at 1 (1/3)", "at 2 (2/3)", "at 3 (3/3)"]


async def test_a_call_that_is_late_there_is_cancelled_at_the_server(notes: Path) -> None:
    def elsewhere(tools: McpTools) -> str:
        return asyncio.run(call(tools, "hang", timeout=2.0)).error or ""

    async with mcp_tools(program(notes)) as tools:
        assert "took more than 2 s" in await asyncio.to_thread(elsewhere, tools)
        await until(lambda: notes.read_text() == "cancelled\n")
        assert (await call(tools, "add", a=1, b=1)).output == "2"


async def test_a_run_that_falls_behind_makes_no_one_wait() -> None:
    heard: list[str] = []
    told = _Progress(heard.append)

    async def flood() -> None:
        for each in range(PENDING + 10):
            told.send(str(each))

    # This loop does not turn while the other one sends.
    thread = threading.Thread(target=lambda: asyncio.run(flood()))
    thread.start()
    thread.join(30)
    await until(lambda: len(heard) == PENDING)
    told.send("here")
    assert heard == [*map(str, range(PENDING)), "here"]
