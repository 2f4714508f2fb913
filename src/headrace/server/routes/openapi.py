"""``/openapi.json``: every route as an OpenAPI document, for people and for makers of clients."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from headrace.server.openapi import document
from headrace.server.replies import SECURITY
from headrace.server.routes.endpoint import Answer, Endpoint, route


class OpenAPI(Endpoint):
    """See above."""

    def routes(self) -> list[Route]:
        """The table."""
        return [route("/openapi.json", self.document, "GET")]

    async def document(self, request: Request) -> Answer:
        """The document, made once for each place where the server is mounted."""
        body = document(request.scope.get("root_path", ""), bool(self.service.users))
        return Response(body, 200, SECURITY, "application/json")
