"""curl as a client."""

from __future__ import annotations

import asyncio
import shutil
from functools import cache

import pytest


@cache
def program() -> str:
    """Its path; else the test is skipped, with the reason."""
    if found := shutil.which("curl"):
        return found
    pytest.skip("curl is needed (Debian: apt install curl).")


async def curl(*arguments: str) -> tuple[bytes, int]:
    """What it printed, as it came, and its exit code."""
    command = (program(), "-sNf", "--max-time", "60", *arguments)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode is not None
    return out, process.returncode
