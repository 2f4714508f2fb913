"""The dashboard as a person uses it, by the names that its elements have."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from tests.server.pages.chat_page import foreign
from tests.support.chromium import Browser, Page

UNKNOWN = "\N{EN DASH}"
"""What stands in place of a figure that is not known."""


class DashboardPage:
    """The page in one tab.

    Attributes:
        page: The tab.
        url: The server, as the page knows it.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    async def is_live(self) -> None:
        """Wait until the server's figures come."""
        await self.page.until("document.querySelector('#status')?.dataset.state === 'live'")

    async def lists(self, run_id: str, words: str = "", where: str = "#runs") -> None:
        """Wait until a row of this run stands there, with these words in it."""
        row = f"document.querySelector('{where} > tr[data-run=\"{run_id}\"]')"
        await self.page.until(f"{row}?.textContent.includes({json.dumps(words)})")

    async def caption(self, chart: str) -> dict[str, str]:
        """What a chart says of each of its lines."""
        script = f"""[...document.querySelectorAll('[data-chart="{chart}"] .values [data-line]')]
            .map((line) => [line.dataset.line, line.querySelector("b").textContent])"""
        return dict(await self.page.value(script))

    async def tells(self, chart: str, line: str, words: str) -> None:
        """Wait until a chart says this of a line."""
        at = f"""[data-chart="{chart}"] .values [data-line="{line}"] b"""
        value = f"document.querySelector({json.dumps(at)})?.textContent"
        await self.page.until(f"{value} === {json.dumps(words)}")

    async def choose(self, selector: str, value: str) -> None:
        """Take an option of a `select`; the value as it is in the page."""
        await self.page.value(
            f"""(() => {{ const select = document.querySelector({json.dumps(selector)});
            select.value = {json.dumps(value)};
            if (select.value !== {json.dumps(value)}) throw new Error("no such option");
            select.dispatchEvent(new Event("change", {{ bubbles: true }})); }})()"""
        )

    async def open_run(self, run_id: str) -> None:
        """A run's page, from wherever we are."""
        await self.page.goto(f"{self.url}/dashboard#run={run_id}")
        await self.page.until(f"document.querySelector('#run')?.dataset.run === '{run_id}'")

    async def ended(self, state: str = "complete") -> None:
        """Wait until the run's page shows this end."""
        await self.page.until(f"document.querySelector('#run')?.dataset.state === '{state}'")
        await self.page.until("document.querySelector('#replay')?.dataset.over === 'true'")

    async def replayed(self) -> str:
        """The answer at the moment that the replay shows."""
        return await self.page.text("#replay-text")


@asynccontextmanager
async def looking(
    browser: Browser, url: str, *, errors: Iterable[str] = (), **options: object
) -> AsyncGenerator[DashboardPage]:
    """The dashboard of a server, which asks no other host and has nothing to complain of.

    Args:
        browser: Where.
        url: The server's, without a slash at its end.
        errors: What complaints may have in them and be none.
        options: As for `Browser.context`.
    """
    context = await browser.context(**options)
    try:
        page = await context.page()
        await page.goto(f"{url}/dashboard")
        yield DashboardPage(page, url)
        elsewhere = await foreign(context, url)
        assert not elsewhere, elsewhere
        told = [said for said in await page.complaints() if not any(e in said for e in errors)]
        assert not told, told
    finally:
        await context.close()
