"""Imports point only downward: in the house as it is, and each rule shown to bite."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house.floors import FLOORS, faults, module_name

HOUSE = Path(__file__).parents[2] / "src" / "headrace"


def test_the_house_keeps_its_floors() -> None:
    files = sorted(HOUSE.rglob("*.py"))
    assert len(files) > 20
    found = [
        fault
        for file in files
        for fault in faults(file.relative_to(HOUSE).as_posix(), file.read_text("utf-8"))
    ]
    assert not found, "\n" + "\n".join(found)


def test_no_floor_is_named_twice() -> None:
    parts = [part for floor in FLOORS for part in floor]
    assert len(parts) == len(set(parts))


@pytest.mark.parametrize(
    ("path", "text", "why"),
    [
        ("models/model.py", "from headrace.runs.run import Run", "models (floor 2) imports runs"),
        ("models/model.py", "import headrace.runs.run as r", "models (floor 2) imports runs"),
        ("models/model.py", "from headrace import runs", "models (floor 2) imports runs"),
        ("models/model.py", "from ..runs import run", "models (floor 2) imports runs"),
        ("models/model.py", "from .. import runs", "models (floor 2) imports runs"),
        ("models/__init__.py", "from ..runs import run", "models (floor 2) imports runs"),
        ("events.py", "from .runs import run", "events (floor 0) imports runs"),
        ("models/model.py", "def f():\n    import headrace.cli", "models (floor 2) imports cli"),
        (
            "models/model.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import headrace.cli",
            "model.py:3: models (floor 2) imports cli",
        ),
        ("models/m.py", "import_module('headrace.cli')", "models (floor 2) imports cli"),
        ("models/m.py", "importlib.import_module('headrace.cli')", "(floor 2) imports cli"),
        ("models/m.py", "HOMES = {'a': 'headrace.cli.main'}", "models (floor 2) imports cli"),
        ("models/model.py", "from headrace.tools import tool", "imports tools"),
        ("errors.py", "from headrace.events import Event", "errors (floor 0) imports events"),
        ("views/text.py", "from headrace import Agent", "views (floor 5) imports headrace"),
        ("views/text.py", "from headrace.agents import agent", "views (floor 5) imports agents"),
        ("runs/run.py", "import headrace.agents", "runs (floor 4) imports agents"),
        ("runs/run.py", "import headrace.providers.table", "a run is given a driver"),
        ("agents/agent.py", "from headrace.providers import demo", "through the table"),
        ("cli/main.py", "from headrace.testing import ScriptedModel", "does not import"),
        ("__init__.py", "import headrace.cli.main", "headrace (floor 7) imports cli"),
        ("testing/fakes.py", "import headrace.server", "testing (floor 7) imports server"),
        ("wire/sse.py", "import asyncio", "asyncio in a pure module"),
        ("wire/sse.py", "from time import time", "time in a pure module"),
        ("wire/sse.py", "def f():\n    import logging", "logging in a pure module"),
        ("wire/sse.py", "async def f(): ...", "async in a pure module"),
        ("runs/fold.py", "async def f():\n    await g()", "fold.py:2: async in a pure module"),
        ("models/model.py", "import aiohttp", "aiohttp may be imported only in providers"),
        ("wire/sse.py", "def f():\n    import pydantic_core", "pydantic_core may be imported"),
        ("runs/run.py", "from pydantic import BaseModel", "pydantic may be imported only in"),
        ("agents/agent.py", "import rich.console", "rich may be imported only in cli, frontends"),
        ("frontends/terminal.py", "import typer", "typer may be imported only in cli"),
        ("cli/serve.py", "import uvicorn", "uvicorn may be imported only in server"),
        ("providers/http.py", "import httpx", "httpx is none of the libraries"),
        ("helpers/x.py", "", "'helpers' has no floor"),
    ],
)
def test_a_breach_is_found(path: str, text: str, why: str) -> None:
    assert why in "\n".join(faults(path, text))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("runs/run.py", "import asyncio, msgspec\nfrom headrace.events import Event"),
        ("tools/tool.py", "from headrace.models.request import ToolSpec\nimport pydantic"),
        ("wire/partial_json.py", "from pydantic_core import from_json"),
        ("agents/agent.py", "from headrace.providers.table import resolve"),
        ("agents/agent.py", "from headrace.providers import table"),
        ("providers/http.py", "def f():\n    import aiohttp"),
        ("providers/demo.py", "from .http import post\nfrom headrace import errors"),
        ("cli/chat.py", "from headrace import Agent\nimport typer, rich"),
        ("__init__.py", "from headrace.agents.agent import Agent"),
        ("testing/__init__.py", "from headrace.providers.scripted import ScriptedModel"),
    ],
)
def test_what_is_allowed_passes(path: str, text: str) -> None:
    assert faults(path, text) == []


def test_module_names() -> None:
    assert module_name("__init__.py") == "headrace"
    assert module_name("wire/__init__.py") == "wire"
    assert module_name("wire/sse_decoder.py") == "wire.sse_decoder"
