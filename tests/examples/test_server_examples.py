"""The examples of the server: each runs as it is, and the clients that it is for read from it."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from headrace import Agent
from headrace import events as e
from headrace.server import HeadraceApp, app
from headrace.testing import Gate, ScriptedModel, Step
from tests.server.asking import asking
from tests.server.hosting import hosting
from tests.server.node_process import NodeProcess, node_process
from tests.server.reading import reading
from tests.server.serving import Served, serving, until
from tests.support.chromium import chromium_page
from tests.support.node import HOME, node

EXAMPLES = Path(__file__).parents[2] / "examples"
SERVERS = ("fastapi_app.py", "plain_text_endpoint.py", "sse_event_source.py")
OTHERS = ("websocket_chat.py",)
LIMIT = 60
ADDRESS = "http://127.0.0.1:8000"
"""Where the examples are by default."""


def environment(speed: float) -> dict[str, str]:
    """The embedded model at this pace, and no key."""
    kept = {k: v for k, v in os.environ.items() if not k.endswith(("_API_KEY", "_MODEL"))}
    return kept | {"LLM_PROVIDER": "demo", "HEADRACE_SPEED": str(speed), "PYTHONUTF8": "1"}


@asynccontextmanager
async def served_example(name: str, speed: float = 0) -> AsyncGenerator[str]:
    """Run an example on a free port; gives its address. At the end Ctrl-C ends it in good order."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", str(EXAMPLES / name), "0"),
        env=environment(speed),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    log = ""
    try:
        async with asyncio.timeout(LIMIT):
            while not (found := re.search(r"running on (http://\S+)", log)):
                line = (await process.stderr.readline()).decode()
                assert line, log
                log += line
        yield found[1]
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(LIMIT):
            log += (await process.stderr.read()).decode()
            assert await process.wait() == 0, log
        assert "Application shutdown complete" in log
        assert "Traceback" not in log
        assert "never awaited" not in log
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def output_of(*command: str, speed: float = 0) -> tuple[int, str]:
    """Run a program; its exit code and what it printed on both streams."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment(speed),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(LIMIT):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode()


def curl_commands(name: str) -> list[list[str]]:
    """What the example's docstring tells to type."""
    text = (EXAMPLES / name).read_text("utf-8").partition('"""')[2].partition('"""')[0]
    return [shlex.split(line) for line in text.splitlines() if line.startswith("    curl ")]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("fastapi_app.py", ["application's own route", "42"]),
        ("plain_text_endpoint.py", ["42", "42"]),
    ],
)
async def test_what_the_docstring_tells_to_type(name: str, says: list[str]) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is needed (Debian: apt install curl).")
    async with served_example(name) as url:
        commands = curl_commands(name)
        assert len(commands) == len(says)
        for (_, *arguments), words in zip(commands, says, strict=True):
            arguments = [argument.replace(ADDRESS, url) for argument in arguments]
            code, out = await output_of(curl, "-sSf", *arguments)
            assert (code, words in out) == (0, True), out


async def test_fastapi_keeps_its_docs_and_has_our_page() -> None:
    async with served_example("fastapi_app.py") as url, asking(url) as ask:
        paths = (await ask("GET", "/openapi.json")).json["paths"]
        assert set(paths) == {"/hello"}
        page = await ask("GET", "/ai/")
        assert (page.status, b"<form" in page.body) == (200, True)


async def test_plain_text_is_whole_after_its_reader_has_left_and_come_back() -> None:
    question = {"message": "How does Headrace cancel a run?"}
    async with served_example("plain_text_endpoint.py", speed=20) as url, asking(url) as ask:
        own = (await ask("POST", "/chat/stream", question)).body
        async with reading(f"{url}/ai/chat/stream", question) as reader:
            seen = await reader.response.content.readany()
            run_id = reader.response.headers["x-headrace-run"]
        assert own.startswith(seen)
        assert len(seen) < len(own)
        again = await ask("GET", f"/ai/v1/runs/{run_id}/events?format=plain")
        assert again.body == own
        assert (await ask("GET", f"/ai/v1/runs/{run_id}")).json["status"] == "complete"


async def test_a_page_with_event_source() -> None:
    async with served_example("sse_event_source.py", speed=20) as url, chromium_page() as page:
        await page.goto(url)
        await page.click("button")
        await page.see("#status", "Done: stop, ")
        assert (await page.text("#tools")).startswith("✓ price → 1900")
        assert "1900" in await page.text("#answer")
        await page.fill("#message", 'Tell the price of a "boat".')
        await page.press("#message", "Enter")
        await page.see("#tools", "✗ price: There is no boat.")
        await page.see("#status", "Done: stop, ")
        assert "boat" in await page.text("#answer")
        assert await page.complaints() == []


@asynccontextmanager
async def two_questions(*steps: Step) -> AsyncGenerator[tuple[str, Served]]:
    """A server for the WebSocket's example; the address that it takes."""
    async with serving([Agent("bot", ScriptedModel(steps))]) as server:
        yield f"ws{server.url.removeprefix('http')}/v1/ws", server


async def test_two_answers_come_at_once_over_one_socket() -> None:
    gates = [Gate(), Gate()]
    steps = (Step(text=["Hello", gate, " you."]) for gate in gates)
    async with two_questions(*steps) as (address, server):
        asked = asyncio.create_task(output_of(sys.executable, *WEBSOCKET, address, "a?", "b?"))
        for gate in gates:
            await gate.reached.wait()
        assert len(server.runtime.live) == 2
        gates[1].open()
        await until(lambda: len(server.runtime.live) == 1)
        gates[0].open()
        code, out = await asked
    assert code == 0, out
    assert out.count("Hello") == out.count(" you.") == out.count("--- end ---") == 2
    assert "[1] " in out
    assert "[2] " in out


async def test_text_that_is_withdrawn_and_a_question_that_is_refused() -> None:
    steps = (Step(text="Half", finish_reason=None), Step(text="Whole."))
    async with two_questions(*steps) as (address, _):
        code, out = await output_of(sys.executable, *WEBSOCKET, address, "a?", "")
    assert code == 1, out
    # The refusal of the second question may come between any two lines of the first's answer.
    assert re.search(r"Half\n.*\(The model broke off.*\).*Whole\..*--- end ---", out, re.S), out
    assert out.count("--- end ---") == 1
    assert "[2] \nThe input is empty" in out


WEBSOCKET = ("-W", "error", str(EXAMPLES / "websocket_chat.py"))


class React:
    """A page with `examples/react_chat/chat.mjs` in a Node process."""

    def __init__(self, program: NodeProcess, example: Path, base: str) -> None:
        self._program = program
        self._given = {"example": str(example), "base": base, "id": "chat_1"}

    async def __call__(self, call: str, name: str, **args: object) -> Any:
        given = self._given if call == "open" else {}
        return await self._program(call, name=name, **given, **args)


@asynccontextmanager
async def react_chat(tmp_path: Path, *steps: Step) -> AsyncGenerator[tuple[React, HeadraceApp]]:
    """The example's file beside installed packages, as a page has it, and its server."""
    node()  # installs them
    example = shutil.copy(EXAMPLES / "react_chat" / "chat.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(HOME / "node_modules")
    headrace_app = app([Agent("bot", ScriptedModel(steps))], grace=0.1)
    routes = [Mount("/ai", app=headrace_app)]
    site = Starlette(routes=routes, lifespan=headrace_app.lifespan)
    async with hosting(site) as url, node_process("example_react_chat.mjs") as program:
        yield React(program, Path(example), f"{url}/ai"), headrace_app


async def test_a_react_page_that_is_loaded_again_gets_the_whole_answer(tmp_path: Path) -> None:
    gate = Gate()
    async with react_chat(tmp_path, Step(text=["First ", gate, "and last."])) as (page, served):
        await page("open", "one")
        await page("send", "one", text="Hi")
        await page("says", "one", words="First ")
        saved = await page("close", "one")
        await until(lambda: not served.service.watchers)
        await page("open", "two", saved=saved)
        await until(lambda: served.service.watchers)
        gate.open()
        seen = await page("settled", "two")
    assert (seen["status"], seen["error"]) == ("ready", None)
    assert seen["said"] == [["user", "Hi"], ["assistant", "First and last."]]


async def test_a_react_page_stops_the_run_itself(tmp_path: Path) -> None:
    async with react_chat(tmp_path, Step(text=["Well, ", Gate()])) as (page, served):
        await page("open", "one")
        await page("send", "one", text="Hi")
        await page("says", "one", words="Well, ")
        (run_id,) = served.service.runtime.live
        await page("stop", "one")
        seen = await page("settled", "one")
        assert isinstance(await served.service.runtime.wait(run_id), e.Cancelled)
    assert (seen["status"], seen["error"]) == ("ready", None)
    assert seen["said"][-1] == ["assistant", "Well, "]
    assert seen["messages"][-1]["metadata"]["finishReason"] == "cancelled"


async def test_a_react_page_leaves_out_what_was_withdrawn(tmp_path: Path) -> None:
    steps = (Step(text="Half", finish_reason=None), Step(text="Whole."))
    async with react_chat(tmp_path, *steps) as (page, _):
        await page("open", "one")
        await page("send", "one", text="Hi")
        seen = await page("settled", "one")
    assert "data-retract" in [part["type"] for part in seen["messages"][-1]["parts"]]
    assert seen["said"][-1] == ["assistant", "Whole."]


def test_examples_fit_on_a_page_and_say_how_they_run() -> None:
    pages = [EXAMPLES / name for name in (*SERVERS, *OTHERS)]
    pages += [*EXAMPLES.glob("*/*.mjs"), *EXAMPLES.glob("*/*.js"), *EXAMPLES.glob("*/*.html")]
    lengths = {page.name: len(page.read_text("utf-8").splitlines()) for page in pages}
    assert {name: lines for name, lines in lengths.items() if lines > 80} == {}
    for name in (*SERVERS, *OTHERS):
        assert f"python examples/{name}" in (EXAMPLES / name).read_text("utf-8")
