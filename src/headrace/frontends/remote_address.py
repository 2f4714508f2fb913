"""Where a Headrace server is: an address as people write it, read into one. Pure."""

from __future__ import annotations

from yarl import URL

from headrace.errors import ConfigurationError
from headrace.providers.loopback import is_loopback
from headrace.providers.secret import Secret, fits_header


def server_address(text: str) -> URL:
    """The server's base address: without a slash at its end, a query or a fragment.

    ``localhost:8080`` is ``http``, ``chat.example.org`` is ``https``. What is mounted deeper keeps
    its path; a route that was copied with it (``…/v1/runs``) is cut off.

    Raises:
        ConfigurationError: it is no address, or holds a user, a password or a query.
    """
    try:
        url = URL(_with_scheme(text.strip()))
        fine = url.scheme in ("http", "https") and bool(url.host) and url.port is not None
    except ValueError:
        fine = False
    if not fine:
        raise ConfigurationError(
            "That is no address of a server.", hint="Write it as http://127.0.0.1:8080."
        )
    if url.user is not None or url.password is not None:
        raise ConfigurationError(
            "The server's address holds a user or a password.", hint="Use --token."
        )
    if url.query_string:
        raise ConfigurationError(
            "The server's address holds a query.", hint="Leave out what follows the question mark."
        )
    return url.with_path(_base_path(url.path))


def _with_scheme(text: str) -> str:
    if "://" in text:
        return text
    return f"{'http' if is_loopback(URL(f'http://{text}').host or '') else 'https'}://{text}"


def _base_path(path: str) -> str:
    head, found, _ = f"{path.rstrip('/')}/".partition("/v1/")
    return head if found else path.rstrip("/")


def check_token(url: URL, token: Secret | None, insecure: bool = False) -> None:
    """Refuse a token that cannot be one, or that everyone on the way could read.

    Args:
        url: The server.
        token: The bearer token, or None.
        insecure: Send it over plain ``http`` all the same.

    Raises:
        ConfigurationError: it is not sent.
    """
    if not token:
        return
    if not fits_header(token):
        raise ConfigurationError(
            "The token holds characters that no token has.",
            hint="Copy it again, without blanks or line ends within.",
        )
    if url.scheme == "http" and not is_loopback(url.host or "") and not insecure:
        raise ConfigurationError(
            f"The token is not sent to {url.host} over plain http: all on the way could read it.",
            hint="Use https://, or --insecure if you trust the network.",
        )
