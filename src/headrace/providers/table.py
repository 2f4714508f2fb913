"""Which model a name means, or no name at all: read from the rows of `rows.py`, no ladder.

Providers' modules are imported when a model of theirs is made; until then this costs next to
nothing.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from headrace.errors import ConfigurationError
from headrace.models.model import Model
from headrace.providers.ollama_probe import ollama_models, ollama_url
from headrace.providers.openai_chat.dialect import COMPATIBLE, Dialect
from headrace.providers.rows import ROWS, Row
from headrace.providers.secret import Secret

__all__ = ["ROWS", "Choice", "Row", "choose_model", "find_row", "resolve_model"]

_BY_NAME = {row.name: row for row in ROWS}
_OTHER_NAMES = {"llama.cpp": "llamacpp", "llama-cpp": "llamacpp", "lm-studio": "lmstudio"}
_OTHER_NAMES |= {"google": "gemini", "claude": "anthropic", "grok": "xai"}


class Choice(Struct, frozen=True):
    """A model, and why it is this one.

    Attributes:
        model: The model.
        why: For a banner: ``OPENAI_API_KEY is set``.
    """

    model: Model
    why: str


def resolve_model(
    name: str | Model | None = None,
    *,
    base_url: str | None = None,
    api_key: str | Secret | None = None,
    env: Mapping[str, str] | None = None,
    **settings: Any,
) -> Model:
    """The model that a name means: `choose_model` without the reason."""
    return choose_model(name, base_url=base_url, api_key=api_key, env=env, **settings).model


def choose_model(
    name: str | Model | None = None,
    *,
    base_url: str | None = None,
    api_key: str | Secret | None = None,
    env: Mapping[str, str] | None = None,
    **settings: Any,
) -> Choice:
    """Find a model by name, or by what the environment offers.

    Names are ``provider:model``, a provider alone (its ``<PROVIDER>_MODEL`` or default model), or a
    model whose name tells its provider. With none: ``LLM_PROVIDER``, else the first provider whose
    key is set, else an Ollama that answers, else the embedded ``demo``.

    Args:
        name: What is asked for; a model is given back as it is.
        base_url: Instead of ``<PROVIDER>_BASE_URL`` and the provider's own address.
        api_key: Instead of the provider's key variable.
        env: Instead of `os.environ`.
        settings: Further arguments of the model's class, such as ``deadlines``.

    Raises:
        ConfigurationError: for an unknown name, or a key or model that is missing.
    """
    if name is not None and not isinstance(name, str):
        return Choice(name, "it was given")
    env = os.environ if env is None else env
    row, model, why = _found(name, env, base_url)
    return Choice(_made(row, model, base_url, api_key, env, settings), why)


def find_row(name: str) -> tuple[Row, str]:
    """The provider that a name means, and the model's name, empty where it names none.

    Raises:
        ConfigurationError: for a name that means none; the hint holds the nearest ones.
    """
    head, colon, model = name.strip().partition(":")
    head = head.strip().lower()
    head = _OTHER_NAMES.get(head, head)
    if head in _BY_NAME:
        return _BY_NAME[head], model.strip()
    for row in ROWS:
        if any(_begins(name.strip(), prefix) for prefix in row.prefixes):
            return row, name.strip()
    near = difflib.get_close_matches(head, [*_BY_NAME, *_OTHER_NAMES], n=2)
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    raise ConfigurationError(
        f"Unknown {'provider' if colon else 'model or provider'} {head if colon else name!r}.",
        hint=f"{meant}Write provider:model; providers: {', '.join(_BY_NAME)}.",
    )


def _begins(name: str, prefix: str) -> bool:
    if prefix[-1] in "-:":
        return name.startswith(prefix)
    return name == prefix or name.startswith(f"{prefix}-")


def _found(name: str | None, env: Mapping[str, str], base_url: str | None) -> tuple[Row, str, str]:
    """Provider, model name and why."""
    if name and name.strip():
        return *find_row(name), "it was named"
    named = env.get("LLM_PROVIDER", "").strip()
    if named:
        return *find_row(named), f"LLM_PROVIDER is {named}"
    if base_url:
        return _BY_NAME["openai"], "", "a base URL was given"
    missing = ""
    for row in ROWS:
        key = _key_set(row, env)
        if key and row.module and not row.local:
            return row, "", f"{key} is set"
        if key and not row.module:
            missing = f"; {key} is set, but {row.name} is not yet in this version"
    return _without_key(env, missing)


def _without_key(env: Mapping[str, str], missing: str) -> tuple[Row, str, str]:
    """An Ollama that answers, else the embedded model."""
    base = ollama_url(env.get("OLLAMA_HOST", ""))
    row = _BY_NAME["ollama"]
    models = ollama_models(base)
    if models:
        # Ollama calls a model that was named without a tag "latest".
        default = row.model if f"{row.model}:latest" in models else models[0]
        return row, env.get("OLLAMA_MODEL") or default, f"Ollama answers at {base}{missing}"
    empty = "Ollama holds no model" if models == [] else "no Ollama answers"
    return _BY_NAME["demo"], "", f"no API key is set and {empty}{missing}"


def _key_set(row: Row, env: Mapping[str, str]) -> str:
    return next((key for key in row.keys if env.get(key, "").strip()), "")


def _made(
    row: Row,
    model: str,
    base_url: str | None,
    api_key: str | Secret | None,
    env: Mapping[str, str],
    settings: dict[str, Any],
) -> Model:
    if not row.module:
        there = ", ".join(other.name for other in ROWS if other.module)
        raise ConfigurationError(
            f"The provider {row.name} is not yet in this version of Headrace.",
            hint=f"There are: {there}.",
        )
    model = model or env.get(f"{row.name.upper()}_MODEL", "").strip() or row.model
    if row.needs_model and not model:
        raise ConfigurationError(
            f"{row.name}: no model is named.",
            hint=f"Write {row.name}:MODEL or set {row.name.upper()}_MODEL.",
        )
    make = getattr(import_module(row.module), row.factory)
    if row.base_url:
        settings = {**_connection(row, model, base_url, api_key, env), **settings}
    made: Model = make(model, **settings)
    return made


def _connection(
    row: Row,
    model: str,
    base_url: str | None,
    api_key: str | Secret | None,
    env: Mapping[str, str],
) -> dict[str, Any]:
    """What a provider with an address is made with, besides the model."""
    url = base_url or env.get(f"{row.name.upper()}_BASE_URL", "").strip() or _own_url(row, env)
    key = api_key or env.get(_key_set(row, env), "").strip() or None
    if key is None and not row.local and _host(url) == _host(row.base_url):
        raise ConfigurationError(
            f"No API key for {row.name}.",
            hint=f"Set {row.keys[0]}, or pass api_key=…; the model `demo` needs none.",
        )
    return {
        "provider": row.name,
        "base_url": url,
        "api_key": Secret(key) if isinstance(key, str) else key,
        "key_variable": row.keys[0],
        "dialect": _dialect(row, model, url),
    }


def _own_url(row: Row, env: Mapping[str, str]) -> str:
    if row.name == "ollama" and env.get("OLLAMA_HOST", "").strip():
        return f"{ollama_url(env['OLLAMA_HOST'])}/v1"
    return row.base_url


def _dialect(row: Row, model: str, url: str) -> Dialect:
    """The row's dialect, unless another server stands in for OpenAI with a model of its own."""
    known = any(_begins(model, prefix) for prefix in row.prefixes)
    if row.name == "openai" and _host(url) != _host(row.base_url) and not known:
        return COMPATIBLE
    return row.dialect


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
