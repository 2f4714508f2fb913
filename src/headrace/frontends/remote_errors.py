"""What went wrong with a Headrace server: answers and aiohttp's exceptions to Headrace's errors.

aiohttp's own exceptions hold the request with its headers, and so the token: none of them may be
kept as a cause, a context or in a message.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp
import msgspec

from headrace.errors import (
    ConfigurationError,
    ConnectionFailed,
    HeadraceError,
    InvalidResponse,
    ProviderError,
    ServerRefused,
)
from headrace.providers.error_words import is_html, on_one_line, without_html
from headrace.providers.secret import Secret, masked
from headrace.providers.told_wait import told_wait

_LONGEST = 1000
_MAY_PASS = (408, 429, 500, 502, 503, 504)  # and what an answer itself calls retryable


class Told(msgspec.Struct):
    """An error as a Headrace server tells it, in a body or in a frame of its stream."""

    code: str
    message: str
    hint: str = ""
    retryable: bool | None = None


def no_connection(error: Exception, where: str) -> HeadraceError:
    """The error for a request that got no answer.

    Args:
        error: What aiohttp raised.
        where: ``host:port``.
    """
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return ConnectionFailed(f"No connection to {where}: connecting took too long.")
    if isinstance(error, TimeoutError):
        return ConnectionFailed(f"{where} took the request and answered nothing.")
    if isinstance(error, aiohttp.ClientConnectorError):
        return _not_connected(error, where)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return ConnectionFailed(
            f"The proxy refused to connect to {where} (status {error.status}).",
            hint="Check HTTPS_PROXY and NO_PROXY.",
            retryable=False,
        )
    if isinstance(error, aiohttp.ClientResponseError):
        return InvalidResponse(
            f"{where} did not answer in HTTP.", hint="Check the port and http or https."
        )
    if isinstance(error, ValueError):
        return ConfigurationError(
            f"The address of {where} or of its proxy cannot be used.",
            hint="Check it, HTTP_PROXY and HTTPS_PROXY.",
        )
    return ConnectionFailed(f"{where} closed the connection without an answer.")


def _not_connected(error: aiohttp.ClientConnectorError, where: str) -> HeadraceError:
    number = error.os_error.errno  # asyncio's own words for it repeat the address
    why = os.strerror(number) if number and number > 0 else type(error.os_error).__name__
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return ConnectionFailed(
            f"TLS with {where} failed ({why}).",
            hint="Does it speak https? For a private authority set SSL_CERT_FILE.",
            retryable=False,
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        hint = "Check the address and the network."
        return ConnectionFailed(f"There is no host of the name in {where}.", hint=hint)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        hint = "Check HTTP_PROXY and HTTPS_PROXY."
        return ConnectionFailed(f"No connection to the proxy ({why}).", hint=hint)
    return ConnectionFailed(f"No connection to {where} ({why}).", hint="Is the server running?")


def refusal(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    where: str,
    now: float,
    token: Secret | None = None,
) -> ProviderError:
    """The error for an answer that is no success.

    Args:
        status: The HTTP status, not 2xx.
        headers: The answer's headers.
        body: Its body, or the begin of it.
        where: ``host:port``.
        now: Unix seconds, for waits told as dates.
        token: Masked, should the server echo it.
    """
    if 300 <= status < 400:
        return _redirect(status, headers, where)
    wait = told_wait(headers, None, now)
    try:
        told = msgspec.json.decode(body, type=Told)
    except (msgspec.MsgspecError, RecursionError):
        return _unknown(status, body, where, wait, token)
    return refused(told, status, wait, token)


def refused(
    told: Told, status: int | None = None, wait: float | None = None, token: Secret | None = None
) -> ServerRefused:
    """The error that a server has told, in its own words."""
    may_pass = told.retryable if told.retryable is not None else status in _MAY_PASS
    return ServerRefused(
        _clean(told.message, token) or f"The server refused ({status}).",
        code=on_one_line(told.code, 80),
        hint=_clean(told.hint, token),
        status=status,
        retryable=may_pass,
        retry_after=wait,
    )


def _unknown(
    status: int, body: bytes, where: str, wait: float | None, token: Secret | None
) -> ServerRefused:
    """An answer that a proxy gave, or another kind of server."""
    text = body.decode("utf-8", "replace")
    words = _clean(without_html(text)[:_LONGEST], token)
    page = "a page" if is_html(text) else "the answer"
    return ServerRefused(
        f"{where} answered {named(status)}" + (f", with {page} “{words}”." if words else "."),
        hint="" if status in _MAY_PASS else "Is it the address of a Headrace server?",
        status=status,
        retryable=status in _MAY_PASS,
        retry_after=wait,
    )


def _redirect(status: int, headers: Mapping[str, str], where: str) -> InvalidResponse:
    told = {name.lower(): text for name, text in headers.items()}
    try:
        target = urlsplit(told.get("location", ""))
        place = f"{target.scheme}://{target.netloc.rpartition('@')[2]}" if target.netloc else ""
    except ValueError:
        place = ""
    return InvalidResponse(
        f"{where} answered {named(status)}: a redirect to "
        f"{on_one_line(place, 200) or 'another path'}, which is not followed.",
        hint="Give the final address, if you trust it with your token and your question.",
        status=status,
    )


def _clean(text: str, token: Secret | None) -> str:
    return on_one_line(masked(text, (token,) if token else ()), _LONGEST)


def named(status: int) -> str:
    """``502 Bad Gateway``."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
