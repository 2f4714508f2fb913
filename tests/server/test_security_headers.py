"""The headers that every answer has, of every address that the router knows."""

from __future__ import annotations

import pytest

from headrace.server.app import routes_of
from headrace.testing import Gate
from tests.server.asking import (
    ALICE,
    OPEN_PATHS,
    TOKENS,
    Answer,
    Client,
    addresses,
    asking,
    path_of,
    speaker,
    waiter,
)
from tests.server.serving import Served, serving, until

BODIES = (None, {"input": "x", "message": "x", "content": "x", "approved": True}, b"{")
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND")


def check(answer: Answer, what: object) -> None:
    headers = answer.headers
    assert headers.get("x-content-type-options") == "nosniff", (what, answer)
    assert headers.get("referrer-policy") == "no-referrer", (what, answer)
    assert headers.get("cross-origin-resource-policy") == "same-origin", (what, answer)
    policy = headers.get("content-security-policy", "")
    assert policy.startswith("default-src 'none'"), (what, answer)
    assert "frame-ancestors 'none'" in policy, (what, answer)
    for loose in ("unsafe", "*", "http:", "https:"):
        assert loose not in policy, (what, answer)
    assert headers["cache-control"].startswith(("no-store", "no-cache")), (what, answer)
    for told in ("server", "x-powered-by", "set-cookie", "access-control-allow-origin"):
        assert told not in headers, (what, answer)
    if headers.get("content-type", "").startswith("text/html"):
        assert headers["cross-origin-opener-policy"] == "same-origin", (what, answer)


async def every_answer(server: Served, ask: Client, run_id: str, token: str) -> set[int]:
    """Ask every address in every way; the statuses that came."""
    statuses = set()
    for pattern in sorted({pattern for _, pattern in addresses(server)}):
        for method in METHODS:
            for body in BODIES if method == "POST" else (None,):
                what = (method, pattern, body)
                answer = await ask(method, path_of(pattern, run_id), body, token=token)
                check(answer, what)
                statuses.add(answer.status)
                if method not in ("GET", "HEAD", "POST"):
                    assert 400 <= answer.status < 500, what
    return statuses


async def test_every_answer_of_every_address_has_them() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        run_id = await ask.start()
        await until(lambda: not server.runtime.live)
        statuses = await every_answer(server, ask, run_id, "")
        assert {200, 201, 400, 405} <= statuses
        check(await ask("GET", f"/v1/runs/{run_id}/events?after=999"), "invalid cursor")
        last = (await ask("GET", "/v1/runs")).json["runs"][-1]["last_seq"]
        over = await ask("GET", f"/v1/runs/{run_id}/events?after={last}")
        assert over.status == 204
        check(over, "nothing follows")
        missing = await ask("GET", "/v1/runs/run_none")
        assert missing.status == 404
        check(missing, "no run")


async def test_refusals_have_them() -> None:
    async with (
        serving([speaker()], tokens=TOKENS, allow_hosts=("127.0.0.1",)) as server,
        asking(server.url) as ask,
    ):
        for _, pattern in addresses(server):
            path = path_of(pattern)
            check(await ask("GET", path), "no token")
            for headers in ({"Host": "rebound.example"}, {"Origin": "null"}):
                answer = await ask("GET", path, headers=headers, token=ALICE)
                assert answer.status in (400, 403)
                check(answer, (path, headers))
        for path in ("/nowhere", "/v1", "//", "/v1/runs/", "/health/", "/%00", "/..%2f", "/a\\b"):
            for method in METHODS:
                for token in ("", ALICE):
                    answer = await ask(method, path, token=token)
                    check(answer, (method, path))
                    assert answer.status in (401, 404), (method, path, answer)


async def test_streams_have_them() -> None:
    gate = Gate()
    async with serving([waiter(gate)]) as server, asking(server.url) as ask:
        run_id = await ask.start()
        await gate.reached.wait()
        gate.open()
        for path in (
            *(f"/v1/runs/{run_id}/events?format={name}" for name in ("native", "plain", "ndjson")),
            "/api/chat/stream?message=x",
        ):
            answer = await ask("GET", path)
            assert answer.status == 200
            check(answer, path)
            assert answer.headers["cache-control"] == "no-cache, no-transform"
            assert answer.headers["x-accel-buffering"] == "no"


async def test_errors_of_a_server_that_stops_have_them() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        server.app.service.draining = True
        for method, path in (("GET", "/health"), ("POST", "/v1/runs")):
            answer = await ask(method, path, {"input": "x"} if method == "POST" else None)
            assert answer.status == 503
            check(answer, path)
            if method == "POST":
                assert int(answer.headers["retry-after"]) >= 1
        server.app.service.draining = False


async def test_what_no_one_foresaw_is_told_without_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:

        async def fail(*_: object, **__: object) -> None:
            raise RuntimeError("the store's password is hunter2")

        server.runtime.store.runs = fail  # type: ignore[method-assign, assignment]
        answer = await ask("GET", "/v1/runs")
        assert (answer.status, answer.code) == (500, "internal")
        assert b"hunter2" not in answer.body
        check(answer, "unforeseen")
    assert "hunter2" in caplog.text  # it is for whoever runs the server


def test_the_table_is_that_of_the_router() -> None:
    from headrace.server import app

    service = app([speaker()]).service
    patterns = {getattr(route, "path", "") for route in routes_of(service)}
    assert {"/v1/runs", "/v1/runs/{run_id}/events", "/chat/stream", "/health"} <= patterns
    assert all(path.startswith("/") for path in OPEN_PATHS | patterns)
