"""A run that is shown over a WebSocket beside others: a cursor with a name."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from headrace.errors import HeadraceError
from headrace.events import TERMINAL, Event
from headrace.runs.policies import PolicyName
from headrace.runs.stores.record import RunRecord
from headrace.server.frames import Frames
from headrace.server.replies import UNEXPECTED
from headrace.server.service import Service
from headrace.server.stream import DRAINING
from headrace.server.ws_messages import EVENTS, Ended, Failure, events_head, written

MAX_EVENTS = 512 * 1024
"""Bytes of events in one message; a single event may be larger."""

CATCHING_UP = 16 * 1024
"""Bytes of a message after which others get their turn, though this viewer could go on."""

_TERMINAL = frozenset(TERMINAL)
_logger = logging.getLogger("headrace.server")

Send = Callable[[str], Awaitable[None]]
"""Writes a message; it takes as long as the reader does."""


class Subscription:
    """Sends a run's events as they come. It reads on when what it read is written.

    Args:
        service: The server.
        ref: The client's word for it.
        record: The run.
        after: The last event that the client has seen.
        policy: What it gets when it lags.
        batches: A viewer of the run behind `after`; by default it makes one.
    """

    def __init__(
        self,
        service: Service,
        ref: str,
        record: RunRecord,
        after: int = 0,
        policy: PolicyName = "merge",
        batches: AsyncGenerator[list[Event]] | None = None,
    ) -> None:
        self._service = service
        self._ref = ref
        self._record = record
        self._after = after
        self._policy = policy
        self._batches = batches
        self._head = events_head(ref, record.id)
        self._task: asyncio.Task[None] | None = None

    @property
    def after(self) -> int:
        """The last event that was sent."""
        return self._after

    def begin(self, send: Send, over: Callable[[], object]) -> None:
        """Send from now on; `over` is called when nothing more comes."""
        self._task = asyncio.create_task(self._run(send), name=f"show {self._record.id}")
        self._task.add_done_callback(lambda _: over())

    async def end(self) -> None:
        """Send nothing more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    def cancel(self) -> None:
        """`end`, without waiting for it."""
        if self._task is not None:
            self._task.cancel()

    def stop(self) -> None:
        """The server stops: left to the socket, which is told, too."""

    async def _run(self, send: Send) -> None:
        frames = self._service.watch(self._record.id, self)
        try:
            told: Ended | Failure = Ended(self._ref, self._record.id)
            try:
                await self._show(send, frames)
            except HeadraceError as error:
                # A store that closes with its server is no trouble of this run.
                told = self._failure(DRAINING if self._service.draining else error)
            except Exception:
                _logger.exception("%s cannot be shown", self._record.id)
                told = self._failure(UNEXPECTED)
            await send(written(told))
        finally:
            self._service.unwatch(self._record.id, self)

    async def _show(self, send: Send, frames: Frames) -> None:
        viewer = self._batches or await self._service.attach(
            self._record, EVENTS, self._after, self._policy
        )
        async with aclosing(viewer) as batches:
            async for batch in batches:
                await self._send(send, frames, batch)
                if type(batch[-1]) in _TERMINAL:
                    return

    async def _send(self, send: Send, frames: Frames, batch: list[Event]) -> None:
        if self._policy == "drop":  # what is left out is this viewer's own
            data = EVENTS.encode(batch)
        else:
            data = frames.encoded(EVENTS, self._after, batch).data
        if len(data) > MAX_EVENTS and len(batch) > 1:
            half = len(batch) // 2
            await self._send(send, frames, batch[:half])
            await self._send(send, frames, batch[half:])
            return
        await send("".join((self._head, data.decode(), "]}")))
        self._after = batch[-1].seq
        if len(data) > CATCHING_UP:
            await asyncio.sleep(0)

    def _failure(self, error: HeadraceError) -> Failure:
        return Failure(
            self._ref,
            self._record.id,
            error.code,
            error.message,
            error.hint,
            error.retryable,
            self._after,
        )
