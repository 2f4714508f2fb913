"""`headrace models`: the providers there are, and which one would answer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli.columns import print_columns
from headrace.cli.endings import clear_endings

if TYPE_CHECKING:
    from headrace.providers.rows import Row

_HEADINGS = {
    "provider": "PROVIDER",
    "found": "ON THIS MACHINE",
    "model": "DEFAULT MODEL",
    "base_url": "ADDRESS",
    "supports": "SUPPORTS",
}


@clear_endings()
def models(
    json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
) -> None:
    """List the providers, and what is here of them.

    And what they support, and which model would be taken now, and why. Keys themselves are never
    shown.
    """
    from headrace.providers.rows import ROWS

    rows = [_row(row) for row in ROWS]
    chosen = _chosen()
    if json:
        from json import dumps

        print(dumps({"chosen": chosen, "providers": rows}, indent=2))
        return
    shown = [{**row, "found": _found(row), "supports": _supports(row)} for row in rows]
    print_columns(
        list(_HEADINGS.values()),
        [[str(row[name]) for name in _HEADINGS] for row in shown],
        spare=("ADDRESS", "SUPPORTS"),
    )
    print()
    if "error" in chosen:
        print(f"None would be taken now: {chosen['error']}")
    else:
        print(f"Now it would be {chosen['model']} ({chosen['why']}).")


def _row(row: Row) -> dict[str, Any]:
    from headrace.providers.table import told

    keys = [key for key in row.keys if os.environ.get(key, "").strip()]
    address = told(row, "base_url", os.environ)
    return {
        "provider": row.name,
        "key_variables": list(row.keys),
        "key_set": keys[0] if keys else None,
        "key_needed": not row.local,
        "local": row.local and _is_here(address),
        "model": told(row, "model", os.environ),
        "base_url": _without_secrets(address),
        "supports": list(row.supports),
        "models_here": _models_here(row, address),
    }


def _models_here(row: Row, address: str) -> list[str] | None:
    """The models that a server on this machine holds; None where none answers."""
    from headrace.providers.ollama_probe import ollama_models, served_models

    if not row.local or not _is_here(address):
        return None
    if row.name == "ollama":
        return ollama_models(address.rstrip("/").removesuffix("/v1"))
    return served_models(address.rstrip("/"))


def _is_here(address: str) -> bool:
    from urllib.parse import urlsplit

    from headrace.providers.loopback import is_loopback

    try:
        return is_loopback(urlsplit(address).hostname or "")
    except ValueError:
        return False


def _found(row: dict[str, Any]) -> str:
    """What of a provider is here: its key, or a server that answers."""
    if row["models_here"] is not None:
        return f"answers with {_counted(row['models_here'])}"
    if row["key_set"]:
        return f"{row['key_set']} is set"
    if not row["key_needed"]:
        return "does not answer" if row["local"] else "needs no key"
    return f"{row['key_variables'][0]} is not set"


def _counted(names: list[str]) -> str:
    if not names:
        return "no model"
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{more}"


def _supports(row: dict[str, Any]) -> str:
    """In a table, what it lacks is shorter."""
    from headrace.providers.features import FEATURES

    lacks = [feature for feature in FEATURES if feature not in row["supports"]]
    if len(lacks) > len(FEATURES) // 2:
        return f"only {', '.join(row['supports'])}"
    return f"all but {', '.join(lacks)}" if lacks else "all"


def _without_secrets(url: str) -> str:
    """An address without the user, password and query that people put into one."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url.strip())
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "(not an address)"
    return f"{parts.scheme}://{host}{parts.path}" if host else parts.path


def _chosen() -> dict[str, str]:
    from headrace.errors import UsageError
    from headrace.providers.table import choose_model

    try:
        choice = choose_model()
    except UsageError as error:
        return {"error": str(error)}
    return {"model": choice.model.name, "why": choice.why}
