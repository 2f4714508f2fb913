"""``/metrics``: the figures of this process's runs for Prometheus."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from headrace.server.replies import SECURITY
from headrace.server.routes.endpoint import Answer, Endpoint, route
from headrace.telemetry.exposition import CONTENT_TYPE
from headrace.telemetry.families import Gauge


class Metrics(Endpoint):
    """For those who may see the whole server."""

    def routes(self) -> list[Route]:
        """The table."""
        return [route("/metrics", self.metrics, "GET")]

    async def metrics(self, request: Request) -> Answer:
        """All families, and who watches now."""
        self.service.check_operator(self.user(request))
        text = self.service.figures.text(self._viewers())
        return Response(text, 200, SECURITY | {"content-type": CONTENT_TYPE})

    def _viewers(self) -> tuple[Gauge, Gauge]:
        viewers = Gauge("headrace_viewers", "Who watch runs here, finished ones included.")
        lag = Gauge(
            "headrace_viewer_lag_events", "Events that the slowest viewer of a live run is behind."
        )
        viewing, live = self.service.viewing(), self.service.figures.runs
        viewers.set(sum(seen.viewers for seen in viewing.values()))
        behind = (live[id].last_seq - seen.after for id, seen in viewing.items() if id in live)
        lag.set(max((0, *behind)))
        return viewers, lag
