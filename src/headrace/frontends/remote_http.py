"""One request to a Headrace server, and the answer to it or the error that it means."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import time
from typing import Any

import aiohttp
import msgspec

from headrace.errors import HeadraceError, InvalidResponse
from headrace.frontends.remote_address import check_token, server_address
from headrace.frontends.remote_errors import no_connection, refusal
from headrace.providers.http_body import BROKEN, arrived, unread
from headrace.providers.http_session import session
from headrace.providers.loopback import proxy_for
from headrace.providers.secret import Secret

CONNECT = 10.0
"""Seconds for the connection: name look-up and TLS included."""
ANSWER = 30.0
"""Seconds that the server may take to answer, and between two pieces of a whole answer."""
MAX_BODY = 1024 * 1024
"""Bytes of a whole answer; none of those that are asked for here comes near it."""
_ERROR_BODY_WAIT = 2.0


class Server:
    """A Headrace server: where it is, and who asks.

    Redirects are not followed, so that the token goes nowhere else. A proxy is taken from the
    environment (``HTTPS_PROXY``, ``NO_PROXY``), never for this machine itself.

    Args:
        address: As people write it (see `server_address`).
        token: The bearer token, or None.
        insecure: Send the token over plain ``http`` to another machine, too.

    Raises:
        ConfigurationError: for an address or a token that cannot be one.
    """

    def __init__(
        self, address: str, *, token: Secret | None = None, insecure: bool = False
    ) -> None:
        self.url = server_address(address)
        check_token(self.url, token, insecure)
        self._token = token or None

    @property
    def where(self) -> str:
        """``host:port``."""
        return f"{self.url.host}:{self.url.port}"

    def __repr__(self) -> str:
        return f"<Server {self.url}>"

    async def open(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        gap: float = ANSWER,
    ) -> aiohttp.ClientResponse | HeadraceError:
        """Send a request: the answer, its body not yet read, or what is wrong.

        An error is given, not raised: it must not carry aiohttp's exceptions and answers with it,
        which hold the token.

        Args:
            method: ``GET`` or ``POST``.
            path: Below the server's address, as ``/v1/runs``.
            body: JSON.
            query: Of the address.
            headers: Further ones.
            gap: Seconds without a byte, after which the connection counts as broken.
        """
        answer = await self._send(method, path, body, query or {}, headers or {}, gap)
        if isinstance(answer, HeadraceError) or 200 <= answer.status < 300:
            return answer
        try:
            told = await _some_of(answer)
        finally:
            answer.close()
        return refusal(answer.status, answer.headers, told, self.where, time(), self._token)

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        query: Mapping[str, str] | None = None,
    ) -> bytes | HeadraceError:
        """Send a request: the whole body of its answer, or what is wrong."""
        answer = await self.open(method, path, body=body, query=query)
        if isinstance(answer, HeadraceError):
            return answer
        got = bytearray()
        content = Body(answer)
        try:
            while data := await content.read():
                got += data
                if len(got) > MAX_BODY:
                    return InvalidResponse(
                        f"{self.where} answered with more than {MAX_BODY} bytes."
                    )
        finally:
            content.close()
        if content.broken:
            return no_connection(OSError(), self.where)
        return bytes(got)

    async def _send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        gap: float,
    ) -> aiohttp.ClientResponse | HeadraceError:
        url = self.url.with_path(self.url.path.rstrip("/") + path).with_query(dict(query))
        http = await session()
        try:
            return await http.request(
                method,
                url,
                data=body,
                headers=self._all_headers(headers, body),
                allow_redirects=False,
                proxy=proxy_for(url.scheme, url.host or ""),
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=CONNECT, sock_connect=CONNECT, sock_read=gap
                ),
            )
        except asyncio.CancelledError as cancelled:
            # The frames of aiohttp that it came through hold the headers, and so the token.
            raise cancelled.with_traceback(None) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return no_connection(error, self.where)

    def _all_headers(self, more: Mapping[str, str], body: bytes | None) -> dict[str, str]:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", **more}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return headers


class Body:
    """The body of an answer, read as it comes.

    Attributes:
        broken: Whether the connection broke before the body's end.
    """

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        # The answer holds the request's headers, and so the token: nobody else keeps it.
        self._answer = answer
        self._content = answer.content
        self.broken = False

    def close(self) -> None:
        """Close the connection at once; after the whole body, give it back to be used again."""
        self._answer.close()

    async def read(self) -> bytes:
        """All that has arrived, after waiting for something; empty at the end, however it came."""
        if self.broken:
            return b""
        try:
            return await arrived(self._content)
        except BROKEN:
            self.broken = True
            return unread(self._content)


def decoded(body: bytes | HeadraceError, kind: Any, where: str) -> Any:
    """An answer's JSON as this type.

    Raises:
        HeadraceError: the answer is an error, or something else.
    """
    if isinstance(body, HeadraceError):
        raise body
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, RecursionError):
        pass
    raise InvalidResponse(
        f"{where} answered with something else than a Headrace server does.",
        hint="Is it the address of a Headrace server?",
    )


async def _some_of(answer: aiohttp.ClientResponse) -> bytes:
    """The body's begin, for a few seconds at most."""
    got = bytearray()
    body = Body(answer)
    try:
        async with asyncio.timeout(_ERROR_BODY_WAIT):
            while len(got) < MAX_BODY and (data := await body.read()):
                got += data
    except TimeoutError:
        pass
    return bytes(got)
