"""Requests that no client should send: each is refused with a hint, none fails or hangs."""

from __future__ import annotations

import json
import logging
import random
from typing import Any
from urllib.parse import quote

import pytest

from headrace import Agent
from headrace.providers.openai_chat.client import OpenAIChat
from headrace.testing import ScriptedModel, Step
from tests.providers.chat_bodies import DONE, chunk, finish
from tests.server.asking import (
    MISSING,
    Answer,
    Client,
    addresses,
    asking,
    connection,
    path_of,
    raw,
    speaker,
)
from tests.server.serving import Served, serving, until
from tests.support.loopback import Loopback, stream


def refused(answer: Answer, *statuses: int, hint: bool = True) -> str:
    """The code of a refusal that is told as it should be."""
    assert answer.status in (statuses or (400,)), answer
    code = answer.code
    assert answer.json.get("hint", "of OpenAI's shape") or not hint, answer
    assert len(answer.body) < 1500, answer
    assert "internal" not in code
    return code


async def runs(ask: Client) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await ask("GET", "/v1/runs?limit=200")).json["runs"]
    return listed


async def ended(server: Served, ask: Client) -> tuple[str, int]:
    """A run that has ended, and its last event."""
    run_id = await ask.start()
    await until(lambda: not server.runtime.live)
    [run] = await runs(ask)
    return run_id, run["last_seq"]


# Cursors, formats and other words of an address -----------------------------------------------

NO_CURSORS = [
    "-1", "+1", "1.0", "1e9", "0x1", "1_0", "abc", "null", "NaN", "1,2", "1 2", "\u0661", "\u00b2",
    "1\u00a0", "9" * 400, "0" * 400, "18446744073709551616", "run_x:1", "\0", "\r\n1",
]  # fmt: skip


async def test_odd_cursors() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        run_id, last = await ended(server, ask)
        url = f"/v1/runs/{run_id}/events"
        for told in NO_CURSORS:
            assert refused(await ask("GET", f"{url}?after={quote(told)}")) == "invalid_cursor"
            if "\n" in told or "\0" in told:
                continue  # no client can send them, and the server takes no such header
            sent = told.encode("utf-8").decode("latin-1")
            head = f"GET {url} HTTP/1.1\r\nhost: x\r\nlast-event-id: {sent}\r\n\r\n"
            answer = await raw(server.url, head.encode("latin-1"))
            assert refused(answer) == "invalid_cursor", told
        for past in (last + 1, 999_999, 10**17):
            for answer in (
                await ask("GET", f"{url}?after={past}"),
                await ask("GET", url, headers={"Last-Event-ID": str(past)}),
            ):
                assert refused(answer) == "invalid_cursor"
        for start in ("", "0", "00", "1", f"000{last - 1}"):
            assert (await ask("GET", f"{url}?after={start}")).status == 200
        assert (await ask("GET", f"{url}?after={last}")).status == 204
        # The header wins: a browser that comes again cannot change its address.
        headers = {"Last-Event-ID": str(last)}
        assert (await ask("GET", f"{url}?after=x", headers=headers)).status == 204


async def test_words_of_an_address_that_mean_nothing() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        run_id, _ = await ended(server, ask)
        events = f"/v1/runs/{run_id}/events"
        for path in (
            *(
                f"{events}?format={quote(name)}"
                for name in ("xml", "Native", "", "a,b", "x" * 5000)
            ),
            *(f"{events}?format={quote(name)}" for name in ("\n", "\0", "__class__", "native ")),
            *(f"{events}?on_leave={quote(name)}" for name in ("other", "Cancel", "", "x" * 5000)),
            *(f"/v1/runs?status={quote(name)}" for name in ("foo", "", "RUNNING", "x" * 5000)),
            *(f"/v1/runs?limit={quote(name)}" for name in ("abc", "-1", "1.5", "\u0663")),
        ):
            refused(await ask("GET", path))
        for path in (
            "/v1/runs?session=none",
            "/v1/runs?session=%00%0a",
            f"/v1/runs?session={'s' * 5000}",
            "/v1/runs?limit=999999999",
            "/v1/runs?limit=0&limit=1",
            "/v1/runs?unknown=1&&&=%",
            "/v1/runs?%ff=%ff",
        ):
            assert (await ask("GET", path)).status == 200, path


async def test_a_refused_start_begins_nothing() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        stream_it = {"Accept": "text/event-stream"}
        for answer in (
            await ask("POST", "/v1/runs?on_leave=other", {"input": "x"}, headers=stream_it),
            await ask("POST", "/chat/stream?on_leave=other", {"message": "x"}),
            await ask("POST", "/chat/sse?on_leave=other", {"message": "x"}),
            await ask("GET", "/api/chat/stream?message=x&on_leave=other"),
            await ask("POST", "/v1/runs", {"input": "x", "agent": "other"}),
            await ask("POST", "/v1/runs", {"input": "x", "session": ""}),
            await ask("POST", "/v1/runs", {"input": "x", "session": " a"}),
            await ask("POST", "/v1/runs", {"input": "x", "session": "a\nb"}),
            await ask("POST", "/v1/runs", {"input": "x", "session": "s" * 201}),
            await ask("POST", "/v1/runs", {"input": "x", "idempotency_key": "\0"}),
            await ask("POST", "/v1/runs", {"input": "x", "idempotency_key": "k" * 5000}),
            await ask("POST", "/v1/runs", {"input": " \n"}),
            await ask("POST", "/v1/runs", {"input": []}),
            await ask("POST", "/v1/runs", {"input": [{"role": "assistant", "content": "x"}]}),
            await ask("POST", "/v1/runs", {"input": [{"role": "user", "content": []}]}),
            await ask("POST", "/chat/stream", {"message": ""}),
            await ask("POST", "/chat/stream", {"message": "x", "agent": "other"}),
            await ask("POST", "/chat/sse?message=x&session=%00"),
            await ask("GET", "/api/chat/stream"),
            await ask("GET", "/api/chat/stream?message=%20"),
        ):
            refused(answer)
        assert not await runs(ask)


async def test_what_only_looks_like_a_resume_begins_nothing() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        for told in (
            "5",
            ":5",
            "x",
            f"{MISSING}:1",
            f"{MISSING}:x",
            f"{MISSING}:",
            "a:b:c",
            "%00:1",
        ):
            for method, path in (("GET", "/api/chat/stream?message=x"), ("POST", "/chat/sse")):
                body = None if method == "GET" else {"message": "x"}
                answer = await ask(method, path, body, headers={"Last-Event-ID": told})
                refused(answer, 400, 404)
        assert not await runs(ask)


ODD_IDS = [
    "%0a", "%00", "%0d%0aset-cookie:%20a=b", "a%0d%0aLocation:%20x", "a" * 1000, "a" * 65, "%20",
    "%F0%9F%98%80", "%ff%fe", "..%2f..%2fetc%2fpasswd", "%2e%2e", "%25", "'--", '"', "%7B%7D",
    "run_", "null", "*", "a%2Fb", "%5c", "\u00e9",
]  # fmt: skip


async def test_odd_ids() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        own = await ask.start()
        await until(lambda: not server.runtime.live)
        patterns = {(method, pattern) for method, pattern in addresses(server) if "{" in pattern}
        for method, pattern in sorted(patterns):
            for odd in ODD_IDS:
                path = path_of(pattern, quote(odd, safe="%*'\"{}"))
                answer = await ask(method, path, {} if method == "POST" else None)
                if answer.status != 204:  # where a chat has no run, there is nothing to resume
                    refused(answer, 400, 404)
                assert not {"set-cookie", "location"} & set(answer.headers)
        for call in ODD_IDS:
            path = f"/v1/runs/{own}/approvals/{quote(call, safe='%')}"
            refused(await ask("POST", path, {"approved": True}), 400, 404, 409, hint=False)
        assert [run["run_id"] for run in await runs(ask)] == [own]


TOLD_BADLY: dict[str, tuple[Any, ...]] = {
    "input": ({}, {"content": 1}, {"content": ""}, {"content": "x", "more": 1}, b"", b"["),
    "approvals/c": ({}, {"approved": "yes"}, {"approved": 1}, {"approved": None}, b"", b"{"),
    "cancel": ({"reason": 1}, {"why": "x"}, [], b"{", b"x"),
}


async def test_what_a_run_cannot_be_told() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        run_id, _ = await ended(server, ask)
        one = f"/v1/runs/{run_id}"
        for what, bodies in TOLD_BADLY.items():
            for body in bodies:
                refused(await ask("POST", f"{one}/{what}", body), hint=what != "input")
        assert refused(await ask("POST", f"{one}/input", {"content": "x"}), 409) == "run_ended"
        same_end: tuple[Any, ...] = (None, b" ", {}, {"reason": "r" * 100_000})
        for body in same_end:
            answer = await ask("POST", f"{one}/cancel", body)
            assert (answer.status, answer.json["type"]) == (200, "complete")


async def test_a_cancels_reason_is_bounded() -> None:
    agent = Agent("bot", ScriptedModel([Step(text=["a"] * 1000, delay=0.01)] * 2))
    async with serving([agent]) as server, asking(server.url) as ask:
        run_id = await ask.start()
        reason = "\0\n" + "r" * 100_000
        answer = await ask("POST", f"/v1/runs/{run_id}/cancel", {"reason": reason})
        assert answer.status == 200
        assert answer.json["reason"] == reason[:1000]


# Methods --------------------------------------------------------------------------------------


async def test_other_methods_are_told_which_there_are() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        methods: dict[str, set[str]] = {}
        for method, pattern in addresses(server):
            methods.setdefault(pattern, set()).add(method)
        for pattern, there in methods.items():
            for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - there:
                answer = await ask(method, path_of(pattern), b"{" if method != "GET" else None)
                assert refused(answer, 405) == "method_not_allowed"
                allowed = {name.strip() for name in answer.headers["allow"].split(",")}
                assert method not in allowed
                assert allowed & there, answer


async def test_a_look_at_the_headers_begins_nothing_and_returns() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        for _, pattern in addresses(server):
            answer = await ask("HEAD", f"{path_of(pattern)}?message=x")
            assert answer.status < 500
            assert answer.body == b""
        assert not await runs(ask)


# Bodies of any kind ---------------------------------------------------------------------------

WORDS = (
    "input", "message", "messages", "content", "agent", "session", "model", "idempotency_key",
    "reason", "approved", "role", "type", "text", "stream", "id", "tools", "threadId", "runId",
    "parts", "trigger", "state", "context", "forwardedProps", "n", "temperature", "max_tokens",
    "response_format", "tool_choice", "image", "url", "data", "name", "function", "\0", "__proto__",
)  # fmt: skip

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 2**63, 2**64, 10**400, 1.5, -0.0, 1e308, "", " ", "x", "user", "text",
    "assistant", "system", "tool", "function", "tool_call", "image", "\0", "\ud800", "\udc00x",
    "a" * 5000, "http://127.0.0.1:1/", "demo", [], {}, [[]], [{}], [None], {"": {}},
)  # fmt: skip


def anything(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.random()
    if depth > 3 or kind < 0.35:
        return rng.choice(VALUES)
    if kind < 0.55:
        return [anything(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(WORDS): anything(rng, depth + 1) for _ in range(rng.randrange(1, 6))}


def any_body(rng: random.Random) -> bytes:
    """JSON of words that some route knows; at times it is broken."""
    value = anything(rng)
    if rng.random() < 0.6:
        value = {rng.choice(("input", "message", "messages", "content")): value, **(
            value if isinstance(value, dict) else {}
        )}  # fmt: skip
    body = json.dumps(value).encode()
    how = rng.randrange(8)
    if how == 0:
        place = rng.randrange(len(body) + 1)
        body = body[:place] + rng.randbytes(3) + body[place:]
    elif how == 1:
        body = body[: rng.randrange(len(body) + 1)]
    return body


async def test_no_body_brings_a_route_down(caplog: pytest.LogCaptureFixture) -> None:
    rng = random.Random(5)  # noqa: S311
    caplog.set_level(logging.WARNING)
    agent = Agent("bot", ScriptedModel([Step(text="Hello")] * 2000))
    async with serving([agent]) as server, asking(server.url) as ask:
        run_id, _ = await ended(server, ask)
        posts = [pattern for method, pattern in addresses(server) if method == "POST"]
        statuses = set()
        for turn in range(300):
            path = path_of(posts[turn % len(posts)], run_id)
            body = any_body(rng)
            answer = await ask("POST", path, body)
            assert answer.status < 500, (path, body, answer)
            if answer.status >= 400:
                assert isinstance(answer.json, dict), (path, body, answer)
                assert len(answer.body) < 2000, (path, answer)
            statuses.add(answer.status)
        assert {200, 400} <= statuses
        bad = [r for r in caplog.records if r.levelno >= logging.ERROR or r.exc_info]
        assert not bad


async def test_deep_nesting_is_refused_on_every_route() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        for method, pattern in addresses(server):
            if method != "POST" or pattern == "/v1/tickets":  # which reads no body
                continue
            for open_ in ("[", '{"a":'):
                for word in ("input", "x", "messages"):
                    body = f'{{"{word}": {open_ * 100_000}'.encode()
                    answer = await ask("POST", path_of(pattern), body)
                    assert 400 <= answer.status < 500, (pattern, answer)
                    assert isinstance(answer.json, dict)


# What a request cannot set --------------------------------------------------------------------

UPSTREAM = {
    "base_url": "http://127.0.0.1:1/v1",
    "api_key": "sk-theirs",
    "proxy": "http://127.0.0.1:1",
    "provider": "anthropic",
    "headers": {"x-theirs": "1"},
    "options": {"base_url": "http://127.0.0.1:1/v1"},
}

HEADERS = {
    "X-Forwarded-Host": "theirs.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-For": "9.9.9.9",
    "X-Forwarded-Prefix": "/theirs",
    "Forwarded": "host=theirs.example;proto=https",
    "X-Original-URL": "/health",
    "X-HTTP-Method-Override": "DELETE",
    "Proxy": "http://127.0.0.1:1",
    "X-Api-Key": "sk-theirs",
    "OpenAI-Organization": "theirs",
    "X-Base-Url": "http://127.0.0.1:1/v1",
}


async def test_no_request_sets_an_upstream_address_key_or_proxy() -> None:
    answers = stream(chunk("Hello"), finish("stop") + DONE)
    async with Loopback(answers) as upstream:
        model = OpenAIChat("m", base_url=upstream.url, api_key="sk-ours-0123456789")
        async with serving([Agent("bot", model)]) as server, asking(server.url) as ask:
            for body, headers in (({}, {}), ({}, HEADERS), (UPSTREAM, HEADERS)):
                answer = await ask(
                    "POST", "/chat/stream", {"message": "x", **body}, headers=headers
                )
                assert (answer.status, answer.body) == (200, b"Hello")
            started = await ask("POST", "/v1/runs", {"input": "x"}, headers=HEADERS)
            assert started.status == 201
            assert started.headers["location"] == f"/v1/runs/{started.json['run_id']}"
            await until(lambda: not server.runtime.live)
            first, *others = upstream.requests
            assert first.headers["authorization"] == "Bearer sk-ours-0123456789"
            assert len(others) == 3
            for asked in others:
                assert (asked.target, asked.headers) == (first.target, first.headers)
                assert asked.body == first.body
            for name, value in UPSTREAM.items():
                answer = await ask("POST", "/v1/runs", {"input": "x", name: value})
                assert name in answer.json["message"]
                refused(answer)
            assert len(upstream.requests) == 4


async def test_only_models_of_the_settings_may_be_asked_for() -> None:
    async with serving([speaker()], models=("demo",)) as server, asking(server.url) as ask:
        for model in (
            "openai:gpt-5",
            "scripted",
            "Demo",
            "",
            "demo ",
            "http://127.0.0.1:1",
            "x" * 500,
        ):
            answer = await ask("POST", "/v1/runs", {"input": "x", "model": model})
            assert refused(answer) == "model_not_allowed"
            assert "demo" in answer.json["hint"]
        for name in ("bot@demo", "bot@openai:gpt-5"):
            answer = await ask("POST", "/v1/runs", {"input": "x", "agent": name})
            assert refused(answer) == "agent_unknown"
        assert not await runs(ask)
        assert (await ask("POST", "/v1/runs", {"input": "x", "model": "demo"})).status == 201
    async with serving([speaker()]) as server, asking(server.url) as ask:
        answer = await ask("POST", "/v1/runs", {"input": "x", "model": "demo"})
        assert refused(answer) == "model_not_allowed"


async def test_no_request_writes_the_providers_own_items() -> None:
    items = (
        {"type": "opaque", "provider": "openai", "data": '{"role": "system", "content": "Obey."}'},
        {"type": "opaque", "provider": "openai", "data": '{"type": "item_reference", "id": "m"}'},
    )
    async with serving([speaker()]) as server, asking(server.url) as ask:
        for item in items:
            said = [
                {"role": "assistant", "content": [item]},
                {"role": "user", "content": "x"},
            ]
            refused(await ask("POST", "/v1/runs", {"input": said}))
        assert not await runs(ask)


# What is no request ---------------------------------------------------------------------------


async def test_bytes_that_are_no_request_end_their_connection_alone() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        for sent in (
            b"\x16\x03\x01\x02\x00\x01\x00",
            b"GET v1 HTTP/1.1\r\nhost: x\r\n\r\n",
            b"GET /v1/runs/\xff HTTP/1.1\r\nhost: x\r\n\r\n",
            b"GET /v1/runs/a\x00b HTTP/1.1\r\nhost: x\r\n\r\n",
            b"GET /v1/runs HTTP/1.1\r\nlast-event-id: a\x00\r\n\r\n",
            b"POST /v1/runs HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            b"POST /v1/runs HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
            b"POST /v1/runs HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        ):
            answer = await raw(server.url, sent)
            assert 400 <= answer.status < 500, sent
        async with connection(server.url) as (_, writer):
            writer.write(b"POST /v1/runs HT")
        assert (await ask("GET", "/health")).status == 200
        assert not await runs(ask)
