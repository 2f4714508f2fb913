"""What is no run: health, the page, its assets, the JavaScript client."""

from __future__ import annotations

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from headrace.server.doctor import doctor
from headrace.server.replies import PAGE_SECURITY, reply
from headrace.server.routes.endpoint import Answer, Endpoint, route, route_path

_PAGES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/index.js": ("index.js", "text/javascript; charset=utf-8"),
    "/index.css": ("index.css", "text/css; charset=utf-8"),
    "/headrace.js": ("headrace.js", "text/javascript; charset=utf-8"),
}


class About(Endpoint):
    """``/``, ``/health`` and what a page loads."""

    def routes(self) -> list[Route]:
        """The table."""
        pages = [route(path, self.page, "GET") for path in _PAGES]
        return [
            route("/health", self.health, "GET"),
            route("/v1/doctor", doctor, "GET"),
            *pages,
        ]

    async def health(self, request: Request) -> Answer:
        """Whether new runs are taken; 503 while the server stops, so that others get them."""
        service = self.service
        status = "draining" if service.draining else "ok"
        counts = {"live_runs": len(service.runtime.live), "viewers": service.watchers}
        return reply({"status": status, **counts}, 503 if service.draining else 200)

    async def page(self, request: Request) -> Answer:
        """A file of `headrace.server.pages`."""
        name, media_type = _PAGES[route_path(request.scope)]
        body = (files("headrace.server") / "pages" / name).read_bytes()
        headers = PAGE_SECURITY | {"cache-control": "no-cache"}
        return Response(body, 200, headers, media_type)
