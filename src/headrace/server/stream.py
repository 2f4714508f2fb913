"""A viewer over HTTP: a run's events in some protocol, one write for each batch.

The run lives apart: whoever leaves here ends this viewer and nothing else (law 7).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from starlette.types import Receive, Scope, Send

from headrace.errors import HeadraceError, RequestRefused
from headrace.events import TERMINAL, Event
from headrace.protocols.encoder import Encoder
from headrace.protocols.table import Format
from headrace.server.frames import Frames
from headrace.server.replies import SECURITY
from headrace.server.service import Service

STREAM_HEADERS = SECURITY | {
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
}
"""No cache keeps it, no proxy changes it, and nginx does not hold it back."""

DRAINING = RequestRefused(
    503, "draining", "The server is stopping; the run goes on without it.", retry_after=1.0
)

LAST_WORD = 1.0
"""Seconds for the last bytes of a stream whose server stops."""

CATCHING_UP = 16 * 1024
"""Bytes of a slice from which on others get their turn before the next one."""

_TERMINAL = frozenset(TERMINAL)
_logger = logging.getLogger("headrace.server")


class RunStream:
    """The answer that streams a run; an ASGI application.

    Args:
        service: The server.
        run_id: The run.
        batches: A viewer of it (`Runtime.attach`), behind `after`.
        format: The protocol.
        encoder: Its state behind `after`.
        after: The last event that the reader has seen.
        cancel: Whether the reader's leaving cancels the run.
        first: Bytes that come before all others.
    """

    def __init__(
        self,
        service: Service,
        run_id: str,
        batches: AsyncGenerator[list[Event]],
        format: Format,
        encoder: Encoder,
        after: int = 0,
        *,
        cancel: bool = False,
        first: bytes = b"",
    ) -> None:
        self._service = service
        self._settings = service.settings
        self._run_id = run_id
        self._batches = batches
        self._format = format
        self._encoder = encoder
        self._after = after
        self._cancel = cancel
        self._first = first
        self._headers = {
            "content-type": format.media_type,
            "x-headrace-run": run_id,
            **STREAM_HEADERS,
            **format.headers,
        }
        self._loop = asyncio.get_running_loop()
        self._ended = False
        self._left = False
        self._listening = False
        self._wrote = 0.0
        self._writing = False
        self._beat: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream to the run's end, or until the reader leaves."""
        frames = self._service.watch(self._run_id, self)
        self._wrote = self._loop.time()
        # A task of its own: what wakes it for each batch has few frames to go through.
        writer = self._loop.create_task(self._write(send, frames), name=self._run_id)
        writer.add_done_callback(lambda _: self.stop())
        try:
            # A scope that `stop` can end at once: after the last byte, from a timer or the drain.
            async with asyncio.timeout(None) as self._scope:
                self._look()
                await self._listen(receive)
        except TimeoutError:
            if not self._scope.expired():
                raise
        finally:
            self._service.unwatch(self._run_id, self)
            await self._let_go(writer)
        if self._left:
            await self._was_left()
        elif not self._ended:
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORD):
                    await self._break_off(send, DRAINING)

    @property
    def after(self) -> int:
        """The last event that was taken for the reader."""
        return self._after

    async def _let_go(self, writer: asyncio.Task[None]) -> None:
        """End what is left; raises what the writer did."""
        if self._timer is not None:
            self._timer.cancel()
        if self._beat is not None:
            self._beat.cancel()
        writer.cancel()
        await asyncio.wait((writer,))
        if not writer.cancelled():
            writer.result()

    def stop(self) -> None:
        """End this viewer, from outside."""
        if self._listening:
            self._scope.reschedule(self._loop.time())

    async def _listen(self, receive: Receive) -> None:
        """Wait until the reader leaves: sending to one who has is no error in ASGI."""
        self._listening = True
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            self._listening = False
        self._left = not self._ended

    def _leave(self) -> None:
        self._left = True
        self.stop()

    async def _was_left(self) -> None:
        _logger.info("%s: a viewer left at event %d", self._run_id, self._after)
        if self._cancel:
            try:
                await self._service.runtime.cancel(self._run_id, "its reader left")
            except HeadraceError as error:
                _logger.warning("%s was not cancelled: %s", self._run_id, error)

    async def _write(self, send: Send, frames: Frames) -> None:
        await self._start(send)
        encoder = self._encoder
        try:
            async with aclosing(self._batches) as batches:
                async for batch in batches:
                    slice = frames.encoded(encoder, self._after, batch)
                    encoder = self._encoder = slice.encoder
                    last = batch[-1]
                    self._after = last.seq
                    if type(last) in _TERMINAL:
                        self._ended = True
                        await self._finish(send, slice.data)
                        return
                    if slice.data:
                        await self._send(send, slice.data)
                    if len(slice.data) > CATCHING_UP:  # until the socket is full, nothing waits
                        await asyncio.sleep(0)
        except HeadraceError as error:
            stopping = self._service.draining  # the store may be closed before this viewer is told
            await self._break_off(send, DRAINING if stopping else error, told=not stopping)
            return
        await self._finish(send, b"")  # the reader had seen the end before

    async def _start(self, send: Send) -> None:
        self._send_beat = send
        head = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in self._headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        first = self._first
        if self._format.resumes:  # each reader waits for another while: they left at once
            wait = int(self._settings.retry_ms * random.uniform(0.5, 1.5))  # noqa: S311
            first = b"retry: %d\n\n%b" % (wait, first)
        await self._send(send, first)

    async def _send(self, send: Send, data: bytes, more: bool = True) -> None:
        if self._beat is not None:
            await asyncio.wait((self._beat,))
            self._beat = None
        self._wrote = self._loop.time()
        self._writing = True
        await send({"type": "http.response.body", "body": data, "more_body": more})
        self._writing = False

    async def _finish(self, send: Send, data: bytes) -> None:
        # Without its end, a body that is cut does not look whole.
        await self._send(send, data, more=self._encoder.cut)

    async def _break_off(self, send: Send, error: HeadraceError, told: bool = False) -> None:
        """End a stream whose run has not ended; a reader that resumes is only told what lasts."""
        self._ended = True
        data = b""
        if told or not self._format.resumes:
            self._encoder = self._encoder.fork()
            data = self._encoder.fail(error)
        await self._finish(send, data)

    def _look(self) -> None:
        """Say that the stream is still there, or give up a reader who takes nothing."""
        now = self._loop.time()
        silent = now - self._wrote
        writing = self._writing or (self._beat is not None and not self._beat.done())
        if writing and silent >= self._settings.stuck:
            _logger.info("%s: a viewer took nothing for %.0f s", self._run_id, silent)
            self._leave()
            return
        if not writing and not self._ended and silent >= self._settings.keep_alive:
            self._wrote = now
            if self._format.beat:
                self._beat = self._loop.create_task(self._say_so())
        due = now if writing else self._wrote
        self._timer = self._loop.call_at(due + self._settings.keep_alive, self._look)

    async def _say_so(self) -> None:
        body = {"type": "http.response.body", "body": self._format.beat, "more_body": True}
        await self._send_beat(body)
