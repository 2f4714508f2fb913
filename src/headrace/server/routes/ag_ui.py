"""``/ag-ui``: for clients of the AG-UI protocol (npm `@ag-ui/client`).

A thread is a session. The client keeps the conversation and may change it, so what it sends
stands in place of what the session holds; a new run ends one that is still going on there.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.routing import Route

from headrace.protocols.ag_ui.encode import AGUIEncoder
from headrace.protocols.ag_ui.request import read_request
from headrace.protocols.table import FORMATS
from headrace.server.routes.endpoint import Answer, Endpoint, on_leave, route


class AGUI(Endpoint):
    """See above."""

    def routes(self) -> list[Route]:
        """The table."""
        return [route("/ag-ui", self.run, "POST")]

    async def run(self, request: Request) -> Answer:
        """Answer the thread's last message."""
        on_leave(request)  # before anything begins
        asked = read_request(await self.raw(request))
        run = await self.service.start(
            self.user(request),
            asked.input,
            agent=request.query_params.get("agent"),
            session=asked.thread_id,
            history=asked.history,
            busy="replace",
        )
        encoder = AGUIEncoder(asked.thread_id, asked.run_id, asked.call_ids)
        return await self.show(request, run.record, FORMATS["ag-ui"], encoder)
