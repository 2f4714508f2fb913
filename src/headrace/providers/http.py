"""The HTTP client of all providers: send a request, check the answer, read its stream.

A stream is read as bytes and decoded where they arrive, one batch of deltas for each read.
Closing an attempt closes its socket at once, so that the provider stops generating.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import time

import aiohttp
import msgspec
from yarl import URL

from headrace.errors import (
    ConfigurationError,
    HeadraceError,
    StreamingUnsupported,
)
from headrace.models.deltas import Decoder, Delta, Finish
from headrace.providers.bearer import TokenSource, bearer
from headrace.providers.failures import MAX_ERROR_BODY, Failures
from headrace.providers.http_body import BROKEN, arrived, unread
from headrace.providers.http_errors import connection_error
from headrace.providers.http_session import session
from headrace.providers.loopback import proxy_for
from headrace.providers.secret import Secret, fits_header
from headrace.providers.tap import current_tap, tapped

_ERROR_BODY_WAIT = 2.0  # seconds; a server that refuses and then stalls has said enough
_END_WAIT = 0.02  # seconds for the last HTTP chunk after the stream's own end: then the
# connection can be used again, which saves the next step a TLS handshake

# Fields of a whole answer: Chat Completions, Ollama, Anthropic's Messages, Responses, Gemini.
_WHOLE = {"choices", "done", "stop_reason", "output", "candidates"}


class Endpoint:
    """A provider's API: where it is and how it is told who asks.

    Args:
        base_url: ``http`` or ``https``; a query in it is kept.
        failures: Makes the errors.
        key: The key, or None.
        key_header: The header that carries it; in ``Authorization`` it stands behind ``Bearer``.
        headers: Further headers of each request.
        token: Gives a bearer's token for each request, in place of a key.

    Raises:
        ConfigurationError: for an address or a key that cannot be one.
    """

    def __init__(
        self,
        base_url: str,
        failures: Failures,
        *,
        key: Secret | None = None,
        key_header: str = "Authorization",
        headers: Mapping[str, str] | None = None,
        token: TokenSource | None = None,
    ) -> None:
        self._failures = failures
        self._token = token
        self._url = _checked_url(base_url, failures.provider)
        self._where = f"{self._url.host}:{self._url.port}"
        if key and not fits_header(key):
            raise ConfigurationError(
                f"{failures.provider}: the API key holds characters that no key has.",
                hint="Copy it again, without blanks or line ends within.",
            )
        self._key = key or None
        self._key_header = key_header
        self._headers = dict(headers or {})

    @property
    def where(self) -> str:
        """``host:port``."""
        return self._where

    async def post(self, path: str, body: bytes, connect: float | None) -> aiohttp.ClientResponse:
        """Send a JSON body and return the answer once its stream has begun.

        Redirects are not followed: the key would go where nobody decided that it should. A proxy
        is taken from the environment (``HTTPS_PROXY``, ``NO_PROXY``), never for this machine
        itself, and ``~/.netrc`` is never read.

        Args:
            path: Added to the base URL's path, as ``/chat/completions``.
            body: JSON.
            connect: Seconds for the connection, name look-up and TLS included.

        Raises:
            ProviderError: no connection, or an answer that is no success or no stream.
            StreamingUnsupported: the server answered whole.
        """
        # Errors are raised here, outside of any except clause and where no answer is in sight:
        # aiohttp's exceptions and answers hold headers, and so maybe the key.
        answer = await self._ask("POST", path, body, connect)
        if isinstance(answer, HeadraceError):
            raise answer
        return answer

    async def get(
        self, path: str, query: Mapping[str, str], connect: float | None
    ) -> aiohttp.ClientResponse:
        """Ask for a stream that is there already, as `post` does for a new one.

        Raises:
            ProviderError: no connection, or an answer that is no success or no stream.
        """
        answer = await self._ask("GET", path, b"", connect, query)
        if isinstance(answer, HeadraceError):
            raise answer
        return answer

    async def tell(self, path: str, connect: float | None) -> None:
        """Send a POST without a body, whatever is answered.

        Raises:
            ProviderError: no connection.
        """
        answer = await self._send("POST", path, b"", connect)
        if isinstance(answer, HeadraceError):
            raise answer
        answer.close()

    async def _ask(
        self,
        method: str,
        path: str,
        body: bytes,
        connect: float | None,
        query: Mapping[str, str] | None = None,
    ) -> aiohttp.ClientResponse | HeadraceError:
        answer = await self._send(method, path, body, connect, query)
        if isinstance(answer, HeadraceError):
            return answer
        tap = current_tap.get()
        if tap is not None:
            tap.answered(answer.status, answer.headers)
        problem = await self._problem(answer)
        if problem is None:
            return answer
        answer.close()
        return problem

    async def _send(
        self,
        method: str,
        path: str,
        body: bytes,
        connect: float | None,
        query: Mapping[str, str] | None = None,
    ) -> aiohttp.ClientResponse | HeadraceError:
        url = self._url.with_path(self._url.path.rstrip("/") + path, keep_query=True)
        if query:
            url = url.update_query(query)
        token = await bearer(self._token, self._failures) if self._token else None
        if isinstance(token, HeadraceError):
            return token
        http = await session()
        tap = current_tap.get()
        if tap is not None:
            # The headers are never kept in this frame: an error's traceback would show the key.
            tap.asked(url, self._all_headers(token), body)
        try:
            return await http.request(
                method,
                url,
                data=body or None,
                headers=self._all_headers(token),
                allow_redirects=False,
                proxy=proxy_for(url.scheme, url.host or ""),
                timeout=aiohttp.ClientTimeout(total=None, connect=connect, sock_connect=connect),
            )
        except asyncio.CancelledError as cancelled:
            # The frames of aiohttp that it came through hold the headers as well.
            raise cancelled.with_traceback(None) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return connection_error(error, self._failures, self._where, connect)

    def _all_headers(self, token: Secret | None) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",  # compressors hold small pieces back
            **self._headers,
        }
        if token is not None:
            headers["Authorization"] = f"Bearer {token.reveal()}"
        elif self._key is not None:
            word = "Bearer " if self._key_header == "Authorization" else ""
            headers[self._key_header] = word + self._key.reveal()
        return headers

    async def _problem(self, answer: aiohttp.ClientResponse) -> HeadraceError | None:
        """What is wrong with an answer; None where it streams."""
        if not 200 <= answer.status < 300:
            body = await _some_of(answer)
            return self._failures.of_answer(answer.status, answer.headers, body, time())
        kind = answer.content_type
        if kind == "text/html":
            title = self._failures.clean((await _some_of(answer)).decode("utf-8", "replace"), 200)
            page = f"an HTML page (“{title}”)" if title else "an HTML page"
            return self._failures.not_the_protocol(
                f"{self._where} answered {answer.status} with {page}.", answer.status
            )
        if kind == "application/json":
            return self._whole_answer(await _some_of(answer), answer.status)
        return None

    def _whole_answer(self, body: bytes, status: int) -> HeadraceError:
        """The error for JSON where a stream was asked for."""
        try:
            value = msgspec.json.decode(body)
        except (msgspec.MsgspecError, RecursionError):
            value = None
        entry = value[0] if isinstance(value, list) and value else value
        if isinstance(entry, dict) and entry.get("error"):
            return self._failures.of_value(entry["error"])
        if (isinstance(entry, dict) and _WHOLE & entry.keys()) or b'"choices"' in body:
            return StreamingUnsupported(
                f"{self._failures.provider}: {self._where} answered whole, though a stream was "
                "asked for.",
                hint="The server or the model cannot stream; look at its settings.",
            )
        if isinstance(entry, dict) and entry.get("object") == "error":
            return self._failures.of_value(entry)
        what = "JSON that is no answer" if body else "nothing"
        return self._failures.not_the_protocol(
            f"{self._where} answered {status} with {what}.", status
        )


class HttpAttempt:
    """One answer on its way: bytes in, batches of deltas out (a `models.stream.Attempt`).

    Args:
        response: The answer, its body not yet read.
        decoder: Reads it.
    """

    __slots__ = ("_content", "_decoder", "_response")

    def __init__(self, response: aiohttp.ClientResponse, decoder: Decoder) -> None:
        self._response = response
        self._content = response.content
        self._decoder = tapped(decoder)

    async def read(self) -> list[Delta]:
        """The next deltas; a connection that breaks ends the turn as the decoder sees it."""
        try:
            data = await arrived(self._content)
        except BROKEN:
            rest = unread(self._content)
            return self._decoder.feed(rest) + self._decoder.close()
        if not data:
            return self._decoder.close()
        batch = self._decoder.feed(data)
        if batch and type(batch[-1]) is Finish:
            await self._end()
        return batch

    async def close(self) -> None:
        """Close the socket at once; after the whole answer, give it back to be used again."""
        self._response.close()

    async def _end(self) -> None:
        try:
            async with asyncio.timeout(_END_WAIT):
                while await self._content.readany():
                    pass
        except (*BROKEN, TimeoutError):
            pass


async def _some_of(answer: aiohttp.ClientResponse) -> bytes:
    """The body, at most `MAX_ERROR_BODY` bytes of it, for a few seconds at most."""
    body = bytearray()
    try:
        async with asyncio.timeout(_ERROR_BODY_WAIT):
            while len(body) < MAX_ERROR_BODY:
                data = await answer.content.read(MAX_ERROR_BODY - len(body))
                if not data:
                    break
                body += data
    except (*BROKEN, TimeoutError):
        pass
    tap = current_tap.get()
    if tap is not None:
        tap.took(bytes(body))
    return bytes(body)


def _checked_url(base_url: str, provider: str) -> URL:
    try:
        url = URL(base_url.strip())
        fine = url.scheme in ("http", "https") and bool(url.host) and url.port is not None
    except ValueError:
        fine = False
    if not fine:
        raise ConfigurationError(
            f"{provider}: base_url is not an address.", hint="Write it as https://host/v1."
        )
    if url.user is not None or url.password is not None:
        raise ConfigurationError(
            f"{provider}: base_url holds a user or a password.", hint="Use api_key or headers."
        )
    return url
