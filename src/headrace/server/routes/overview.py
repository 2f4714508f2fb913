"""What the dashboard draws, once or as it changes; for those who may see the whole server."""

from __future__ import annotations

from starlette.requests import Request
from starlette.routing import Route

from headrace.errors import RequestRefused
from headrace.server.bodies import bad_request
from headrace.server.overview import SLOT, WINDOW
from headrace.server.overview_stream import OverviewStream
from headrace.server.replies import reply
from headrace.server.routes.endpoint import Answer, Endpoint, number, route


class Overviews(Endpoint):
    """``/v1/overview`` and below."""

    def routes(self) -> list[Route]:
        """The table."""
        return [
            route("/v1/overview", self.once, "GET"),
            route("/v1/overview/events", self.events, "GET"),
        ]

    async def once(self, request: Request) -> Answer:
        """The figures now."""
        window = await self._allowed(request)
        return reply(self.service.overview.overview(window))

    async def events(self, request: Request) -> Answer:
        """The figures as they change, until the reader leaves."""
        window = await self._allowed(request)
        if self.service.draining:
            raise RequestRefused(
                503,
                "draining",
                "The server is stopping, and shows no more figures.",
                hint="Try again: another one will answer.",
                retry_after=self.service.settings.grace,
            )
        return OverviewStream(self.service, self.service.overview, window)

    async def _allowed(self, request: Request) -> float:
        """The window that is asked for, by someone who may, once there is something to see."""
        self.service.check_operator(self.user(request))
        window = _window(request)
        await self.service.overview.ready()
        return window


def _window(request: Request) -> float:
    """How far back, in seconds.

    Raises:
        RequestRefused: less than a slot, or more than is kept.
    """
    text = request.query_params.get("window")
    if text is None:
        return WINDOW
    window = number(text, "number of seconds")
    if not SLOT <= window <= WINDOW:
        raise bad_request(
            "invalid_request",
            f"window cannot be {text[:80]!r}.",
            f"Write seconds, from {SLOT:g} to {WINDOW:g}.",
        )
    return float(window)
