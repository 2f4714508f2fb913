"""What users of agents_sdk know, over HTTP: SSE, EventSource, WebSocket."""

from __future__ import annotations

import asyncio
import logging

import msgspec
import pytest
from websockets.asyncio.client import connect

from headrace import Agent
from headrace import events as e
from headrace.testing import ScriptedModel, Step, check_events
from tests.promises.story import NEWS, held, researcher
from tests.server.reading import reading, started
from tests.server.serving import PATIENCE, serving, until
from tests.support.chromium import chromium_page

EVENT_SOURCE = """(url) => new Promise((resolve) => {
  const shown = { text: "", tools: [] };
  const source = new EventSource(url);
  source.addEventListener("token", (e) => { shown.text += e.data; });
  source.addEventListener("tool_start", (e) => { shown.tools.push(JSON.parse(e.data).name); });
  source.addEventListener("tool_complete", (e) => { shown.tools.push("done"); });
  source.addEventListener("done", () => { source.close(); resolve(shown); });
})"""


async def test_S3_7_sse_carries_token_tool_start_tool_complete_and_done() -> None:
    async with serving([researcher()]) as server:
        async with reading(f"{server.url}/api/chat/stream", {"message": "News?"}) as reader:
            frames = await reader.all()
    kinds = [frame.event for frame in frames]
    assert kinds == ["token"] * 2 + ["tool_start", "tool_complete"] + ["token"] * 3 + ["done"]
    assert "".join(frame.data for frame in frames if frame.event == "token") == NEWS
    start, end = (msgspec.json.decode(frame.data) for frame in frames[2:4])
    assert (start["name"], start["input"]) == ("search", {"query": "AI news"})
    assert (end["output"], end["error"]) == ("Results for: AI news", None)
    assert end["duration_ms"] >= 0


async def test_S3_7_a_silent_stream_is_kept_alive() -> None:
    model, gate = held("One ")
    async with serving([Agent("bot", model)], keep_alive=0.02) as server:
        async with reading(f"{server.url}/api/chat/stream", {"message": "Hi"}) as reader:
            await reader.until("One")
            beat = b""
            while b": \n\n" not in beat:
                beat += await reader.response.content.readany()
            gate.open()
            assert (await reader.all())[-1].event == "done"


async def test_S3_8_a_request_starts_a_run_in_the_background_with_events_of_its_own() -> None:
    model = ScriptedModel([Step(text="first"), Step(text="second")])
    async with serving([Agent("bot", model)]) as server:
        one = await started(server.url, "1")
        await server.runtime.wait(one)  # with nobody there to read it
        two = await started(server.url, "2")
        for run_id, text in ((one, "first"), (two, "second")):
            async with reading(f"{server.url}/v1/runs/{run_id}/events") as reader:
                events = await reader.events()
            check_events(events)
            assert [ev.content for ev in events if isinstance(ev, e.Token)] == [text]


async def test_S3_9_a_browsers_event_source_reads_api_chat_stream() -> None:
    async with serving([researcher()]) as server, chromium_page() as page:
        await page.goto(server.url)
        shown = await page.value(f"({EVENT_SOURCE})('/api/chat/stream?message=News')")
    assert shown == {"text": NEWS, "tools": ["search", "done"]}


async def test_S3_10_many_requests_share_a_socket_and_every_event_is_json() -> None:
    model = ScriptedModel([Step(text=f"answer {n}") for n in range(3)])
    async with serving([Agent("bot", model)]) as server, asyncio.timeout(PATIENCE):
        events: dict[str, list[e.Event]] = {ref: [] for ref in "abc"}
        async with connect(server.url.replace("http", "ws") + "/v1/ws") as socket:
            for ref in events:
                await socket.send(
                    msgspec.json.encode({"op": "start", "ref": ref, "input": ref}).decode()
                )
            ended: set[str] = set()
            while len(ended) < len(events):
                told = msgspec.json.decode(await socket.recv())
                if told["op"] == "events":
                    events[told["ref"]] += [
                        e.decode(msgspec.json.encode(x)) for x in told["events"]
                    ]
                elif told["op"] == "ended":
                    ended.add(told["ref"])
    for log in events.values():
        check_events(log)
    texts = {"".join(x.content for x in log if isinstance(x, e.Token)) for log in events.values()}
    assert texts == {"answer 0", "answer 1", "answer 2"}


async def test_S3_15_a_reader_that_disconnects_is_logged_and_the_run_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "headrace.server")
    model, gate = held("One ")
    async with serving([Agent("bot", model)]) as server:
        run_id = await started(server.url)
        async with reading(f"{server.url}/v1/runs/{run_id}/events") as reader:
            await reader.until("One")
        await until(lambda: f"{run_id}: a viewer left at event" in caplog.text)
        gate.open()
        assert isinstance(await server.runtime.wait(run_id), e.Complete)


async def test_S3_16_a_stream_that_falls_silent_ends_with_an_error() -> None:
    """Whoever reads it waits for no one's timeout but the run's own."""
    from headrace.models.deadlines import Deadlines

    model, _ = held("One ")
    model.deadlines = Deadlines(gap=0.05)
    async with serving([Agent("bot", model)]) as server:
        async with reading(f"{server.url}/api/chat/stream", {"message": "Hi"}) as reader:
            last = (await reader.all())[-1]
    assert last.event == "failure"
    assert msgspec.json.decode(last.data)["code"] == "deadline_exceeded"
