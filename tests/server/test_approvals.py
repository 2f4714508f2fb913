"""Decisions over HTTP and WebSocket, about runs that live here or are taken up again."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from headrace import Agent, tool
from headrace import events as e
from headrace.runs.stores.sqlite import SQLiteStore
from headrace.server.routes.runs import MOST_REASON
from headrace.testing import ScriptedModel, Step
from tests.runtime.orphans import of, orphan, record_of, upto
from tests.server.asking import ALICE, TOKENS, asking
from tests.server.serving import Served, serving
from tests.server.socket_client import socket

pytestmark = pytest.mark.anyio

CALL = "call_1"


def payer(paid: list[int], *steps: Step, name: str = "payer") -> Agent:
    """An agent whose payments a person approves."""

    @tool(approval=True)
    async def pay(amount: int) -> str:
        """Pay."""
        paid.append(amount)
        return f"paid {amount}"

    first = Step(tool_calls=[("pay", {"amount": 5})])
    return Agent(name, ScriptedModel(steps or [first, Step("Done.")]), tools=[pay])


async def until_waiting(server: Served, run_id: str) -> None:
    """The run has asked."""
    async for batch in await server.runtime.attach(run_id):
        if of(batch, e.ApprovalNeeded):
            return


async def log_of(server: Served, run_id: str) -> list[e.Event]:
    """The run's log, to its end."""
    await server.runtime.wait(run_id)
    return await server.runtime.store.read(run_id, 0)


async def test_a_call_is_approved() -> None:
    paid: list[int] = []
    async with (
        serving([payer(paid)], tokens=TOKENS) as server,
        asking(server.url) as ask,
    ):
        run_id = await ask.start(token=ALICE)
        await until_waiting(server, run_id)
        path = f"/v1/runs/{run_id}/approvals/{CALL}"
        state = (await ask("GET", f"/v1/runs/{run_id}", token=ALICE)).json
        (waiting,) = state["waiting"]
        assert (waiting["call_id"], waiting["input"]) == (CALL, {"amount": 5})
        told = await ask(
            "POST", path, {"approved": True, "reason": "fine", "seen": {"amount": 5}}, token=ALICE
        )
        assert (told.status, told.json) == (202, {"run_id": run_id, "call_id": CALL})
        (approval,) = of(await log_of(server, run_id), e.Approval)
        assert (approval.approved, approval.by, approval.reason) == (True, "alice", "fine")
        again = await ask("POST", path, {"approved": False}, token=ALICE)
        assert (again.status, again.code) == (409, "no_approval_needed")
    assert paid == [5]


async def test_what_cannot_be_decided_is_refused_and_the_call_waits_on() -> None:
    paid: list[int] = []
    async with serving([payer(paid)]) as server, asking(server.url) as ask:
        run_id = await ask.start()
        await until_waiting(server, run_id)
        one = f"/v1/runs/{run_id}/approvals"
        for path, body, status, code in (
            (CALL, {"approved": True, "seen": {"amount": 6}}, 409, "approval_changed"),
            (CALL, {"approved": True, "seen": None}, 409, "approval_changed"),
            ("other", {"approved": True}, 409, "no_approval_needed"),
            (quote("a/b", safe=""), {"approved": True}, 409, "no_approval_needed"),
            (CALL, {"approved": True, "agent": "below"}, 409, "no_approval_needed"),
            (CALL, {"approved": True, "input": {"amount": "much"}}, 400, "invalid_arguments"),
            (CALL, {"approved": True, "input": [5]}, 400, "invalid_request"),
            (CALL, {"approved": False, "input": {"amount": 4}}, 400, "usage"),
            (CALL, {"approved": True, "by": "me"}, 400, "invalid_request"),
            (CALL, {"approved": False, "reason": "x" * (MOST_REASON + 1)}, 400, "invalid_request"),
        ):
            answer = await ask("POST", f"{one}/{path}", body)
            assert (answer.status, answer.code) == (status, code), (path, body)
        assert paid == []
        assert (await ask("POST", f"{one}/{CALL}", {"approved": True})).status == 202
        await server.runtime.wait(run_id)
    assert paid == [5]


async def test_a_call_is_edited_over_a_websocket() -> None:
    paid: list[int] = []
    async with serving([payer(paid)]) as server, socket(server.url) as client:
        run_id = (await client.answer("start", "a", input="Pay."))["run_id"]
        await until_waiting(server, run_id)
        asked = {"run_id": run_id, "call_id": CALL, "approved": True}
        other = await client.answer("approve", "1", **asked, seen={"amount": 4})
        assert (other["op"], other["code"]) == ("error", "approval_changed")
        told = await client.answer("approve", "2", **asked, input={"amount": 3})
        assert told == {"op": "done", "ref": "2", "run_id": run_id}
        again = await client.answer("approve", "3", **asked)
        assert (again["op"], again["code"]) == ("error", "no_approval_needed")
        await client.until("ended")
    assert paid == [3]
    (approval,) = of(client.events["a"], e.Approval)
    assert (approval.by, approval.input) == (None, {"amount": 3})


async def test_a_server_that_begins_takes_up_what_waits(tmp_path: Path) -> None:
    """And what the page of the server before showed can be decided at the one of now."""
    async with payer([]).start("Pay.") as run:
        log = []
        async for event in run.events():
            log.append(event)
            if isinstance(event, e.ApprovalNeeded):
                break
    paid: list[int] = []
    store = SQLiteStore(tmp_path / "runs.db")
    run_id = await orphan(
        store, record_of("run_1", "payer", host="server"), upto(log, e.ApprovalNeeded)
    )
    async with (
        serving([payer(paid, Step("Done."))], store=store) as server,
        asking(server.url) as ask,
    ):
        body = {"approved": True, "seen": {"amount": 5}}
        told = await ask("POST", f"/v1/runs/{run_id}/approvals/{CALL}", body)
        assert told.status == 202
        whole = await log_of(server, run_id)
    await store.close()
    assert paid == [5]
    assert len(of(whole, e.ApprovalNeeded)) == len(of(whole, e.Approval)) == 1
