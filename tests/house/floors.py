"""The floors of the house as data, and the rules that imports keep, as pure functions.

Every function takes one file's path inside ``src/headrace`` and its text, and gives the faults.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "text", "usage", "messages", "events"),
    ("wire",),
    ("models", "tools"),
    ("providers",),
    ("runs",),
    ("views", "protocols"),
    ("agents",),
    ("runtime",),
    ("telemetry", "frontends", "server"),
    ("cli", "__main__"),
)
"""Lowest first. A part may import what is on a lower floor, or on its own floor to its left."""

PUBLIC = "headrace"
"""The package's own page of names: above agents, so that only front doors may use it."""

_ORDER = {
    part: (floor, place) for floor, parts in enumerate(FLOORS) for place, part in enumerate(parts)
}
_ORDER[PUBLIC] = (7, 0)
_ORDER["testing"] = (7, 1)

CLOSED = {
    # who: (whom, except these), and why
    "runs": (("providers",), (), "a run is given a driver and knows no provider"),
    "views": (("providers",), (), "a view shapes a run and knows no provider"),
    "protocols": (("providers", "views"), (), "a protocol knows events and nothing that awaits"),
    "agents": (("providers",), ("providers.table",), "an agent names a model through the table"),
}

THIRD_PARTIES: dict[str, tuple[str, ...]] = {
    # who may be imported, where (a part, or a module)
    "msgspec": tuple(_ORDER),
    "aiohttp": ("providers", "frontends"),
    "yarl": ("providers", "frontends"),
    "pydantic": ("tools", "agents"),
    "pydantic_core": ("tools", "agents", "wire.partial_json"),
    "typing_extensions": ("runs.response", "tools.typed_dicts"),
    "typer": ("cli",),
    "click": ("cli",),
    "rich": ("cli", "frontends"),
    "markdown_it": ("cli", "frontends"),
    "starlette": ("server",),
    "uvicorn": ("server",),
    "websockets": ("server",),
    "nats": ("runs.stores", "runtime"),
    "redis": ("runs.stores", "runtime"),
    "telegram": ("frontends",),
    "discord": ("frontends",),
    "opentelemetry": ("telemetry",),
    "prometheus_client": ("telemetry",),
    "pytest": ("testing",),
    "mcp": ("tools.mcp",),
    "mcp_types": ("tools.mcp",),
    "anyio": ("tools.mcp",),
    "httpx2": ("tools.mcp",),
}

COMES_WITH = {
    "pydantic_core": "pydantic",  # pinned to the digit by it
    "typing_extensions": "pydantic",  # read by type checkers, and made for it before 3.12
    "yarl": "aiohttp",  # its addresses are aiohttp's own arguments
    "click": "typer",
    "markdown_it": "markdown-it-py",  # another name for the same
}
"""Imported by a name that `pyproject.toml` does not have."""

EXTRAS = (
    "starlette",
    "uvicorn",
    "websockets",
    "nats",
    "redis",
    "telegram",
    "discord",
    "opentelemetry",
    "prometheus_client",
    "pytest",
    "mcp",
    "mcp_types",  # these three come with mcp
    "anyio",
    "httpx2",
)
"""Not in the base install: such an import must say `MissingExtra` where it fails."""

PURE = ("wire", "models.retry", "models.assembler", "runs.fold", "protocols", "agents.next_step")
"""Decided by values alone: no awaiting, no clock, no log, no randomness."""

_IMPURE = {
    "anyio",
    "asyncio",
    "datetime",
    "logging",
    "random",
    "secrets",
    "select",
    "selectors",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "time",
}

_MODULE = re.compile(r"headrace(\.[a-z_]+)+")


@dataclass(frozen=True)
class Import:
    """One import: of which module, at which line."""

    module: str
    line: int


def module_name(path: str) -> str:
    """``wire/sse_decoder.py`` is ``wire.sse_decoder``, ``wire/__init__.py`` is ``wire``."""
    parts = path.removesuffix(".py").split("/")
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts) or PUBLIC


def imports(path: str, text: str) -> Iterator[Import]:
    """All imports of a file, wherever they stand: in functions and under TYPE_CHECKING too."""
    package = ["headrace", *path.split("/")[:-1]]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(f"{source}.{alias.name}", node.lineno)
        elif isinstance(node, ast.Call) and _imports_by_name(node):
            yield Import(str(node.args[0].value), node.lineno)  # type: ignore[attr-defined]
        elif isinstance(node, ast.Constant) and _MODULE.fullmatch(str(node.value)):
            yield Import(str(node.value), node.lineno)  # a table of modules, to be loaded later


def _imports_by_name(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return (
        name in ("import_module", "__import__")
        and bool(call.args)
        and isinstance(call.args[0], ast.Constant)
    )


def faults(path: str, text: str) -> list[str]:
    """What this file imports and may not, and what a pure file does and may not."""
    me = module_name(path)
    part = me.split(".")[0]
    if part not in _ORDER:
        return [f"{path}: {part!r} has no floor; give it one in tests/house/floors.py."]
    found = [f"{path}:{i.line}: {why}" for i in imports(path, text) if (why := _wrong(me, i))]
    if _within(me, PURE):
        found += [
            f"{path}:{node.lineno}: async in a pure module"
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith)
        ]
    return found


def _wrong(me: str, wanted: Import) -> str:
    root, _, rest = wanted.module.partition(".")
    if root == "headrace":
        return _wrong_floor(me, rest)
    if root in sys.stdlib_module_names:
        impure = root in _IMPURE and _within(me, PURE)
        return f"{root} in a pure module" if impure else ""
    allowed = THIRD_PARTIES.get(root)
    if allowed is None:
        return f"{root} is none of the libraries that Headrace is built on"
    return "" if _within(me, allowed) else f"{root} may be imported only in {', '.join(allowed)}"


def _wrong_floor(me: str, wanted: str) -> str:
    mine = me.split(".")[0]
    part = wanted.split(".")[0]
    # `from headrace import Agent` asks for the page of names itself.
    part = part if part in _ORDER else PUBLIC
    if part == mine:
        return ""
    if part == "testing":
        return "the library does not import headrace.testing"
    if _ORDER[part] > _ORDER[mine]:
        return f"{mine} (floor {_ORDER[mine][0]}) imports {part} (floor {_ORDER[part][0]})"
    closed, but, why = CLOSED.get(mine, ((), (), ""))
    if part in closed and not _within(wanted, but):
        return f"{mine} may not import {wanted}: {why}"
    return ""


def _within(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(place + ".") for place in places)
