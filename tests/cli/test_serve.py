"""`headrace serve`: what it says, what it refuses, and that it answers."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from headrace import Agent
from headrace.cli.serve import load_agents
from headrace.errors import UsageError
from tests.cli.shell import headrace
from tests.server.reading import asked, reading

PATIENCE = 30.0

MODULE = """
from headrace import Agent
from headrace.testing import ScriptedModel, Step

one = Agent("one", ScriptedModel([Step(text=["Hello", " there"])]))
both = [one, Agent("two", ScriptedModel([Step(text="Two")]))]
nothing = 1
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "served_here.py").write_text(MODULE)
    (tmp_path / "broken_here.py").write_text("agent = Agnt()")
    (tmp_path / "users").write_text("ann:ann-has-a-long-token")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@asynccontextmanager
async def served(folder: Path, *arguments: str) -> AsyncGenerator[tuple[str, list[str]]]:
    """The command, its address, and in the end what it wrote."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "headrace", "serve", *arguments, "--port", "0",
        cwd=folder,
        env=os.environ | {"HEADRACE_STORE": f"sqlite:///{folder}/runs.db", "LLM_PROVIDER": "demo"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(PATIENCE):
            while not (lines and lines[-1].startswith("Ctrl-C")):
                line = await process.stdout.readline()
                assert line, "\n".join(lines)
                lines.append(line.decode().rstrip("\n"))
        (url,) = re.findall(r"address +(\S+)", "\n".join(lines))
        yield url, lines
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            lines += (await process.stdout.read()).decode().splitlines()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_agents_of_a_module_answer_and_the_console_tells_of_it(folder: Path) -> None:
    async with served(folder, "served_here:both") as (url, lines):
        async with reading(f"{url}/chat/stream", {"message": "Hi"}) as reader:
            assert await reader.response.read() == b"Hello there"
        async with reading(f"{url}/chat/stream", {"message": "Hi", "agent": "two"}) as reader:
            assert await reader.response.read() == b"Two"
    told = "\n".join(lines)
    assert "one on scripted:scripted" in told
    assert "two on scripted:scripted" in told
    assert f"{folder}/runs.db" in told
    assert "anyone on this machine" in told
    assert "received 2 characters for one" in told
    assert "complete (stop): 2 chunks, 11 characters" in told
    assert "Hello" not in told


async def test_without_agents_the_environment_chooses_one(folder: Path) -> None:
    async with served(folder, "--speed", "0") as (url, lines):
        assert "assistant on demo:demo (LLM_PROVIDER is demo)" in "\n".join(lines)
        _, about = await asked(f"{url}/v1/about")
        assert about["agents"][0]["why"] == "LLM_PROVIDER is demo"
        status, told = await asked(f"{url}/v1/runs", {"input": "What is 2+2?"})
        assert status == 201
        async with reading(f"{url}{told['events']}?format=plain") as reader:
            assert b"4" in await reader.response.read()


async def test_another_name_in_host_is_refused_unless_it_is_allowed(folder: Path) -> None:
    async with served(folder, "served_here:one", "--allow-host", "app.example") as (url, _):
        for host, wanted in (("evil.example", 400), ("app.example", 200), ("localhost", 200)):
            status, _ = await asked(f"{url}/health", headers={"Host": host})
            assert status == wanted


async def test_operators_are_named_by_their_users(folder: Path) -> None:
    users = {name: f"{name}-has-a-long-token" for name in ("ann", "bob", "eve")}
    (folder / "users").write_text("".join(f"{user}:{token}\n" for user, token in users.items()))
    named = ("--tokens", "users", "--operator", "ann", "--operator", "bob")
    async with served(folder, "served_here:one", *named) as (url, _):
        for user, token in users.items():
            headers = {"Authorization": f"Bearer {token}"}
            _, about = await asked(f"{url}/v1/about", headers=headers)
            assert (about["user"], about["operator"]) == (user, user != "eve")
    done = headrace("serve", "served_here:one", "--tokens", "users", "--operator", "Ann", code=2)
    assert "'Ann'" in done.stderr
    assert "ann, bob, eve" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--host", "0.0.0.0"), "no tokens are set"),  # noqa: S104 - that it does not
        (("nowhere:agent",), "There is no module 'nowhere'"),
        (("served_here.py:one",), "Write it without .py: served_here."),
        (("served_here:gone",), "has no 'gone'"),
        (("served_here:gone",), "Its agents: one."),
        (("served_here:nothing",), "is no Agent"),
        (("served_here:nothing",), "as in app:agent"),
        (("broken_here:agent",), "broken_here cannot be loaded: NameError: name 'Agnt'"),
        (("broken_here:agent",), "HEADRACE_DEBUG"),
        (("--host", "192.0.2.1", "--tokens", "users"), "Take an address of this machine"),
        (("served_here",), "names no agent"),
        (("--model", "nobody"), "Unknown"),
        (("--tokens", "gone.txt"), "file of tokens"),
        (("--tokens", "gone.txt"), "a line user:token"),
        (("--store", "xml:"), "means no store"),
    ],
)
def test_what_cannot_be_served_is_said_before_anything_listens(
    folder: Path, arguments: tuple[str, ...], says: str
) -> None:
    assert says in headrace("serve", *arguments, code=2).stderr


def test_a_port_that_is_taken_is_named(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = headrace("serve", "served_here:one", "--port", str(port), code=2)
    assert f"127.0.0.1:{port}: Address already in use." in done.stderr
    assert "--port" in done.stderr


def test_a_missing_extra_names_the_command_that_installs_it(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['starlette'] = None; sys.argv = ['headrace', 'serve'];"
        "from headrace.cli.main import main; main()"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 2
    assert 'pip install "headrace[server]"' in done.stderr


def test_agents_are_found_by_module_and_name(folder: Path) -> None:
    assert [agent.name for agent in load_agents("served_here:both")] == ["one", "two"]
    (one,) = load_agents("served_here:one")
    assert isinstance(one, Agent)
    with pytest.raises(UsageError, match="module:name"):
        load_agents("served_here:")
