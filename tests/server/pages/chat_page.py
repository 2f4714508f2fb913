"""The chat page as a person uses it, by the names that its elements have."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from headrace import Agent
from headrace.runs.fold import RunState
from tests.server.serving import Served, serving
from tests.support.chromium import Browser, Context, Page

NETWORK = "net::ERR_"
"""What the browser itself says in the console when a request of a page finds no network."""

UNAUTHORIZED = "status of 401"
"""The same, of a request that the server refused for want of a token."""

TEXT = """((part) => {
  const own = part.cloneNode(true);
  own.querySelectorAll("button").forEach((button) => button.remove());
  return own.textContent.trim();
})"""
"""The text of an element, without the buttons in it."""

SAID = f"""((answer) => [...answer.querySelectorAll(".md")]
  .filter((part) => !part.closest(".agent")).map({TEXT}).join(" "))"""
"""The text of an answer: its parts, without those of sub-agents."""

LAST = "article.turn:last-of-type section.answer"


class ChatPage:
    """The page in one tab.

    Attributes:
        page: The tab.
        url: The server, as the page knows it.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    @property
    def context(self) -> Context:
        return self.page.context

    async def ask(self, question: str = "What news?") -> None:
        """Write it into the field and press Enter."""
        await self.page.fill("#input", question)
        await self.page.press("#input", "Enter")

    async def settled(self, turns: int = 1, state: str = "complete") -> None:
        """Wait until so many answers stand, and the last has come to this state."""
        await self.page.until(
            f"""document.querySelectorAll("section.answer").length === {turns}
            && document.querySelector({json.dumps(LAST)})?.dataset.state === {json.dumps(state)}"""
        )

    async def shows(self, text: str) -> None:
        """Wait until the last answer's text has this in it."""
        last = f"document.querySelector({json.dumps(LAST)})"
        await self.page.until(f"{last} && {SAID}({last}).includes({json.dumps(text)})")

    async def answers(self) -> list[str]:
        """The text of each answer."""
        script = f"[...document.querySelectorAll('section.answer')].map({SAID})"
        return list(await self.page.value(script))

    async def answer(self) -> str:
        """The text of the last answer."""
        return (await self.answers())[-1]

    async def questions(self) -> list[str]:
        """What was asked, as it stands on the page."""
        script = f"[...document.querySelectorAll('article.turn .question')].map({TEXT})"
        return list(await self.page.value(script))

    async def run_id(self) -> str:
        """The run of the last answer."""
        return str(await self.page.value(f"document.querySelector('{LAST}').dataset.run"))

    async def session(self) -> str:
        """The conversation's name, from the page's address."""
        told: str = await self.page.value("new URLSearchParams(location.hash.slice(1)).get('s')")
        return told

    async def said_of(self, selector: str) -> str:
        """An element's text with its white space made even."""
        return " ".join((await self.page.text(selector)).split())


@asynccontextmanager
async def visit(
    browser: Browser,
    url: str,
    *,
    errors: Iterable[str] = (),
    options: Mapping[str, object] | None = None,
) -> AsyncGenerator[ChatPage]:
    """The page of a server, which asks no other host and in the end has nothing to complain of.

    Args:
        browser: Where.
        url: The server's, without a slash at its end.
        errors: What complaints may have in them and be none.
        options: As for `Browser.context`.
    """
    context = await browser.context(**(options or {}))
    try:
        page = await context.page()
        await page.goto(f"{url}/")
        yield ChatPage(page, url)
        elsewhere = await foreign(context, url)
        assert not elsewhere, elsewhere
        complaints = [told for told in await page.complaints() if not _any_of(errors, told)]
        assert not complaints, complaints
    finally:
        await context.close()


@asynccontextmanager
async def opened(
    browser: Browser,
    *agents: Agent,
    errors: Iterable[str] = (),
    options: Mapping[str, object] | None = None,
    **more: Any,
) -> AsyncGenerator[tuple[Served, ChatPage]]:
    """A server of these agents, and its page.

    Args:
        browser: Where.
        agents: Whom the page asks.
        errors: As for `visit`.
        options: As for `Browser.context`.
        more: As for `serving`.
    """
    async with serving(agents, **more) as server:
        async with visit(browser, server.url, errors=errors, options=options) as chat:
            yield server, chat


async def foreign(context: Context, url: str) -> list[str]:
    """What was asked of anyone but this server."""
    asked = [request.url for request in await context.requests()]
    return [address for address in asked if not address.startswith((f"{url}/", "data:", "about:"))]


async def state_of(server: Served, chat: ChatPage) -> RunState:
    """The last answer's run, as the server folds it."""
    return await server.runtime.snapshot(await chat.run_id())


def even(text: str) -> str:
    """A text as a page shows it: white space made even."""
    return " ".join(text.split())


def _any_of(parts: Iterable[str], told: str) -> bool:
    return any(part in told for part in parts)
