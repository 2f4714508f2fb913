"""What users of sage-adk's streaming agent know: the server, its client, its console."""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
import sys

import msgspec
import pytest
from websockets.asyncio.client import connect

from headrace import Agent
from headrace import events as e
from headrace.server import serve
from headrace.server.banner import banner
from headrace.testing import ScriptedModel, Step
from tests.server.reading import asked, reading, started
from tests.server.serving import PATIENCE, serving, until

STORY = ["Once", " upon", " a", " time"]


def teller() -> Agent:
    return Agent("bot", ScriptedModel([Step(text=STORY)]))


async def test_S4_4_a_message_is_posted_and_answered_as_it_comes() -> None:
    parameters = inspect.signature(serve).parameters
    assert (parameters["host"].default, parameters["port"].default) == ("127.0.0.1", 8080)
    async with serving([teller()]) as server:
        status, told = await asked(f"{server.url}/v1/runs", {"input": "Tell me a story"})
        assert status == 201
        async with reading(server.url + told["events"]) as reader:
            events = await reader.events()
    assert [ev.content for ev in events if isinstance(ev, e.Token)] == STORY


async def test_S4_5_a_client_sends_its_prompt_argument_and_shows_the_answer() -> None:
    async with serving([teller()]) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "headrace", "send", server.url, "Tell me a story about AI",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        assert (process.returncode, out.decode().strip()) == (0, "".join(STORY)), err.decode()


async def test_S4_6_the_banner_says_who_answers_where_and_why() -> None:
    async with serving([teller()]) as server:
        text = banner(server.app.service, server.url, "it was named")
    assert "bot on scripted:scripted (it was named)" in text
    assert re.search(rf"address +{server.url}\n", text)
    assert "headrace send" in text


async def test_S4_7_the_log_tells_received_first_chunk_and_total(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "headrace.runs")
    async with serving([teller()]) as server:
        await server.runtime.wait(await started(server.url, "Tell me a story about AI"))
        await until(lambda: "complete" in caplog.text)
    received, first, total = (line.partition(" ")[2] for line in caplog.messages[-3:])
    assert received.startswith("received 24 characters")
    assert re.fullmatch(r"first chunk after \d+ ms", first)
    assert re.match(r"complete \(stop\): 4 chunks, 16 characters in ", total)


async def test_S4_14_a_websocket_gives_the_text_of_each_chunk_and_then_the_end() -> None:
    async with serving([teller()]) as server, asyncio.timeout(PATIENCE):
        shown: list[str] = []
        async with connect(server.url.replace("http", "ws") + "/v1/ws") as socket:
            await socket.send('{"op": "start", "ref": "1", "input": "Tell me a story"}')
            async for message in socket:
                told = msgspec.json.decode(message)
                events = told.get("events", [])
                shown += [event["content"] for event in events if event["type"] == "token"]
                if told["op"] == "ended":
                    break
    assert shown == STORY


async def test_S4_24_the_next_steps_are_here_websocket_and_sse_from_one_run() -> None:
    async with serving([teller()]) as server, asyncio.timeout(PATIENCE):
        run_id = await started(server.url)
        async with reading(f"{server.url}/v1/runs/{run_id}/events") as reader:
            by_sse = [msgspec.json.decode(frame.data) for frame in await reader.all()]
        by_socket: list[object] = []
        async with connect(server.url.replace("http", "ws") + "/v1/ws") as socket:
            ask = {"op": "subscribe", "ref": "1", "run_id": run_id}
            await socket.send(msgspec.json.encode(ask).decode())
            while (told := msgspec.json.decode(await socket.recv()))["op"] != "ended":
                by_socket += told.get("events", [])
    assert by_socket == by_sse
