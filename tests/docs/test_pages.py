"""Tables of the documentation say what the code says."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any, get_args

import msgspec
import pytest

from headrace import errors
from headrace.events import AnyEvent
from headrace.providers.rows import ROWS
from tests.docs.pages import ROOT

BOUNDS = (ROOT / "docs" / "bounds.md").read_text("utf-8")
MODELS = (ROOT / "docs" / "models.md").read_text("utf-8")
EVENTS = (ROOT / "docs" / "events.md").read_text("utf-8")
TROUBLES = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
UNITS = {"": 1, "s": 1, "KiB": 1024, "MiB": 1024 * 1024}


def rows(text: str, columns: int) -> list[list[str]]:
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|") and not line.startswith("|--")
    ]
    return [row for row in cells if len(row) == columns]


def amount(text: str) -> float:
    number, _, unit = text.partition(" ")
    return float(number) * UNITS[unit]


def in_code(where: str) -> Any:
    """A constant (``module:NAME``) or an argument's default (``module:Class.name``)."""
    module, _, path = where.strip("`").partition(":")
    value: Any = importlib.import_module(module)
    for name in path.split("."):
        parameters = inspect.signature(value).parameters if callable(value) else {}
        value = parameters[name].default if name in parameters else getattr(value, name)
    return value


def limits(text: str) -> list[list[str]]:
    return [row for row in rows(text, 3) if row[2].startswith("`headrace.")]


def wrong_bounds(text: str) -> list[str]:
    return [
        f"{what}: {told}, not {in_code(where)}"
        for what, told, where in limits(text)
        if amount(told) != in_code(where)
    ]


def test_the_bounds_are_those_of_the_code() -> None:
    assert len(limits(BOUNDS)) > 15
    assert wrong_bounds(BOUNDS) == []


def test_a_wrong_bound_is_found() -> None:
    row = "| a gap | 61 s | `headrace.models.deadlines:Deadlines.gap` |"
    assert wrong_bounds(row) == ["a gap: 61 s, not 60.0"]
    row = "| a line | 8 KiB | `headrace.wire.sse_decoder:MAX_LINE` |"
    assert wrong_bounds(row) == ["a line: 8 KiB, not 8388608"]


def vocabulary(text: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Type word to class and fields, as the page has them."""
    table = {}
    for type_, class_, _, fields in rows(text, 4)[1:]:
        names = frozenset(re.findall(r"`([a-z_]+\??)`", fields))
        table[type_.strip("`")] = (class_.strip("`"), names)
    return table


def vocabulary_in_code() -> dict[str, tuple[str, frozenset[str]]]:
    table = {}
    for event in get_args(AnyEvent):
        info = msgspec.structs.fields(event)
        own = [field for field in info if field.name not in ("seq", "at", "agent")]
        names = (field.name + ("" if field.required else "?") for field in own)
        table[str(event.__struct_config__.tag)] = (event.__name__, frozenset(names))
    return table


def test_the_vocabulary_is_that_of_the_code() -> None:
    assert vocabulary(EVENTS) == vocabulary_in_code()


@pytest.mark.parametrize(
    ("true", "false"),
    [
        ("| `token` |", "| `word` |"),
        ("`name`, `delta` |", "`name`, `d` |"),
        ("| `content`, `index` |", "| `content`, `index?` |"),
    ],
)
def test_a_wrong_vocabulary_is_found(true: str, false: str) -> None:
    assert true in EVENTS
    assert vocabulary(EVENTS.replace(true, false)) != vocabulary_in_code()


def providers(text: str) -> list[tuple[str, str, str]]:
    """Name, key variable and default model, as the page has them."""
    table = [[cell.strip("`") for cell in row] for row in rows(text, 3)]
    start = table.index(["provider", "key", "default model"])
    found = []
    for name, key, model in table[start + 1 :]:
        if name not in {row.name for row in ROWS}:
            break
        found.append((name, key, model))
    return found


def providers_in_code() -> list[tuple[str, str, str]]:
    return [
        (
            row.name,
            "not needed" if row.local else row.keys[0],
            row.model or ("name it" if row.needs_model else "the one that it serves"),
        )
        for row in ROWS
    ]


def test_the_providers_are_those_of_the_code() -> None:
    assert providers(MODELS) == providers_in_code()


def test_a_wrong_provider_is_found() -> None:
    assert providers(MODELS.replace("`XAI_API_KEY`", "`GROK_KEY`")) != providers_in_code()


def errors_in_code() -> dict[str, str]:
    """Each error that is raised, and its code; not the ones that only hold others."""
    roots = (errors.HeadraceError, errors.ProviderError, errors.WireError, errors.ConsumerError)
    tree = (value for value in vars(errors).values() if isinstance(value, type))
    found = (error for error in tree if issubclass(error, errors.HeadraceError))
    return {error.__name__: error.code for error in found if error not in roots}


def missing_errors(page: str) -> list[str]:
    """Errors that the page does not name, and codes that it neither names nor gives by rule."""
    table = page.partition("\n## Errors\n")[2]
    missing = [name for name in errors_in_code() if f"`{name}`" not in table]
    for name, code in errors_in_code().items():
        by_rule = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        if code != by_rule and f"`{code}`" not in table:
            missing.append(code)
    return missing


def test_every_error_is_told_with_its_code() -> None:
    assert missing_errors(TROUBLES) == []


@pytest.mark.parametrize(
    ("told", "missing"), [("`MissingExtra`", "MissingExtra"), ("`tool_server`", "tool_server")]
)
def test_an_error_that_is_not_told_is_found(told: str, missing: str) -> None:
    assert missing_errors(TROUBLES.replace(told, "")) == [missing]
