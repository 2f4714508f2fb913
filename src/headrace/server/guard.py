"""Which requests are looked at at all: host, origin, user."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, QueryParams
from starlette.exceptions import HTTPException
from starlette.types import Scope

from headrace.errors import ConfigurationError, RequestRefused
from headrace.server.auth import Tickets, Users, unauthorized
from headrace.server.replies import refusal_of
from headrace.server.settings import Settings

OPEN = frozenset({"/", "/dashboard", "/health", "/headrace.js", "/openapi.json", "/v1/doctor"})
"""What anyone may get: pages without data, whether the server is up, and how to talk to it."""

ASSETS = "/assets/"
"""How the addresses of what a page loads begin: these are open, too."""

PAGES = frozenset({"/", "/dashboard"})
"""What a link on another site may lead to."""

STREAMS = ("/events", "/stream")
"""How the addresses of streams end: a ticket is good for these, and they have no HEAD."""

DEFAULT_PORTS = {"http": 80, "https": 443}

USER = "headrace.user"
"""Where a request's scope holds its user."""


class Guard:
    """Finds the user of a request, or refuses it.

    Args:
        users: Who has tokens; without any, everyone is the user ``""``.
        tickets: What may stand for a token in a URL.
        settings: `allow_hosts` and `allow_origins`.

    Attributes:
        origins: `allow_origins` as browsers write them: ``https://app.example:8443``.

    Raises:
        ConfigurationError: something that is no origin; ``*`` without tokens, as any web page
            could then use this server through its reader's browser.
    """

    def __init__(self, users: Users, tickets: Tickets, settings: Settings) -> None:
        self._users = users
        self._tickets = tickets
        self._hosts = frozenset(map(_host_name, settings.allow_hosts))
        self.origins = frozenset(_allowed(origin, users) for origin in settings.allow_origins)

    def user(self, scope: Scope, path: str) -> str:
        """Who asks; ``""`` where the server knows no users, and for what is open to anyone.

        Raises:
            RequestRefused: 400 for a wrong host, 403 for another origin's page, 401 for no user,
                405 for the HEAD of a stream.
        """
        headers = Headers(scope=scope)
        self._check_host(headers)
        self._check_origin(headers, path)
        user = self._user(headers, scope, path) if self._users else ""
        if scope.get("method") == "HEAD" and path.endswith(STREAMS):
            # A stream's headers come with its run: asking for them would begin one, or wait for it.
            raise refusal_of(HTTPException(405, headers={"Allow": "GET"}))
        return user

    def _user(self, headers: Headers, scope: Scope, path: str) -> str:
        user = self._users.user(headers.get("authorization", ""))
        if user is None and not is_open(path):
            user = self._by_ticket(scope, path)
            if user is None:
                raise unauthorized()
        return user or ""

    def _check_host(self, headers: Headers) -> None:
        """A page whose name was made to lead here (DNS rebinding) comes with its own name."""
        if self._hosts and _host_name(headers.get("host", "")) not in self._hosts:
            raise RequestRefused(
                400,
                "wrong_host",
                "This server does not go by the name that the request has in Host.",
                hint="Name it: headrace serve --allow-host NAME.",
            )

    def _check_origin(self, headers: Headers, path: str) -> None:
        """A browser says whose page asks; who is no browser says nothing (Fetch, 3.2)."""
        origin = headers.get("origin")
        if origin is not None:
            foreign = not self._is_own(origin, headers.get("host", ""))
        else:
            # A GET without CORS has no Origin, as from an <img>; this header stays true. Another
            # port of this host is the same site (HTML, 7.1.1.2), and no less another's page.
            site = headers.get("sec-fetch-site", "none")
            foreign = path not in PAGES and site in ("cross-site", "same-site")
        if foreign:
            raise RequestRefused(
                403,
                "foreign_origin",
                "Pages of other origins may not call this server.",
                hint="Name theirs: headrace serve --allow-origin ORIGIN.",
            )

    def _is_own(self, origin: str, host: str) -> bool:
        if "*" in self.origins:
            return True
        asks = origin_of(origin)
        if asks is None:  # "null" above all: a file, or a frame without rights
            return False
        scheme = asks.partition(":")[0]
        # A proxy may speak TLS for this server, so that only the browser knows the scheme.
        own = scheme in DEFAULT_PORTS and asks == origin_of(f"{scheme}://{host}")
        return own or asks in self.origins

    def _by_ticket(self, scope: Scope, path: str) -> str | None:
        stream = scope["type"] == "websocket" or (
            scope["method"] == "GET" and path.endswith(STREAMS)
        )
        if not stream:
            return None
        tickets = QueryParams(scope["query_string"]).getlist("ticket")
        return self._tickets.redeem(tickets[0]) if tickets else None


def is_open(path: str) -> bool:
    """Whether anyone may get what stands there, also from a server that knows users."""
    return path in OPEN or path.startswith(ASSETS)


def origin_of(text: str) -> str | None:
    """``scheme://host[:port]`` in lower case, without a default port; None for anything else."""
    try:
        parts = urlsplit(text.lower())
        host, port = parts.hostname, parts.port
    except ValueError:  # brackets that do not close, a port that is no number
        return None
    if not parts.scheme or not host or "@" in parts.netloc:
        return None
    if parts.path.strip("/") or parts.query or parts.fragment:
        return None
    name = f"[{host}]" if ":" in host else host
    number = f":{port}" if port not in (None, DEFAULT_PORTS.get(parts.scheme)) else ""
    return f"{parts.scheme}://{name}{number}"


def _allowed(origin: str, users: Users) -> str:
    if origin == "*" and users:
        return origin
    if (found := origin_of(origin)) is None:
        raise ConfigurationError(
            f"Pages of {origin[:80]!r} cannot be allowed"
            + (" without tokens." if origin == "*" else ": it is no origin."),
            hint="Name origins, such as https://app.example.",
        )
    return found


def _host_name(host: str) -> str:
    """In lower case, without its port; an IPv6 address has brackets."""
    host = host.strip().lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return f"[{host}]" if host.count(":") > 1 else host.partition(":")[0]
