"""Every curl line of the documentation does what it says, with curl, against a real server."""

from __future__ import annotations

import asyncio
import shlex
import shutil
from pathlib import Path

import pytest

from headrace import Agent
from headrace.providers.demo.model import DemoModel
from headrace.providers.demo.tools import calculator
from headrace.testing import Gate
from tests.docs.pages import blocks, name, pages
from tests.server.asking import ALICE, TOKENS, asking, waiter
from tests.server.serving import PATIENCE, serving

ADDRESS = "http://127.0.0.1:8080"


def curl_lines(page: Path) -> list[str]:
    """The curl commands of a page's shell blocks."""
    return [
        line
        for block in blocks(page.read_text("utf-8"))
        if block.language == "console"
        for line in block.text.splitlines()
        if line.startswith("curl ")
    ]


LINES = [pytest.param(line, id=f"{name(p)}: {line}") for p in pages() for line in curl_lines(p)]


async def curl(line: str, address: str, **words: str) -> tuple[int, str]:
    """Run a line against another address, its placeholders filled in; exit code and output."""
    found = shutil.which("curl")
    if found is None:
        pytest.skip("curl is needed (Debian: apt install curl).")
    line = line.replace(ADDRESS, address)
    for word, meant in words.items():
        line = line.replace(word, meant)
    process = await asyncio.create_subprocess_exec(
        found,
        *("--fail-with-body", "--silent"),
        *shlex.split(line)[1:],
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


def test_there_are_lines() -> None:
    assert len(LINES) > 12


@pytest.mark.parametrize("line", LINES)
async def test_a_line_works(line: str) -> None:
    agents = [Agent("assistant", DemoModel(speed=0), tools=[calculator]), waiter(Gate())]
    tokens = TOKENS if "TOKEN" in line or "TICKET" in line else None
    async with serving(agents, tokens=tokens) as server, asking(server.url) as ask:
        token = ALICE if tokens else ""
        run = await ask.start("What is 123*456?", session="trip", token=token)
        await ask("GET", f"/v1/runs/{run}/events", token=token)
        live = await ask.start(agent="bot", token=token)
        ticket = (await ask("POST", "/v1/tickets", token=token)).json["ticket"]
        words = {"RUN": run, "LIVE": live, "$TOKEN": ALICE, "TICKET": ticket}
        code, out = await curl(line, server.url, **words)
        assert code == 0, out
        assert out


@pytest.mark.parametrize(
    "line",
    [
        f"curl -s {ADDRESS}/v1/run",
        f"curl -s {ADDRESS}/v1/runs/RUN",
        f"curl -s {ADDRESS}/v1/runs -d '{{\"inputs\": 1}}'",
    ],
)
async def test_a_line_that_fails_is_found(line: str) -> None:
    async with serving([waiter(Gate())]) as server:
        code, out = await curl(line, server.url)
        assert code == 22
        assert '"hint"' in out
