"""``/v1/sessions``: one's conversations, listed, read, gone on with from anywhere, forgotten."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from headrace import Agent
from headrace.messages import Message, Opaque, Reasoning, Text, ToolCall, ToolResult
from headrace.runs.stores.memory import MemoryStore
from headrace.server.routes.runs import MOST_LISTED
from headrace.testing import Gate, ScriptedModel, Step
from tests.server.asking import ALICE, BOB, TOKENS, Client, asking, speaker, waiter
from tests.server.serving import Served, serving, until
from tests.server.socket_client import socket


async def say(server: Served, ask: Client, text: str, **more: Any) -> str:
    """One message in a session; gives the run, which has ended."""
    run_id = await ask.start(text, **more)
    await server.runtime.wait(run_id)
    return run_id


def said(text: str, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}]}


HELLO = said("Hello", "assistant")


async def test_they_are_listed_last_used_first() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        assert (await ask("GET", "/v1/sessions")).json == {"sessions": []}
        for text, session in (("one\n two", "a"), ("other", "b"), ("more", "a")):
            await say(server, ask, text, session=session)
        first, second = (await ask("GET", "/v1/sessions")).json["sessions"]
        assert (first["session"], first["title"], first["messages"]) == ("a", "one two", 4)
        assert (second["session"], second["title"], second["messages"]) == ("b", "other", 2)
        assert first["created_at"] <= second["created_at"] <= first["updated_at"]
        assert first["live_run"] is None
        assert (await ask("GET", "/v1/sessions?limit=1")).json["sessions"] == [first]
        for wrong in ("abc", "-1", "1.5"):
            answer = await ask("GET", f"/v1/sessions?limit={wrong}")
            assert (answer.status, answer.code) == (400, "invalid_request")


async def test_a_list_is_bounded() -> None:
    store = MemoryStore()
    for number in range(MOST_LISTED + 1):
        await store.append_session(f"s{number}", 0, [])
    async with serving([speaker()], store=store) as server, asking(server.url) as ask:
        for query, count in (("", 50), ("?limit=0", 50), ("?limit=999999999", MOST_LISTED)):
            listed = (await ask("GET", f"/v1/sessions{query}")).json["sessions"]
            assert len(listed) == count, query


async def test_one_is_read_with_the_run_of_each_message() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        one = await say(server, ask, "one", session="trip")
        two = await say(server, ask, "two", session="trip")
        answer = await ask("GET", "/v1/sessions/trip")
        assert answer.status == 200
        told = answer.json
        assert told["messages"] == [said("one"), HELLO, said("two"), HELLO]
        assert told["runs"] == [one, one, two, two]
        assert (told["session"], told["title"]) == ("trip", "one")
        assert (told["live_run"], told["pending"]) == (None, None)
        for name in ("other", "trip/", "TRIP"):
            missing = await ask("GET", f"/v1/sessions/{name}")
            assert (missing.status, missing.code) == (404, "session_not_found")


async def test_a_providers_own_items_stay_here() -> None:
    held = Message(
        "assistant", (Reasoning("hm"), Opaque("openai", "secret"), ToolCall("c", "look", "{}"))
    )
    result = Message.tool(ToolResult("c", "look", "found", is_error=True))
    alone = Message("assistant", (Opaque("openai", "secret"),))
    store = MemoryStore()
    await store.append_session("s", 0, [held, result, alone])
    async with serving([speaker()], store=store) as server, asking(server.url) as ask:
        answer = await ask("GET", "/v1/sessions/s")
        assert b"secret" not in answer.body
        assert answer.json["messages"] == [
            {
                "role": "assistant",
                "content": [
                    {"type": "reasoning", "text": "hm"},
                    {"type": "tool_call", "id": "c", "name": "look", "arguments": "{}"},
                ],
            },
            {
                "role": "tool",
                "content": [
                    {
                        "type": "tool_result",
                        "call_id": "c",
                        "name": "look",
                        "output": "found",
                        "is_error": True,
                    }
                ],
            },
            {"role": "assistant", "content": []},  # it counts, for `keep`
        ]
        assert answer.json["runs"] == ["", "", ""]
        assert (await store.session("s")).messages[0] == held


@pytest.mark.parametrize("name", ["a b", "ä/ö", "a/../b", "?#%", "a/events", "{x}", "s" * 200])
async def test_a_name_may_be_any_that_a_session_may_have(name: str) -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        await say(server, ask, "x", session=name)
        for safe in ("", "/"):
            path = f"/v1/sessions/{quote(name, safe=safe)}"
            assert (await ask("GET", path)).json["session"] == name
        assert (await ask("DELETE", path)).status == 204
        assert (await ask("GET", path)).status == 404


async def test_what_can_name_none_is_told() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        for name in ("", "%20", "%20a", "%00", "a%09b", "s" * 201):
            for method in ("GET", "DELETE"):
                answer = await ask(method, f"/v1/sessions/{name}")
                assert (answer.status, answer.code) == (400, "invalid_id"), name
                assert answer.json["hint"]


async def test_a_page_that_is_loaded_again_finds_what_is_going_on() -> None:
    """The messages get the live run's words with its end; until then `pending` has the question."""
    gate = Gate()
    agent = Agent("bot", ScriptedModel([Step(text="Hello"), Step(text=["Half", gate, "."])]))
    async with serving([agent]) as server, asking(server.url) as ask:
        one = await say(server, ask, "one", session="s")
        live = await ask.start("two", session="s", keep=1)
        await gate.reached.wait()
        told = (await ask("GET", "/v1/sessions/s")).json
        assert (told["messages"], told["runs"]) == ([said("one"), HELLO], [one, one])
        assert told["live_run"] == live
        assert told["pending"] == {"input": [said("two")], "keep": 1}
        [listed] = (await ask("GET", "/v1/sessions")).json["sessions"]
        assert (listed["live_run"], listed["messages"]) == (live, 2)
        gate.open()
        await server.runtime.wait(live)
        told = (await ask("GET", "/v1/sessions/s")).json
        assert told["messages"] == [said("one"), said("two"), said("Half.", "assistant")]
        assert told["runs"] == [one, live, live]
        assert told["pending"] is None


async def test_what_a_caller_keeps_itself_is_pending_from_where_it_differs() -> None:
    gate = Gate()
    agent = Agent("bot", ScriptedModel([Step(text="Hello"), Step(text=["Half", gate])]))
    async with serving([agent]) as server, asking(server.url) as ask:
        await say(server, ask, "one", session="s")
        told = [said("one"), said("So", "assistant"), said("two")]
        body = {"input": told, "session": "s"}
        await ask("POST", "/v1/runs", body)
        await gate.reached.wait()
        pending = (await ask("GET", "/v1/sessions/s")).json["pending"]
        assert pending == {"input": told[1:], "keep": 1}


# Again, and edited ----------------------------------------------------------------------------


async def test_a_question_is_asked_again_or_edited() -> None:
    model = ScriptedModel([Step(text=f"answer {n}") for n in range(4)])
    async with serving([Agent("bot", model)]) as server, asking(server.url) as ask:
        for text, keep in (("one", None), ("two", 2), ("two", 2), ("Three?", 0)):
            more = {} if keep is None else {"keep": keep}
            await say(server, ask, text, session="s", **more)
        heard = [[message.text for message in request.messages] for request in model.requests]
        assert heard[1] == heard[2] == ["one", "answer 0", "two"]
        told = (await ask("GET", "/v1/sessions/s")).json
        assert told["messages"] == [said("Three?"), said("answer 3", "assistant")]
        assert told["title"] == "Three?"


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"session": "s", "keep": 3}, 409, "session_conflict"),
        ({"session": "s", "keep": 2**63 - 1}, 409, "session_conflict"),
        ({"session": "new", "keep": 1}, 409, "session_conflict"),
        ({"keep": 0}, 400, "usage"),
        ({"session": "s", "keep": 2, "input": [said("a"), said("b")]}, 400, "usage"),
        ({"session": "s", "keep": -1}, 400, "invalid_request"),
        ({"session": "s", "keep": 2**63}, 400, "invalid_request"),
        ({"session": "s", "keep": 10**400}, 400, "invalid_request"),
        ({"session": "s", "keep": 1.5}, 400, "invalid_request"),
        ({"session": "s", "keep": "1"}, 400, "invalid_request"),
        ({"session": "s", "keep": True}, 400, "invalid_request"),
        ({"session": "s", "keep": [1]}, 400, "invalid_request"),
    ],
)
async def test_what_cannot_be_kept_is_refused(more: dict[str, Any], status: int, code: str) -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        await say(server, ask, "one", session="s")
        answer = await ask("POST", "/v1/runs", {"input": "x", **more})
        assert (answer.status, answer.code) == (status, code)
        assert answer.json["hint"]
        assert len((await ask("GET", "/v1/runs")).json["runs"]) == 1
        assert len((await ask("GET", "/v1/sessions")).json["sessions"]) == 1


async def test_a_busy_session_is_neither_cut_nor_forgotten() -> None:
    gate = Gate()
    async with serving([waiter(gate)]) as server, asking(server.url) as ask:
        live = await ask.start("x", session="s")
        await gate.reached.wait()
        for answer in (
            await ask("POST", "/v1/runs", {"input": "y", "session": "s", "keep": 0}),
            await ask("DELETE", "/v1/sessions/s"),
        ):
            assert (answer.status, answer.code) == (409, "session_busy")
            assert live in answer.json["message"] + answer.json["hint"]
        await ask.end(live)
        assert (await ask("DELETE", "/v1/sessions/s")).status == 204


async def test_a_socket_may_keep_a_part_too() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        await say(server, ask, "one", session="s")
        async with socket(server.url) as client:
            await client.ask("start", "1", input="again", session="s", keep=0)
            await client.until("ended", "1")
            await client.ask("start", "2", input="more", session="s", keep=9)
            refusal = await client.until("error", "2")
            assert refusal["code"] == "session_conflict"
        told = (await ask("GET", "/v1/sessions/s")).json["messages"]
        assert told == [said("again"), HELLO]


# Forgotten ------------------------------------------------------------------------------------


async def test_a_forgotten_one_takes_its_runs_along() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        run_id = await say(server, ask, "one", session="s")
        other = await say(server, ask, "two", session="t")
        answer = await ask("DELETE", "/v1/sessions/s")
        assert (answer.status, answer.body) == (204, b"")
        for path in ("/v1/sessions/s", f"/v1/runs/{run_id}", f"/v1/runs/{run_id}/events"):
            assert (await ask("GET", path)).status == 404
        assert (await ask("DELETE", "/v1/sessions/s")).status == 404
        assert (await ask("GET", f"/v1/runs/{other}")).status == 200
        assert [s["session"] for s in (await ask("GET", "/v1/sessions")).json["sessions"]] == ["t"]


# Whose ----------------------------------------------------------------------------------------


async def test_they_are_each_users_own_an_operator_s_too() -> None:
    async with (
        serving([speaker()], tokens=TOKENS, operators=("bob",)) as server,
        asking(server.url) as ask,
    ):
        await say(server, ask, "mine", session="s", token=ALICE)
        await say(server, ask, "yours", session="both", token=ALICE)
        await say(server, ask, "his", session="both", token=BOB)
        for token, names in ((ALICE, ["both", "s"]), (BOB, ["both"])):
            listed = (await ask("GET", "/v1/sessions", token=token)).json["sessions"]
            assert [session["session"] for session in listed] == names
        for name in ("s", "alice:s", "alice:both"):
            for method in ("GET", "DELETE"):
                answer = await ask(method, f"/v1/sessions/{name}", token=BOB)
                assert (answer.status, answer.code) == (404, "session_not_found")
                assert answer.json["message"] == f"There is no session {name!r}."
        assert (await ask("GET", "/v1/sessions/both", token=BOB)).json["title"] == "his"
        assert (await ask("DELETE", "/v1/sessions/both", token=BOB)).status == 204
        assert (await ask("GET", "/v1/sessions/both", token=ALICE)).json["title"] == "yours"


async def test_without_users_those_of_users_are_not_there() -> None:
    """Of a store that a server with tokens has used before."""
    store = MemoryStore()
    await store.append_session("alice:s", 0, [Message("user", (Text("mine"),))], user="alice")
    async with serving([speaker()], store=store) as server, asking(server.url) as ask:
        assert (await ask("GET", "/v1/sessions")).json == {"sessions": []}
        for method in ("GET", "DELETE"):
            assert (await ask(method, "/v1/sessions/alice:s")).status == 404
    async with serving([speaker()], store=store, tokens=TOKENS) as server:
        async with asking(server.url) as ask:
            # A user whose name ends where another's session begins.
            assert (await ask("GET", "/v1/sessions/s", token=BOB)).status == 404
            assert (await ask("GET", "/v1/sessions/s", token=ALICE)).status == 200


async def test_a_page_of_an_allowed_origin_may_forget_one() -> None:
    page = {"Origin": "https://app.example", "Access-Control-Request-Method": "DELETE"}
    async with (
        serving([speaker()], allow_origins=("https://app.example",)) as server,
        asking(server.url) as ask,
    ):
        answer = await ask("OPTIONS", "/v1/sessions/s", headers=page)
        assert answer.status == 200
        assert "DELETE" in answer.headers["access-control-allow-methods"]
        foreign = {**page, "Origin": "https://evil.example"}
        assert (await ask("DELETE", "/v1/sessions/s", headers=foreign)).status == 403


async def test_the_list_follows_what_ends() -> None:
    gate = Gate()
    async with serving([waiter(gate)]) as server, asking(server.url) as ask:
        live = await ask.start("x", session="s")
        [listed] = (await ask("GET", "/v1/sessions")).json["sessions"]
        assert (listed["live_run"], listed["messages"], listed["title"]) == (live, 0, "x")
        gate.open()
        await until(lambda: not server.runtime.live)
        [listed] = (await ask("GET", "/v1/sessions")).json["sessions"]
        assert (listed["live_run"], listed["messages"]) == (None, 2)
