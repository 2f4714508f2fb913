"""Pages in a real Chromium, led from the test.

`async with chromium_page() as page` is one page in a browser of its own; `chromium_browser()` is a
browser with as many contexts (each as a person of their own) and pages in them (tabs) as needed.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from tests.support.node import HOME, node

PATIENCE = 60.0
"""Seconds that one step in the browser may take."""

ORDINARY = 1.0
"""Milliseconds that `YARDSTICK` gives on a machine on which 100 ms are a long task."""

YARDSTICK = """(() => {
  const times = [];
  for (let n = 0; n < 100; n += 1) {
    const began = performance.now();
    const place = document.createElement("div");
    for (let m = 0; m < 2000; m += 1) {
      const item = document.createElement("li");
      item.append(`item ${m}`, document.createElement("em"));
      place.append(item);
    }
    times.push(performance.now() - began);
  }
  return times.sort((a, b) => a - b)[50];
})()"""
"""The work of a page, always the same: how long it takes tells how fast the machine is now."""

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


@dataclass(frozen=True)
class Request:
    """What a page asked for.

    Attributes:
        method: Of HTTP.
        url: Where.
        kind: As playwright has it: ``document``, ``script``, ``fetch``…
    """

    method: str
    url: str
    kind: str


@dataclass(frozen=True)
class Task:
    """Something that a page's main thread did, during which it answered nobody.

    Attributes:
        wall: Milliseconds that it took.
        busy: Of these, what it was on a processor for: the page's own part of it.
    """

    wall: float
    busy: float


class Browser:
    """A browser; one step after the other, whichever page it is in."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()

    async def context(self, **options: object) -> Context:
        """A person of their own: no cookies, storage or cache of others.

        Args:
            options: Of playwright's `browser.newContext`, such as ``colorScheme``, ``viewport``.
        """
        return Context(self, await self.do("", "newContext", options))

    async def do(self, on: str, call: str, *arguments: object) -> Any:
        """A call of `tests/node/chromium.mjs`.

        Raises:
            AssertionError: it failed, or the browser has ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = json.dumps({"on": on, "call": call, "args": arguments})
        async with self._turn, asyncio.timeout(PATIENCE):
            self._process.stdin.write(line.encode() + b"\n")
            answer = await self._process.stdout.readline()
        if not answer:
            raise AssertionError(f"The browser has ended before {call}; its words are on stderr.")
        told = json.loads(answer)
        assert "error" not in told, told["error"]
        return told.get("value")


class Context:
    """Pages that share cookies, storage, cache and the network."""

    def __init__(self, browser: Browser, own: str) -> None:
        self._browser = browser
        self._own = own

    async def page(self) -> Page:
        """One more tab."""
        return Page(self, await self._do("newPage"))

    async def offline(self, offline: bool = True) -> None:
        """Take the network away, or give it back."""
        await self._do("setOffline", offline)

    async def replace(self, pattern: str, body: str) -> None:
        """Give this in place of what the server has at addresses that match (a RegExp)."""
        await self._do("replace", pattern, body)

    async def hold(self, pattern: str) -> None:
        """Keep requests whose addresses match (a RegExp) from the server until `release`."""
        await self._do("hold", pattern)

    async def held(self) -> int:
        """How many requests wait for `release`."""
        return int(await self._do("held"))

    async def release(self) -> None:
        """Let through what was held; nothing is held any more."""
        await self._do("release")

    async def requests(self) -> list[Request]:
        """What the pages asked for since the last time, other hosts included."""
        return [Request(*asked) for asked in await self._do("asked")]

    async def close(self) -> None:
        """Close its pages."""
        await self._do("close")

    async def step(self, on: str, call: str, *arguments: object) -> Any:
        """A call of one of its pages."""
        return await self._browser.do(on, call, *arguments)

    async def _do(self, call: str, *arguments: object) -> Any:
        return await self._browser.do(self._own, call, *arguments)


class Page:
    """One page; the methods are those of playwright's `Page` that tests need.

    Attributes:
        context: Where it lives.
    """

    def __init__(self, context: Context, own: str) -> None:
        self.context = context
        self._own = own

    async def goto(self, url: str) -> None:
        """Open an address."""
        await self._do("goto", url)

    async def reload(self) -> None:
        """Load the page again."""
        await self._do("reload")

    async def close(self) -> None:
        """Close the tab."""
        await self._do("close")

    async def fill(self, selector: str, text: str) -> None:
        """Write into a field."""
        await self._do("fill", selector, text)

    async def press(self, selector: str, key: str) -> None:
        """Press a key in a field."""
        await self._do("press", selector, key)

    async def keyboard(self, key: str) -> None:
        """Press a key wherever the focus is."""
        await self._do("keyboard", key)

    async def write(self, text: str) -> None:
        """Type wherever the focus is."""
        await self._do("write", text)

    async def click(self, selector: str) -> None:
        """Click, once it can be clicked."""
        await self._do("click", selector)

    async def choose(self, selector: str, value: str) -> None:
        """Choose in a list."""
        await self._do("selectOption", selector, value)

    async def hover(self, selector: str) -> None:
        """Put the mouse over it."""
        await self._do("hover", selector)

    async def wheel(self, pixels: int) -> None:
        """Turn the mouse's wheel: down, or up where it is negative."""
        await self._do("wheel", pixels)

    async def see(self, selector: str, text: str) -> None:
        """Wait until the element's text contains this."""
        await self._do("see", selector, text)

    async def text(self, selector: str) -> str:
        """The element's text as it is."""
        return str(await self._do("textContent", selector))

    async def texts(self, selector: str) -> list[str]:
        """The texts of all such elements."""
        return list(await self._do("texts", selector))

    async def count(self, selector: str) -> int:
        """How many such elements there are."""
        return int(await self._do("count", selector))

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

    async def print(self) -> None:
        """Look from now on as on paper."""
        await self._do("emulateMedia", {"media": "print"})

    async def complaints(self) -> list[str]:
        """The errors that the page and its console told since the last time, with addresses."""
        return list(await self._do("complaints"))

    async def trace(self) -> None:
        """Begin to note what the page's main thread does; one page of a browser at a time."""
        await self._do("trace")

    async def tasks(self) -> list[Task]:
        """The main thread's tasks since `trace`, which ends here."""
        return [Task(*task) for task in await self._do("tasks")]

    async def slowness(self) -> float:
        """How many times slower than an ordinary machine this one is at the moment; 1 at least."""
        return max(1.0, float(await self.value(YARDSTICK)) / ORDINARY)

    async def violations(self, *impacts: str) -> list[dict[str, Any]]:
        """What axe finds against accessibility, of the impacts that are named."""
        found = await self._do("violations")
        return [violation for violation in found if violation["impact"] in impacts]

    async def _do(self, call: str, *arguments: object) -> Any:
        return await self.context.step(self._own, call, *arguments)


@asynccontextmanager
async def chromium_browser() -> AsyncGenerator[Browser]:
    """A browser; it ends with the block."""
    process = await asyncio.create_subprocess_exec(
        node(),
        str(HOME / "chromium.mjs"),
        chromium(),
        json.dumps(FLAGS),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
        env={**os.environ, "NODE_OPTIONS": ""},
    )
    assert process.stdin is not None
    try:
        yield Browser(process)
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(PATIENCE):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def chromium_page(**options: object) -> AsyncGenerator[Page]:
    """A page in a browser of its own.

    Args:
        options: Of playwright's `browser.newContext`, such as ``colorScheme``.
    """
    async with chromium_browser() as browser:
        context = await browser.context(**options)
        yield await context.page()
