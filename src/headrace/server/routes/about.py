"""What is no run: health, the pages, their assets, the JavaScript client."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route

import headrace
from headrace.agents.agent import Agent
from headrace.errors import HeadraceError
from headrace.server.assets import asset_reply, assets
from headrace.server.doctor import doctor
from headrace.server.replies import reply
from headrace.server.routes.endpoint import Answer, Endpoint, route, route_path

_PAGES = {
    "/": "index.html",
    "/dashboard": "dashboard.html",
    "/headrace.js": "headrace.js",
}


class About(Endpoint):
    """``/``, ``/dashboard``, ``/health`` and what a page loads."""

    def routes(self) -> list[Route]:
        """The table."""
        pages = [route(path, self.page, "GET") for path in _PAGES]
        return [
            route("/health", self.health, "GET"),
            route("/v1/doctor", doctor, "GET"),
            route("/v1/about", self.about, "GET"),
            *pages,
            route("/assets/{name:path}", self.asset, "GET"),
        ]

    async def health(self, request: Request) -> Answer:
        """Whether new runs are taken; 503 while the server stops, so that others get them."""
        service = self.service
        status = "draining" if service.draining else "ok"
        counts = {"live_runs": len(service.runtime.live), "viewers": service.watchers}
        return reply({"status": status, **counts}, 503 if service.draining else 200)

    async def about(self, request: Request) -> Answer:
        """Who asks, who answers and why, and where runs are kept."""
        service, user = self.service, self.user(request)
        operator, store = service.is_operator(user), service.runtime.store
        told = {
            "version": headrace.__version__,
            "user": user,
            "users": bool(service.users),
            "operator": operator,
            # Where the file lies is the operators' business.
            "store": str(store) if operator else type(store).__name__,
            "agents": [
                _agent(agent, service.why if not nth else "")
                for nth, agent in enumerate(service.agents.values())
            ],
        }
        return reply(told)

    async def page(self, request: Request) -> Answer:
        """A page, or the JavaScript client."""
        return asset_reply(request, assets()[_PAGES[route_path(request.scope)]])

    async def asset(self, request: Request) -> Answer:
        """A file that a page loads."""
        found = assets().get(f"assets/{request.path_params['name']}")
        if found is None:
            raise HTTPException(404)
        return asset_reply(request, found)


def _agent(agent: Agent, why: str) -> dict[str, Any]:
    """What there is to know of an agent before it is asked."""
    try:
        model = agent.model.name
    except HeadraceError as error:  # no key or no such model: each run will say so
        model, why = "", error.message
    return {"name": agent.name, "model": model, "why": why, "tools": list(agent.tools)}
