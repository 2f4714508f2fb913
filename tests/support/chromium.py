"""A page in a real Chromium, led from the test: `async with chromium_page() as page`."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import pytest

from tests.support.node import HOME, node

PATIENCE = 60.0
"""Seconds that one step in the browser may take."""

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""No window, and no traffic but the test's own; the profile is a new, empty one."""


@cache
def chromium() -> str:
    """The browser's path; else the test is skipped, with the reason."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("Chromium is needed (Debian: apt install chromium).")


class Page:
    """One page; the methods are those of playwright's `Page` that tests need."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def goto(self, url: str) -> None:
        """Open an address."""
        await self._do("goto", url)

    async def reload(self) -> None:
        """Load the page again."""
        await self._do("reload")

    async def fill(self, selector: str, text: str) -> None:
        """Write into a field."""
        await self._do("fill", selector, text)

    async def press(self, selector: str, key: str) -> None:
        """Press a key in a field."""
        await self._do("press", selector, key)

    async def click(self, selector: str) -> None:
        """Click, once it can be clicked."""
        await self._do("click", selector)

    async def see(self, selector: str, text: str) -> None:
        """Wait until the element's text contains this."""
        await self._do("see", selector, text)

    async def text(self, selector: str) -> str:
        """The element's text as it is."""
        return str(await self._do("textContent", selector))

    async def visible(self, selector: str) -> bool:
        """Whether a person would see the element."""
        return bool(await self._do("isVisible", selector))

    async def value(self, script: str) -> Any:
        """What an expression, or a function's source, gives in the page; promises are awaited."""
        return await self._do("evaluate", script)

    async def until(self, script: str) -> None:
        """Wait until an expression is true."""
        await self._do("until", script)

    async def screenshot(self, path: str) -> None:
        """The whole page as a PNG."""
        await self._do("screenshot", {"path": path, "fullPage": True})

    async def complaints(self) -> list[str]:
        """The errors that the page and its console told since the last time."""
        return list(await self._do("complaints"))

    async def _do(self, call: str, *arguments: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"call": call, "args": arguments}).encode() + b"\n")
        async with asyncio.timeout(PATIENCE):
            line = await self._process.stdout.readline()
        if not line:
            raise AssertionError(f"The browser has ended before {call}; its words are on stderr.")
        told = json.loads(line)
        assert "error" not in told, told["error"]
        return told["value"]


@asynccontextmanager
async def chromium_page(**options: object) -> AsyncGenerator[Page]:
    """A page in a browser of its own.

    Args:
        options: Of playwright's `browser.newPage`, such as ``colorScheme``.
    """
    process = await asyncio.create_subprocess_exec(
        node(),
        str(HOME / "chromium.mjs"),
        chromium(),
        json.dumps(FLAGS),
        json.dumps(options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
        env={**os.environ, "NODE_OPTIONS": ""},
    )
    assert process.stdin is not None
    try:
        yield Page(process)
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(PATIENCE):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
