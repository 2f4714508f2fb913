"""Whether a server on this machine answers, and which models it holds: one short question."""

from __future__ import annotations

import socket
from time import monotonic
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from headrace.errors import ConfigurationError

PORT = 11434
_LONGEST = 256 * 1024  # bytes of an answer


class _Model(msgspec.Struct):
    name: str


class _Tags(msgspec.Struct):
    models: list[_Model]


class _Served(msgspec.Struct):
    id: str


class _Listed(msgspec.Struct):
    data: list[_Served]


_T = TypeVar("_T")


def ollama_url(host: str) -> str:
    """The base of Ollama's API, from a value of ``OLLAMA_HOST`` as Ollama itself reads it.

    A host, ``host:port``, ``:port`` or a URL; the port is 11434, or the scheme's own where a
    scheme is given (ollama/envconfig). An address that means "all" is this machine.

    Raises:
        ConfigurationError: for a value that is none of these.
    """
    text = host.strip().strip("\"'").rstrip("/")
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port
    except ValueError:
        raise ConfigurationError(
            "OLLAMA_HOST is not an address.", hint="Write it as 127.0.0.1:11434."
        ) from None
    name = parts.hostname or "127.0.0.1"
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(name, name)  # noqa: S104 - read, not bound
    default = {"http": 80, "https": 443}.get(parts.scheme, PORT) if "://" in text else PORT
    shown = f"[{name}]" if ":" in name else name
    return f"{parts.scheme}://{shown}:{port or default}{parts.path}"


def ollama_models(base: str, seconds: float = 0.25) -> list[str] | None:
    """The models that the Ollama at `base` holds; None where none answers in that time."""
    tags = _answer(base, "/api/tags", _Tags, seconds)
    return None if tags is None else [model.name for model in tags.models]


def served_models(base: str, seconds: float = 0.25) -> list[str] | None:
    """The same of a server that speaks OpenAI's wire; `base` ends in ``/v1``."""
    listed = _answer(base, "/models", _Listed, seconds)
    return None if listed is None else [model.id for model in listed.data]


def _answer(base: str, path: str, type: type[_T], seconds: float) -> _T | None:
    """What the server says there, asked on a plain socket; None where it is nothing of the kind."""
    parts = urlsplit(base)
    if parts.scheme != "http" or parts.hostname is None or parts.port is None:
        return None
    request = f"GET {parts.path}{path} HTTP/1.0\r\nHost: {parts.hostname}\r\n\r\n".encode()
    try:
        answer = _ask(parts.hostname, parts.port, request, monotonic() + seconds)
        head, _, body = answer.partition(b"\r\n\r\n")
        if b" 200" not in head.partition(b"\r\n")[0]:
            return None
        return msgspec.json.decode(body, type=type)
    except (OSError, ValueError, RecursionError):
        return None


def _ask(host: str, port: int, request: bytes, until: float) -> bytes:
    answer = bytearray()
    with socket.create_connection((host, port), timeout=_left(until)) as connection:
        connection.settimeout(_left(until))
        connection.sendall(request)
        while len(answer) < _LONGEST:
            connection.settimeout(_left(until))
            data = connection.recv(65536)
            if not data:
                break
            answer += data
    return bytes(answer)


def _left(until: float) -> float:
    left = until - monotonic()
    if left <= 0:
        raise TimeoutError
    return left
