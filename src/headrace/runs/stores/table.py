"""Which store a URL means: data, no ladder. A store's module is imported when one is opened."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from msgspec import Struct

from headrace.errors import ConfigurationError
from headrace.runs.stores.store import Store


class Kind(Struct, frozen=True):
    """One kind of store.

    Attributes:
        scheme: What its URLs begin with.
        module: Where its class is.
        factory: The class.
        forms: How its URLs may be written, for errors.
        has_path: Whether a file is named.
        options: What may follow a ``?``: name, then value, then the argument of the class.
    """

    scheme: str
    module: str
    factory: str
    forms: str
    has_path: bool = False
    options: dict[str, dict[str, tuple[str, Any]]] = {}


KINDS = (
    Kind("memory", "headrace.runs.stores.memory", "MemoryStore", "memory:"),
    Kind(
        "sqlite",
        "headrace.runs.stores.sqlite",
        "SQLiteStore",
        "sqlite:///relative.db, sqlite:////absolute.db",
        has_path=True,
        options={"sync": {"full": ("full_sync", True), "normal": ("full_sync", False)}},
    ),
)
"""The stores there are."""

_BY_SCHEME = {kind.scheme: kind for kind in KINDS}


def open_store(url: str) -> Store:
    """The store that a URL means; nothing is read or written before its first use.

    - ``memory:`` keeps everything in this process.
    - ``sqlite:///relative.db``, ``sqlite:////absolute.db`` and ``sqlite:///~/mine.db`` keep it in
      a file; ``?sync=full`` makes every commit wait for the disk. The path is taken as it is
      written, without percent-decoding.

    Raises:
        ConfigurationError: it means none, or has an option that its kind does not know.
    """
    scheme, colon, rest = url.strip().partition(":")
    kind = _BY_SCHEME.get(scheme.lower())
    if kind is None or not (colon or not kind.has_path):
        raise _unknown(url, scheme)
    place, _, query = rest.partition("?")
    arguments = [_path(kind, url, place)] if kind.has_path else _nothing(kind, url, place)
    return _made(kind, arguments, _options(kind, query))


def default_store_path(env: Mapping[str, str] | None = None) -> Path:
    """Where runs are kept if nobody says: ``$XDG_DATA_HOME/headrace/headrace.db``.

    Without that variable, or where it is not absolute (which the XDG Base Directory Specification
    0.8 tells to ignore), ``~/.local/share`` stands in for it.
    """
    told = (os.environ if env is None else env).get("XDG_DATA_HOME", "")
    home = Path(told) if os.path.isabs(told) else Path("~/.local/share").expanduser()
    return (home / "headrace" / "headrace").with_suffix(".db")


def default_store(env: Mapping[str, str] | None = None) -> Store:
    """The store that ``HEADRACE_STORE`` names, else the SQLite file at `default_store_path`.

    Raises:
        ConfigurationError: ``HEADRACE_STORE`` means no store.
    """
    env = os.environ if env is None else env
    url = env.get("HEADRACE_STORE", "").strip()
    return open_store(url) if url else _made(_BY_SCHEME["sqlite"], [default_store_path(env)], {})


def _made(kind: Kind, arguments: list[Path], options: dict[str, Any]) -> Store:
    store: Store = getattr(import_module(kind.module), kind.factory)(*arguments, **options)
    return store


def _path(kind: Kind, url: str, place: str) -> Path:
    path = place.removeprefix("///")
    if path == place or not path or path.endswith("/") or "\x00" in path:
        raise ConfigurationError(f"{_shown(url)} names no file.", hint=f"Write {kind.forms}.")
    if path == ":memory:":
        raise ConfigurationError(f"{_shown(url)} names no file.", hint="Write memory:.")
    return Path(path).expanduser() if path.startswith("~/") else Path(path)


def _nothing(kind: Kind, url: str, place: str) -> list[Path]:
    if place.strip("/"):
        raise ConfigurationError(
            f"{_shown(url)} names a place, and {kind.scheme} has none.", hint=f"Write {kind.forms}"
        )
    return []


def _options(kind: Kind, query: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        values = kind.options.get(name)
        if values is None or value not in values:
            known = ", ".join(f"{name}={'|'.join(values)}" for name, values in kind.options.items())
            raise ConfigurationError(
                f"A {kind.scheme} store has no option {_shown(f'{name}={value}')}.",
                hint=f"Known: {known or 'none'}.",
            )
        argument, setting = values[value]
        found[argument] = setting
    return found


def _unknown(url: str, scheme: str) -> ConfigurationError:
    near = difflib.get_close_matches(scheme.lower(), _BY_SCHEME, n=1)
    meant = f"Did you mean {near[0]}? " if near and near[0] != scheme.lower() else ""
    forms = ", ".join(kind.forms for kind in KINDS)
    return ConfigurationError(f"{_shown(url)} means no store.", hint=f"{meant}Write {forms}.")


def _shown(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= 80 else f"{shown[:79]}…"
