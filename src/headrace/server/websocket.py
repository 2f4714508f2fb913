"""``/v1/ws``: many requests and many runs over one socket.

Requests are met one after the other, in their order; a cancel at once. Each subscription is a
cursor with a task of its own; messages are written one at a time, whoever came first. So a reader
that takes nothing stops its own cursors, which hold nothing, and nobody else (law 6). The runs
live apart: leaving ends this socket's viewers and nothing else (law 7).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, ClassVar

from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from headrace.errors import HeadraceError, RequestRefused
from headrace.server.bodies import bad_request
from headrace.server.guard import USER
from headrace.server.message_rate import PER_SECOND, MessageRate
from headrace.server.replies import UNEXPECTED
from headrace.server.routes.endpoint import Endpoint
from headrace.server.service import Service
from headrace.server.ws_messages import (
    EVENTS,
    Approve,
    Asked,
    CancelRun,
    Done,
    Ping,
    Pong,
    Refused,
    Start,
    Started,
    Steer,
    Subscribe,
    Told,
    Unsubscribe,
    read,
    ref_of,
    refused,
    written,
)
from headrace.server.ws_subscription import Subscription

MAX_SUBSCRIPTIONS = 64
"""Subscriptions of one socket."""

MAX_WAITING = 32
"""Requests of one socket that wait for the one before; past it, nothing more is read."""

MAX_CANCELS = 16
"""Cancels of one socket that are under way; past it, nothing more is read."""

MAX_BAD = 10
"""Messages that are no request, after which the socket is closed."""

REQUEST_WAIT = 30.0
"""Seconds that a request may take."""

LAST_WORD = 5.0
"""Seconds that are left to requests, and to the last messages, when a socket ends."""

GOING_AWAY, UNSUPPORTED, POLICY, OUR_FAULT = 1001, 1003, 1008, 1011
"""Close codes (RFC 6455, 7.4.1); too large a message is closed with 1009 by the HTTP server."""

_logger = logging.getLogger("headrace.server")


class WebSockets(Endpoint):
    """``/v1/ws``."""

    def routes(self) -> list[WebSocketRoute]:
        """The table."""
        return [WebSocketRoute("/v1/ws", self)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: one socket, to its end. Whose it is the guard has found at the handshake."""
        await Socket(self.service, scope[USER], receive, send).run()


class Socket:
    """One client's socket.

    Args:
        service: The server.
        user: Whose it is.
        receive: ASGI.
        send: ASGI.
    """

    def __init__(self, service: Service, user: str, receive: Receive, send: Send) -> None:
        self._service = service
        self._user = user
        self._receive = receive
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._turn = asyncio.Lock()  # hands over in the order of asking: no one starves
        self._waiting: asyncio.Queue[Asked | Refused] = asyncio.Queue(MAX_WAITING)
        self._cancels: set[asyncio.Task[None]] = set()
        self._subscriptions: dict[str, Subscription] = {}
        self._rate = MessageRate(self._loop.time())
        self._bad = 0
        self._scope = asyncio.timeout(None)
        self._reading = False
        self._left = False
        self._close: tuple[int, str] | None = None
        self._began = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Accept, and serve until the client leaves or the socket is closed."""
        await self._receive()  # websocket.connect
        try:
            await self._send({"type": "websocket.accept"})
        except OSError:
            return  # left already
        worker = self._loop.create_task(self._work(), name="websocket")
        self._service.look_on(self)  # so that it is told to stop, with runs or without
        self._look()
        try:
            await self._read_all()
            await self._finish(worker)
        finally:
            self._service.look_away(self)
            if self._timer is not None:
                self._timer.cancel()
            for subscription in self._subscriptions.values():
                subscription.cancel()
            for task in (worker, *self._cancels):
                task.cancel()

    def stop(self) -> None:
        """The server stops: this socket with it."""
        self._end(GOING_AWAY, "the server is stopping")

    # Reading

    async def _read_all(self) -> None:
        try:
            async with self._scope:
                self._reading = True
                while self._close is None and await self._read():
                    pass
        except TimeoutError:
            if not self._scope.expired():
                raise
        except Exception:
            _logger.exception("A WebSocket failed")
            self._close = (OUR_FAULT, "the server failed")
        finally:
            self._reading = False

    async def _read(self) -> bool:
        """Take one message; False where it was the last one."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._left = True
            return False
        text = message.get("text")
        if text is None:
            self._end(UNSUPPORTED, "messages are text")
            return False
        verdict = self._rate.message(self._loop.time())
        if verdict != "take":
            await self._waiting.put(TOO_MANY)
            if verdict == "close":
                self._end(POLICY, "too many messages")
            return verdict != "close"
        return await self._take(text)

    async def _take(self, text: str) -> bool:
        try:
            asked = read(text)
        except RequestRefused as error:
            await self._waiting.put(refused(ref_of(text), error))
            self._bad += 1
            if self._bad >= MAX_BAD:
                self._end(POLICY, "too many messages that are no requests")
            return self._bad < MAX_BAD
        if not isinstance(asked, CancelRun):
            await self._waiting.put(asked)
            return True
        # It may take seconds, for a run that lives elsewhere, and nothing shall wait for that.
        task = self._loop.create_task(self._answer(asked), name="websocket cancel")
        self._cancels.add(task)
        task.add_done_callback(self._cancels.discard)
        if len(self._cancels) >= MAX_CANCELS:
            await asyncio.wait(self._cancels, return_when=asyncio.FIRST_COMPLETED)
        return True

    # Answering

    async def _work(self) -> None:
        while True:
            asked = await self._waiting.get()
            try:
                if isinstance(asked, Refused):
                    await self._write(written(asked))
                else:
                    await self._answer(asked)
            finally:
                self._waiting.task_done()

    async def _answer(self, asked: Asked) -> None:
        told: Told | None
        try:
            async with asyncio.timeout(REQUEST_WAIT):
                told = await self._MEET[type(asked)](self, asked)
        except HeadraceError as error:
            told = refused(asked.ref, error)
        except TimeoutError:
            told = refused(asked.ref, TOO_LONG)
        except Exception:
            _logger.exception("A WebSocket's request failed")
            told = refused(asked.ref, UNEXPECTED)
        # A subscription that has just begun comes behind this: its task has not run yet.
        if told is not None:
            await self._write(written(told))

    async def _start(self, asked: Start) -> Told:
        if asked.subscribe:
            self._check_room(asked.ref)
        *history, last = asked.messages()
        run = await self._service.start(
            self._user,
            last,
            agent=asked.agent,
            model=asked.model,
            session=asked.session,
            history=history or None,
            keep=asked.keep,
            idempotency_key=asked.idempotency_key,
        )
        if asked.subscribe:
            self._show(asked.ref, Subscription(self._service, asked.ref, run.record))
        return Started(asked.ref, run.id, run.created)

    async def _subscribe(self, asked: Subscribe) -> None:
        self._check_room(asked.ref)
        record = await self._service.record(self._user, asked.run_id)
        batches = await self._service.attach(record, EVENTS, asked.after, asked.policy)
        self._show(
            asked.ref,
            Subscription(self._service, asked.ref, record, asked.after, asked.policy, batches),
        )

    async def _unsubscribe(self, asked: Unsubscribe) -> Told:
        if (subscription := self._subscriptions.get(asked.ref)) is not None:
            await subscription.end()
        return Done(asked.ref)

    async def _cancel(self, asked: CancelRun) -> Told:
        record = await self._service.record(self._user, asked.run_id)
        end = await self._service.runtime.cancel(record.id, asked.reason[:1000])
        return Done(asked.ref, record.id, end)

    async def _steer(self, asked: Steer) -> Told:
        record = await self._service.own(self._user, asked.run_id)
        if not asked.content.strip():
            raise bad_request("invalid_request", "The content is empty.")
        await self._service.runtime.send(record.id, asked.content)
        return Done(asked.ref, record.id)

    async def _approve(self, asked: Approve) -> Told:
        record = await self._service.own(self._user, asked.run_id)
        await self._service.runtime.decide(
            record.id,
            asked.call_id,
            asked.approved,
            agent=asked.agent,
            by=record.user or None,
            reason=asked.reason,
            input=asked.input,
            seen=asked.seen,
        )
        return Done(asked.ref, record.id)

    async def _ping(self, asked: Ping) -> Told:
        return Pong(asked.ref)

    _MEET: ClassVar[dict[type[Asked], Callable[[Socket, Any], Awaitable[Told | None]]]] = {
        Start: _start,
        Subscribe: _subscribe,
        Unsubscribe: _unsubscribe,
        CancelRun: _cancel,
        Steer: _steer,
        Approve: _approve,
        Ping: _ping,
    }

    def _check_room(self, ref: str) -> None:
        if ref in self._subscriptions:
            raise bad_request(
                "ref_in_use",
                f"The subscription {ref!r} goes on.",
                "Give each its own ref, or unsubscribe that one first.",
            )
        if len(self._subscriptions) >= MAX_SUBSCRIPTIONS:
            raise RequestRefused(
                429,
                "too_many_subscriptions",
                f"One socket has at most {MAX_SUBSCRIPTIONS} subscriptions.",
                hint="Unsubscribe one, or open another socket.",
            )

    def _show(self, ref: str, subscription: Subscription) -> None:
        self._subscriptions[ref] = subscription
        subscription.begin(self._write, lambda: self._subscriptions.pop(ref))

    # Writing

    async def _write(self, text: str) -> None:
        """Write one message, when those before are written; nothing where the client has left."""
        async with self._turn:
            if self._left:
                return
            self._began = self._loop.time()
            try:
                await self._send({"type": "websocket.send", "text": text})
            except (
                OSError,
                RuntimeError,
            ):  # left; or closed, for its size or a ping, by the server
                self._leave()
            finally:
                self._began = 0.0

    def _look(self) -> None:
        """Give up a client that takes nothing."""
        stuck = self._service.settings.stuck
        if self._began and self._loop.time() - self._began >= stuck:
            _logger.info("A WebSocket took nothing for %g s", stuck)
            self._leave()
            return
        self._timer = self._loop.call_later(stuck / 4, self._look)

    # Ending

    def _leave(self) -> None:
        self._left = True
        self._end(0, "")

    def _end(self, code: int, why: str) -> None:
        """Read no more; the first reason is told."""
        if self._close is None:
            self._close = (code, why)
            if self._reading:
                self._scope.reschedule(self._loop.time())

    async def _finish(self, worker: asyncio.Task[None]) -> None:
        """End the viewers, let requests end that were sent, and say why."""
        if shown := list(self._subscriptions.values()):
            await asyncio.gather(*(subscription.end() for subscription in shown))
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORD):
                await self._waiting.join()
                if not self._left and self._close is not None:
                    await self._say_why(*self._close)
        self._left = True
        if self._cancels:
            await asyncio.wait(self._cancels, timeout=LAST_WORD)
        worker.cancel()
        await asyncio.wait((worker,))

    async def _say_why(self, code: int, why: str) -> None:
        async with self._turn:
            with suppress(OSError, RuntimeError):
                await self._send({"type": "websocket.close", "code": code, "reason": why})


TOO_MANY = Refused(
    None,
    "too_many_messages",
    f"A socket takes {PER_SECOND:g} messages a second; this one was not read.",
    "Wait a little. The socket is closed if it goes on.",
    1.0,
)

TOO_LONG = RequestRefused(
    503,
    "request_timeout",
    f"The request took more than {REQUEST_WAIT:g} s.",
    hint="It may have been met: look at the run.",
    retry_after=1.0,
)
