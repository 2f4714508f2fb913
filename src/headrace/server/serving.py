"""`serve`: the server as a program, from its banner to its last breath."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FrameType
from typing import Any

import uvicorn
from msgspec.structs import replace

from headrace.agents.agent import Agent
from headrace.errors import ConfigurationError
from headrace.runs.stores.store import Store
from headrace.runs.stores.table import default_store
from headrace.server.app import HeadraceApp, app
from headrace.server.auth import Users, read_tokens
from headrace.server.banner import banner
from headrace.server.http_connection import HttpConnection
from headrace.server.settings import Settings
from headrace.server.ws_protocol import WebSocketConnection

HOST = "127.0.0.1"
PORT = 8080

MAX_CONNECTIONS = 10_000
"""Open connections; the next one is answered with 503."""

LAST_BREATH = 5.0
"""Seconds that the process may take to end after its drain; then it is ended."""

AT_ONCE = 0.5
"""The same, after a second signal."""

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

OWN_NAMES = ("127.0.0.1", "localhost", "[::1]")
"""What a server on loopback goes by."""

_logger = logging.getLogger("headrace.server")


def serve(
    agents: Iterable[Agent],
    *,
    host: str = HOST,
    port: int = PORT,
    store: Store | str | None = None,
    tokens: Mapping[str, str] | Users | None = None,
    settings: Settings | None = None,
    why: str = "",
    show: Callable[[str], object] = print,
    on_listening: Callable[[str], object] = lambda address: None,
    **more: Any,
) -> None:
    """Run the server until SIGTERM or Ctrl-C, then drain it.

    The first signal refuses new runs and lets live ones end; what is left after the grace time is
    handed over to whoever opens the store next. A second one ends at once.

    Args:
        agents: Whom requests may ask; the first is the default.
        host: Where to listen; beyond this machine only with tokens.
        port: Where to listen; 0 takes a free one, and the banner says which.
        store: Where runs are kept; by default ``HEADRACE_STORE``, or a file where your data is.
        tokens: User to token; by default those of ``HEADRACE_TOKENS`` (see `auth.read_tokens`).
        settings: The rest.
        why: Why the first agent's model is this one, for the banner and the page.
        show: Prints the banner.
        on_listening: Told the server's address once it can be reached.
        **more: Fields of `Settings`, in its place.

    Raises:
        ConfigurationError: an address beyond this machine without tokens, one that is taken, or
            a setting, model or token that makes no sense.
    """
    asyncio.run(
        _serve(list(agents), host, port, store, tokens, settings, why, show, on_listening, more)
    )


async def _serve(  # long: every choice of an operator comes together here
    agents: list[Agent],
    host: str,
    port: int,
    store: Store | str | None,
    tokens: Mapping[str, str] | Users | None,
    settings: Settings | None,
    why: str,
    show: Callable[[str], object],
    on_listening: Callable[[str], object],
    more: dict[str, Any],
) -> None:
    users = tokens if isinstance(tokens, Users) else Users(tokens) if tokens else read_tokens()
    local = host in LOOPBACK
    if not local and not users:
        raise ConfigurationError(
            f"The address {host} can be reached from other machines, and no tokens are set.",
            hint="Set HEADRACE_TOKENS=user:token, or listen on 127.0.0.1.",
        )
    settings = replace(settings or Settings(), **more)
    if local and not users and not settings.allow_hosts:
        settings = replace(settings, allow_hosts=OWN_NAMES)
    for agent in agents:
        agent.model  # noqa: B018  # a model or key that is missing is told now, not to a client
    own = default_store() if store is None else None
    headrace_app = app(agents, store=own or store, tokens=users, settings=settings, why=why)
    listening = listen(host, port)
    address = f"http://{_shown(host)}:{listening.getsockname()[1]}"
    show(banner(headrace_app.service, address, why))
    on_listening(address)
    await Program(headrace_app).serve(sockets=[listening])
    if own is not None:
        await own.close()


class Program(uvicorn.Server):
    """uvicorn, with a drain between the signal and the closing of its sockets.

    Connections are closed last, so that a client that comes while runs are ending is told to
    try elsewhere (503), and those who watch see their runs' ends.

    Args:
        headrace_app: What is served.
        may_end: Whether the process is the program's own, to be ended where it does not end.
    """

    def __init__(self, headrace_app: HeadraceApp, *, may_end: bool = True) -> None:
        settings = headrace_app.service.settings
        super().__init__(
            uvicorn.Config(
                headrace_app,
                http=HttpConnection,
                proxy_headers=False,
                ws=WebSocketConnection,
                ws_per_message_deflate=False,  # 32 KiB a socket, and each packs the same bytes
                ws_max_size=settings.max_message,
                ws_ping_interval=settings.ws_ping,
                ws_ping_timeout=settings.ws_ping,
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=MAX_CONNECTIONS,
                timeout_graceful_shutdown=1,
            )
        )
        self._app = headrace_app
        self._may_end = may_end
        self._draining: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Until a signal, or `stop`."""
        self._loop = asyncio.get_running_loop()
        if self._may_end:
            _collect_less()
        await super().serve(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn does, without raising them again: the drain was what they asked for."""
        if not self._may_end:
            yield
            return
        with super().capture_signals():
            yield
            self._captured_signals.clear()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at the first signal, end at the second."""
        self._captured_signals.append(sig)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.stop)

    def stop(self) -> None:
        """Begin to stop; again: at once."""
        if self._draining is None:
            self._draining = asyncio.ensure_future(self._drain())
        else:
            self.force_exit = True
            self._exit(AT_ONCE)

    async def _drain(self) -> None:
        try:
            await self._app.service.drain()
        finally:
            self._exit(LAST_BREATH)

    def _exit(self, within: float) -> None:
        self.should_exit = True
        if self._may_end:
            _end_within(within)


def _collect_less() -> None:
    """Look for cycles less often: events make none, and what is loaded by now stays."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def _end_within(seconds: float) -> None:
    """A thread that never returns, a tool's or a store's, does not keep the process."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
        signal.setitimer(signal.ITIMER_REAL, seconds)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ConfigurationError: the address is taken, or none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the protocol is named; without it frames wait for ACKs.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(2048)
    except (OSError, OverflowError) as error:
        listening.close()
        raise _deaf(host, port, error) from None
    return listening


def _deaf(host: str, port: int, error: OSError | OverflowError) -> ConfigurationError:
    why, hint = str(error), "Take another port: headrace serve --port 8081."
    if isinstance(error, OSError):
        why = error.strerror or why  # without Python's "[Errno 98]"
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            hint = "Take an address of this machine: 127.0.0.1, or 0.0.0.0 for all that it has."
    return ConfigurationError(f"Nothing can listen on {host}:{port}: {why}.", hint=hint)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def log_to(stream: Any = None, level: int = logging.INFO) -> None:
    """Write the server's log to a stream, by default standard error, one line each."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    for name in ("headrace", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
    logging.getLogger("headrace").setLevel(level)
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
