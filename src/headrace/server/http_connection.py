"""One connection: uvicorn's HTTP/1.1, with bounds on the head of a request and answers of ours.

uvicorn bounds neither: heads of 40 MB were kept whole, by anyone who could connect, and a
connection that never sent its request stayed open for ever.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import ClassVar

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from headrace.errors import RequestRefused
from headrace.server.replies import error_reply

MAX_HEAD = 64 * 1024
"""Bytes of a request's line and headers; as much again may have come with the last of them."""

HEAD_WAIT = 15.0
"""Seconds that they may take to come."""


class HttpConnection(HttpToolsProtocol):
    """Give it to uvicorn as ``http=``.

    A head that is too large is answered with 431, one that takes too long with 408, what is no
    HTTP with 400, all in JSON; then the connection is closed.
    """

    max_head: ClassVar[int] = MAX_HEAD
    head_wait: ClassVar[float] = HEAD_WAIT

    _head = 0
    _in_head = True
    _asked = False
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._late = self.loop.call_later(self.head_wait, self._too_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._head_is_whole()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes while a head is open: a header is told only when it is whole."""
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head += len(data)
            if self._head > self.max_head:
                self._refuse(
                    431, "headers_too_large", f"A request's head has {self.max_head:,} bytes."
                )

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._head, self._in_head, self._asked = 0, True, True
        if self._late is None:
            self._late = self.loop.call_later(self.head_wait, self._too_late)

    def on_headers_complete(self) -> None:
        """It has ended."""
        self._head_is_whole()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """In place of uvicorn's: what it cannot read is no HTTP."""
        self._refuse(400, "invalid_http", msg)

    def _head_is_whole(self) -> None:
        self._in_head = False
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_late(self) -> None:
        self._late = None
        if not self.transport.is_closing():
            message = f"A request's head comes within {self.head_wait:g} s."
            self._refuse(408, "request_timeout", message)

    def _refuse(self, status: int, code: str, message: str) -> None:
        self._head_is_whole()
        # Within an answer it would be read as a part of it; and who has asked nothing, as a
        # browser that connects ahead, expects no answer.
        if self._asked and not self._answering():
            self.transport.write(_written(error_reply(RequestRefused(status, code, message))))
        self.transport.close()

    def _answering(self) -> bool:
        started: bool = getattr(self.cycle, "response_started", False)
        return bool(self.pipeline) or (started and not self.cycle.response_complete)


def _written(answer: Response) -> bytes:
    status = HTTPStatus(answer.status_code)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode(), b"connection: close"]
    lines += [b"%s: %s" % header for header in answer.raw_headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + bytes(answer.body)
