"""What an operator may set, and the bounds of the server."""

from __future__ import annotations

from msgspec import Struct

from headrace.errors import ConfigurationError

MAX_BODY = 10 * 1024 * 1024
"""Bytes of one request's body."""

MAX_MESSAGE = 1024 * 1024
"""Bytes of one WebSocket message from a client."""

BODY_WAIT = 30.0
"""Seconds that a request's body may take to come."""

WS_PING = 20.0
"""Seconds between pings to a WebSocket, and seconds that each may wait for its pong."""

KEEP_ALIVE = 15.0
"""Seconds of silence after which a stream says that it is still there."""

STUCK = 60.0
"""Seconds that a viewer may take nothing before its connection is given up."""

RETRY_MS = 1000
"""Milliseconds that a reader waits before it connects again, on average (WHATWG HTML, 9.2)."""

GRACE = 10.0
"""Seconds that live runs have to end when the server is told to stop."""


class Settings(Struct, frozen=True, kw_only=True):
    """How a server behaves; each has a default that is safe.

    Attributes:
        live_runs: Most live runs of one user.
        new_runs: Most runs that one user may begin in a minute.
        models: Models that a request may name instead of its agent's own; none by default.
        operators: Users who see every run, the dashboard's figures and ``/metrics``, and may stop
            any run. Where the server knows no users, everyone sees the figures.
        allow_origins: Web origins (``https://app.example``) whose pages may call this server
            from elsewhere (CORS); none by default.
        allow_hosts: Names that a request's ``Host`` may have, without port; empty for any.
        log_prompts: Whether the log shows what people write and models answer.
        max_body: Bytes of one request's body.
        max_message: Bytes of one WebSocket message from a client.
        ws_ping: Seconds between pings to a WebSocket; who answers none within as long again is
            dropped.
        body_wait: Seconds that a request's body may take to come.
        keep_alive: Seconds of silence after which a stream says that it is still there.
        stuck: Seconds that a viewer may take nothing before its connection is given up.
        retry_ms: Milliseconds before a reader connects again, on average.
        grace: Seconds that live runs have to end when the server is told to stop.

    Raises:
        ConfigurationError: a bound that is not above 0.
    """

    live_runs: int = 10
    new_runs: int = 60
    models: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    allow_origins: tuple[str, ...] = ()
    allow_hosts: tuple[str, ...] = ()
    log_prompts: bool = False
    max_body: int = MAX_BODY
    max_message: int = MAX_MESSAGE
    ws_ping: float = WS_PING
    body_wait: float = BODY_WAIT
    keep_alive: float = KEEP_ALIVE
    stuck: float = STUCK
    retry_ms: int = RETRY_MS
    grace: float = GRACE

    def __post_init__(self) -> None:
        bounds = "live_runs new_runs max_body max_message ws_ping body_wait keep_alive stuck"
        for name in bounds.split():
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"The server's {name} is more than 0.")
