"""Which MCP server: a program to start, or an address. What is secret in it is shown nowhere."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from headrace.errors import UsageError

_MASK = "****"
_SHORTEST = 4  # masking "a" wherever it stands would eat the text and hide nothing
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2


@dataclass(frozen=True, slots=True, repr=False)
class Stdio:
    """A server that is a program of ours: see `stdio`."""

    command: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: str | None = None
    name: str = ""

    def __repr__(self) -> str:
        return f"<MCP server {self.label}>"

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.name or Path(self.command).name

    def masked(self, text: str) -> str:
        """The text without the values of its environment."""
        return _masked(text, self.environment.values())


@dataclass(frozen=True, slots=True, repr=False)
class Http:
    """A server at an address: see `http`."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    name: str = ""

    def __repr__(self) -> str:
        return f"<MCP server {self.label}>"

    @property
    def label(self) -> str:
        """What messages call it: the address without user, password and query."""
        parts = urlsplit(self.url)
        return self.name or f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def masked(self, text: str) -> str:
        """The text without the values of its headers and the secrets of its address."""
        parts = urlsplit(self.url)
        words = [word for value in self.headers.values() for word in (value, *value.split())]
        in_url = [parts.username, parts.password, *(value for _, value in parse_qsl(parts.query))]
        raw = [value for value in in_url if value]
        return _masked(text, [*words, *raw, *map(unquote, raw), *_raw_query(parts.query)])


Server = Stdio | Http
"""Either of them."""


def stdio(
    command: str | os.PathLike[str],
    *arguments: str | os.PathLike[str],
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    name: str = "",
) -> Stdio:
    """A program that speaks MCP over standard input and output: ``stdio("python", "server.py")``.

    It is started without a shell and is stopped with the connection.

    Args:
        command: The program.
        arguments: Its arguments.
        env: Variables for it, beside the few that every program needs (``HOME``, ``PATH``, …). Our
            own environment, with its keys, is not handed on.
        cwd: The folder that it runs in; ours by default.
        name: What messages call it; the program's name by default.

    Raises:
        UsageError: for an empty command, or a value that is no text or has a NUL in it.
    """
    words = [_path(word) for word in (command, *arguments)]
    variables = dict(env or {})
    folder = None if cwd is None else _path(cwd)
    given: list[object] = [*words, *variables, *variables.values(), folder or ""]
    if not all(isinstance(word, str) and "\0" not in word for word in given) or not words[0]:
        raise UsageError(
            "An MCP server is started by a command and arguments that are text.",
            hint='Write stdio("python", "server.py", env={"KEY": "…"}).',
        )
    if any("=" in variable or not variable for variable in variables):
        raise UsageError("A variable of an MCP server has an empty name, or '=' in its name.")
    return Stdio(words[0], tuple(words[1:]), variables, folder, name)


def http(url: str, *, headers: Mapping[str, str] | None = None, name: str = "") -> Http:
    """A server at an address, by MCP's streamable HTTP: ``http("https://example.com/mcp")``.

    Args:
        url: Where.
        headers: Sent with every request, such as ``{"Authorization": "Bearer …"}``.
        name: What messages call it; the address by default.

    Raises:
        UsageError: no address of http or https, or a header that cannot be sent.
    """
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except (ValueError, AttributeError):
        fits = False
    if not fits:
        raise UsageError(
            "The address of an MCP server is one of http or https.",
            hint='Write http("https://example.com/mcp").',
        )
    for header, value in (headers or {}).items():
        if not (_HEADER.fullmatch(str(header)) and _fits_header(value)):
            raise UsageError(f"The header {str(header)[:80]!r} of an MCP server cannot be sent.")
    return Http(url, dict(headers or {}), name)


def _path(word: Any) -> Any:
    return os.fspath(word) if isinstance(word, os.PathLike) else word


def _fits_header(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable()


def _raw_query(query: str) -> list[str]:
    return [pair.partition("=")[2] for pair in query.split("&")]


def _masked(text: str, secrets: Iterable[str]) -> str:
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, _MASK)
    return text
