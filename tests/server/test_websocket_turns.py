"""Who writes when: on a wire that takes a message only when the test says so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

from headrace import Agent, Runtime
from headrace import events as e
from headrace.events import Event
from headrace.runs.fold import fold
from headrace.runs.policies import MERGE_OVER
from headrace.runtime.handle import DetachedRun
from headrace.server import HeadraceApp, app
from headrace.server.service import Service
from headrace.server.websocket import Socket
from headrace.server.ws_subscription import CATCHING_UP, MAX_EVENTS
from headrace.testing import Gate, ScriptedModel, Step
from tests.promises.story import held
from tests.server.serving import PATIENCE, until
from tests.support.loop import leftovers


class Wire:
    """An HTTP server's side of one socket.

    Attributes:
        sent: Text messages that were taken.
        begun: How many, with the ones that wait to be taken.
        left: Whether the socket knows that its client has left.
    """

    def __init__(self, service: Service) -> None:
        self._asked: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._asked.put_nowait({"type": "websocket.connect"})
        self.flows = asyncio.Event()
        self.flows.set()
        self.sent: list[dict[str, Any]] = []
        self.begun = 0
        self.left = False
        self.task = asyncio.create_task(Socket(service, "", self._receive, self._send).run())

    def ask(self, op: str, ref: str, **fields: Any) -> None:
        text = json.dumps({"op": op, "ref": ref, **fields})
        self._asked.put_nowait({"type": "websocket.receive", "text": text})

    def leave(self) -> None:
        self._asked.put_nowait({"type": "websocket.disconnect", "code": 1001})

    def ops(self, ref: str) -> list[str]:
        return [message["op"] for message in self.sent if message["ref"] == ref]

    def events(self, ref: str) -> list[Event]:
        found = [m["events"] for m in self.sent if m["op"] == "events" and m["ref"] == ref]
        return [e.decode(json.dumps(event)) for events in found for event in events]

    async def _receive(self) -> dict[str, Any]:
        message = await self._asked.get()
        self.left = message["type"] == "websocket.disconnect"
        return message

    async def _send(self, message: Any) -> None:
        if message["type"] != "websocket.send":
            return
        self.begun += 1
        await self.flows.wait()
        self.sent.append(json.loads(message["text"]))


@asynccontextmanager
async def wired(headrace_app: HeadraceApp) -> AsyncGenerator[Wire]:
    async with headrace_app.lifespan():
        wire = Wire(headrace_app.service)
        yield wire
        wire.leave()
        async with asyncio.timeout(PATIENCE):
            await wire.task
    assert leftovers() == []


def saying(*pieces: str | Gate) -> HeadraceApp:
    return app([Agent("bot", ScriptedModel([Step(text=list(pieces))] * 10))], grace=0.1)


async def begun(headrace_app: HeadraceApp) -> DetachedRun:
    return await headrace_app.service.start("", "Go")


async def test_only_one_message_waits_for_a_reader_that_is_slow() -> None:
    gate = Gate()
    headrace_app = saying("One ", gate, *["more "] * 50)
    async with wired(headrace_app) as wire:
        run = await begun(headrace_app)
        for number in range(20):
            wire.ask("subscribe", str(number), run_id=run.id)
        await until(lambda: all(wire.events(str(number)) for number in range(20)))
        await until(lambda: wire.begun == len(wire.sent))
        wire.flows.clear()
        gate.open()
        await run.result()
        await until(lambda: wire.begun > len(wire.sent))
        assert wire.begun == len(wire.sent) + 1
        wire.flows.set()
        await until(lambda: all("ended" in wire.ops(str(number)) for number in range(20)))
        for number in range(20):
            assert fold(wire.events(str(number))).text == "One " + "more " * 50


async def test_others_have_their_turn_while_a_long_run_is_caught_up_with() -> None:
    gate = Gate()
    headrace_app = saying(*["x" * CATCHING_UP] * 200, gate, "End")
    async with wired(headrace_app) as wire:
        run = await begun(headrace_app)
        await gate.reached.wait()
        wire.ask("subscribe", "long", run_id=run.id)
        turns = [0]
        while len(fold(wire.events("long")).text) < 200 * CATCHING_UP:
            await asyncio.sleep(0)
            turns.append(len(wire.sent))
        # Nothing waits here, neither for the store nor for the wire; and still it is not at once.
        assert max(after - before for before, after in pairwise(turns)) <= 3
        assert len(wire.ops("long")) > 10
        gate.open()


async def test_a_message_has_half_a_mebibyte_unless_one_event_is_larger() -> None:
    escaped = "\x01" * 1000  # six bytes each, in JSON
    huge = "\x02" * (MAX_EVENTS // 4)
    headrace_app = saying(*[escaped] * 300, huge)
    async with wired(headrace_app) as wire:
        run = await begun(headrace_app)
        result = await run.result()
        wire.ask("subscribe", "s", run_id=run.id)
        await until(lambda: "ended" in wire.ops("s"))
        sizes = [
            (len(json.dumps(message["events"], separators=(",", ":"))), len(message["events"]))
            for message in wire.sent
            if message["op"] == "events"
        ]
        assert all(size <= MAX_EVENTS + 1000 or count == 1 for size, count in sizes)
        assert max(count for _, count in sizes) > 1
        assert max(size for size, _ in sizes) > MAX_EVENTS
        assert fold(wire.events("s")).text == result.content


async def test_what_one_viewer_drops_the_others_still_get() -> None:
    gate = Gate()
    text = ["x" * 1000] * (2 * MERGE_OVER // 1000)
    headrace_app = saying("One ", gate, *text)
    async with wired(headrace_app) as wire:
        run = await begun(headrace_app)
        wire.ask("subscribe", "all", run_id=run.id)
        wire.ask("subscribe", "some", run_id=run.id, policy="drop")
        await until(lambda: fold(wire.events("some")).text == "One ")
        await until(lambda: fold(wire.events("all")).text == "One ")
        wire.flows.clear()
        wire.ask("ping", "p")  # its answer is what waits; both are up to date
        await until(lambda: wire.begun > len(wire.sent))
        gate.open()
        result = await run.result()
        wire.flows.set()
        await until(lambda: "ended" in wire.ops("all") and "ended" in wire.ops("some"))
        assert fold(wire.events("all")).text == result.content
        gaps = [event for event in wire.events("some") if isinstance(event, e.Warn)]
        assert [gap.code for gap in gaps] == ["gap"] * len(gaps)
        assert gaps
        assert [event for event in wire.events("some") if not is_text(event)] == [
            event for event in wire.events("all") if not is_text(event)
        ]


def is_text(event: Event) -> bool:
    return isinstance(event, e.Token | e.Warn)


async def test_a_ref_is_free_as_soon_as_its_unsubscription_is_taken() -> None:
    model, gate = held("One ")
    headrace_app = app([Agent("bot", model)], grace=0.1)
    async with wired(headrace_app) as wire:
        run = await begun(headrace_app)
        for _ in range(3):
            wire.ask("subscribe", "s", run_id=run.id)
            wire.ask("unsubscribe", "s")
        wire.ask("subscribe", "s", run_id=run.id)
        gate.open()
        await until(lambda: "ended" in wire.ops("s"))
        assert [op for op in wire.ops("s") if op != "events"] == ["done"] * 3 + ["ended"]


async def test_a_cancel_is_met_though_its_sender_leaves_at_once() -> None:
    late = asyncio.Event()

    class Late(Runtime):
        async def cancel(self, run_id: str, reason: str = "cancelled") -> Event:
            await late.wait()
            return await super().cancel(run_id, reason)

    model, _ = held("One ")
    headrace_app = app([Agent("bot", model)], runtime=Late(), grace=0.1)
    async with wired(headrace_app) as wire:
        run = await begun(headrace_app)
        wire.ask("cancel", "c", run_id=run.id, reason="bye")
        wire.leave()
        await until(lambda: wire.left)
        late.set()
        end = await headrace_app.service.runtime.wait(run.id)
        assert isinstance(end, e.Cancelled)
        assert end.reason == "bye"
