"""`headrace models`: the providers there are, and which one would answer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli.endings import clear_endings

if TYPE_CHECKING:
    from headrace.providers.rows import Row

_HEADINGS = {
    "provider": "PROVIDER",
    "key": "KEY",
    "model": "DEFAULT MODEL",
    "base_url": "ADDRESS",
}


@clear_endings()
def models(
    json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
) -> None:
    """List the providers and their models.

    And tell which model would be taken now, and why. Keys themselves are never shown.
    """
    from headrace.providers.rows import ROWS

    rows = [_row(row) for row in ROWS]
    chosen = _chosen()
    if json:
        from json import dumps

        print(dumps({"chosen": chosen, "providers": rows}, indent=2))
        return
    _print_table([{**row, "key": _key_words(row)} for row in rows])
    print()
    if "error" in chosen:
        print(f"None would be taken now: {chosen['error']}")
    else:
        print(f"Now it would be {chosen['model']} ({chosen['why']}).")


def _row(row: Row) -> dict[str, Any]:
    prefix = row.name.upper()
    keys = [key for key in row.keys if os.environ.get(key, "").strip()]
    return {
        "provider": row.name,
        "available": bool(row.module),
        "key_variables": list(row.keys),
        "key_set": keys[0] if keys else None,
        "key_needed": not row.local,
        "model": os.environ.get(f"{prefix}_MODEL", "").strip() or row.model,
        "base_url": _without_secrets(os.environ.get(f"{prefix}_BASE_URL", "")) or row.base_url,
    }


def _key_words(row: dict[str, Any]) -> str:
    if not row["available"]:
        return "not yet in this version"
    if row["key_set"]:
        return f"{row['key_set']} is set"
    if not row["key_needed"]:
        return "needs none"
    return f"{' or '.join(row['key_variables'])} is not set"


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


def _print_table(rows: list[dict[str, Any]]) -> None:
    from headrace.frontends.escapes import one_line

    cells = [_HEADINGS, *({name: one_line(str(row[name])) for name in _HEADINGS} for row in rows)]
    widths = {name: max(len(row[name]) for row in cells) for name in _HEADINGS}
    for row in cells:
        print("  ".join(row[name].ljust(widths[name]) for name in _HEADINGS).rstrip())
