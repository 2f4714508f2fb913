"""A server that is a process: JSON lines over its standard input and output.

Not the SDK's own transport: that one keeps a line of whatever length, and tells neither how the
process ended nor what it said last.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
import mcp_types as types
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage

from headrace.errors import ToolServerError
from headrace.tools.mcp.servers import Stdio

MAX_MESSAGE = 8 * 1024 * 1024
"""Bytes of one message from a server, at most; past it the connection ends."""

MAX_STDERR = 2 * 1024
"""Bytes of what a server wrote last on its standard error that are kept for messages."""

GRACE = 2.0
"""Seconds for the process to end after its input has ended, and again after SIGTERM."""

_Lost = (anyio.ClosedResourceError, anyio.BrokenResourceError)


class StdioTransport:
    """What the SDK's client takes as a transport.

    Args:
        server: What to start.
        on_end: Called when nothing more can come.
    """

    def __init__(self, server: Stdio, on_end: Callable[[], None]) -> None:
        self._server = server
        self._on_end = on_end
        self._said = b""
        self._fault = ""
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> tuple[Any, Any]:
        """Start it.

        Raises:
            ToolServerError: it cannot be started.
        """
        self._process = await self._start()
        self._to_session, incoming = anyio.create_memory_object_stream[SessionMessage | Exception]()
        outgoing, self._from_session = anyio.create_memory_object_stream[SessionMessage]()
        self._streams = (self._to_session, incoming, outgoing, self._from_session)
        self._tasks = [
            asyncio.create_task(work(), name=f"mcp {self._server.label}")
            for work in (self._read, self._write, self._listen)
        ]
        return incoming, outgoing

    async def __aexit__(self, *_: object) -> None:
        """Stop it: its input ends, then SIGTERM, then SIGKILL (specification, Lifecycle)."""
        try:
            for stream in self._streams[1:3]:
                stream.close()
            await asyncio.wait(self._tasks[1:2], timeout=GRACE)  # what was sent shall arrive
            await self._stop()
        finally:
            for task in self._tasks:
                task.cancel()
            self._kill(signal.SIGKILL)
            # Not public, but a descendant that holds a pipe would keep it open for ever.
            transport = getattr(self._process, "_transport", None)
            if transport is not None:
                transport.close()
            for stream in self._streams:
                stream.close()

    def ending(self) -> str:
        """How it ended and what it said last, as far as is known."""
        code = self._process.returncode if self._tasks else None
        parts = [self._fault] if self._fault else []
        if code is not None:
            parts.append(f"It ended with {_how(code)}.")
        if said := self._said.decode("utf-8", "replace").strip():
            parts.append(f"It said last: {said}")
        return " ".join(parts)

    async def _start(self) -> asyncio.subprocess.Process:
        server = self._server
        try:
            return await asyncio.create_subprocess_exec(
                server.command,
                *server.arguments,
                env=get_default_environment() | dict(server.environment),
                cwd=server.folder,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,  # a Ctrl-C in our terminal is ours to handle
                limit=MAX_MESSAGE,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise ToolServerError(
                f"It cannot be started: {reason}.",
                hint="Is the command installed, and is the folder there?",
            ) from None

    async def _read(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101 - it is a pipe
        try:
            while line := await stdout.readuntil(b"\n"):
                if (message := _message(line)) is not None:
                    await self._to_session.send(message)
                else:  # a program that prints is told apart from one that is broken
                    self._keep(line)
        except asyncio.LimitOverrunError:
            self._fault = f"It sent a message of more than {MAX_MESSAGE} bytes."
            self._kill(signal.SIGKILL)
        except (asyncio.IncompleteReadError, ConnectionError, *_Lost):
            pass
        finally:
            self._to_session.close()
            self._on_end()
        with suppress(ConnectionError):  # or it could not end for a full pipe
            while await stdout.read(65536):
                pass

    async def _write(self) -> None:
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - it is a pipe
        try:
            async for each in self._from_session:
                text = each.message.model_dump_json(by_alias=True, exclude_unset=True)
                stdin.write(text.encode() + b"\n")
                await stdin.drain()
        except (ConnectionError, *_Lost):
            self._to_session.close()

    async def _listen(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None  # noqa: S101 - it is a pipe
        with suppress(ConnectionError):
            while data := await stderr.read(65536):
                self._keep(data)

    def _keep(self, data: bytes) -> None:
        self._said = (self._said + data)[-MAX_STDERR:]

    async def _stop(self) -> None:
        stdin = self._process.stdin
        if stdin is not None:
            stdin.close()
        for send in (None, signal.SIGTERM, signal.SIGKILL):
            if send is not None:
                self._kill(send)
            if await self._ended():
                return

    async def _ended(self) -> bool:
        # `wait` also waits for its pipes, which a descendant may hold.
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), GRACE)
            return True
        return False

    def _kill(self, sent: signal.Signals) -> None:
        """Signal it and its descendants; it leads a group of its own."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, sent)


def _message(line: bytes) -> SessionMessage | None:
    try:
        return SessionMessage(types.jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError:
        return None


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"
