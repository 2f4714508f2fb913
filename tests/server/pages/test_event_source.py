"""Clients in a real browser against a real server, the connection cut in the middle of the answer.

`EventSource` on the formats `native` and `simple`, and headrace.js: each goes on by itself, and in
the end has the text of the run.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from headrace import Agent
from headrace.testing import Gate, ScriptedModel, Step
from tests.server.serving import serving
from tests.support.chromium import Page, chromium_page
from tests.support.cutting_proxy import CuttingProxy

WORDS = [f"word {i} \u2028無 😀\n" for i in range(60)]
TEXT = "".join(WORDS)

NATIVE = """(url) => new Promise((resolve) => {
  const source = new EventSource(url);
  const told = { text: "", seqs: [], opens: 0 };
  window.told = told;
  source.onopen = () => { told.opens += 1; };
  source.onmessage = ({ data, lastEventId }) => {
    const event = JSON.parse(data);
    told.seqs.push(Number(lastEventId));
    if (event.type === "token") told.text += event.content;
    if (event.type === "complete") { source.close(); resolve(told); }
  };
})"""

SIMPLE = """(url) => new Promise((resolve) => {
  const source = new EventSource(url);
  const told = { text: "", seqs: [], opens: 0 };
  window.told = told;
  source.onopen = () => { told.opens += 1; };
  source.addEventListener("token", ({ data, lastEventId }) => {
    told.text += data;
    told.seqs.push(Number(lastEventId.split(":").at(-1)));
  });
  source.addEventListener("done", () => { source.close(); resolve(told); });
})"""

OURS = """async (url) => {
  const { stream } = await import("/headrace.js");
  const told = { text: "", seqs: [], opens: 0 };
  window.told = told;
  const state = await stream(url, {
    onOpen: () => { told.opens += 1; },
    onEvent: (event, state) => { told.seqs.push(event.seq); told.text = state.text; },
  });
  return { ...told, text: state.text };
}"""

OURS_POST = OURS.replace("stream(url, {", 'stream(url, { body: { input: "Hi" },')


@asynccontextmanager
async def scene() -> AsyncGenerator[tuple[Page, CuttingProxy, Gate]]:
    """A page of a server behind a proxy that cuts, and a model that waits in mid-answer."""
    gate = Gate()
    model = ScriptedModel([Step(text=[*WORDS[:30], gate, *WORDS[30:]])])
    agent = Agent(name="words", model=model)
    async with (
        serving([agent], retry_ms=20) as server,
        CuttingProxy(server.url) as proxy,
        chromium_page() as page,
    ):
        await page.goto(proxy.url)
        yield page, proxy, gate


async def seen(page: Page, script: str, url: str, proxy: CuttingProxy, gate: Gate) -> Any:
    """What the script has in the end; it is cut when it has half of the text, and once more."""
    following = f"({script})({url!r}).then((told) => {{ window.done = told; }}), null"
    await page.value(following)
    await page.until("window.told?.text.includes('word 29')")
    opens = await page.value("window.told.opens")
    assert proxy.cut() == 1
    await page.until(f"window.told.opens > {opens}")
    gate.open()
    await page.until("window.done !== undefined")
    return await page.value("window.done")


@pytest.mark.parametrize(
    ("script", "path"),
    [
        (SIMPLE, "/api/chat/stream?message=Hi"),
        (OURS_POST, "/v1/runs"),
    ],
    ids=["EventSource simple", "headrace.js"],
)
async def test_a_stream_that_started_the_run(script: str, path: str) -> None:
    async with scene() as (page, proxy, gate):
        told = await seen(page, script, path, proxy, gate)
        assert told["text"] == TEXT
        assert told["seqs"] == sorted(set(told["seqs"]))
        assert (await page.value("fetch('/v1/runs').then((r) => r.json())"))["runs"][1:] == []


@pytest.mark.parametrize(
    ("script", "format"),
    [(NATIVE, "native"), (SIMPLE, "simple"), (OURS, "native")],
    ids=["EventSource native", "EventSource simple", "headrace.js"],
)
async def test_a_stream_of_a_run_that_is_there(script: str, format: str) -> None:
    async with scene() as (page, proxy, gate):
        start = """fetch("/v1/runs", { method: "POST", body: '{"input": "Hi"}' })
            .then((answer) => answer.json()).then((started) => started.events)"""
        events = await page.value(start)
        told = await seen(page, script, f"{events}?format={format}", proxy, gate)
        assert told["text"] == TEXT
        assert told["seqs"] == sorted(set(told["seqs"]))
        if format == "native":
            assert told["seqs"] == list(range(1, len(told["seqs"]) + 1))


async def test_an_event_source_is_sent_away_when_all_is_seen() -> None:
    """204: it would come again for ever otherwise (WHATWG HTML, 9.2.3)."""
    async with scene() as (page, _, gate):
        gate.open()
        state = await page.value(f'({OURS_POST})("/v1/runs")')
        (run,) = (await page.value("fetch('/v1/runs').then((r) => r.json())"))["runs"]
        url = f"/v1/runs/{run['run_id']}/events?after={state['seqs'][-1]}"
        closed = f"""new Promise((resolve) => {{
            const source = new EventSource({url!r});
            source.onerror = () => resolve(source.readyState);
        }})"""
        assert await page.value(closed) == 2
