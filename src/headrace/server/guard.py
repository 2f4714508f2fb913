"""Which requests are looked at at all: host, origin, user."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, QueryParams
from starlette.types import Scope

from headrace.errors import RequestRefused
from headrace.server.auth import Tickets, Users, unauthorized
from headrace.server.settings import Settings

OPEN = frozenset(
    {"/", "/health", "/headrace.js", "/index.js", "/index.css", "/openapi.json", "/v1/doctor"}
)
"""What anyone may get: a page without data, whether the server is up, and how to talk to it."""

USER = "headrace.user"
"""Where a request's scope holds its user."""


class Guard:
    """Finds the user of a request, or refuses it.

    Args:
        users: Who has tokens; without any, everyone is the user ``""``.
        tickets: What may stand for a token in a URL.
        settings: `allow_hosts` and `allow_origins`.
    """

    def __init__(self, users: Users, tickets: Tickets, settings: Settings) -> None:
        self._users = users
        self._tickets = tickets
        self._hosts = frozenset(host.lower() for host in settings.allow_hosts)
        self._origins = frozenset(origin.rstrip("/").lower() for origin in settings.allow_origins)

    def user(self, scope: Scope, path: str) -> str:
        """Who asks; ``""`` where the server knows no users, and for what is open to anyone.

        Raises:
            RequestRefused: 400 for a wrong host, 403 for another origin's page, 401 for no user.
        """
        headers = Headers(scope=scope)
        self._check_host(headers)
        self._check_origin(headers, path)
        if not self._users:
            return ""
        user = self._users.user(headers.get("authorization", ""))
        if user is None and path not in OPEN:
            user = self._by_ticket(scope)
        if user is None and path not in OPEN:
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
            own = urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != ""
            foreign = not own and origin.lower() not in self._origins
        else:
            # A GET without CORS has no Origin, as from an <img>; this header stays true.
            foreign = path != "/" and headers.get("sec-fetch-site") == "cross-site"
        if foreign:
            raise RequestRefused(
                403,
                "foreign_origin",
                "Pages of other origins may not call this server.",
                hint="Name theirs: headrace serve --allow-origin ORIGIN.",
            )

    def _by_ticket(self, scope: Scope) -> str | None:
        if scope["type"] != "websocket" and scope["method"] != "GET":
            return None
        tickets = QueryParams(scope["query_string"]).getlist("ticket")
        return self._tickets.redeem(tickets[0]) if tickets else None


def _host_name(host: str) -> str:
    """Without its port; ``[::1]`` keeps its brackets."""
    host = host.lower()
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
