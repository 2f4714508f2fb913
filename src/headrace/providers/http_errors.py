"""What a failed connection means: aiohttp's exceptions to Headrace's errors.

aiohttp's own exceptions hold the request with its headers, and so the key: none of them may be
kept as a cause, a context or in a message.
"""

from __future__ import annotations

import aiohttp

from headrace.errors import (
    ConfigurationError,
    ConnectionFailed,
    DeadlineExceeded,
    HeadraceError,
    InvalidResponse,
)
from headrace.providers.failures import Failures


def connection_error(
    error: Exception, failures: Failures, where: str, connect: float | None
) -> HeadraceError:
    """The error for a request that got no answer.

    Args:
        error: What aiohttp raised.
        failures: Makes the errors.
        where: ``host:port``.
        connect: The deadline of connecting, in seconds.
    """
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        hint = f"Is {where} reachable from here? Else raise the deadline `connect`."
        return DeadlineExceeded("connect", connect or 0.0, provider=failures.provider, hint=hint)
    if isinstance(error, aiohttp.ClientConnectorError):
        return _no_connection(error, failures, where)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return failures.make(
            ConnectionFailed,
            f"the proxy refused to connect to {where} (status {error.status}).",
            hint="Check HTTPS_PROXY and NO_PROXY.",
            retryable=False,
        )
    if isinstance(error, aiohttp.ClientResponseError):
        return failures.make(
            InvalidResponse,
            f"{where} did not answer in HTTP.",
            hint="Check the port and the scheme in base_url.",
        )
    if isinstance(error, ValueError):
        return ConfigurationError(
            f"{failures.provider}: the address of {where} or of its proxy cannot be used.",
            hint="Check base_url, HTTP_PROXY and HTTPS_PROXY; a proxy is http:// or https://.",
        )
    return failures.make(
        ConnectionFailed,
        f"{where} closed the connection without an answer.",
        hint="Ask again; if it stays so, look at the server's log.",
    )


def _no_connection(
    error: aiohttp.ClientConnectorError, failures: Failures, where: str
) -> HeadraceError:
    why = error.os_error.strerror or type(error.os_error).__name__
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        what, hint = (
            f"the TLS certificate of {where} is not trusted ({why}).",
            ("Check base_url; for a private authority set SSL_CERT_FILE."),
        )
    elif isinstance(error, aiohttp.ClientSSLError):
        what, hint = f"TLS with {where} failed ({why}).", "Does it speak https? Check base_url."
    elif isinstance(error, aiohttp.ClientConnectorDNSError):
        what, hint = f"no such host as in {where}.", "Check base_url and the network."
    elif isinstance(error, aiohttp.ClientProxyConnectionError):
        what, hint = f"no connection to the proxy ({why}).", "Check HTTP_PROXY and HTTPS_PROXY."
    else:
        what, hint = f"no connection to {where} ({why}).", "Is the server running?"
    certain = isinstance(error, aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError)
    return failures.make(ConnectionFailed, what, hint=hint, retryable=False if certain else None)
