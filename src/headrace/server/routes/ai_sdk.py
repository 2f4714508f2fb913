"""``/api/chat``: for pages with `useChat` of the AI SDK (npm `ai`), as its transport asks for it.

A chat is a session, and the page keeps the conversation: what it sends stands in place of what
the session holds, so that messages can be edited and answers asked for again. A new message ends
an answer that is still going on in the chat.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.routing import Route

from headrace.errors import InvalidId, SessionNotFound
from headrace.protocols.ai_sdk.encode import AISDKEncoder
from headrace.protocols.ai_sdk.request import parse
from headrace.protocols.table import FORMATS
from headrace.runs.sessions import session_of
from headrace.runs.stores.record import RunRecord
from headrace.server.replies import nothing
from headrace.server.routes.endpoint import Answer, Endpoint, flag, on_leave, route


class AISDK(Endpoint):
    """See above.

    A page that was built with `ai` 6 cannot take shown text back by itself, so a model that
    breaks in the middle of its answer is an error there. ``?retract=1`` says that the page can
    (see `headrace.protocols.ai_sdk.encode`), ``?reset_step=1`` that its client does (`ai` 7).
    """

    def routes(self) -> list[Route]:
        """The table."""
        return [
            route("/api/chat", self.chat, "POST"),
            route("/api/chat/{chat_id:path}/stream", self.resume, "GET"),
        ]

    async def chat(self, request: Request) -> Answer:
        """Answer the page's last message."""
        on_leave(request)  # before anything begins
        asked = parse(await self.raw(request))
        run = await self.service.start(
            self.user(request),
            asked.input,
            agent=request.query_params.get("agent"),
            session=asked.id,
            history=asked.history,
            retract=flag(request, "retract") or flag(request, "reset_step"),
            busy="replace",
        )
        return await self._show(request, run.record)

    async def resume(self, request: Request) -> Answer:
        """The chat's answer that is going on, from its start; 204 where none is."""
        record = await self._live(self.user(request), request.path_params["chat_id"])
        return nothing() if record is None else await self._show(request, record)

    async def _show(self, request: Request, record: RunRecord) -> Answer:
        encoder = AISDKEncoder(reset_step=flag(request, "reset_step"))
        return await self.show(request, record, FORMATS["ai-sdk"], encoder)

    async def _live(self, user: str, chat_id: str) -> RunRecord | None:
        store = self.service.runtime.store
        try:
            session = await store.session(session_of(user, chat_id))
        except (SessionNotFound, InvalidId):
            return None
        if session.user != user or session.live_run is None:
            return None
        return await store.run(session.live_run)
