"""What users of sage-adk's streaming agent know, on the pages of the server."""

from __future__ import annotations

import re

from headrace import Agent
from headrace.testing import ScriptedModel, Step
from tests.server.pages.chat_page import LAST, opened
from tests.support.chromium import chromium_browser

STORY = ["Once", " upon", " a", " time"]

BY_SOCKET = """(input) => new Promise((resolve) => {
  let text = "";
  const socket = new WebSocket(new URL("v1/ws", document.baseURI).href.replace(/^http/, "ws"));
  socket.onopen = () => socket.send(JSON.stringify({ op: "start", ref: "1", input }));
  socket.onmessage = ({ data }) => {
    const told = JSON.parse(data);
    for (const { type, content } of told.events ?? []) if (type === "token") text += content;
    if (told.op === "ended") { socket.close(); resolve(text); }
  };
})"""

BY_SSE = """async (input) => {
  const { stream } = await import(new URL("headrace.js", document.baseURI).href);
  return (await stream("v1/runs", { body: { input } })).text;
}"""


def teller() -> Agent:
    return Agent("bot", ScriptedModel([Step(text=STORY, delay=0.01) for _ in range(3)]))


async def test_S4_23_the_metrics_of_a_run_stand_under_its_answer_and_on_the_dashboard() -> None:
    async with chromium_browser() as browser, opened(browser, teller()) as (server, chat):
        await chat.ask("A story")
        await chat.settled()
        await chat.page.until(f"document.querySelector('{LAST} .figures')?.textContent")
        assert re.search(r"\d.*tokens/s", await chat.said_of(f"{LAST} .figures"))
        metrics = (await server.runtime.snapshot(await chat.run_id())).metrics
        assert metrics is not None
        assert (metrics.chunks, metrics.chars) == (4, 16)
        await chat.page.click(f"{LAST} .figures a")
        await chat.page.until("document.querySelector('#waterfall')?.checkVisibility()")
        assert await chat.page.value("location.pathname") == "/dashboard"


async def test_S4_24_the_next_steps_are_here_in_a_browser() -> None:
    """A WebSocket, an SSE endpoint, the components of a chat, and a dashboard of metrics."""
    async with chromium_browser() as browser, opened(browser, teller()) as (_, chat):
        await chat.ask("A story")
        await chat.settled()
        assert await chat.answer() == "".join(STORY)
        assert await chat.page.value(f"({BY_SOCKET})('A story')") == "".join(STORY)
        assert await chat.page.value(f"({BY_SSE})('A story')") == "".join(STORY)
        await chat.page.click("header a[href*=dashboard]")
        await chat.page.until("document.querySelectorAll('figure.chart').length > 0")
