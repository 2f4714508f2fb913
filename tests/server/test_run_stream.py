"""A run over HTTP: every format, from any event on; what readers change by coming and going."""

from __future__ import annotations

import asyncio

import aiohttp
import msgspec
import pytest

from headrace import Agent
from headrace import events as e
from headrace.protocols.plain import INTERRUPTED
from headrace.runs.fold import fold
from headrace.runs.stores.memory import MemoryStore
from headrace.testing import Gate, ScriptedModel, Step, check_events
from tests.promises.story import NEWS, held, researcher
from tests.server.reading import asked, reading, started
from tests.server.serving import PATIENCE, Served, no_viewers, serving, until
from tests.support.loop import leftovers


def answering(*pieces: str) -> Agent:
    return Agent("bot", ScriptedModel([Step(text=list(pieces))]))


async def test_a_run_streams_from_its_start_to_its_end() -> None:
    async with serving([researcher()]) as server:
        async with reading(
            f"{server.url}/v1/runs", {"input": "News?"}, headers={"Accept": "text/event-stream"}
        ) as reader:
            events = await reader.events()
            assert reader.response.headers["content-type"] == "text/event-stream"
        check_events(events)
        assert fold(events).text == NEWS
        assert reader.response.headers["x-headrace-run"] == fold(events).run_id


async def test_every_format_shows_the_same_run() -> None:
    async with serving([researcher()]) as server:
        run_id = await started(server.url)
        url = f"{server.url}/v1/runs/{run_id}/events"
        async with reading(url) as reader:
            state = fold(await reader.events())
        async with reading(f"{url}?format=simple") as reader:
            shown = await reader.all()
        assert "".join(f.data for f in shown if f.event == "token") == state.text
        async with reading(f"{url}?format=plain") as reader:
            assert (await reader.response.read()).decode() == state.text
        async with reading(f"{url}?format=ndjson") as reader:
            lines = (await reader.response.read()).splitlines()
        assert fold(map(e.decode, lines)) == state


@pytest.mark.parametrize("by", ["header", "query"])
async def test_a_reader_goes_on_where_it_was(by: str) -> None:
    async with serving([researcher()]) as server:
        run_id = await started(server.url)
        url = f"{server.url}/v1/runs/{run_id}/events"
        async with reading(url) as reader:
            whole = await reader.events()
        query = "?after=5" if by == "query" else "?after=1"
        async with reading(url + query, after=5 if by == "header" else None) as reader:
            assert await reader.events() == whole[5:]


async def test_a_stateful_format_goes_on_as_if_it_had_shown_the_beginning() -> None:
    async with serving([researcher()]) as server:
        run_id = await started(server.url)
        url = f"{server.url}/v1/runs/{run_id}/events?format=simple"
        async with reading(url) as reader:
            whole = await reader.all()
        seen = whole[2].id
        async with reading(url, after=seen) as reader:
            assert await reader.all() == whole[3:]


async def test_after_the_end_there_is_nothing_and_the_reader_is_told_to_stay_away() -> None:
    async with serving([answering("Hi")]) as server:
        run_id = await started(server.url)
        url = f"{server.url}/v1/runs/{run_id}/events"
        async with reading(url) as reader:
            last = (await reader.events())[-1].seq
        async with reading(url, after=last) as reader:
            assert reader.status == 204


async def test_a_live_run_is_seen_as_it_goes_by_everyone() -> None:
    model, gate = held("One ")
    async with serving([Agent("bot", model)]) as server:
        run_id = await started(server.url)
        url = f"{server.url}/v1/runs/{run_id}/events"
        async with reading(url) as first, reading(url) as second:
            await first.until("One")
            await second.until("One")
            gate.open()
            for reader in (first, second):
                assert "more" in (await reader.until('"answer"')).data


async def test_leaving_does_not_touch_the_run() -> None:
    model, gate = held("One ")
    async with serving([Agent("bot", model)]) as server:
        run_id = await started(server.url)
        async with reading(f"{server.url}/v1/runs/{run_id}/events") as reader:
            await reader.until("One")
        await no_viewers(server)
        gate.open()
        end = await server.runtime.wait(run_id)
        assert isinstance(end, e.Complete)
    assert leftovers() == []


async def test_leaving_cancels_where_that_was_asked_for() -> None:
    model, _ = held("One ")
    async with serving([Agent("bot", model)]) as server:
        run_id = await started(server.url)
        url = f"{server.url}/v1/runs/{run_id}/events?on_leave=cancel"
        async with reading(url) as reader:
            await reader.until("One")
        async with asyncio.timeout(PATIENCE):
            end = await server.runtime.wait(run_id)
        assert isinstance(end, e.Cancelled)
        assert end.reason == "its reader left"
        assert model.open_streams == 0


async def test_reading_to_the_end_cancels_nothing() -> None:
    async with serving([answering("Hi")]) as server:
        run_id = await started(server.url)
        url = f"{server.url}/v1/runs/{run_id}/events?on_leave=cancel"
        async with reading(url) as reader:
            events = await reader.events()
        assert isinstance(events[-1], e.Complete)


async def test_a_silent_stream_says_that_it_is_there() -> None:
    model, gate = held("One ")
    async with serving([Agent("bot", model)], keep_alive=0.02) as server:
        run_id = await started(server.url)
        url = f"{server.url}/v1/runs/{run_id}/events"
        async with reading(url) as reader, reading(f"{url}?format=ndjson") as lines:
            await reader.until("One")
            while b": \n\n: \n\n" not in reader.raw:
                reader.raw += await reader.response.content.readany()
            text = b""
            while b"\n\n\n" not in text:
                text += await lines.response.content.readany()
            gate.open()
            rest = await lines.response.read()
        assert e.decode(rest.splitlines()[-1]).seq > 1


async def test_plain_text_that_is_not_whole_never_ends_well() -> None:
    broken = Agent("bot", ScriptedModel([Step(text=["Half"], finish_reason=None)]))
    async with serving([broken]) as server:
        async with reading(f"{server.url}/chat/stream", {"message": "Go"}) as reader:
            with pytest.raises(aiohttp.ClientPayloadError):
                await reader.all()
        assert reader.raw.decode() == "Half" + INTERRUPTED


async def test_events_that_are_kept_no_longer_are_named() -> None:
    store = MemoryStore()
    async with serving([answering(*"abcdef")], store=store) as server:
        run_id = await started(server.url)
        await server.runtime.wait(run_id)
        await store.cut(run_id, (await store.run(run_id)).last_seq)  # batches go whole
        async with reading(f"{server.url}/v1/runs/{run_id}/events") as reader:
            (frame,) = await reader.all()
        assert frame.event == "failure"
        told = msgspec.json.decode(frame.data)
        assert told["code"] == "replay_gap"
        assert "Read on after" in told["hint"]


@pytest.mark.parametrize("pieces", [["x" * 50_000] * 400, ["x" * 20_000_000]])
async def test_a_reader_that_takes_nothing_is_given_up(pieces: list[str]) -> None:
    """Its run, and the others that watch it, notice nothing; at the last bytes as before."""
    gate = Gate()
    agent = Agent("bot", ScriptedModel([Step(text=["first ", gate, *pieces])]))
    async with serving([agent], keep_alive=0.02, stuck=0.05) as server:
        run_id = await started(server.url)
        url = f"{server.url}/v1/runs/{run_id}/events"
        reader, writer = await asyncio.open_connection(*address(server))
        writer.write(f"GET {url.removeprefix(server.url)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        async with asyncio.timeout(PATIENCE):
            await reader.readuntil(b"first ")
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            gate.open()
            await server.runtime.wait(run_id)
            await no_viewers(server)
        writer.transport.abort()


async def test_many_viewers_share_what_is_encoded() -> None:
    model, gate = held("One ")
    async with serving([Agent("bot", model)]) as server:
        run_id = await started(server.url)
        url = f"{server.url}/v1/runs/{run_id}/events?format=simple"
        async with asyncio.TaskGroup() as group:
            bodies = [group.create_task(whole(url)) for _ in range(50)]
            await until(lambda: server.app.service.watchers == 50)
            gate.open()
        assert len({body.partition(b"\n\n")[2] for body in map(asyncio.Task.result, bodies)}) == 1
        status, told = await asked(f"{server.url}/health")
        assert (status, told["viewers"]) == (200, 0)


async def whole(url: str) -> bytes:
    async with reading(url) as reader:
        return await reader.response.read()


def address(server: Served) -> tuple[str, int]:
    host, _, port = server.url.removeprefix("http://").partition(":")
    return host, int(port)


async def test_a_reader_that_is_cut_off_before_the_first_event_knows_its_run() -> None:
    gate = Gate()
    model = ScriptedModel([Step(text=[gate, "Hi"])])
    async with serving([Agent("bot", model)]) as server:
        url = f"{server.url}/api/chat/stream?message=Go"
        async with reading(url) as reader:
            run_id = reader.response.headers["x-headrace-run"]
            while b"\nid: " not in reader.raw:
                reader.raw += await reader.response.content.readany()
            assert reader.raw.startswith(b"retry: ")
            assert f"\nid: {run_id}:0\n\n".encode() in reader.raw
        gate.open()
        async with reading(url, after=f"{run_id}:0") as reader:
            frames = await reader.all()
        assert [frame.data for frame in frames if frame.event == "token"] == ["Hi"]
        assert len(model.requests) == 1
