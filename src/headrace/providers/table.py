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

__all__ = ["ROWS", "Choice", "Row", "choose_model", "find_row", "resolve_model", "told"]

_CHAT = "headrace.providers.openai_chat."  # modules whose classes take a dialect
_BY_NAME = {row.name: row for row in ROWS}
_OTHER_NAMES = {"llama.cpp": "llamacpp", "llama-cpp": "llamacpp", "lm-studio": "lmstudio"}
_OTHER_NAMES |= {"google": "gemini", "claude": "anthropic", "grok": "xai"}
_OTHER_NAMES |= {"azure-openai": "azure", "azure_openai": "azure"}


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
    record_to: str | os.PathLike[str] | None = None,
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
        record_to: A cassette to which the model's raw answers are written.
        settings: Further arguments of the model's class, such as ``deadlines``.

    Raises:
        ConfigurationError: for an unknown name, or a key or model that is missing.
    """
    if record_to is not None:
        return _recorded(
            choose_model(name, base_url=base_url, api_key=api_key, env=env, **settings), record_to
        )
    if name is not None and not isinstance(name, str):
        return Choice(name, "it was given")
    env = os.environ if env is None else env
    row, model, why = _found(name, env, base_url)
    return Choice(_made(row, model, base_url, api_key, env, settings), why)


def _recorded(choice: Choice, record_to: str | os.PathLike[str]) -> Choice:
    from headrace.providers.cassette.recording import recorded

    return Choice(recorded(choice.model, record_to), choice.why)


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
    for row in ROWS:
        key = _key_set(row, env)
        if key and not row.local:
            return row, "", f"{key} is set"
    return _without_key(env)


def _without_key(env: Mapping[str, str]) -> tuple[Row, str, str]:
    """An Ollama that answers, else the embedded model."""
    base = ollama_url(env.get("OLLAMA_HOST", ""))
    row = _BY_NAME["ollama"]
    models = ollama_models(base)
    if models:
        # Ollama calls a model that was named without a tag "latest".
        default = row.model if f"{row.model}:latest" in models else models[0]
        return row, env.get("OLLAMA_MODEL") or default, f"Ollama answers at {base}"
    empty = "Ollama holds no model" if models == [] else "no Ollama answers"
    return _BY_NAME["demo"], "", f"no API key is set and {empty}"


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
    model = model or told(row, "model", env)
    if row.needs_model and not model:
        raise ConfigurationError(
            f"{row.name}: no model is named.",
            hint=f"Write {row.name}:MODEL or set {_variables(row, 'model')[0]}.",
        )
    make = getattr(import_module(row.module), row.factory)
    if row.keys:
        # A token that was given stands in for whatever key the environment holds.
        key_taken = "token" not in settings
        settings = {**_connection(row, model, base_url, api_key, env, key_taken), **settings}
    made: Model = make(model, **settings)
    return made


def _connection(
    row: Row,
    model: str,
    base_url: str | None,
    api_key: str | Secret | None,
    env: Mapping[str, str],
    key_taken: bool,
) -> dict[str, Any]:
    """What a provider with an address is made with, besides the model."""
    url = base_url or told(row, "base_url", env)
    key = api_key or env.get(_key_set(row, env) if key_taken else "", "").strip() or None
    own = not row.base_url or _host(url) == _host(row.base_url)
    if key is None and key_taken and not row.local and own:
        raise ConfigurationError(
            f"No API key for {row.name}.",
            hint=f"Set {row.keys[0]}, or pass api_key=…; the model `demo` needs none.",
        )
    made: dict[str, Any] = {
        "provider": row.name,
        "base_url": url,
        "api_key": Secret(key) if isinstance(key, str) else key,
        "key_variable": row.keys[0],
    }
    if row.module.startswith(_CHAT):
        made["dialect"] = _dialect(row, model, url)
    others = {name: told(row, name, env) for name in row.env if name not in ("model", "base_url")}
    return made | {name: value for name, value in others.items() if value}


def _variables(row: Row, setting: str) -> tuple[str, ...]:
    """The variables that may hold a setting, the one to name in errors first."""
    return (*row.env.get(setting, ()), f"{row.name.upper()}_{setting.upper()}")


def told(row: Row, setting: str, env: Mapping[str, str]) -> str:
    """What the environment, or else the row, says of a provider's address or model."""
    values = (env.get(variable, "").strip() for variable in _variables(row, setting))
    found = next((value for value in values if value), "")
    if not found and setting == "base_url":
        return _own_url(row, env)
    return found or (row.model if setting == "model" else "")


def _own_url(row: Row, env: Mapping[str, str]) -> str:
    if row.name == "ollama" and env.get("OLLAMA_HOST", "").strip():
        return ollama_url(env["OLLAMA_HOST"])
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
