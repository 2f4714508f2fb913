"""One run, read at once by every client that people use, each in the protocol that it speaks.

All have the same of it in the end: the text, how it ended, what it cost, its calls and what they
gave back, its reasoning, as far as the protocol carries them (law 10). First while the run goes
on, all of them there before its second word; and then once more, when it is over.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from contextlib import AsyncExitStack

import openai
import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageParam

from headrace import Agent, tool
from headrace.frontends.remote import Remote
from headrace.testing import Gate, ScriptedModel, Step
from headrace.usage import Usage
from headrace.wire.sse_decoder import SSEDecoder
from tests.server import seen_by_clients as seen_by
from tests.server.curl import curl
from tests.server.node_process import NodeProcess, node_process
from tests.server.seen_by_clients import CARRIED, Seen
from tests.server.serving import PATIENCE, Served, serving, until
from tests.server.socket_client import socket
from tests.support.chromium import Page, chromium_page

QUESTION = "Was ist 無理?\u2028Und 😀?"

CHAT = "chat 1/無"

AWKWARD = [
    "Line 1\n", "\n", " line 3: 無理 ", "👩‍👩‍👧\n\n", "\u2028 \u2029 \u0085", "data: no\n",
    "event: done\n\n", ": no comment", "<b>&amp;</b> \\u0041 \"q\"\t", "\ufeff", "\x00\x1b[0m", " ",
]  # fmt: skip
"""Pieces that a careless reader of lines, of JSON or of HTML would take for something else."""

THOUGHTS = ["Hm,\n\n", "data: 無理\u2028", "… 😀"]

SENT = {"text": 'a\nb\u2028 "無理" 😀', "times": 2}

SOURCES = """(url) => {
  window.told = { native: [], simple: [], closed: 0 };
  const follow = (format, kinds) => {
    const source = new EventSource(`${url}?format=${format}`);
    for (const kind of kinds)
      source.addEventListener(kind, ({ type, data }) => told[format].push([type, data]));
    // At the end it comes again, as it does not know better; a 204 sends it away.
    source.onerror = () => { told.closed += source.readyState === EventSource.CLOSED; };
  };
  follow("native", ["message", "failure"]);
  follow("simple", ["token", "tool_start", "tool_complete", "retract", "done", "failure"]);
}"""

SOCKET = """(run_id) => {
  window.socket = { events: [], ended: false };
  const ws = new WebSocket(location.origin.replace("http", "ws") + "/v1/ws");
  ws.onopen = () => ws.send(JSON.stringify({ op: "subscribe", ref: "a", run_id }));
  ws.onmessage = ({ data }) => {
    const told = JSON.parse(data);
    if (told.op === "events") socket.events.push(...told.events);
    if (told.op === "ended") { socket.ended = true; ws.close(); }
  };
}"""


@tool
async def echo(text: str, times: int) -> str:
    """Say it again.

    Args:
        text: What.
        times: How often.
    """
    return text * times


@tool
async def fail(why: str) -> str:
    """Fail.

    Args:
        why: The reason.
    """
    raise ValueError(f"It cannot be:\n{why}")


def story(gate: Gate) -> list[Step]:
    """Thinks, says a word, waits for the gate, calls tools of which one fails, and answers."""
    return [
        Step(
            reasoning=THOUGHTS,
            text=["First.", gate, *AWKWARD],
            tool_calls=[("echo", SENT), ("fail", {"why": "無理"}), ("echo", SENT | {"times": 0})],
            usage=Usage(100, 30, 20, 10),
        ),
        Step(text=[*AWKWARD, "Last.\n"], usage=Usage(150, 20, 120)),
    ]


def expected(protocol: str = "") -> Seen:
    """What is to be seen, as far as the protocol carries it."""
    text = "First." + "".join(AWKWARD) * 2 + "Last.\n"
    calls = [("echo", SENT), ("fail", {"why": "無理"}), ("echo", SENT | {"times": 0})]
    sent = str(SENT["text"])
    results = [(sent * 2, False), ("ValueError: It cannot be:\n無理", True), ("", False)]
    whole = Seen(text, "stop", (250, 50, 140, 10), calls, results, "".join(THOUGHTS))
    return whole.only(CARRIED.get(protocol, whole.__struct_fields__))


def sdk_of(server: Served) -> openai.AsyncOpenAI:
    """OpenAI's client, which believes that this is OpenAI."""
    return openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


async def printed(url: str) -> bytes:
    """What curl prints."""
    out, code = await curl(url)
    assert code == 0
    return out


async def curl_native(url: str) -> Seen:
    return seen_by.of_lines([frame.data for frame in SSEDecoder().feed(await printed(url))])


async def curl_ndjson(url: str) -> Seen:
    lines = (await printed(f"{url}?format=ndjson")).split(b"\n")
    return seen_by.of_lines(filter(None, lines))


async def curl_plain(url: str) -> Seen:
    return Seen((await printed(f"{url}?format=plain")).decode())


async def openai_stream(server: Served, run_id: str) -> Seen:
    """The SDK posts in order to start a run; its decoder reads one that is there."""
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    async with sdk_of(server) as sdk:
        chunks = await sdk.get(
            f"/runs/{run_id}/events",
            cast_to=ChatCompletionChunk,
            options={"params": {"format": "openai"}},
            stream=True,
            stream_cls=openai.AsyncStream[ChatCompletionChunk],
        )
        async for chunk in chunks:
            state.handle_chunk(chunk)
    return seen_by.of_completion(state.get_final_completion())


async def remote(server: Served, run_id: str) -> Seen:
    run = Remote(server.url).run(run_id)
    return seen_by.of_events([event async for batch in run.batches() for event in batch])


async def websocket(server: Served, run_id: str) -> Seen:
    async with socket(server.url) as client:
        await client.ask("subscribe", "a", run_id=run_id)
        await client.until("ended")
    return seen_by.of_events(client.events["a"])


def others(server: Served, run_id: str) -> dict[str, Awaitable[Seen]]:
    """The clients that are neither Node's nor the browser's."""
    url = f"{server.url}/v1/runs/{run_id}/events"
    return {
        "curl: native": curl_native(url),
        "curl: ndjson": curl_ndjson(url),
        "curl: plain": curl_plain(url),
        "openai: AsyncStream": openai_stream(server, run_id),
        "headrace: Remote": remote(server, run_id),
        "websockets": websocket(server, run_id),
    }


async def begin_in_browser(page: Page, run_id: str) -> int:
    """Follow the run in a page; how many watch it there, a socket and its subscription apart."""
    await page.value(f"({SOURCES})({json.dumps(f'/v1/runs/{run_id}/events')})")
    await page.value(f"({SOCKET})({json.dumps(run_id)})")
    return 4


async def end_in_browser(page: Page) -> dict[str, Seen]:
    """What the page has, once its sources were sent away and its socket was told of the end."""
    await page.until("told.closed === 2 && socket.ended")
    told = await page.value("told")
    events = await page.value("socket.events")
    assert {kind for kind, _ in told["native"]} == {"message"}
    return {
        "EventSource: native": seen_by.of_lines([data for _, data in told["native"]]),
        "EventSource: simple": seen_by.of_simple(told["simple"]),
        "WebSocket": seen_by.of_lines(map(json.dumps, events)),
    }


NODE = {
    "ai: Chat.sendMessage": seen_by.of_ai_message,
    "ai: Chat.resumeStream": seen_by.of_ai_message,
    "@ag-ui/client: HttpAgent": seen_by.of_ag_ui,
    "eventsource-parser: native": seen_by.of_lines,
    "eventsource-parser: ai-sdk": seen_by.of_ai_frames,
    "headrace.js: stream": seen_by.of_our_state,
}


async def all_at_once(
    server: Served, node: NodeProcess, page: Page, run_id: str, gate: Gate | None = None
) -> dict[str, Seen]:
    """What every client has; the gate opens when all of them are there."""
    names = await node("attach", run=run_id, live=gate is not None)
    in_browser = await begin_in_browser(page, run_id)
    tasks = {name: asyncio.ensure_future(one) for name, one in others(server, run_id).items()}
    if gate is not None:
        everyone = len(names) + in_browser + len(tasks) + 1  # a socket watches for itself, too
        await until(lambda: server.app.service.watchers == everyone)
        assert run_id in server.runtime.live
        gate.open()
    async with asyncio.timeout(PATIENCE):
        seen = {name: NODE[name](told) for name, told in (await node("seen")).items()}
        assert set(seen) == set(names)
        seen |= {name: await task for name, task in tasks.items()}
    return seen | await end_in_browser(page)


def check(seen: dict[str, Seen]) -> None:
    """All have seen the same, each as far as its protocol goes."""
    protocols = {"curl: plain": "plain", "EventSource: simple": "simple"}
    for name, has in seen.items():
        assert has == expected(protocols.get(name, "")), name


@pytest.mark.slow
async def test_every_client_has_the_same_of_a_run_live_and_replayed() -> None:
    gate = Gate()
    model = ScriptedModel(story(gate))
    agent = Agent("bot", model, tools=[echo, fail])
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving([agent], retry_ms=20))
        page = await stack.enter_async_context(chromium_page())
        node = await stack.enter_async_context(node_process("every_client.mjs"))
        await page.goto(f"{server.url}/")
        run_id = await node("start", url=server.url, chat=CHAT, question=QUESTION)
        live = await all_at_once(server, node, page, run_id, gate)
        check(live)
        replayed = await all_at_once(server, node, page, run_id)
        check(replayed)
        assert set(live) == {"ai: Chat.sendMessage", *replayed}
        assert len(live) == 15
        (record,) = await server.runtime.store.runs()  # no one has begun another one
        assert (record.id, record.session) == (run_id, CHAT)
        assert await page.complaints() == []
        assert seen_by.of_state(await server.runtime.snapshot(run_id)) == expected()
    first, _ = model.requests
    assert [message.text for message in first.messages] == [QUESTION]


@pytest.mark.parametrize("stream", [True, False])
async def test_openais_own_question_has_the_same_and_its_usage(stream: bool) -> None:
    """It starts a run of its own, like the other one."""
    gate = Gate()
    gate.open()
    agent = Agent("bot", ScriptedModel(story(gate)), tools=[echo, fail])
    question: list[ChatCompletionMessageParam] = [{"role": "user", "content": QUESTION}]
    async with serving([agent]) as server, sdk_of(server) as sdk:
        if stream:
            async with sdk.chat.completions.stream(
                model="bot", messages=question, stream_options={"include_usage": True}
            ) as events:
                done: ChatCompletion = await events.get_final_completion()
        else:
            done = await sdk.chat.completions.create(model="bot", messages=question)
    assert seen_by.of_completion(done) == expected()
