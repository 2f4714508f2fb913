"""The package's page of names, its docstrings, and its dependencies as locked."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import headrace
from tests.house.floors import COMES_WITH, EXTRAS, THIRD_PARTIES

ROOT = Path(__file__).parents[2]
HOUSE = ROOT / "src" / "headrace"
MOST_NAMES = 30


def without_docstring(files: dict[str, str]) -> list[str]:
    return [path for path, text in files.items() if not ast.get_docstring(ast.parse(text))]


def exported_wrongly(package: Any) -> list[str]:
    names = list(getattr(package, "__all__", []))
    found = [f"{name} is exported and not there" for name in names if not hasattr(package, name)]
    found += [f"{name} is listed twice" for name in set(names) if names.count(name) > 1]
    if len(names) > MOST_NAMES:
        found.append(f"{len(names)} names, at most {MOST_NAMES}")
    return found


def differing(project: dict[str, Any], lock: dict[str, Any]) -> set[str]:
    """Requirements that pyproject.toml and uv.lock do not agree on."""
    (locked,) = (p for p in lock["package"] if p["name"] == project["project"]["name"])
    wanted = {r.replace(" ", "") for r in project["project"]["dependencies"]}
    have = {
        r["name"] + r.get("specifier", "")
        for r in locked["metadata"]["requires-dist"]
        if "marker" not in r
    }
    for group, requirements in project["dependency-groups"].items():
        wanted |= {f"{group}: {r}" for r in requirements}
        have |= {
            f"{group}: {r['name']}{r.get('specifier', '')}"
            for r in locked["metadata"]["requires-dev"][group]
        }
    return wanted ^ have


def test_the_page_of_names() -> None:
    package: Any = headrace
    assert exported_wrongly(package) == []
    assert package.__all__


def test_a_wrong_page_of_names_is_found() -> None:
    class Page:
        __all__ = ("here", "here", "gone", *(f"n{i}" for i in range(28)))
        here = 1

    for i in range(28):
        setattr(Page, f"n{i}", i)
    assert exported_wrongly(Page) == [
        "gone is exported and not there",
        "here is listed twice",
        "31 names, at most 30",
    ]


def test_every_module_says_what_it_is() -> None:
    files = {file.as_posix(): file.read_text("utf-8") for file in HOUSE.rglob("*.py")}
    assert without_docstring(files) == []


def test_a_module_without_docstring_is_found() -> None:
    assert without_docstring({"a.py": "x = 1", "b.py": '"""B."""', "c.py": ""}) == ["a.py", "c.py"]


def test_the_lock_fits_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    lock = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))
    assert differing(project, lock) == set()
    project["project"]["dependencies"].append("left-pad>=1")
    project["dependency-groups"]["dev"].append("right-pad>=1")
    assert differing(project, lock) == {"left-pad>=1", "dev: right-pad>=1"}


def undeclared(dependencies: list[str], imported: Iterable[str]) -> set[str]:
    """Libraries of the base install that pyproject.toml does not ask for."""
    declared = {re.split(r"[^\w-]", dependency)[0] for dependency in dependencies}
    return {name for name in imported if COMES_WITH.get(name, name) not in declared}


def test_what_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    base = set(THIRD_PARTIES) - set(EXTRAS)
    assert undeclared(project["dependencies"], base) == set()
    assert project["version"] == headrace.__version__
    assert undeclared(["aiohttp>=3"], ["aiohttp", "yarl", "rich"]) == {"rich"}


def test_every_module_can_be_imported() -> None:
    for file in sorted(HOUSE.rglob("*.py")):
        if file.name != "__main__.py":
            name = file.relative_to(HOUSE.parent).with_suffix("").as_posix().replace("/", ".")
            importlib.import_module(name.removesuffix(".__init__"))
