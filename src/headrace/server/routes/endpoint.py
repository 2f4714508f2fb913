"""What the routes share: who asks, the body, and how a run is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from headrace.events import Event
from headrace.protocols.encoder import Encoder
from headrace.protocols.table import Format
from headrace.runs.stores.record import RunRecord
from headrace.server.bodies import bad_request, body_of, decoded
from headrace.server.guard import USER
from headrace.server.overview_stream import OverviewStream
from headrace.server.replies import nothing
from headrace.server.service import Service
from headrace.server.stream import RunStream

T = TypeVar("T")

LAST_EVENT_ID = "last-event-id"

Answer = Response | RunStream | OverviewStream
"""What an endpoint gives."""


class Endpoint:
    """The base of all routes.

    Args:
        service: The server.
    """

    def __init__(self, service: Service) -> None:
        self.service = service

    def user(self, request: Request) -> str:
        """Who asks."""
        user: str = request.scope[USER]
        return user

    async def body(self, request: Request, decoder: msgspec.json.Decoder[T]) -> T:
        """The body as a value.

        Raises:
            RequestRefused: it is none.
            InputTooLarge: it is too large.
        """
        return decoded(await self.raw(request), decoder)

    async def raw(self, request: Request) -> bytes:
        """The body as it came.

        Raises:
            RequestRefused: it took too long to come, or its sender left.
            InputTooLarge: it is too large.
        """
        settings = self.service.settings
        return await body_of(request, settings.max_body, wait=settings.body_wait)

    async def show(
        self,
        request: Request,
        record: RunRecord,
        format: Format,
        encoder: Encoder | None = None,
        after: int = 0,
        *,
        first: bytes = b"",
    ) -> Answer:
        """The run as a stream behind `after`; 204 where nothing can follow.

        Raises:
            InvalidCursor: an `after` that no event of the run ever had.
        """
        if after and after == record.last_seq and not record.live:
            return nothing()  # tells an EventSource not to come again (WHATWG HTML, 9.2.3)
        encoder = format.make() if encoder is None else encoder
        viewer = await self.service.attach(record, encoder, after)
        leave = on_leave(request)
        return RunStream(
            self.service, record.id, viewer, format, encoder, after, cancel=leave, first=first
        )

    async def end_of(self, request: Request, run_id: str) -> Event | None:
        """The run's terminal event, or None where the client has left before.

        With ``?on_leave=cancel`` its leaving cancels the run.
        """
        cancel = on_leave(request)
        ending = asyncio.ensure_future(self.service.runtime.wait(run_id))
        leaving = asyncio.ensure_future(_left(request))
        try:
            await asyncio.wait((ending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if ending.done():
                return ending.result()
        finally:
            ending.cancel()
            leaving.cancel()
        if cancel:
            await self.service.runtime.cancel(run_id, "its reader left")
        return None


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


Method = Callable[[Request], Awaitable[Answer]]


class _Application:
    """A method as an ASGI application.

    Starlette would make one, too, and wrap `send` in it: for each batch of each viewer.
    """

    def __init__(self, method: Method) -> None:
        self._method = method

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._method(Request(scope, receive, send))
        await answer(scope, receive, send)


def route(path: str, method: Method, *verbs: str) -> Route:
    """A row of a table of routes."""
    return Route(path, _Application(method), methods=verbs)


def route_path(scope: Scope) -> str:
    """The path below where this is mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")) or "/"


def on_leave(request: Request) -> bool:
    """Whether the reader asks that its leaving cancels the run (``?on_leave=cancel``).

    Raises:
        RequestRefused: another word.
    """
    word = request.query_params.get("on_leave", "stay")
    if word not in ("stay", "cancel"):
        raise bad_request(
            "invalid_request",
            f"on_leave cannot be {word[:80]!r}.",
            "Write cancel, or leave it out.",
        )
    return word == "cancel"


def flag(request: Request, name: str) -> bool:
    """Whether ``?name=1`` is in the address.

    Raises:
        RequestRefused: another value than 0 or 1.
    """
    word = request.query_params.get(name, "0")
    if word not in ("0", "1"):
        raise bad_request("invalid_request", f"{name} cannot be {word[:80]!r}.", "Write 1 or 0.")
    return word == "1"


def cursor(text: str | None) -> int:
    """A cursor as it is written in a header or an address; 0 for none.

    Raises:
        RequestRefused: it is no whole number from 0.
    """
    hint = "Give the id of the last event that you have seen, or 0 for none."
    return number(text, "event's number", "invalid_cursor", hint)


def number(text: str | None, what: str, code: str = "invalid_request", hint: str = "") -> int:
    """A whole number from 0, as it is written in a header or an address; 0 for none.

    Raises:
        RequestRefused: it is none.
    """
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise bad_request(code, f"{text[:80]!r} is no {what}.", hint or "Write a whole number.")
    return int(text)
