"""Bearer tokens and their users; that a token is seen nowhere; that a run belongs to its user."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import ConfigurationError
from headrace.runs.run import new_run_id
from headrace.server import serve
from headrace.server.auth import SHORTEST, TOKENS, TOKENS_FILE, Users, read_tokens
from headrace.server.serving import HOST
from headrace.testing import Gate
from tests.server.asking import (
    ALICE,
    BOB,
    MISSING,
    OPEN_PATHS,
    addresses,
    asking,
    connection,
    path_of,
    speaker,
    waiter,
)
from tests.server.asking import TOKENS as BOTH
from tests.server.serving import serving, until

SECRET = "s3cret-0123456789abcdef"


def refused(users: object) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        users() if callable(users) else None
    assert caught.value.__cause__ is None  # whose words could hold the token
    assert SECRET not in f"{caught.value} {caught.value!r} {caught.value.__context__!r}"
    return caught.value


# What is read ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f"alice:{ALICE}",
        f"  alice : {ALICE}  ",
        f"# who may\n\nalice:{ALICE}\n   # no more\n",
        f"\ufeffalice:{ALICE}\r\n",
    ],
)
def test_a_file_has_an_entry_in_a_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tokens"
    file.write_bytes(text.encode())
    for users in (read_tokens({}, file), read_tokens({TOKENS_FILE: str(file)})):
        assert (len(users), users.user(f"Bearer {ALICE}")) == (1, "alice")


def test_the_variable_may_have_commas_and_the_file_counts_too(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"carol:{SECRET}\n")
    env = {TOKENS: f"alice:{ALICE}, bob:{BOB},\n# , dave", TOKENS_FILE: str(file)}
    users = read_tokens({**env, TOKENS: f"alice:{ALICE}, bob:{BOB},"})
    found = [users.user(f"Bearer {token}") for token in (ALICE, BOB, SECRET)]
    assert found == ["alice", "bob", "carol"]
    refused(lambda: read_tokens(env))  # "dave" is no entry: the comment ended at the comma


def test_a_user_may_have_several_tokens() -> None:
    users = read_tokens({TOKENS: f"alice:{ALICE},alice:{BOB},alice:{ALICE}"})
    assert len(users) == 1
    assert users.user(f"Bearer {ALICE}") == users.user(f"Bearer {BOB}") == "alice"


def test_a_token_may_have_colons() -> None:
    users = read_tokens({TOKENS: f"alice:{ALICE}:{BOB}"})
    assert users.user(f"Bearer {ALICE}:{BOB}") == "alice"
    assert users.user(f"Bearer {ALICE}") is None


def test_without_the_variables_there_are_no_users() -> None:
    assert not read_tokens({})
    assert not read_tokens({TOKENS: "  ", TOKENS_FILE: " "})


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        (SECRET, "Entry 1"),
        (f"alice:{ALICE},{SECRET}", "Entry 2"),
        (f":{SECRET}", "names no user"),
        (f"a\tb:{SECRET}", "names no user"),
        (f"{'a' * 201}:{SECRET}", "names no user"),
        (f"{SECRET}:alice", "too short"),  # the wrong way round
        (f"alice:{SECRET[: SHORTEST - 1]}", "too short"),
        ("alice:", "too short"),
        (f"alice:{SECRET} more", "no header carries"),
        (f"alice:{SECRET}é", "no header carries"),
        (f"alice:{SECRET}\x7f", "no header carries"),
        (f"alice:{SECRET},bob:{SECRET}", "token of another user"),
        (",,", "no user:token"),
        ("# alice", "no user:token"),
    ],
)
def test_what_is_no_entry_is_refused_without_showing_it(entries: str, says: str) -> None:
    error = refused(lambda: read_tokens({TOKENS: entries}))
    assert says in str(error)
    assert error.hint or "another user" in str(error)
    assert SECRET[: SHORTEST - 1] not in str(error)


@pytest.mark.parametrize(
    "tokens", [{"alice": "short"}, {"alice": None}, {SECRET: "alice"}, {"": SECRET}, {7: SECRET}]
)
def test_a_mapping_is_checked_alike(tokens: dict[str, str]) -> None:
    assert "Entry 1" in str(refused(lambda: Users(tokens)))


def test_a_file_that_gives_no_tokens_is_no_open_server(tmp_path: Path) -> None:
    empty, binary = tmp_path / "empty", tmp_path / "binary"
    empty.write_text("# none yet\n")
    binary.write_bytes(SECRET.encode() + b"\xff\xfe")
    for file in (empty, binary, tmp_path / "none", tmp_path, f"alice:{SECRET}", "a\0b"):
        refused(lambda file=file: read_tokens({TOKENS_FILE: str(file)}))
        refused(lambda file=file: read_tokens({}, file))


# What a header says ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "user"),
    [
        (f"Bearer {ALICE}", "alice"),
        (f"bearer {ALICE}", "alice"),
        (f"BEARER   {ALICE} ", "alice"),
        (f"Bearer {BOB}", "bob"),
        (ALICE, None),
        (f"Basic {ALICE}", None),
        (f"Bearer{ALICE}", None),
        (f"Bearer {ALICE[:-1]}", None),
        (f"Bearer {ALICE.upper()}", None),
        (f"Bearer {ALICE}, Bearer {BOB}", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("", None),
        ("Bearer \udc80é", None),
    ],
)
def test_a_header_names_a_user(header: str, user: str | None) -> None:
    assert Users(BOTH).user(header) == user


def test_a_token_is_looked_up_by_its_hash_and_is_nowhere_kept() -> None:
    users = Users(BOTH)
    assert ALICE not in repr(vars(users)) + repr(users) + str(users)
    assert {len(key) for key in users._by_hash} == {32}


async def test_who_brings_no_token_gets_401_wherever_it_matters() -> None:
    async with serving([speaker()], tokens=BOTH) as server, asking(server.url) as ask:
        for method, pattern in addresses(server):
            path = path_of(pattern)
            for headers in ({}, {"Authorization": f"Basic {ALICE}"}, {"Authorization": "Bearer x"}):
                answer = await ask(method, path, headers=headers)
                if pattern in OPEN_PATHS:
                    assert answer.status == (404 if "{" in pattern else 200), (path, answer)
                    continue
                assert (answer.status, answer.code) == (401, "unauthorized"), (path, answer)
                assert answer.headers["www-authenticate"] == "Bearer"
                assert answer.json["hint"]
        assert (await ask("GET", "/nowhere")).status == 401
        assert (await ask("GET", "/nowhere", token=ALICE)).status == 404
        assert (await ask("GET", "/v1/runs", headers={"authorization": f"bearer {BOB}"})).json


async def test_a_websocket_without_a_token_is_refused() -> None:
    async with serving([speaker()], tokens=BOTH) as server, asking(server.url) as ask:
        handshake = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        answer = await ask("GET", "/v1/ws", headers=handshake)
        assert (answer.status, answer.code) == (401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"
        answer = await ask("GET", "/v1/ws", headers=handshake | {"Origin": "http://a.example"})
        assert (answer.status, answer.code) == (403, "foreign_origin")


async def test_no_token_and_no_prompt_is_in_what_a_session_puts_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    seen = []
    async with serving([speaker()], tokens=BOTH) as server, asking(server.url) as ask:
        run_id = await ask.start("the prompt of it", token=ALICE)
        ticket = (await ask("POST", "/v1/tickets", token=ALICE)).json["ticket"]
        seen.append(await ask("GET", f"/v1/runs/{run_id}/events?ticket={ticket}"))
        assert seen[-1].status == 200
        for method, pattern in addresses(server):
            for token in (ALICE, ALICE[:-1], f"{BOB}  "):
                for body in (None, {"input": "?", "message": "?", "content": "?"}, b"{"):
                    path = path_of(pattern, run_id)
                    seen.append(await ask(method, path, body, token=token))
        for shown in (
            server,
            server.app,
            server.app.service,
            server.app.service.users,
            vars(server),
        ):
            assert ALICE not in repr(shown)
        shown_settings = repr(server.app.service.settings)
    await asyncio.sleep(0)
    logged = caplog.text + "".join(repr(record.args) for record in caplog.records)
    assert f"{run_id} received 16 characters" in logged
    told = "".join(repr(answer.headers) + answer.body.decode() for answer in seen) + shown_settings
    for secret in (ALICE, BOB, ALICE[:-1]):
        assert secret not in logged
        assert secret not in told
    assert ticket not in logged + told
    assert "the prompt" not in logged


# What belongs to whom -------------------------------------------------------------------------


def test_run_ids_are_random() -> None:
    ids = {new_run_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(run_id) == len("run_") + 22 for run_id in ids)  # 22 of 6 bits hold 128
    for place in range(4, 25):
        assert len({run_id[place] for run_id in ids}) == 64


@pytest.mark.parametrize("live", [True, False])
async def test_anothers_run_is_as_one_that_does_not_exist(live: bool) -> None:
    gate = Gate()
    async with serving([waiter(gate)], tokens=BOTH) as server, asking(server.url) as ask:
        run_id = await ask.start(token=ALICE)
        await gate.reached.wait()
        if not live:
            gate.open()
            await until(lambda: not server.runtime.live)
        of_runs = [
            (method, pattern)
            for method, pattern in addresses(server)
            if "{" in pattern and method != "OPTIONS"
        ]
        assert len(of_runs) >= 5
        bodies: tuple[Any, ...] = (
            None,
            {"reason": "x"},
            {"content": "x"},
            {"approved": True},
            {},
            b"{",
        )
        for method, pattern in of_runs:
            for query in ("", "?after=1", "?after=999", "?format=plain", "?on_leave=cancel"):
                for body in bodies if method == "POST" else (None,):
                    path = path_of(pattern, run_id) + query
                    theirs = await ask(method, path, body, token=BOB)
                    none = await ask(method, path_of(pattern) + query, body, token=BOB)
                    # Where a chat has no live run, there is nothing to resume.
                    statuses = {theirs.status, none.status}
                    assert statuses in ({404}, {204}), (path, theirs, none)
                    renamed = theirs.body.replace(run_id.encode(), MISSING.encode())
                    assert renamed == none.body
                    assert theirs.shape[1] == none.shape[1]
        told = {"Last-Event-ID": f"{run_id}:1"}
        answer = await ask("GET", "/api/chat/stream?message=x", token=BOB, headers=told)
        assert (answer.status, answer.code) == (404, "run_not_found")
        answer = await ask("POST", "/chat/sse", {"message": "x"}, token=BOB, headers=told)
        assert answer.status == 404
        for query in ("", "?status=running", "?status=complete"):
            assert (await ask("GET", f"/v1/runs{query}", token=BOB)).json == {"runs": []}
        snapshot = (await ask("GET", f"/v1/runs/{run_id}", token=ALICE)).json
        assert snapshot["live"] is live  # nothing of all that reached it


async def test_anothers_ticket_opens_only_their_runs() -> None:
    async with serving([speaker()], tokens=BOTH) as server, asking(server.url) as ask:
        run_id = await ask.start(token=ALICE)
        ticket = (await ask("POST", "/v1/tickets", token=BOB)).json["ticket"]
        answer = await ask("GET", f"/v1/runs/{run_id}/events?ticket={ticket}")
        assert (answer.status, answer.code) == (404, "run_not_found")


async def test_idempotency_keys_and_lists_are_each_users_own() -> None:
    async with serving([speaker()], tokens=BOTH) as server, asking(server.url) as ask:
        first = await ask.start("one", token=ALICE, idempotency_key="k")
        again = await ask("POST", "/v1/runs", {"input": "one", "idempotency_key": "k"}, token=ALICE)
        assert (again.status, again.json["run_id"], again.json["created"]) == (200, first, False)
        theirs = await ask.start("two", token=BOB, idempotency_key="k")
        assert theirs != first
        other = await ask(
            "POST", "/v1/runs", {"input": "three", "idempotency_key": "k"}, token=ALICE
        )
        assert (other.status, other.code) == (422, "idempotency_conflict")
        for token, own in ((ALICE, first), (BOB, theirs)):
            listed = (await ask("GET", "/v1/runs", token=token)).json["runs"]
            assert [run["run_id"] for run in listed] == [own]


async def test_anothers_session_shows_and_takes_nothing() -> None:
    gate = Gate()
    async with serving([waiter(gate)], tokens=BOTH) as server, asking(server.url) as ask:
        run_id = await ask.start("mine", token=ALICE, session="diary")
        answer = await ask("POST", "/v1/runs", {"input": "x", "session": "diary"}, token=BOB)
        listed = await ask("GET", "/v1/runs?session=diary", token=BOB)
        # Neither what is said there, nor that a run is live in it, nor whose it is.
        for told in (answer, listed):
            assert run_id not in told.body.decode()
            assert b"alice" not in told.body
        assert answer.status == 201  # a session of the same name, of their own
        gate.open()
        await until(lambda: not server.runtime.live)
        [kept] = (await ask("GET", "/v1/runs?session=diary", token=ALICE)).json["runs"]
        assert kept["run_id"] == run_id
        session = await server.runtime.store.session("alice:diary")
        assert [message.text for message in session.messages] == ["mine", "Hello"]


# What listens ---------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.0.1", "example.com"])  # noqa: S104
def test_beyond_this_machine_it_needs_tokens(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKENS, raising=False)
    monkeypatch.delenv(TOKENS_FILE, raising=False)
    shown: list[str] = []
    none: tuple[dict[str, str] | Users | None, ...] = (None, {}, Users())
    for tokens in none:
        with pytest.raises(ConfigurationError, match="no tokens are set") as caught:
            serve([speaker()], host=host, port=0, tokens=tokens, store="memory:", show=shown.append)
        assert TOKENS in caught.value.hint
    assert not shown
    assert HOST == "127.0.0.1"


async def test_a_server_of_one_needs_no_token() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        run_id = await ask.start()
        assert (await ask("GET", f"/v1/runs/{run_id}", token="whatever-it-may-be")).status == 200
    async with serving([speaker()]) as server, connection(server.url) as (reader, writer):
        writer.write(b"GET /v1/runs HTTP/1.0\r\n\r\n")
        assert (await reader.read()).endswith(b'{"runs":[]}')
