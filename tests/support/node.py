"""Node programs as tests' clients: the packages of `tests/node`, installed once, and their runs."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

HOME = Path(__file__).parents[1] / "node"
PATIENCE = 60.0
"""Seconds that a program may take."""


@cache
def node() -> str:
    """The path of Node, once the packages are there; else the test is skipped, with the reason."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        pytest.skip("Node 20 or later, with npm, is needed (Debian: apt install nodejs npm).")
    stamp = HOME / "node_modules" / ".package-lock.json"
    if not stamp.exists() or stamp.stat().st_mtime < (HOME / "package-lock.json").stat().st_mtime:
        command = [npm, "ci", "--no-fund", "--no-audit", "--ignore-scripts", "--loglevel=error"]
        subprocess.run(command, cwd=HOME, check=True, timeout=300)  # noqa: S603 - our own command
        stamp.touch()
    return found


async def run_node(script: str, *arguments: str, stdin: bytes = b"") -> str:
    """Run a script of `tests/node`; gives what it printed.

    Raises:
        AssertionError: it failed, or took too long; the message holds what it said on stderr.
    """
    process = await asyncio.create_subprocess_exec(
        node(),
        str(HOME / script),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NODE_OPTIONS": ""},
    )
    try:
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate(stdin)
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    assert process.returncode == 0, err.decode("utf-8", "replace")[-4000:]
    return out.decode()
