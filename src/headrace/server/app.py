"""`app`: the server as an ASGI application, alone or mounted into another one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import replace
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from headrace.agents.agent import Agent
from headrace.errors import HeadraceError, UsageError
from headrace.runs.stores.store import Store
from headrace.runtime.runtime import Runtime
from headrace.server.auth import Users
from headrace.server.guard import USER, Guard
from headrace.server.replies import UNEXPECTED, error_reply, refusal_of
from headrace.server.routes.about import About
from headrace.server.routes.ag_ui import AGUI
from headrace.server.routes.ai_sdk import AISDK
from headrace.server.routes.chat import Chat
from headrace.server.routes.endpoint import route_path
from headrace.server.routes.metrics import Metrics
from headrace.server.routes.openai_chat import OpenAIChat
from headrace.server.routes.openapi import OpenAPI
from headrace.server.routes.overview import Overviews
from headrace.server.routes.runs import Runs
from headrace.server.routes.sessions import Sessions
from headrace.server.service import Service, checked_agents
from headrace.server.settings import Settings
from headrace.server.websocket import WebSockets

_logger = logging.getLogger("headrace.server")

CORS_HEADERS = ("*",)
"""What a page of an allowed origin may send: SDKs add headers of their own, which mean nothing."""

HANDLERS = "starlette.exception_handlers"
"""Where Starlette puts the exception handlers of an app for its routes."""


def app(
    agents: Iterable[Agent],
    *,
    store: Store | str | None = None,
    runtime: Runtime | None = None,
    tokens: Mapping[str, str] | Users | None = None,
    settings: Settings | None = None,
    why: str = "",
    **more: Any,
) -> HeadraceApp:
    """The server: every route of docs/server.md over these agents.

    Run it (``uvicorn module:name``), or mount it, and let it open and close with its host::

        headrace_app = headrace.server.app([agent])
        api = FastAPI(lifespan=headrace_app.lifespan)
        api.mount("/ai", headrace_app)

    Args:
        agents: Whom requests may ask; the first is the one that answers where none is named.
        store: Where runs are kept: a store, or a URL; by default memory.
        runtime: In place of `store`: one that is there already. It is opened and closed here.
        tokens: User to bearer token; without any, everyone who reaches the server may use it.
        settings: The rest.
        why: Why the first agent's model is this one, for those who look at the server.
        **more: Fields of `Settings`, in its place.

    Raises:
        UsageError: no agents, or two of one name.
        ConfigurationError: a setting or token that makes no sense, no store of this URL.
    """
    found = checked_agents(agents)
    settings = replace(settings or Settings(), **more)
    runtime = runtime or Runtime(store, agents=found, name="server", grace=settings.grace)
    users = tokens if isinstance(tokens, Users) else Users(tokens)
    return HeadraceApp(Service(runtime, found, users, settings, why))


class HeadraceApp:
    """See `app`.

    Attributes:
        service: What its routes share.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self._guard = Guard(service.users, service.tickets, service.settings)
        self._router = Router(routes_of(service), redirect_slashes=False)
        self._opening: asyncio.Lock | None = None
        self._open = False
        self._entry: ASGIApp = self._handle
        if self._guard.origins:
            self._entry = CORSMiddleware(
                self._handle,
                allow_origins=self._guard.origins,
                allow_methods=("GET", "POST", "DELETE"),
                allow_headers=CORS_HEADERS,
                expose_headers=("x-headrace-run", "retry-after"),
            )

    @asynccontextmanager
    async def lifespan(self, _: object = None) -> AsyncGenerator[None]:
        """Open the runtime; at the end drain it. For the lifespan of an app that mounts this.

        Raises:
            UsageError: it was drained before; its store is closed.
        """
        await self._begin()
        try:
            yield
        finally:
            await self.service.drain()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: http, websocket and lifespan."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        # A copy, so that the middleware of a host finds its own `app` again; and without the
        # host's exception handlers, which Starlette's routes would give our errors to.
        scope = {**scope, "app": self, HANDLERS: ({}, {})}
        await self._entry(scope, receive, send)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            # Who mounts this and forgets the lifespan has a server that works, too.
            if not self._open:
                await self._opened()
            scope[USER] = self._guard.user(scope, route_path(scope))
            await self._router(scope, receive, send)
        except HeadraceError as error:
            await error_reply(error)(scope, receive, send)
        except HTTPException as error:
            await error_reply(refusal_of(error))(scope, receive, send)
        except Exception:  # where the answer has begun, the HTTP server breaks it off at this
            _logger.exception("%s %r failed", scope.get("method", "WS"), scope["path"])
            await error_reply(UNEXPECTED)(scope, receive, send)

    async def _begin(self) -> None:
        if self.service.draining:
            raise UsageError(
                "This app was drained, and does not open again.",
                hint="Make another: headrace.server.app(…).",
            )
        await self._opened()

    async def _opened(self) -> None:
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if not self._open:
                await self.service.runtime.__aenter__()
                self._open = True

    async def _live(self, receive: Receive, send: Send) -> None:
        """The lifespan protocol (ASGI, lifespan 2.0)."""
        await receive()
        try:
            await self._begin()
        except Exception as error:
            _logger.exception("The server cannot start")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.service.drain()
        await send({"type": "lifespan.shutdown.complete"})


def routes_of(service: Service) -> list[BaseRoute]:
    """Every address of the server."""
    endpoints = (
        *(Runs, Sessions, Chat, AISDK, AGUI, OpenAIChat),
        *(Overviews, Metrics, About, OpenAPI, WebSockets),
    )
    return [route for endpoint in endpoints for route in endpoint(service).routes()]
