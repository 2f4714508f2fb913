"""One-time tickets in the place of a token: once, soon, for streams alone, so many."""

from __future__ import annotations

import pytest

from headrace.server.auth import MAX_TICKETS, TICKET_SECONDS, Tickets, Users
from headrace.server.guard import ASSETS, Guard
from headrace.server.settings import Settings
from tests.server.asking import ALICE, BOB, TOKENS, addresses, asking, path_of, speaker
from tests.server.serving import serving


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_ticket_is_good_once() -> None:
    tickets = Tickets(Clock())
    ticket = tickets.issue("alice")
    assert tickets.redeem(ticket) == "alice"
    assert tickets.redeem(ticket) is None
    assert len(tickets) == 0


@pytest.mark.parametrize("ticket", ["", "x", "alice", "\udc80"])
def test_what_is_no_ticket_is_no_one(ticket: str) -> None:
    tickets = Tickets(Clock())  # not even ``""``, who is everyone where there are no tokens
    tickets.issue("alice")
    assert tickets.redeem(ticket) is None


def test_a_ticket_waits_for_30_seconds() -> None:
    clock = Clock()
    tickets = Tickets(clock)
    early, late = tickets.issue("alice"), tickets.issue("bob")
    clock.now = TICKET_SECONDS - 0.001
    assert tickets.redeem(early) == "alice"
    clock.now = TICKET_SECONDS
    assert tickets.redeem(late) is None
    assert TICKET_SECONDS == 30


def test_old_tickets_are_forgotten() -> None:
    clock = Clock()
    tickets = Tickets(clock)
    for _ in range(5):
        tickets.issue("alice")
    clock.now = 10.0
    kept = tickets.issue("alice")
    clock.now = TICKET_SECONDS
    tickets.issue("bob")
    assert len(tickets) == 2
    assert tickets.redeem(kept) == "alice"


def test_the_oldest_make_room() -> None:
    tickets = Tickets(Clock())
    issued = [tickets.issue("alice") for _ in range(MAX_TICKETS + 3)]
    assert len(tickets) == MAX_TICKETS == 10_000
    assert len(set(issued)) == len(issued)
    assert [tickets.redeem(ticket) for ticket in issued[:3]] == [None] * 3
    assert tickets.redeem(issued[3]) == "alice"
    assert {len(ticket) for ticket in issued} == {32}  # of 6 bits


async def test_a_ticket_opens_a_stream_once() -> None:
    async with serving([speaker()], tokens=TOKENS) as server, asking(server.url) as ask:
        run_id = await ask.start(token=ALICE)
        answer = await ask("POST", "/v1/tickets", token=ALICE)
        assert (answer.status, answer.json["expires_in"]) == (201, 30)
        url = f"/v1/runs/{run_id}/events?ticket={answer.json['ticket']}"
        first = await ask("GET", url)
        assert first.status == 200
        assert b"Hello" in first.body
        again = await ask("GET", url)
        assert (again.status, again.code) == (401, "unauthorized")

        ticket = (await ask("POST", "/v1/tickets", token=BOB)).json["ticket"]
        chat = await ask("GET", f"/api/chat/stream?message=Hi&ticket={ticket}")
        assert b"Hello" in chat.body
        [run] = (await ask("GET", "/v1/runs", token=BOB)).json["runs"]
        assert run["run_id"] == chat.headers["x-headrace-run"]


async def test_a_ticket_opens_nothing_else_and_is_not_used_up_by_it() -> None:
    async with serving([speaker()], tokens=TOKENS) as server, asking(server.url) as ask:
        run_id = await ask.start(token=ALICE)
        ticket = (await ask("POST", "/v1/tickets", token=ALICE)).json["ticket"]
        body = {"input": "x", "message": "x", "content": "x"}
        tried = 0
        for method, pattern in addresses(server):
            if pattern.startswith(ASSETS):  # open to anyone
                continue
            path = f"{path_of(pattern, run_id)}?ticket={ticket}"
            for asked in {method, "HEAD", "POST", "OPTIONS", "PUT"}:
                if asked == "GET" and pattern.endswith(("/events", "/stream")):
                    continue
                answer = await ask(asked, path, body if asked in ("POST", "PUT") else None)
                tried += answer.status == 401
                assert answer.status in (401, 200 if method == "GET" else 401, 405), (path, answer)
                assert run_id.encode() not in answer.body
        assert tried > 20
        assert (await ask("GET", f"/v1/runs/{run_id}/events?ticket={ticket}")).status == 200


async def test_a_ticket_needs_a_token() -> None:
    async with serving([speaker()], tokens=TOKENS) as server, asking(server.url) as ask:
        assert (await ask("POST", "/v1/tickets")).status == 401
        ticket = (await ask("POST", "/v1/tickets", token=ALICE)).json["ticket"]
        assert (await ask("POST", f"/v1/tickets?ticket={ticket}")).status == 401
        assert (await ask("GET", f"/v1/tickets?ticket={ticket}")).status == 401


def test_a_websocket_handshake_takes_a_ticket() -> None:
    tickets = Tickets(Clock())
    guard = Guard(Users(TOKENS), tickets, Settings())
    query = f"ticket={tickets.issue('bob')}".encode()
    scope = {"type": "websocket", "headers": [], "query_string": query, "path": "/v1/ws"}
    assert guard.user(scope, "/v1/ws") == "bob"
    with pytest.raises(Exception, match="who asks"):
        guard.user(scope, "/v1/ws")
