"""Hosts, origins and CORS: which pages may call the server, and what they may read."""

from __future__ import annotations

import pytest

from headrace.errors import ConfigurationError, RequestRefused
from headrace.server.auth import Tickets, Users
from headrace.server.guard import Guard, origin_of
from headrace.server.settings import Settings
from tests.server.asking import ALICE, TOKENS, Answer, addresses, asking, path_of, raw, speaker
from tests.server.serving import serving

APP = "https://app.example"


def guard(users: Users | None = None, **settings: tuple[str, ...]) -> Guard:
    return Guard(users or Users(), Tickets(), Settings(**settings))  # type: ignore[arg-type]


def verdict(guard: Guard, path: str = "/v1/runs", method: str = "GET", **headers: str) -> str:
    """The code of its refusal; ``""`` for none."""
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "headers": pairs, "query_string": b"", "path": path}
    refusal: RequestRefused | None = None
    try:
        assert guard.user(scope, path) == ""
    except RequestRefused as error:
        refusal = error
    if refusal is None:
        return ""
    assert refusal.status == {"wrong_host": 400, "foreign_origin": 403}[refusal.code]
    assert refusal.hint
    return refusal.code


# Origins --------------------------------------------------------------------------------------

OWN = [
    ("http://127.0.0.1:8080", "127.0.0.1:8080"),
    ("http://localhost:8080", "LOCALHOST:8080"),
    ("http://LocalHost:8080", "localhost:8080"),
    ("http://a.example", "a.example"),
    ("http://a.example", "a.example:80"),
    ("http://a.example:80", "a.example"),
    ("https://a.example", "a.example"),
    ("https://a.example", "a.example:443"),
    ("https://a.example:443", "a.example"),
    ("http://[::1]:8080", "[::1]:8080"),
    ("http://[::1]", "[::1]:80"),
]

FOREIGN = [
    ("null", "127.0.0.1:8080"),
    ("null", ""),
    ("", "127.0.0.1:8080"),
    ("", ""),
    ("http://evil.example", "127.0.0.1:8080"),
    ("http://127.0.0.1:8081", "127.0.0.1:8080"),
    ("http://127.0.0.1", "127.0.0.1:8080"),
    ("http://localhost:8080", "127.0.0.1:8080"),
    ("http://a.example:443", "a.example"),
    ("https://a.example:80", "a.example"),
    ("http://a.example.evil.example", "a.example"),
    ("http://evil-a.example", "a.example"),
    ("http://sub.a.example", "a.example"),
    ("http://a.example@evil.example", "a.example"),
    ("http://evil.example/a.example", "a.example"),
    ("http://user@a.example", "a.example"),
    ("http://[::1", "[::1"),
    ("http://[::1]:8080", "[::2]:8080"),
    ("http://a.example:99999", "a.example:99999"),
    ("http://a.example:x", "a.example:x"),
    ("a.example", "a.example"),
    ("//a.example", "a.example"),
    ("file://a.example", "a.example"),
    ("chrome-extension://a.example", "a.example"),
    ("http://", ""),
    ("http://a.example, http://evil.example", "a.example"),
]


@pytest.mark.parametrize(("origin", "host"), OWN)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_the_servers_own_pages_may_call_it(origin: str, host: str, method: str) -> None:
    assert verdict(guard(), method=method, origin=origin, host=host) == ""


@pytest.mark.parametrize(("origin", "host"), FOREIGN)
@pytest.mark.parametrize("path", ["/v1/runs", "/", "/health"])
def test_other_pages_may_not(origin: str, host: str, path: str) -> None:
    assert verdict(guard(), path, origin=origin, host=host) == "foreign_origin"


@pytest.mark.parametrize(
    ("site", "path", "code"),
    [
        ("same-origin", "/api/chat/stream", ""),
        ("none", "/api/chat/stream", ""),  # a person has typed it
        ("cross-site", "/api/chat/stream", "foreign_origin"),
        ("same-site", "/api/chat/stream", "foreign_origin"),  # another port of this machine
        ("cross-site", "/v1/runs", "foreign_origin"),
        ("cross-site", "/", ""),  # a link to the page
    ],
)
def test_a_request_without_origin_tells_its_site(site: str, path: str, code: str) -> None:
    assert verdict(guard(), path, host="a.example", sec_fetch_site=site) == code


def test_who_is_no_browser_says_nothing() -> None:
    assert verdict(guard(), host="a.example") == ""
    assert verdict(guard()) == ""


def test_allowed_origins_are_taken_as_browsers_write_them() -> None:
    allowed = guard(allow_origins=("https://App.Example/", "http://b.example:80", "app://local"))
    assert allowed.origins == {APP, "http://b.example", "app://local"}
    for origin in (APP, "http://b.example", "app://local"):
        assert verdict(allowed, origin=origin, host="here") == ""
    for origin in ("http://app.example", f"{APP}:444", "null", "https://app.example.evil.example"):
        assert verdict(allowed, origin=origin, host="here") == "foreign_origin"


@pytest.mark.parametrize(
    "origin", ["*", "null", "app.example", "https://", "https://a.example/x", "http://[::1", ""]
)
def test_what_is_no_origin_cannot_be_allowed(origin: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        guard(allow_origins=(origin,))
    assert caught.value.hint


def test_every_origin_may_be_allowed_where_tokens_are_needed() -> None:
    open_guard = guard(Users(TOKENS), allow_origins=("*",))
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/v1/runs",
        "query_string": b"",
        "headers": [
            (b"origin", b"https://any.example"),
            (b"authorization", f"Bearer {ALICE}".encode()),
        ],
    }
    assert open_guard.user(scope, "/v1/runs") == "alice"


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("HTTPS://App.Example:443", APP),
        ("https://app.example/", APP),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://a.example:", "http://a.example"),
        ("http://a.example?x", None),
        ("http://a.example#x", None),
        ("http://:80", None),
    ],
)
def test_an_origin_has_one_spelling(text: str, origin: str | None) -> None:
    assert origin_of(text) == origin


# Hosts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("127.0.0.1", ""),
        ("127.0.0.1:8080", ""),
        ("localhost:1", ""),
        ("LOCALHOST", ""),
        ("[::1]", ""),
        ("[::1]:8080", ""),
        ("[FE80::1]:8080", ""),
        ("rebound.example", "wrong_host"),
        ("rebound.example:8080", "wrong_host"),
        ("127.0.0.1.rebound.example", "wrong_host"),
        ("localhost.rebound.example", "wrong_host"),
        ("127.0.0.1@rebound.example", "wrong_host"),
        ("rebound.example#127.0.0.1", "wrong_host"),
        ("[::2]:8080", "wrong_host"),
        ("", "wrong_host"),
    ],
)
def test_only_these_hosts_are_answered(host: str, code: str) -> None:
    bound = guard(allow_hosts=("127.0.0.1", "LocalHost:8080", "::1", "[fe80::1]:80"))
    for path in ("/v1/runs", "/", "/health"):
        assert verdict(bound, path, host=host) == code
    if code:  # that its page is its own is no help
        assert verdict(bound, host=host, origin=f"http://{host}") == code


def test_a_request_without_host_is_refused_where_hosts_are_named() -> None:
    assert verdict(guard(allow_hosts=("localhost",))) == "wrong_host"
    assert verdict(guard()) == ""


# Over HTTP ------------------------------------------------------------------------------------


def cors_of(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-con")}


async def test_a_foreign_page_reaches_no_address_and_gets_no_cors_headers() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        for method, pattern in addresses(server):
            for origin in ("http://evil.example", "null", "http://127.0.0.1:1", "http://[::1"):
                answer = await ask(method, path_of(pattern), {}, headers={"Origin": origin})
                assert (answer.status, answer.code) == (403, "foreign_origin"), (pattern, answer)
                assert not cors_of(answer)
            answer = await ask(
                "OPTIONS",
                path_of(pattern),
                headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"},
            )
            assert answer.status == 403
            assert not cors_of(answer)
        quiet = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
        answer = await ask("GET", "/api/chat/stream?message=Buy", headers=quiet)
        assert (answer.status, answer.code) == (403, "foreign_origin")
        assert not (await ask("GET", "/v1/runs")).json["runs"]


async def test_the_own_page_gets_no_cors_headers_either() -> None:
    async with serving([speaker()]) as server, asking(server.url) as ask:
        answer = await ask(
            "POST", "/chat/stream", {"message": "Hi"}, headers={"Origin": server.url}
        )
        assert (answer.status, answer.body) == (200, b"Hello")
        assert not cors_of(answer)


async def test_a_rebound_name_reaches_no_address() -> None:
    async with (
        serving([speaker()], allow_hosts=("127.0.0.1",)) as server,
        asking(server.url) as ask,
    ):
        for method, pattern in addresses(server):
            answer = await ask(method, path_of(pattern), headers={"Host": "rebound.example"})
            assert (answer.status, answer.code) == (400, "wrong_host"), (pattern, answer)
        assert (await ask("GET", "/v1/runs")).status == 200
        answer = await raw(server.url, b"GET /v1/runs HTTP/1.0\r\n\r\n")
        assert (answer.status, answer.code) == (400, "wrong_host")


async def test_an_allowed_page_may_ask_before_it_has_a_token() -> None:
    async with (
        serving([speaker()], tokens=TOKENS, allow_origins=(APP,)) as server,
        asking(server.url) as ask,
    ):
        asks = {
            "Origin": APP,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,last-event-id",
        }
        for _, pattern in addresses(server):
            answer = await ask("OPTIONS", path_of(pattern), headers=asks)
            assert answer.status in (200, 204), answer
            told = cors_of(answer)
            assert told["access-control-allow-origin"] == APP
            assert "POST" in told["access-control-allow-methods"]
            names = told["access-control-allow-headers"].lower()
            assert all(name in names for name in ("authorization", "content-type", "last-event-id"))
            assert "access-control-allow-credentials" not in told
            assert "origin" in answer.headers["vary"].lower()
        foreign = await ask("OPTIONS", "/v1/runs", headers=asks | {"Origin": "http://evil.example"})
        assert 400 <= foreign.status < 500
        assert "access-control-allow-origin" not in foreign.headers


async def test_an_allowed_page_may_read_answers_and_refusals() -> None:
    async with (
        serving([speaker()], tokens=TOKENS, allow_origins=("https://App.example/",)) as server,
        asking(server.url) as ask,
    ):
        body = {"message": "Hi", "input": "Hi"}
        for token, path, status in [
            (ALICE, "/chat/stream", 200),
            (ALICE, "/v1/tickets", 201),
            (ALICE, "/v1/runs", 400),
            (ALICE, "/nowhere", 404),
            (ALICE, "/health", 405),
            ("", "/chat/stream", 401),
        ]:
            answer = await ask("POST", path, body, token=token, headers={"Origin": APP})
            assert answer.status == status, answer
            told = cors_of(answer)
            assert told["access-control-allow-origin"] == APP
            exposed = told["access-control-expose-headers"].lower()
            assert "x-headrace-run" in exposed
            assert "retry-after" in exposed
            assert "origin" in answer.headers["vary"].lower()
        other = await ask("POST", "/chat/stream", body, headers={"Origin": "http://evil.example"})
        assert (other.status, other.code) == (403, "foreign_origin")
        assert "access-control-allow-origin" not in other.headers
        # What is kept of an answer without an Origin is not given to one with it.
        assert "origin" in (await ask("GET", "/health")).headers["vary"].lower()
