"""`import headrace` is light and does nothing but define names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# What is there after asyncio and msgspec is free; the rest of the library comes on first use.
PROBE = """
import sys, os, json, threading
import asyncio, msgspec
def descriptors():
    return sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else []
before, fds, environ = set(sys.modules), descriptors(), dict(os.environ)
import {module}
new = {{name.split(".")[0] for name in set(sys.modules) - before}}
print(json.dumps({{
    "third parties": sorted(new - sys.stdlib_module_names - {{"{module}".split(".")[0]}}),
    "heavy": sorted(new & {heavy}),
    "threads": threading.active_count() - 1,
    "descriptors": len(descriptors()) - len(fds),
    "environ": dict(os.environ) != environ,
    "files": os.listdir("."),
}}))
"""
HEAVY = {
    "sqlite3",
    "multiprocessing",
    "unittest",
    "xml",
    "http",
    "email",
    "ctypes",
    "webbrowser",
    "zoneinfo",
    "pydoc",
    "readline",
}
NOTHING: dict[str, Any] = {
    "third parties": [],
    "heavy": [],
    "threads": 0,
    "descriptors": 0,
    "environ": False,
    "files": [],
}


def what_it_does(module: str, folder: Path, path: Path | None = None) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LD_LIBRARY_PATH")}
    env = kept | {"HOME": str(folder), "PYTHONPATH": str(path) if path else ""}
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-B", "-c", PROBE.format(module=module, heavy=HEAVY)],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    # Whatever an import prints comes before the last line, and is a fault too.
    *printed, told = done.stdout.splitlines()
    does: dict[str, Any] = json.loads(told)
    return does | ({"printed": printed} if printed else {})


@pytest.mark.parametrize("module", ["headrace", "headrace.events", "headrace.models.model"])
def test_the_import_is_light_and_does_nothing(tmp_path: Path, module: str) -> None:
    assert what_it_does(module, tmp_path / "empty") == NOTHING


def test_naming_the_agent_costs_no_http_client_and_no_validator(tmp_path: Path) -> None:
    (tmp_path / "uses_agent.py").write_text("from headrace import Agent, tool, Channel\nAgent\n")
    found = what_it_does("uses_agent", tmp_path / "empty", tmp_path)
    assert found == NOTHING | {"third parties": ["headrace"]}


@pytest.mark.parametrize(
    ("body", "what", "value"),
    [
        ("import aiohttp", "third parties", "aiohttp"),
        ("import rich, typer", "third parties", "typer"),
        ("import sqlite3", "heavy", "sqlite3"),
        ("open('left.txt', 'w').close()", "files", "left.txt"),
        ("print('hello')", "printed", "hello"),
    ],
)
def test_a_heavy_or_busy_import_is_found(tmp_path: Path, body: str, what: str, value: str) -> None:
    (tmp_path / "bad.py").write_text(body)
    assert value in what_it_does("bad", tmp_path / "empty", tmp_path)[what]


def test_a_thread_a_descriptor_and_a_variable_are_found(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(
        "import os, threading\n"
        "kept = os.pipe()\n"
        "os.environ['LEFT'] = '1'\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    found = what_it_does("bad", tmp_path / "empty", tmp_path)
    assert found == NOTHING | {"threads": 1, "descriptors": 2, "environ": True}
