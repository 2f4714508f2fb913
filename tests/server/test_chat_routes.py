"""The routes for plain pages: `/chat/stream`, `/chat/sse` and `/api/chat/stream`."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from headrace import Agent
from headrace import events as e
from headrace.errors import ProviderUnavailable
from headrace.protocols.plain import INTERRUPTED
from headrace.testing import Gate, ScriptedModel, Step
from headrace.wire.sse_decoder import SSEEvent
from tests.promises.story import NEWS, PIECES, QUESTION, held, research, search
from tests.server.curl import curl
from tests.server.reading import asked, reading
from tests.server.serving import PATIENCE, Served, no_viewers, serving, until
from tests.support.chromium import chromium_page
from tests.support.cutting_proxy import CuttingProxy

SIMPLE = [("POST", "/chat/sse"), ("POST", "/api/chat/stream"), ("GET", "/api/chat/stream")]


def bot(*steps: Any, name: str = "bot") -> Agent:
    return Agent(name, ScriptedModel(steps))


def call(server: Served, method: str, path: str, message: str = QUESTION) -> tuple[str, Any]:
    """Address and body of a question."""
    if method == "POST":
        return f"{server.url}{path}", {"message": message}
    return f"{server.url}{path}?message={quote(message)}", None


def text(frames: list[SSEEvent]) -> str:
    return "".join(frame.data for frame in frames if frame.event == "token")


async def end_of(server: Served) -> e.Event:
    """The terminal event of the only run."""
    (record,) = await server.runtime.store.runs()
    async with asyncio.timeout(PATIENCE):
        return await server.runtime.wait(record.id)


@pytest.mark.parametrize("in_address", [False, True])
async def test_plain_text_is_the_answer_and_nothing_else(in_address: bool) -> None:
    async with serving([Agent("researcher", research(), tools=[search])]) as server:
        url, body = f"{server.url}/chat/stream", {"message": QUESTION}
        if in_address:
            url, body = f"{url}?message={quote(QUESTION)}", {}
        async with reading(url, body) as reader:
            assert reader.response.headers["content-type"] == "text/plain; charset=utf-8"
            run_id = reader.response.headers["x-headrace-run"]
            assert (await reader.response.read()).decode() == NEWS
        (record,) = await server.runtime.store.runs()
        assert (record.id, record.status, record.title) == (run_id, "complete", QUESTION)


async def test_plain_text_comes_as_it_is_said() -> None:
    model, gate = held("無理 \u2028")
    async with serving([Agent("bot", model)]) as server:
        async with reading(f"{server.url}/chat/stream", {"message": "Go"}) as reader:
            said = b""
            while said.decode("utf-8", "ignore") != "無理 \u2028":
                said += await reader.response.content.readany()
            gate.open()
            assert await reader.response.read() == b" more"


@pytest.mark.parametrize(("method", "path"), SIMPLE)
async def test_simple_frames_are_tokens_tools_and_done(method: str, path: str) -> None:
    async with serving([Agent("researcher", research(), tools=[search])]) as server:
        async with reading(*call(server, method, path)) as reader:
            frames = await reader.all()
            run_id = reader.response.headers["x-headrace-run"]
            assert reader.response.headers["content-type"] == "text/event-stream"
    kinds = [frame.event for frame in frames if frame.event != "token"]
    assert kinds == ["tool_start", "tool_complete", "done"]
    assert [frame.data for frame in frames if frame.event == "token"] == PIECES
    start, complete, done = [json.loads(f.data) for f in frames if f.event != "token"]
    assert (start["name"], start["input"]) == ("search", {"query": "AI news"})
    assert (complete["output"], complete["error"]) == ("Results for: AI news", None)
    assert complete["call_id"] == start["call_id"]
    assert (done["finish_reason"], done["usage"]["input"]) == ("stop", 60)
    places = [frame.id.partition(":") for frame in frames]
    assert {run for run, _, _ in places} == {run_id}
    seqs = [int(seq) for _, _, seq in places]
    assert seqs == sorted(set(seqs))


@pytest.mark.parametrize(("method", "path"), SIMPLE)
async def test_a_reader_that_comes_again_gets_the_rest_of_its_run(method: str, path: str) -> None:
    """As an `EventSource` does: the same address, and the last id. The model is asked once."""
    gate = Gate()
    agent = bot(Step(text=["One ", "two ", gate, "three ", "four."]))
    async with serving([agent]) as server:
        url, body = call(server, method, path)
        async with reading(url, body) as reader:
            first = []
            async for frame in reader.frames():
                first.append(frame)
                if frame.data == "two ":
                    break
        await no_viewers(server)
        async with reading(url, body, after=first[-1].id) as reader:
            gate.open()
            rest = await reader.all()
        assert text(first) + text(rest) == "One two three four."
        assert rest[-1].event == "done"
        async with reading(url, body, after=first[0].id) as reader:  # and from an earlier place
            again = await reader.all()
        assert again[-len(rest) :] == rest
        assert text(again) == "two three four."
        async with reading(url, body, after=rest[-1].id) as reader:
            assert (reader.status, await reader.response.read()) == (204, b"")
        assert len(await server.runtime.store.runs()) == 1
    assert isinstance(agent.model, ScriptedModel)
    assert len(agent.model.requests) == 1


async def test_a_reader_that_has_seen_no_word_yet_knows_its_run() -> None:
    gate = Gate()
    async with serving([bot(Step(text=[gate, "One."]))]) as server:
        url, _ = call(server, "GET", "/api/chat/stream")
        async with reading(url) as reader:
            while not reader.decoder.last_event_id:
                reader.decoder.feed(await reader.response.content.readany())
            seen = reader.decoder.last_event_id
        async with reading(url, after=seen) as reader:
            gate.open()
            assert text(await reader.all()) == "One."
        assert len(await server.runtime.store.runs()) == 1


async def test_another_users_run_is_not_there() -> None:
    tokens = {"ann": "anns-token-0123456789", "bob": "bobs-token-0123456789"}
    ann, bob = [{"Authorization": f"Bearer {token}"} for token in tokens.values()]
    async with serving([bot(Step(text="Secret."))], tokens=tokens) as server:
        url, _ = call(server, "GET", "/api/chat/stream")
        async with reading(url, headers=ann) as reader:
            frames = await reader.all()
        run_id = frames[0].id.partition(":")[0]
        for seen in (f"{run_id}:1", f"{run_id}:0", frames[-1].id, "run_nobody:1"):
            status, told = await asked(url, headers=bob | {"Last-Event-ID": seen})
            assert (status, told["code"]) == (404, "run_not_found")
        for path in ("/chat/sse", "/api/chat/stream"):
            answer = await asked(
                f"{server.url}{path}",
                {"message": "x"},
                headers=bob | {"Last-Event-ID": f"{run_id}:1"},
            )
            assert answer[0] == 404
        assert len(await server.runtime.store.runs()) == 1


async def test_a_place_that_no_run_has_begins_no_run() -> None:
    no_place = [(f"{{}}:{seq}", (400, "invalid_cursor")) for seq in ("x", "-1", "1e3", "99")]
    no_run = [(seen, (404, "run_not_found")) for seen in ("{}", "5", ":5", "a/b:5", "無:5")]
    async with serving([bot(Step(text="Hi"))]) as server:
        url, _ = call(server, "GET", "/api/chat/stream")
        async with reading(url) as reader:
            run_id = (await reader.all())[0].id.partition(":")[0]
        for seen, expected in no_place + no_run:
            status, told = await asked(url, headers={"Last-Event-ID": seen.format(run_id)})
            assert (status, told["code"]) == expected, seen
        assert len(await server.runtime.store.runs()) == 1


NO_MESSAGES = (
    b"",
    b"{}",
    b'{"message": ""}',
    b'{"message": " \\n\\t"}',
    b'{"message": 5}',
    b'{"message": null}',
    b'{"message": ["Hi"]}',
    b'["Hi"]',
    b'"Hi"',
    b"Hi",
    b'{"message": "Hi"',
    b'{"message": "\xff"}',
    b'{"message": "Hi", "agent": "no"}',
    b'{"message": "Hi", "agent": 5}',
    b'{"message": "Hi", "session": "\\n"}',
)


@pytest.mark.parametrize("path", ["/chat/stream", "/chat/sse", "/api/chat/stream"])
async def test_what_is_no_message_is_refused_and_begins_nothing(path: str) -> None:
    async with serving([bot()]) as server:
        for body in NO_MESSAGES:
            status, told = await asked(f"{server.url}{path}", method="POST", data=body)
            assert status == 400, body
            assert told["message"]
        assert await server.runtime.store.runs() == []


async def test_an_address_without_a_message_is_refused() -> None:
    async with serving([bot()]) as server:
        for query in ("", "?message=", "?message=%20", "?message=Hi&on_leave=no"):
            status, told = await asked(f"{server.url}/api/chat/stream{query}")
            assert (status, told["code"]) == (400, "invalid_request")
        status, told = await asked(f"{server.url}/chat/sse?message=Hi")
        assert status == 405
        assert await server.runtime.store.runs() == []


async def test_what_a_page_sends_besides_is_left_alone() -> None:
    async with serving([bot(Step(text="Hi"))]) as server:
        body = {"message": "Go", "theme": "dark", "history": [1]}
        async with reading(f"{server.url}/chat/sse", body) as reader:
            assert text(await reader.all()) == "Hi"


async def test_a_session_is_kept_over_the_routes() -> None:
    agent = bot(Step(text="Ada."), Step(text="Yes."), Step(text="1815."))
    async with serving([agent]) as server:
        async with reading(
            f"{server.url}/chat/stream", {"message": "Who?", "session": "talk"}
        ) as reader:
            await reader.response.read()
        async with reading(f"{server.url}/api/chat/stream?message=Sure%3F&session=talk") as reader:
            await reader.all()
        async with reading(f"{server.url}/chat/sse", {"message": "When?"}) as reader:
            await reader.all()
    assert isinstance(agent.model, ScriptedModel)
    heard = [[message.text for message in r.messages] for r in agent.model.requests]
    assert heard == [["Who?"], ["Who?", "Ada.", "Sure?"], ["When?"]]


async def test_a_session_that_is_busy_is_refused() -> None:
    model, gate = held("One ")
    async with serving([Agent("bot", model)]) as server:
        body = {"message": "Go", "session": "talk"}
        async with reading(f"{server.url}/chat/sse", body) as reader:
            await reader.until("One ")
            for path in ("/chat/stream", "/chat/sse", "/api/chat/stream"):
                status, told = await asked(f"{server.url}{path}", body)
                assert (status, told["code"]) == (409, "session_busy")
            gate.open()
            await reader.all()


async def test_a_page_may_name_its_agent() -> None:
    agents = [bot(Step(text="First."), name="first")]
    agents.append(bot(Step(text="A."), Step(text="B."), name="second"))
    async with serving(agents) as server:
        async with reading(
            f"{server.url}/chat/stream", {"message": "Hi", "agent": "second"}
        ) as reader:
            assert await reader.response.read() == b"A."
        async with reading(f"{server.url}/api/chat/stream?message=Hi&agent=second") as reader:
            assert text(await reader.all()) == "B."


async def test_what_fails_ends_broken_and_is_asked_once() -> None:
    """A reader of text cannot take any back, so a model that breaks off is not asked again."""
    model = ScriptedModel([Step(text=["Half"], finish_reason=None)] * 2)
    async with serving([Agent("bot", model)]) as server:
        async with reading(f"{server.url}/chat/stream", {"message": "Go"}) as reader:
            with pytest.raises(aiohttp.ClientPayloadError):
                await reader.all()
            assert reader.raw.decode() == "Half" + INTERRUPTED
        async with reading(f"{server.url}/chat/sse", {"message": "Go"}) as reader:
            token, failure = await reader.all()
        assert (token.data, failure.event) == ("Half", "failure")
        assert json.loads(failure.data)["code"] == "stream_truncated"
    assert len(model.requests) == 2


async def test_what_fails_before_the_first_word_ends_broken_too() -> None:
    agent = bot(Step(error=ProviderUnavailable("The model is on fire.")))
    async with serving([agent]) as server:
        async with reading(f"{server.url}/chat/stream", {"message": "Go"}) as reader:
            with pytest.raises(aiohttp.ClientPayloadError):
                await reader.all()
            assert reader.raw.decode() == INTERRUPTED


async def test_a_run_that_is_cancelled_ends_broken() -> None:
    model, _ = held("One ")
    async with serving([Agent("bot", model)]) as server:
        async with reading(f"{server.url}/chat/stream", {"message": "Go"}) as reader:
            run_id = reader.response.headers["x-headrace-run"]
            url = f"{server.url}/v1/runs/{run_id}/events?format=simple"
            rest = asyncio.create_task(reader.all())
            async with reading(url) as other:
                await other.until("One ")
                await until(lambda: reader.raw)
                await asked(f"{server.url}/v1/runs/{run_id}/cancel", {"reason": "enough"})
                failure = (await other.all())[-1]
            with pytest.raises(aiohttp.ClientPayloadError):
                await rest
        assert reader.raw.decode() == "One " + INTERRUPTED
    told = json.loads(failure.data)
    assert (failure.event, told["code"], told["message"]) == ("failure", "cancelled", "enough")


@pytest.mark.parametrize("path", ["/chat/stream", "/chat/sse", "/api/chat/stream"])
@pytest.mark.parametrize("leave", ["stay", "cancel"])
async def test_leaving_cancels_only_where_that_was_asked_for(path: str, leave: str) -> None:
    model, gate = held("One ")
    async with serving([Agent("bot", model)]) as server:
        url = f"{server.url}{path}?on_leave={leave}"
        async with reading(url, {"message": "Go"}) as reader:
            await gate.reached.wait()
            await until(lambda: server.app.service.watchers == 1)
            assert reader.status == 200
        await no_viewers(server)
        if leave == "stay":
            gate.open()
        end = await end_of(server)
        assert isinstance(end, e.Complete if leave == "stay" else e.Cancelled)


SOURCE = """(url) => {
  window.told = { text: "", ids: [], opens: 0, done: 0, closed: false };
  const source = new EventSource(url);
  source.onopen = () => { told.opens += 1; };
  source.onerror = () => { told.closed = source.readyState === EventSource.CLOSED; };
  source.addEventListener("token", ({ data, lastEventId }) => {
    told.text += data;
    told.ids.push(lastEventId);
  });
  source.addEventListener("done", () => { told.done += 1; });
}"""


@pytest.mark.slow
async def test_a_browsers_event_source_goes_on_by_itself_and_asks_once() -> None:
    """It is cut in mid-answer, comes again, and once more at the end, when a 204 sends it away."""
    gate = Gate()
    agent = bot(Step(text=["Eins\n", "無理 ", gate, "drei 😀"]))
    async with (
        serving([agent], retry_ms=20) as server,
        CuttingProxy(server.url) as proxy,
        chromium_page() as page,
    ):
        await page.goto(f"{proxy.url}/")
        await page.value(f"({SOURCE})('/api/chat/stream?message=Count')")
        await page.until("told.text.endsWith('無理 ')")
        assert proxy.cut() == 1
        await page.until("told.opens === 2")
        gate.open()
        await page.until("told.closed")
        told = await page.value("told")
        assert len(await server.runtime.store.runs()) == 1
    assert (told["text"], told["done"]) == ("Eins\n無理 drei 😀", 1)
    assert len(set(told["ids"])) == len(told["ids"])
    assert isinstance(agent.model, ScriptedModel)
    assert len(agent.model.requests) == 1


async def test_curl_says_that_an_answer_is_not_whole() -> None:
    """18 is its exit code for a body without its end (CURLE_PARTIAL_FILE)."""
    agent = bot(Step(text="Whole."), Step(text="Half", finish_reason=None))
    async with serving([agent]) as server:
        for said, code in (("Whole.", 0), ("Half" + INTERRUPTED, 18)):
            address = f"{server.url}/chat/stream"
            out, told = await curl("--json", '{"message": "Go"}', address)
            assert (out.decode(), told) == (said, code)
