"""Operators: who sees and ends everyone's runs, and whom the server tells about itself."""

from __future__ import annotations

from typing import Any

import pytest

import headrace
from headrace import Agent
from headrace.errors import ConfigurationError, RequestRefused
from headrace.server import app
from headrace.server.settings import Settings
from headrace.testing import Gate, ScriptedModel, Step
from tests.server.asking import ALICE, BOB, TOKENS, asking, speaker, waiter
from tests.server.serving import serving, until
from tests.server.socket_client import socket


def service(**settings: Any) -> Any:
    return app([speaker()], **settings).service


def test_by_default_no_one_is_an_operator() -> None:
    assert Settings().operators == ()
    ours = service(tokens=TOKENS)
    assert ours.sees("alice", "alice")
    assert not ours.sees("alice", "bob")
    with pytest.raises(RequestRefused) as caught:
        ours.check_operator("alice")
    assert (caught.value.status, caught.value.code) == (403, "operators_only")
    assert caught.value.hint


def test_an_operator_sees_everyones_runs_and_the_figures() -> None:
    ours = service(tokens=TOKENS, operators=("bob",))
    assert ours.sees("bob", "alice")
    assert not ours.sees("alice", "bob")
    ours.check_operator("bob")
    with pytest.raises(RequestRefused):
        ours.check_operator("alice")


@pytest.mark.parametrize("operators", [(), ("bob",)])
def test_without_tokens_everyone_sees_the_figures_and_no_users_runs(
    operators: tuple[str, ...],
) -> None:
    ours = service(operators=operators)
    ours.check_operator("")
    assert ours.sees("", "")
    assert not ours.sees("", "alice")  # of a store that a server with tokens has used


@pytest.mark.parametrize("name", ["carol", "Bob", "", "bob "])
def test_an_operator_is_one_of_the_users(name: str) -> None:
    with pytest.raises(ConfigurationError, match="operator") as caught:
        service(tokens=TOKENS, operators=("alice", name))
    assert "alice, bob" in caught.value.hint
    assert ALICE not in str(caught.value)


async def test_an_operator_watches_and_ends_anothers_run() -> None:
    gate = Gate()
    async with (
        serving([waiter(gate)], tokens=TOKENS, operators=("bob",)) as server,
        asking(server.url) as ask,
    ):
        mine, theirs = [await ask.start(token=token, session="s") for token in (ALICE, BOB)]
        await gate.reached.wait()
        for method, path in (
            ("GET", f"/v1/runs/{theirs}"),
            ("GET", f"/v1/runs/{theirs}/events?after=0"),
            ("POST", f"/v1/runs/{theirs}/cancel"),
        ):
            assert (await ask(method, path, token=ALICE)).status == 404, path
        shown = (await ask("GET", f"/v1/runs/{mine}", token=BOB)).json
        assert (shown["run_id"], shown["session"], shown["live"]) == (mine, "s", True)
        ended = await ask("POST", f"/v1/runs/{mine}/cancel", {"reason": "enough"}, token=BOB)
        assert (ended.status, ended.json["type"], ended.json["reason"]) == (
            200,
            "cancelled",
            "enough",
        )
        events = await ask("GET", f"/v1/runs/{mine}/events", token=BOB)
        assert b"Hello" in events.body
        assert server.runtime.live == [theirs]


async def test_nor_does_one_speak_in_anothers_run() -> None:
    gate = Gate()
    async with (
        serving([waiter(gate)], tokens=TOKENS, operators=("bob",)) as server,
        asking(server.url) as ask,
        socket(server.url, BOB) as client,
    ):
        mine = await ask.start(token=ALICE)
        await gate.reached.wait()
        for path, body in (
            ("input", {"content": "In French."}),
            ("approvals/c", {"approved": True}),
        ):
            answer = await ask("POST", f"/v1/runs/{mine}/{path}", body, token=BOB)
            assert (answer.status, answer.code) == (403, "not_your_run"), path
            assert answer.json["hint"]
            own = await ask("POST", f"/v1/runs/{mine}/{path}", body, token=ALICE)
            assert own.status in (202, 409), path
        for op, fields in (
            ("input", {"content": "x"}),
            ("approve", {"call_id": "c", "approved": True}),
        ):
            refusal = await client.answer(op, "1", run_id=mine, **fields)
            assert (refusal["op"], refusal["code"]) == ("error", "not_your_run")
        done = await client.answer("cancel", "2", run_id=mine)
        assert done["event"]["type"] == "cancelled"
        await until(lambda: not server.runtime.live)


async def test_a_list_of_runs_is_ones_own_an_operators_too() -> None:
    async with (
        serving([speaker()], tokens=TOKENS, operators=("bob",)) as server,
        asking(server.url) as ask,
    ):
        await ask.start(token=ALICE)
        assert (await ask("GET", "/v1/runs", token=BOB)).json == {"runs": []}


# What the server says of itself ---------------------------------------------------------------


def look() -> str:
    """Look."""
    return "seen"


async def test_it_tells_who_answers_and_why() -> None:
    first = Agent("first", ScriptedModel([Step(text="Hi")]), tools=[look])
    second = Agent("second", "demo")
    async with serving([first, second], why="it was named") as server, asking(server.url) as ask:
        answer = await ask("GET", "/v1/about")
    assert answer.status == 200
    assert answer.json == {
        "version": headrace.__version__,
        "user": "",
        "users": False,
        "operator": True,
        "store": "MemoryStore()",
        "agents": [
            {
                "name": "first",
                "model": "scripted:scripted",
                "why": "it was named",
                "tools": ["look"],
            },
            {"name": "second", "model": "demo:demo", "why": "", "tools": []},
        ],
    }


async def test_it_tells_users_who_they_are_and_operators_where_runs_are_kept(tmp_path: Any) -> None:
    store = f"sqlite:///{tmp_path}/runs.db"
    async with (
        serving([speaker()], tokens=TOKENS, operators=("bob",), store=store) as server,
        asking(server.url) as ask,
    ):
        told = {name: (await ask("GET", "/v1/about", token=TOKENS[name])).json for name in TOKENS}
        assert (await ask("GET", "/v1/about")).status == 401
    assert [told[name]["user"] for name in TOKENS] == ["alice", "bob"]
    assert [told[name]["users"] for name in TOKENS] == [True, True]
    assert [told[name]["operator"] for name in TOKENS] == [False, True]
    assert told["alice"]["store"] == "SQLiteStore"
    assert str(tmp_path) in told["bob"]["store"]


async def test_a_model_that_cannot_be_had_is_told_in_its_place() -> None:
    agents = [speaker(), Agent("broken", "no-such-provider:x")]
    async with serving(agents) as server, asking(server.url) as ask:
        _, broken = (await ask("GET", "/v1/about")).json["agents"]
    assert (broken["name"], broken["model"]) == ("broken", "")
    assert "no-such-provider" in broken["why"]
