"""Whatever a model says, nothing of it runs, loads, or takes a name, at any cut of the text.

Two locks: the page's own (`render.js` shows HTML as text, `safe_html.js` lets little through), and
the policy that comes with the page, which stops scripts though the first lock is off.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from headrace import Agent
from headrace.testing import ScriptedModel, Step
from tests.server.pages.hostile import (
    BAD_NODES,
    GROWING,
    HTML,
    MARKDOWN,
    SANITISED,
    UNSANITISED,
    WATCH,
    program,
)
from tests.server.serving import serving
from tests.support.chromium import Browser, Context, Page

PURIFY = "assets/vendor/purify.js"
NAVIGATES = ("<meta http-equiv=refresh", "<link ")
"""What no policy stops without scripts: to go elsewhere, and to look a host's address up."""


class Elsewhere:
    """Another host, which notes what it is asked for; a connection alone asks for nothing."""

    def __init__(self) -> None:
        self.visits = list[str]()
        self.url = ""

    async def visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if line := await reader.readline():
            self.visits.append(line.decode("latin-1"))
        writer.close()


@asynccontextmanager
async def elsewhere() -> AsyncGenerator[Elsewhere]:
    host = Elsewhere()
    async with await asyncio.start_server(host.visit, "127.0.0.1", 0) as server:
        host.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield host


@asynccontextmanager
async def opened(browser: Browser, purify: str = "") -> AsyncGenerator[tuple[Page, Context, str]]:
    """The real page of a real server, perhaps with another sanitiser."""
    agent = Agent(name="evil", model=ScriptedModel([Step(text=["".join(HTML[:8])])]))
    async with serving([agent]) as server:
        context = await browser.context()
        if purify:
            await context.replace(PURIFY, purify)
        page = await context.page()
        await page.goto(server.url)
        await page.until("document.querySelector('#input') !== null")
        yield page, context, server.url
        await context.close()


async def quiet(page: Page) -> None:
    """Wait until what was begun would have been tried: two frames and a turn of the network."""
    await page.value(
        """new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() =>
            fetch("health").then(done, done)))).then(() => null)"""
    )


@pytest.mark.parametrize(
    ("body", "texts"),
    [(SANITISED, HTML), (GROWING, HTML + MARKDOWN)],
    ids=["sanitiser", "markdown"],
)
async def test_nothing_hostile_is_on_the_page_at_any_cut(
    browser: Browser, body: str, texts: list[str]
) -> None:
    async with elsewhere() as evil, opened(browser) as (page, context, url):
        texts = [text.replace("EVIL", evil.url) for text in texts]
        told: dict[str, Any] = await page.value(program(body, texts))
        await quiet(page)
        assert told["faults"] == []
        assert told["looks"] >= sum(len(text) + 1 for text in texts)
        assert await page.value("window.hits") == 0
        # The sanitiser reads HTML in a document of its own, where the policy counts, too.
        violations = await page.value("window.violations")
        assert [file for _, file in violations if file != f"{url}/{PURIFY}"] == []
        assert body is SANITISED or violations == []
        asked = [request.url for request in await context.requests()]
        own = (f"{url}/assets/", f"{url}/v1/", f"{url}/headrace.js", f"{url}/health", "data:,")
        assert [address for address in asked if not address.startswith(own)] == [f"{url}/"]
        assert evil.visits == []
        told_by_page = [told for told in await page.complaints() if PURIFY not in told]
        assert told_by_page == []


TRUSTED = """
const policy = trustedTypes.createPolicy("dompurify", { createHTML: (html) => html });
const sanitize = (html) => policy.createHTML(html);
export default () => ({ addHook() {}, setConfig() {}, sanitize });
"""
"""As bad as it can be: it lets all through, under the name that the policy admits."""

UNTRUSTED = "export default () => ({ addHook() {}, setConfig() {}, sanitize: (html) => html });"


async def test_without_the_sanitiser_the_policy_still_stops_scripts(browser: Browser) -> None:
    """And what is loaded: of another host not one picture, style, frame, font or medium."""
    async with elsewhere() as evil, opened(browser, TRUSTED) as (page, _, url):
        texts = [text.replace("EVIL", evil.url) for text in HTML if not text.startswith(NAVIGATES)]
        told = await page.value(program(UNSANITISED, texts))
        await quiet(page)
        assert {"<script>", "<svg>", "<iframe>", "<form>", "<style>"} & {
            fault for fault, _ in told["faults"]
        }
        assert "refused" not in told
        violations = await page.value("window.violations")
        stopped = {directive for directive, _ in violations}
        assert stopped >= {"script-src-attr", "script-src-elem", "style-src-attr", "style-src-elem"}
        assert stopped >= {"img-src", "media-src", "frame-src", "form-action", "base-uri"}
        assert await page.value("window.hits") == 0
        assert evil.visits == []
        assert await page.value("location.href") == f"{url}/"


async def test_without_the_sanitiser_no_text_becomes_html_at_all(browser: Browser) -> None:
    """Where the browser has Trusted Types, as this one."""
    async with opened(browser, UNTRUSTED) as (page, _, _):
        told = await page.value(program(UNSANITISED, HTML))
        assert told["refused"] == len(HTML)
        assert told["looks"] == 0
        assert await page.value("window.hits") == 0


async def test_an_answer_on_the_page_is_as_safe(browser: Browser) -> None:
    """Through the whole page, from the model on."""
    async with elsewhere() as evil:
        said = "\n\n".join(HTML + MARKDOWN).replace("EVIL", evil.url)
        pieces = [said[i : i + 7] for i in range(0, len(said), 7)]
        agent = Agent(name="evil", model=ScriptedModel([Step(text=pieces, reasoning=[said])]))
        async with serving([agent]) as server:
            context = await browser.context()
            page = await context.page()
            await page.goto(server.url)
            await page.until("document.querySelector('#input') !== null")
            await page.value(f"(() => {{ {WATCH} }})()")
            await page.fill("#input", said)
            await page.press("#input", "Enter")
            await page.until("document.querySelector('.answer[data-state=complete]') !== null")
            await quiet(page)
            assert await page.value("window.hits") == 0
            assert await page.value("window.violations") == []
            assert await page.value(BAD_NODES) == []
            asked = [request.url for request in await context.requests()]
            assert [a for a in asked if not a.startswith((server.url, "data:,"))] == []
            assert evil.visits == []
            assert await page.complaints() == []
            await context.close()
