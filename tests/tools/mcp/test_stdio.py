"""Tools of real servers that are processes."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from headrace import Agent
from headrace.errors import ToolServerError, UsageError
from headrace.testing import ScriptedModel, Step, check_events
from headrace.tools.execute import MAX_RESULT
from headrace.tools.mcp import mcp_tools, stdio
from headrace.tools.mcp.connection import CLOSE
from headrace.tools.mcp.stdio_transport import GRACE, MAX_STDERR
from tests.tools.mcp.serving import call, program, script, until


def gone(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"  # whoever adopted it has yet to bury it


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    path = tmp_path / "notes"
    path.touch()
    return path


async def test_its_tools_are_ours(notes: Path) -> None:
    async with mcp_tools(program(notes), prefix="o_") as tools:
        assert tools.instructions == "Ask before you delete."
        names = [tool.name for tool in tools]
        assert names[:3] == ["o_add", "o_files_list", "o_count"]
        assert names == [tool.name for tool in tools[:]]
        add = tools[0]
        assert (add.server_name, add.spec.description) == ("add", "Add two numbers.")
        assert set(add.spec.parameters["properties"]) == {"a", "b"}
        assert (add.read_only, add.idempotent) == (False, False)  # an unchecked word
        assert (await call(tools, "o_add", a=1, b=2)).output == "3"
        assert await add(a=2, b=3) == "5"
        with pytest.raises(UsageError, match="by name"):
            add(1, 2)


async def test_results_of_all_kinds(notes: Path) -> None:
    async with mcp_tools(program(notes)) as tools:
        listed = await call(tools, "files_list")
        assert listed.output.count("ü.txt") == 1
        assert (await call(tools, "mixed")).output.splitlines() == [
            "hello",
            "[image: image/png, 3 bytes]",
            "[resource: file:///l.txt, l, text/plain]",
            "[resource: file:///n.txt]",
            "notes",
            "[resource: file:///b, application/zip, 4 bytes]",
        ]
        failed = await call(tools, "fail")
        assert failed.error is not None
        assert "no such file" in failed.error
        wrong = await call(tools, "add", a="x")
        assert "valid integer" in (wrong.error or "")
        big = await call(tools, "big", size=2 * MAX_RESULT)
        assert len(big.output) == MAX_RESULT
        assert "[cut:" in big.output


async def test_arguments_that_are_no_object_never_reach_it(notes: Path) -> None:
    async with mcp_tools(program(notes), only=["add"]) as tools:
        (add,) = tools
        for wrong in ("[1]", "{", "NaN", '{"a": NaN}', "[" * 100_000):
            with pytest.raises(Exception, match="arguments of add") as caught:
                add.validate(wrong)
            assert len(str(caught.value)) < 1000
        assert add.validate(" ") == {"arguments": {}}


async def test_progress_is_told_in_order(notes: Path) -> None:
    heard: list[str] = []
    async with mcp_tools(program(notes)) as tools:
        done = await call(tools, "count", to=3, on_progress=heard.append)
    assert done.output == "counted to 3"
    assert heard == ["at 1 (1/3)", "at 2 (2/3)", "at 3 (3/3)"]


async def test_a_cancelled_call_is_cancelled_there_too(notes: Path) -> None:
    async with mcp_tools(program(notes)) as tools:
        hanging = asyncio.Event()
        task = asyncio.create_task(call(tools, "hang", on_progress=lambda _: hanging.set()))
        await hanging.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: notes.read_text() == "cancelled\n")
        assert (await call(tools, "add", a=1, b=1)).output == "2"


async def test_calls_cancelled_at_any_moment_leave_nothing(notes: Path) -> None:
    async with mcp_tools(program(notes), only=["hang", "add"]) as tools:
        there = asyncio.all_tasks()
        for turns in range(40):
            task = asyncio.create_task(call(tools, "hang"))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert (await call(tools, "add", a=1, b=1)).output == "2"
        assert asyncio.all_tasks() == there


async def test_a_late_call_is_cancelled_there_too(notes: Path) -> None:
    hanging = asyncio.Event()
    for seconds in (0.3, 1.5, 7.0):  # a busy machine may take the first one before it hangs
        async with mcp_tools(program(notes), timeout=seconds) as tools:
            late = await call(tools, "hang", on_progress=lambda _: hanging.set())
            assert late.error == f"The tool hang took more than {seconds:g} s and was stopped."
            if hanging.is_set():
                await until(lambda: notes.read_text().endswith("cancelled\n"))
                break
    assert hanging.is_set()


async def test_many_calls_at_once(notes: Path) -> None:
    async with mcp_tools(program(notes)) as tools:
        done = await asyncio.gather(*[call(tools, "add", a=n, b=1) for n in range(50)])
    assert [each.output for each in done] == [str(n + 1) for n in range(50)]


async def test_a_server_that_dies_is_started_again(notes: Path) -> None:
    async with mcp_tools(program(notes, API_KEY="sw0rdf1sh")) as tools:
        before = int((await call(tools, "pid")).output)
        died = await call(tools, "die", code=7)
        assert died.error is not None
        assert "was lost during the call, which it may have done" in died.error
        assert "It ended with exit code 7." in died.error
        assert died.error.count("dying with ****") == 1
        both = await asyncio.gather(call(tools, "pid"), call(tools, "pid"))
        assert both[0].output == both[1].output != str(before)
        assert gone(before)
    assert read(notes) == "died\n"  # nothing was sent twice


async def test_it_ends_with_the_connection(notes: Path) -> None:
    async with mcp_tools(program(notes)) as tools:
        pid = int((await call(tools, "pid")).output)
        assert not gone(pid)
        hanging = asyncio.Event()
        left = asyncio.create_task(call(tools, "hang", on_progress=lambda _: hanging.set()))
        await hanging.wait()
    assert gone(pid)
    assert "was closed" in ((await left).error or "")
    late = await call(tools, "pid")
    assert "inside `async with mcp_tools(…)` only" in (late.error or "")
    with pytest.raises(UsageError, match="is closed"):
        await tools.refresh()
    with pytest.raises(UsageError, match="connected once"):
        await tools.__aenter__()


def test_before_it_is_connected_there_are_no_tools() -> None:
    with pytest.raises(UsageError, match="not connected yet"):
        Agent(name="a", model=ScriptedModel([]), tools=mcp_tools(stdio("x")))


def test_an_event_loop_that_does_not_run_is_no_place_for_a_call(notes: Path) -> None:
    tools = mcp_tools(program(notes))
    with asyncio.Runner() as home, asyncio.Runner() as other:
        home.run(tools.__aenter__())
        outcome = other.run(call(tools, "pid"))
        assert "lives in an event loop that does not run now" in (outcome.error or "")
        home.run(tools.__aexit__())


async def test_in_a_run(notes: Path) -> None:
    steps = [Step(tool_calls=[("count", {"to": 2})]), Step(text="Done.")]
    async with mcp_tools(program(notes), only=["count"]) as tools:
        agent = Agent(name="a", model=ScriptedModel(steps), tools=tools)
        async with agent.start("Count.") as run:
            events = [event async for event in run.events()]
    check_events(events)
    kinds = [type(event).__name__ for event in events]
    assert kinds.count("ToolProgress") == 2
    (end,) = [event for event in events if type(event).__name__ == "ToolEnd"]
    assert getattr(end, "output", "") == "counted to 2"


async def test_a_person_can_be_asked(notes: Path) -> None:
    seen: list[object] = []

    def asked(name: str, arguments: dict[str, int]) -> bool:
        seen.append((name, arguments))
        return arguments["a"] > 1

    async with mcp_tools(program(notes), only=["add"], approval=asked) as tools:
        add = tools[0]
        assert not add.needs_approval(add.validate('{"a": 1}'))
        assert add.needs_approval(add.validate('{"a": 2}'))
        assert add.needs_approval(add.validate("{}"))  # it raised
        assert seen == [("add", {"a": 1}), ("add", {"a": 2}), ("add", {})]
    async with mcp_tools(program(notes), only=["add"], approval=True) as tools:
        assert tools[0].needs_approval({})


async def test_some_of_its_tools(notes: Path) -> None:
    with pytest.raises(UsageError, match=r"no tool 'ad'.*Did you mean 'add'"):
        async with mcp_tools(program(notes), only=["ad"]):
            pass
    async with mcp_tools(program(notes), only=["files.list"], trusted=True) as tools:
        assert [tool.name for tool in tools] == ["files_list"]
        await tools.refresh()
        assert [tool.name for tool in tools] == ["files_list"]
    async with mcp_tools(program(notes), only=["add"], trusted=True) as tools:
        assert (tools[0].read_only, tools[0].idempotent) == (True, True)


@pytest.mark.parametrize(
    ("server", "says"),
    [
        (stdio("/no/such/program"), "It cannot be started: No such file or directory"),
        (stdio("python", cwd="/no/such/folder"), "It cannot be started"),
        (script("import sys; sys.exit('bad key sw0rdf1sh')", K="sw0rdf1sh"), "bad key ****"),
        (script("import sys; sys.exit(3)"), "It ended with exit code 3."),
        (script("print('x' * 9_000_000)\ninput()"), "a message of more than 8388608 bytes"),
        (script("import time; time.sleep(60)"), "did not answer within 0.5 s."),
        (script("import os; os.close(1); input()"), "cannot be used"),
    ],
)
async def test_a_server_that_is_none(server: object, says: str) -> None:
    connect = 0.5 if "0.5" in says else 20.0
    with pytest.raises(ToolServerError) as caught:
        async with mcp_tools(server, connect=connect):  # type: ignore[arg-type]
            pass
    assert says in str(caught.value)
    assert "sw0rdf1sh" not in str(caught.value)


async def test_what_it_said_is_bounded() -> None:
    with pytest.raises(ToolServerError) as caught:
        async with mcp_tools(script("import sys; sys.exit('a' * 1_000_000 + 'end')")):
            pass
    assert "aaend" in str(caught.value)
    assert len(str(caught.value)) < MAX_STDERR + 200


STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(os.environ["PIDS"], "w").write(f"{os.getpid()} {child.pid}")
time.sleep(600)
"""


@pytest.mark.slow
async def test_one_that_does_not_listen_is_killed_with_its_children(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    started = time.monotonic()
    with pytest.raises(ToolServerError, match="did not answer within 1 s"):
        async with mcp_tools(script(STUBBORN, PIDS=str(pids)), connect=1.0):
            pass
    assert time.monotonic() - started < 1 + 3 * GRACE + 1 < CLOSE
    first, child = map(int, read(pids).split())
    assert gone(first)
    await until(lambda: gone(child))


async def test_a_cancelled_connect_leaves_no_process(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    text = "import os, time; open(os.environ['PIDS'], 'w').write(str(os.getpid())); time.sleep(600)"
    task = asyncio.create_task(mcp_tools(script(text, PIDS=str(pids))).__aenter__())
    await until(lambda: read(pids))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gone(int(read(pids)))
