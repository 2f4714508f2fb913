"""Who may open a socket, how much goes over it, and what its close codes mean."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from headrace import Agent, Runtime
from headrace.runs.fold import fold
from headrace.runtime.handle import DetachedRun
from headrace.server import app
from headrace.server.message_rate import BURST
from headrace.server.service import Service
from headrace.server.websocket import MAX_BAD, MAX_SUBSCRIPTIONS, MAX_WAITING, Socket
from headrace.testing import Gate, ScriptedModel, Step, check_events
from tests.promises.story import held
from tests.server.asking import ALICE, TOKENS, speaker, waiter
from tests.server.reading import asked, started
from tests.server.serving import no_viewers, running, serving, until
from tests.server.socket_client import SocketClient, socket
from tests.support.loop import leftovers


async def refusal(url: str, **options: Any) -> tuple[int, str]:
    """Status and code of a handshake that is refused."""
    with pytest.raises(InvalidStatus) as caught:
        async with socket(url, **options):
            pass
    response = caught.value.response
    return response.status_code, json.loads(response.body)["code"]


async def test_the_handshake_tells_who_may_not_come_in() -> None:
    async with serving([speaker()], tokens=TOKENS) as server:
        assert await refusal(server.url) == (401, "unauthorized")
        assert await refusal(server.url, token="nobodys-token-0123") == (401, "unauthorized")
        assert await refusal(server.url, query="?ticket=made-up") == (401, "unauthorized")
        foreign = "https://evil.example"
        assert await refusal(server.url, token=ALICE, origin=foreign) == (403, "foreign_origin")
        _, told = await asked(
            f"{server.url}/v1/tickets", method="POST", headers={"Authorization": f"Bearer {ALICE}"}
        )
        query = f"?ticket={told['ticket']}"
        assert await refusal(server.url, query=query, origin=foreign) == (403, "foreign_origin")
        async with socket(server.url, query=query, origin=server.url) as client:
            assert await client.answer("ping") == {"op": "pong"}
        assert await refusal(server.url, query=query) == (401, "unauthorized")


async def test_pages_of_an_allowed_origin_may_come_in() -> None:
    async with serving([speaker()], allow_origins=("https://app.example",)) as server:
        async with socket(server.url, origin="https://app.example") as client:
            assert await client.answer("ping") == {"op": "pong"}


async def test_a_message_that_is_too_large_closes_with_1009() -> None:
    async with serving([speaker()], max_message=2000) as server:
        async with socket(server.url) as client:
            await client.ask("ping", pad="x" * 1900)
            assert (await client.until("error"))["code"] == "invalid_request"
            await client.ask("ping", pad="x" * 2000)
            assert (await client.closed())[0] == 1009
        async with socket(server.url) as client:
            await client.socket.send(["x" * 700] * 3)  # in pieces, too
            assert (await client.closed())[0] == 1009
        await no_viewers(server)
    assert leftovers() == []


@pytest.mark.parametrize(
    ("data", "text", "code"),
    [(b"{}", False, 1003), (b'{"op":"ping","ref":"\xff"}', True, 1007)],
    ids=["binary", "no UTF-8"],
)
async def test_what_is_no_text_closes_the_socket(data: bytes, text: bool, code: int) -> None:
    async with serving([speaker()]) as server, socket(server.url) as client:
        await client.socket.send(data, text=text)
        assert (await client.closed())[0] == code
        await no_viewers(server)


BAD = [
    "",
    "hello",
    "null",
    "[]",
    "{}",
    '{"op":',
    '{"op":"ping","ref":""}',
    '{"op":"ping","ref":5}',
    '{"op":"ping","ref":"' + "r" * 65 + '"}',
    '{"op":"ping","ref":"\\ud800"}',
    '{"op":"ping","more":1}',
    '{"op":"start","ref":"a","input":' + "[" * 100_000,
    '{"op":"start","ref":"a","input":' + '{"a":' * 100_000,
    '{"op":"subscribe","ref":"a","run_id":"r","after":' + "9" * 100_000 + "}",
    '{"op":"' + "x" * 100_000 + '"}',
]


@pytest.mark.parametrize("bad", BAD, ids=lambda text: text[:40])
async def test_a_message_that_is_no_request_is_told_so(bad: str) -> None:
    async with serving([speaker()]) as server, socket(server.url) as client:
        await client.socket.send(bad)
        told = await client.until("error")
        assert told["code"] in ("invalid_json", "invalid_request")
        assert 0 < len(told["message"]) < 1000
        assert told["hint"]
        assert await client.answer("ping") == {"op": "pong"}


async def test_a_client_that_sends_no_requests_again_and_again_is_closed() -> None:
    async with serving([speaker()]) as server, socket(server.url) as client:
        for _ in range(MAX_BAD):
            await client.socket.send("hello")
        code, why = await client.closed()
        assert (code, len(client.told)) == (1008, MAX_BAD)
        assert why


async def test_a_client_that_floods_is_told_and_then_closed() -> None:
    async with serving([speaker()]) as server, socket(server.url) as client:
        flood = asyncio.create_task(pings(client))
        code, _ = await client.closed()
        flood.cancel()
        assert code == 1008
        answers = [told["op"] for told in client.told]
        assert answers[: int(BURST)] == ["pong"] * int(BURST)
        first = client.told[answers.index("error")]
        assert (first["code"], first["ref"]) == ("too_many_messages", None)
        assert first["retry_after"] > 0
        await no_viewers(server)


async def pings(client: SocketClient) -> None:
    while True:
        await client.ask("ping")
        await asyncio.sleep(0)  # the client's `send` lets nobody else go on


async def test_a_socket_has_so_many_subscriptions() -> None:
    gate = Gate()
    async with serving([waiter(gate)]) as server, socket(server.url) as client:
        run_id = await started(server.url)
        while len(client.events) < MAX_SUBSCRIPTIONS:
            ref = str(len(client.events))
            await client.ask("subscribe", ref, run_id=run_id)
            message = await client.next()
            while message["op"] == "events" and message["ref"] != ref:
                message = await client.next()
            if message["op"] == "error":
                assert message["code"] == "too_many_messages"
                await asyncio.sleep(message["retry_after"] / 10)
        for op, fields in (("subscribe", {"run_id": run_id}), ("start", {"input": "Go"})):
            await asyncio.sleep(0.1)
            told = await client.answer(op, "one more", **fields)
            assert (told["op"], told["code"]) == ("error", "too_many_subscriptions")
        assert server.runtime.live == [run_id]
        await client.answer("unsubscribe", "0")
        await client.ask("subscribe", "one more", run_id=run_id)
        assert (await client.until("events", "one more"))["run_id"] == run_id
        gate.open()


async def test_limits_of_runs_hold_and_say_when_to_try_again() -> None:
    gate = Gate()
    async with serving([waiter(gate)], live_runs=1) as server, socket(server.url) as client:
        await client.answer("start", "a", input="Go", subscribe=False)
        told = await client.answer("start", "b", input="Go", subscribe=False)
        assert (told["op"], told["code"]) == ("error", "too_many_live_runs")
        assert told["retry_after"] > 0
        gate.open()


async def test_a_failure_that_no_one_foresaw_is_told_without_its_words() -> None:
    class Broken(Runtime):
        async def submit(self, *args: Any, **more: Any) -> DetachedRun:
            raise ZeroDivisionError("secret")

    headrace_app = app([speaker()], runtime=Broken(), grace=0.1)
    async with running(headrace_app) as url, socket(url) as client:
        told = await client.answer("start", "a", input="Go")
        assert (told["op"], told["ref"], told["code"]) == ("error", "a", "internal")
        assert "secret" not in json.dumps(told)
        assert await client.answer("ping") == {"op": "pong"}


async def test_a_failure_of_the_socket_itself_closes_with_1011() -> None:
    headrace_app = app([speaker()])
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if sent:
            raise ZeroDivisionError("secret")
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    service: Service = headrace_app.service
    await Socket(service, "", receive, send).run()
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]
    assert sent[-1]["code"] == 1011
    assert "secret" not in str(sent)
    assert service.watchers == 0
    assert leftovers() == []


async def test_a_client_that_leaves_within_the_handshake_is_no_failure() -> None:
    service = app([speaker()]).service

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        raise OSError

    await Socket(service, "", receive, send).run()
    assert service.watchers == 0
    assert leftovers() == []


async def test_the_drain_closes_every_socket_with_1001() -> None:
    model, _ = held("One ")
    async with serving([Agent("bot", model)]) as server:
        async with socket(server.url) as idle, socket(server.url) as busy:
            run_id = (await busy.answer("start", "a", input="Go"))["run_id"]
            await busy.until_text("a", "One ")
            await server.app.service.drain()
            for client in (idle, busy):
                code, why = await client.closed()
                assert (code, why) == (1001, "the server is stopping")
            assert {told["op"] for told in busy.told} <= {"started", "failure"}
            assert all(told.get("code", "draining") == "draining" for told in busy.told)
            assert run_id not in server.runtime.live
        assert server.app.service.watchers == 0
    assert leftovers() == []


@pytest.mark.parametrize("store", ["memory:", "sqlite"])
async def test_a_run_that_ends_while_the_server_drains_is_seen_to_its_end(
    store: str, tmp_path: object
) -> None:
    url = f"sqlite:///{tmp_path}/runs.db" if store == "sqlite" else store
    model, gate = held("One ")
    async with serving([Agent("bot", model)], store=url, grace=20) as server:
        async with socket(server.url) as client:
            await client.ask("start", "a", input="Go")
            await client.until_text("a", "One ")
            draining = asyncio.create_task(server.app.service.drain())
            await until(lambda: server.app.service.draining)
            told = await client.answer("start", "b", input="Go")
            assert (told["op"], told["code"]) == ("error", "draining")
            assert told["retry_after"] > 0
            gate.open()
            assert (await client.closed())[0] == 1001
            assert [told["op"] for told in client.told] == ["started", "error", "ended"]
            check_events(client.events["a"])
            assert fold(client.events["a"]).text == "One  more"
            await draining


async def test_a_slow_reader_gets_joined_text_and_holds_nobody_up() -> None:
    pieces = ["x" * 2500] * 8000
    gate = Gate()
    agent = Agent("bot", ScriptedModel([Step(text=["One ", gate, *pieces])]))
    async with serving([agent]) as server:
        async with socket(server.url, max_queue=1) as slow, socket(server.url) as fast:
            run_id = (await slow.answer("start", "a", input="Go"))["run_id"]
            await slow.until_text("a", "One ")
            await fast.ask("subscribe", "a", run_id=run_id)
            await fast.until_text("a", "One ")
            gate.open()
            await fast.until("ended")  # though nothing of the slow one is read
            await server.runtime.wait(run_id)
            await slow.until("ended")
        state = await server.runtime.snapshot(run_id)
        assert fold(slow.events["a"]) == fold(fast.events["a"]) == state
        assert len(slow.events["a"]) < len(pieces) // 2
        await no_viewers(server)
    assert leftovers() == []


async def test_a_reader_that_takes_nothing_is_given_up() -> None:
    gate = Gate()
    agent = Agent("bot", ScriptedModel([Step(text=["One ", gate, *["x" * 50_000] * 400])]))
    async with serving([agent], stuck=0.05) as server:
        async with socket(server.url, max_queue=1, close_timeout=0.1) as stuck:
            run_id = (await stuck.answer("start", "a", input="Go"))["run_id"]
            await stuck.until_text("a", "One ")
            for number in range(MAX_WAITING):
                await stuck.ask("ping", str(number))
            gate.open()
            await server.runtime.wait(run_id)
            await no_viewers(server)
            stuck.abort()
    assert leftovers() == []
