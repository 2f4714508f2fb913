"""A server that is told to stop: what lives may end, the rest is handed over, and it does stop."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from headrace import Agent, Runtime
from headrace import events as e
from headrace.runs.fold import fold
from headrace.server import app
from headrace.testing import ScriptedModel, Step, check_events
from tests.promises.story import held
from tests.server.reading import asked, reading, started
from tests.server.serving import PATIENCE, running, serving, until

GRACE = 30.0


async def test_new_runs_are_refused_and_live_ones_end() -> None:
    model, gate = held("One ")
    headrace_app = app([Agent("bot", model)], grace=GRACE)
    async with running(headrace_app) as url:
        run_id = await started(url)
        async with reading(f"{url}/v1/runs/{run_id}/events") as reader:
            await reader.until("One")
            draining = asyncio.create_task(headrace_app.service.drain())
            await until(lambda: headrace_app.service.draining)
            async with aiohttp.ClientSession() as client:
                async with client.post(f"{url}/v1/runs", json={"input": "x"}) as refused:
                    assert refused.status == 503
                    assert int(refused.headers["retry-after"]) == GRACE
                    assert (await refused.json())["code"] == "draining"
            status, health = await asked(f"{url}/health")
            assert (status, health["status"], health["live_runs"]) == (503, "draining", 1)
            gate.open()
            events = await reader.events()
            assert isinstance(events[-1], e.Complete)
            await draining


async def test_what_takes_longer_goes_on_in_the_next_process(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/runs.db"
    model, _ = held("One ")
    async with serving([Agent("bot", model)], store=store) as server:
        run_id = await started(server.url)
        async with (
            reading(f"{server.url}/v1/runs/{run_id}/events") as native,
            reading(f"{server.url}/v1/runs/{run_id}/events?format=ndjson") as lines,
            reading(f"{server.url}/v1/runs/{run_id}/events?format=plain") as plain,
        ):
            await native.until("One")
            drained = asyncio.create_task(server.app.service.drain())
            rest = await native.all()
            told = (await lines.response.read()).splitlines()
            with pytest.raises(aiohttp.ClientPayloadError):
                await plain.response.read()
            await drained
        assert rest == []  # no end and no failure: the reader comes again, with what it has seen
        assert b'"code":"draining"' in told[-1]
        assert b'"retryable":true' in told[-1]
    again = ScriptedModel([Step(text="Two")])
    async with serving([Agent("bot", again)], store=store) as server:
        async with reading(f"{server.url}/v1/runs/{run_id}/events") as reader:
            events = await reader.events()
    check_events(events)
    assert fold(events).text == "Two"
    assert isinstance(events[-1], e.Complete)


async def test_a_stuck_store_does_not_keep_the_server() -> None:
    class Stuck(Runtime):
        async def aclose(self, grace: float | None = None) -> None:
            await asyncio.Event().wait()

    headrace_app = app([Agent("bot", ScriptedModel())], runtime=Stuck())
    headrace_app.service.hand_over = 0.01
    async with running(headrace_app), asyncio.timeout(PATIENCE):
        await headrace_app.service.drain(0.01)
    assert headrace_app.service.draining


STUCK = """
import time
from headrace import Agent, tool
from headrace.testing import ScriptedModel, Step

@tool
def hang() -> str:
    "Hang."
    time.sleep(600)

agent = Agent("bot", ScriptedModel([Step(tool_calls=[("hang", {})])]), tools=[hang])
"""


@pytest.mark.slow
@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT, signal.SIGINT]])
async def test_the_program_exits_in_time_with_a_stuck_tool(
    tmp_path: Path, signals: list[signal.Signals]
) -> None:
    (tmp_path / "stuck.py").write_text(STUCK)
    grace = "0.3" if len(signals) == 1 else "600"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "headrace", "serve", "stuck:agent", "--port", "0", "--grace", grace,
        "--store", f"sqlite:///{tmp_path}/runs.db",
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        url = await address(process)
        run_id = await started(url)
        async with reading(f"{url}/v1/runs/{run_id}/events") as reader:
            await reader.until("tool_start")
            begun = time.monotonic()
            process.send_signal(signals[0])
            await health(url, 503)
            if len(signals) > 1:
                process.send_signal(signals[1])
            assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
            assert time.monotonic() - begun < 10
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    async with Runtime(f"sqlite:///{tmp_path}/runs.db", name="reader", recover=False) as runtime:
        record = await runtime.store.run(run_id)
        assert record.live


async def health(url: str, wanted: int) -> None:
    """Wait until it says so, or says nothing any more."""
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(aiohttp.ClientConnectionError):
            while (await asked(f"{url}/health"))[0] != wanted:
                pass


async def address(process: asyncio.subprocess.Process) -> str:
    """The address in the banner."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        async for line in process.stdout:
            if found := re.search(rb"address +(\S+)", line):
                return found[1].decode()
    assert process.stderr is not None
    raise AssertionError((await process.stderr.read()).decode())
