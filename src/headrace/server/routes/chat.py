"""Routes for pages that want text and tools and nothing else: plain text, and ``simple`` frames."""

from __future__ import annotations

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.routing import Route

from headrace.protocols.simple import SimpleEncoder
from headrace.protocols.table import FORMATS
from headrace.runtime.handle import DetachedRun
from headrace.server.bodies import bad_request, decoded
from headrace.server.routes.endpoint import LAST_EVENT_ID, Answer, Endpoint, cursor, on_leave, route


class Message(Struct):
    """The body; ``message`` may stand in the address instead.

    What is not named here is left alone: pages send this with what else they keep.
    """

    message: str = ""
    agent: str | None = None
    session: str | None = None


_message = msgspec.json.Decoder(Message)


class Chat(Endpoint):
    """``/chat/stream``, ``/chat/sse`` and ``/api/chat/stream``.

    A reader of text cannot take any back, so these runs never withdraw what they have shown.
    """

    def routes(self) -> list[Route]:
        """The table."""
        return [
            route("/chat/stream", self.plain, "POST"),
            route("/chat/sse", self.simple, "POST"),
            route("/api/chat/stream", self.simple, "GET", "POST"),
        ]

    async def plain(self, request: Request) -> Answer:
        """The answer's text as it comes."""
        run = await self._start(request)
        return await self.show(request, run.record, FORMATS["plain"])

    async def simple(self, request: Request) -> Answer:
        """``token``, ``tool_start``, ``tool_complete``, ``done``.

        An `EventSource` that comes again asks for the same address, and names the last event that
        it has seen: it gets the rest of that run, not another one.
        """
        told = request.headers.get(LAST_EVENT_ID, "")
        if told:  # whatever it is: who has seen something of a run means no other one
            run_id, _, seen = told.rpartition(":")
            record = await self.service.record(self.user(request), run_id)
            after = cursor(seen)
        else:
            record, after = (await self._start(request)).record, 0
        encoder = SimpleEncoder(f"{record.id}:")
        # Before anything else, so that a reader that is cut off at once knows its run.
        first = b"id: %b:%d\n\n" % (record.id.encode(), after)
        return await self.show(request, record, FORMATS["simple"], encoder, after, first=first)

    async def _start(self, request: Request) -> DetachedRun:
        on_leave(request)  # before anything begins
        asked = await self._asked(request)
        if not asked.message.strip():
            raise bad_request(
                "invalid_request", "There is no message.", 'Send {"message": "What is 2+2?"}.'
            )
        return await self.service.start(
            self.user(request),
            asked.message,
            agent=asked.agent,
            session=asked.session,
            retract=False,
        )

    async def _asked(self, request: Request) -> Message:
        query = request.query_params
        in_address = Message(query.get("message", ""), query.get("agent"), query.get("session"))
        body = b""
        if request.method != "GET":
            body = await self.raw(request)
        if in_address.message or not body.strip():
            return in_address
        return decoded(body, _message)
