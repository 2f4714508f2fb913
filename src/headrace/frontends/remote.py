"""`Remote`: the runs of a Headrace server, from another program.

    remote = Remote("https://chat.example.org", token=Secret("…"))
    run = await remote.start("What is new?")
    async for batch in run.batches():
        ...

A stream that is cut is taken up where it was; a start that got no answer is asked for again under
the same idempotency key, so that it never starts two runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from random import random
from secrets import token_urlsafe
from typing import Any

import msgspec

from headrace.errors import ConnectionFailed, HeadraceError, InvalidResponse
from headrace.events import AnyEvent, Event
from headrace.frontends.remote_cursor import Cursor
from headrace.frontends.remote_http import Body, Server, decoded
from headrace.messages import Message
from headrace.models.retry import RetryPolicy
from headrace.providers.secret import Secret

SILENCE = 45.0
"""Seconds without a byte after which a stream counts as lost: three of the server's keep-alives."""
RESUME = RetryPolicy(retries=7, base=0.5, longest=10.0)
"""How often a lost stream is taken up again without any progress, and how far apart."""
ASK = RetryPolicy(retries=2, base=0.5, longest=10.0)
"""How often a start or a cancel that got no answer is asked for again."""
LASTED = 15.0
"""Seconds after which a connection was worth having, though no event came: a model may be silent
for longer than a proxy lets a connection live."""


class _Started(msgspec.Struct):
    run_id: str
    created: bool = True


class Remote:
    """A Headrace server.

    Args:
        url: Where it is; without a scheme it is ``http`` for this machine, else ``https``.
        token: The bearer token, where the server wants one.
        insecure: Send the token over plain ``http`` to another machine, too.
        resume: When a lost stream is taken up again.
        ask: When a start or a cancel that got no answer is asked for again.

    Raises:
        ConfigurationError: for an address or a token that cannot be one.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Secret | None = None,
        insecure: bool = False,
        resume: RetryPolicy = RESUME,
        ask: RetryPolicy = ASK,
    ) -> None:
        self.server = Server(url, token=token, insecure=insecure)
        self.resume = resume
        self._ask = ask

    def __repr__(self) -> str:
        return f"<Remote {self.server.url}>"

    async def start(
        self,
        input: str | Sequence[Message],
        *,
        agent: str | None = None,
        session: str | None = None,
        model: str | None = None,
        idempotency_key: str | None = None,
    ) -> RemoteRun:
        """Begin a run; with a key that was used before, find the run of then.

        Args:
            input: The question, or messages.
            agent: Which of the server's agents; None for its first.
            session: The conversation to go on with, or begin.
            model: Which model, where the server lets a request choose.
            idempotency_key: Made up here where there is none, so that asking again is safe.

        Raises:
            ServerRefused: the server refused, in its words.
            ConnectionFailed: there is no connection, or it broke each time.
            InvalidResponse: whoever answers is no Headrace server.
        """
        key = idempotency_key or f"send_{token_urlsafe(16)}"
        said = {"agent": agent, "session": session, "model": model, "idempotency_key": key}
        fields: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
        body = msgspec.json.encode({"input": input, **fields})
        answer = await self.tell("/v1/runs", body)
        started: _Started = decoded(answer, _Started, self.server.where)
        # Under a key of our own it was this start, even if only the second try was answered.
        return RemoteRun(self, started.run_id, created=started.created or not idempotency_key)

    def run(self, run_id: str) -> RemoteRun:
        """A run that is there already."""
        return RemoteRun(self, run_id, created=False)

    async def tell(self, path: str, body: bytes) -> bytes | HeadraceError:
        """POST what may be sent twice, again where it may help; the answer or the last error."""
        tries = 0
        while True:
            answer = await self.server.ask("POST", path, body)
            if not isinstance(answer, HeadraceError):
                return answer
            tries += 1
            wait = self._ask.wait_before(tries, answer, random())  # noqa: S311 (only jitter)
            if wait is None:
                return answer
            await asyncio.sleep(wait)


class RemoteRun:
    """A run of a Headrace server. It goes on whoever leaves.

    Attributes:
        id: The run.
        created: Whether this program has started it.
        events_url: Where its events are.
    """

    def __init__(self, remote: Remote, run_id: str, *, created: bool) -> None:
        self._remote = remote
        self.id = run_id
        self.created = created

    def __repr__(self) -> str:
        return f"<RemoteRun {self.id}>"

    @property
    def events_url(self) -> str:
        """The address of its stream."""
        url = self._remote.server.url
        return str(url.with_path(f"{url.path.rstrip('/')}/v1/runs/{self.id}/events"))

    async def batches(self, after: int = 0) -> AsyncGenerator[list[Event]]:
        """The events behind `after` as they come, to the run's end, in order and each once.

        A connection that is lost is made again, with waits that grow, up to eight times without
        any progress. A run that had ended at `after` gives nothing.

        Raises:
            ConnectionFailed: the stream was lost and could not be taken up again.
            ServerRefused: the server refused, in its words.
            InvalidResponse: what comes is no run's stream.
        """
        cursor = Cursor(after)
        tries = 0
        while True:
            since = asyncio.get_running_loop().time()
            before = cursor.position
            body = await self._open(cursor)
            if body is None:  # it had ended at the cursor
                return
            lost = body if isinstance(body, HeadraceError) else None
            if isinstance(body, Body):
                try:
                    while not cursor.over and (data := await body.read()):
                        if batch := cursor.feed(data):
                            yield batch
                finally:
                    body.close()
                lost = cursor.failure
                lasted = asyncio.get_running_loop().time() - since >= LASTED
                tries = 0 if lasted or cursor.position > before else tries
            if cursor.ended:
                return
            tries += 1
            await self._wait(tries, lost, cursor)

    async def cancel(self, reason: str = "cancelled") -> Event:
        """End the run; gives its terminal event. One that has ended stays as it ended.

        Raises:
            ServerRefused: the server refused, in its words.
            ConnectionFailed: there is no connection, or it broke each time.
        """
        body = msgspec.json.encode({"reason": reason})
        answer = await self._remote.tell(f"/v1/runs/{self.id}/cancel", body)
        event: Event = decoded(answer, AnyEvent, self._remote.server.where)
        return event

    async def _open(self, cursor: Cursor) -> Body | HeadraceError | None:
        """The stream behind the cursor, what is wrong, or None where nothing follows."""
        headers = {"Accept": "text/event-stream"}
        if cursor.position:
            headers["Last-Event-ID"] = str(cursor.position)
        server = self._remote.server
        path = f"/v1/runs/{self.id}/events"
        answer = await server.open("GET", path, headers=headers, gap=SILENCE)
        cursor.connected()
        if isinstance(answer, HeadraceError):
            return answer
        if answer.status == 204:
            answer.close()
            return None
        if answer.content_type != "text/event-stream":
            answer.close()
            return InvalidResponse(
                f"{server.where} answered with {answer.content_type} in place of a run's stream.",
                hint="Is it the address of a Headrace server?",
            )
        return Body(answer)

    async def _wait(self, tries: int, lost: HeadraceError | None, cursor: Cursor) -> None:
        """Wait until the next try is due.

        Raises:
            HeadraceError: there is none, or it would not help.
        """
        where = self._remote.server.where
        error = lost or ConnectionFailed(f"{where} ended the stream before the run's end.")
        if not error.retryable:
            raise error
        wait = self._remote.resume.wait_before(tries, error, random())  # noqa: S311 (only jitter)
        if wait is None:
            raise ConnectionFailed(
                f"The run's stream was lost, and {tries} tries brought nothing: {error.message}",
                hint="The run itself may go on.",
            )
        told = (cursor.retry_ms or 0) / 1000 if lost is None else 0.0
        await asyncio.sleep(max(wait, min(told, self._remote.resume.longest)))
