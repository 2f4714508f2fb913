"""Tokens that expire, such as Microsoft Entra's: asked for before each request."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

from headrace.errors import AuthenticationFailed, ProviderError
from headrace.providers.failures import Failures
from headrace.providers.secret import Secret, fits_header

TokenSource = Callable[[], str | Awaitable[str]]
"""Gives a token; it is called before each request and may keep one as long as it lasts."""


async def bearer(source: TokenSource, failures: Failures) -> Secret | ProviderError:
    """The token to send, or the error for none.

    A function that is not async may well ask the network, so it runs in a thread.
    """
    try:
        given = source() if inspect.iscoroutinefunction(source) else await asyncio.to_thread(source)
        token = Secret((await given if inspect.isawaitable(given) else given).strip())
        del given
    except Exception as error:  # whatever the caller's function raises; it may hold secrets
        said = f"{type(error).__name__}: {error}"
        return _refused(failures, f"the token could not be got ({failures.clean(said, 300)}).")
    if not token or not fits_header(token):
        return _refused(failures, "what token= gave is no token.")
    failures.mask(token)
    return token


def _refused(failures: Failures, what: str) -> ProviderError:
    return failures.make(AuthenticationFailed, what, hint="Look at the function given as token=.")
