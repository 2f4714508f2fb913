"""Both pages under axe: in each of their states nothing is seriously in anyone's way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest

from headrace import Agent, tool
from headrace import events as e
from headrace.errors import ProviderError
from headrace.runs.writer import Writer
from headrace.testing import Gate, ScriptedModel, Step
from tests.promises.story import held, researcher, search
from tests.server.pages.chat_page import LAST, UNAUTHORIZED, ChatPage, opened
from tests.server.pages.written_agent import Written, ask_person, begin_looker
from tests.support.chromium import Browser

SCREENS: dict[str, dict[str, object]] = {
    "light": {"colorScheme": "light"},
    "dark": {"colorScheme": "dark"},
    "narrow": {"colorScheme": "light", "viewport": {"width": 360, "height": 640}},
}

AT_REST = """document.getAnimations().every((one) => one.playState !== "running"
    || one.effect.getComputedTiming().iterations === Infinity)"""
"""Nothing moves but what always does: colours on their way are no one's colours."""

Scene = Callable[[Browser, "dict[str, object]"], "AsyncGenerator[ChatPage]"]


def rich() -> Agent:
    """Thinks, calls a tool that works and one that does not, writes all kinds of Markdown."""

    @tool
    async def broken() -> str:
        """Break."""
        raise ValueError("it broke")

    calls = Step(
        reasoning=["Two ", "tools."],
        text="Let me look.",
        tool_calls=[("search", {"query": "AI news"}), ("broken", {})],
    )
    text = "# Title\n\nA [link](https://example.org), `code`:\n\n```js\nlet a = 1;\n```\n\n- one\n"
    text += "\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> quoted\n"
    return Agent("rich", ScriptedModel([calls, Step(text=text)]), tools=[search, broken])


async def empty(browser: Browser, options: dict[str, object]) -> AsyncGenerator[ChatPage]:
    async with opened(browser, researcher(), options=options) as (_, chat):
        await chat.page.until("document.querySelectorAll('.suggestion').length === 3")
        yield chat


async def live(browser: Browser, options: dict[str, object]) -> AsyncGenerator[ChatPage]:
    model, _ = held("Half ")
    async with opened(browser, Agent("held", model), options=options) as (_, chat):
        await chat.ask()
        await chat.shows("Half")
        yield chat


async def finished(browser: Browser, options: dict[str, object]) -> AsyncGenerator[ChatPage]:
    async with opened(browser, rich(), options=options) as (_, chat):
        await chat.ask()
        await chat.settled()
        await chat.page.until("document.querySelectorAll('#sessions a.session').length === 1")
        await chat.page.value(
            "document.querySelectorAll('article.turn details').forEach((e) => { e.open = true; })"
        )
        await chat.page.hover(LAST)
        yield chat


async def failed(browser: Browser, options: dict[str, object]) -> AsyncGenerator[ChatPage]:
    error = ProviderError("The model is tired.", hint="Let it sleep.")
    agent = Agent("tired", ScriptedModel([Step(text="Well, ", error=error)]))
    async with opened(browser, agent, options=options) as (_, chat):
        await chat.ask()
        await chat.settled(state="error")
        yield chat


async def edited(browser: Browser, options: dict[str, object]) -> AsyncGenerator[ChatPage]:
    async with opened(browser, researcher(), options=options) as (_, chat):
        await chat.ask()
        await chat.settled()
        await chat.page.hover(".question")
        await chat.page.click("button.edit")
        yield chat


async def locked(browser: Browser, options: dict[str, object]) -> AsyncGenerator[ChatPage]:
    tokens = {"ann": "t" * 40}
    async with opened(
        browser, researcher(), options=options, errors=[UNAUTHORIZED], tokens=tokens
    ) as (_, chat):
        await chat.page.until("document.querySelector('#token')?.checkVisibility()")
        yield chat


async def menu(browser: Browser, options: dict[str, object]) -> AsyncGenerator[ChatPage]:
    async with opened(browser, researcher(), options=options) as (_, chat):
        await chat.ask()
        await chat.settled()
        if await chat.page.visible("#menu"):
            await chat.page.click("#menu")
        await chat.page.until("document.querySelector('#sessions a.session')?.checkVisibility()")
        yield chat


async def parts(browser: Browser, options: dict[str, object]) -> AsyncGenerator[ChatPage]:
    gate = Gate()

    async def act(writer: Writer) -> None:
        begin_looker(writer)
        writer.put(e.Warn, "", "odd", "That was odd.")
        ask_person(writer, "c1")
        await gate.pass_through()

    async with opened(browser, Written(act), options=options) as (_, chat):
        await chat.ask()
        await chat.page.until(f"document.querySelector('{LAST} .approval')")
        yield chat


async def dashboard(browser: Browser, options: dict[str, object]) -> AsyncGenerator[ChatPage]:
    model, _ = held("Half ")
    async with opened(browser, rich(), Agent("held", model), options=options) as (server, chat):
        await chat.ask()
        await chat.settled()
        run = await server.runtime.submit("held", "Wait")
        await chat.page.goto(f"{chat.url}/dashboard")
        await chat.page.until(f"document.querySelector('#runs [data-run=\"{run.id}\"]')")
        await chat.page.until("document.querySelector('figure.chart')")
        yield chat


async def run_page(browser: Browser, options: dict[str, object]) -> AsyncGenerator[ChatPage]:
    async with opened(browser, rich(), options=options) as (_, chat):
        await chat.ask()
        await chat.settled()
        await chat.page.goto(f"{chat.url}/dashboard#run={await chat.run_id()}")
        await chat.page.until(
            "document.querySelector('#waterfall')?.textContent.includes('search')"
        )
        yield chat


@pytest.mark.slow
@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize(
    "scene", [empty, live, finished, failed, edited, locked, menu, parts, dashboard, run_page]
)
async def test_no_one_is_kept_out(browser: Browser, scene: Scene, screen: str) -> None:
    async with asynccontextmanager(scene)(browser, SCREENS[screen]) as chat:
        await chat.page.until(AT_REST)
        assert await chat.page.violations("serious", "critical") == []


async def test_what_keeps_someone_out_is_found(browser: Browser) -> None:
    async with opened(browser, researcher()) as (_, chat):
        await chat.page.value("document.body.append(document.createElement('button'))")
        found = await chat.page.violations("serious", "critical")
        assert [violation["id"] for violation in found] == ["button-name"]


async def test_a_screen_reader_is_told_of_states_and_not_of_every_word(browser: Browser) -> None:
    model, gate = held("Half ", more="and half.")
    async with opened(browser, Agent("held", model)) as (_, chat):
        await chat.ask()
        await chat.shows("Half")
        # role=log is a live region by itself (WAI-ARIA 1.2, 5.4), unless it says that it is none.
        loud = """[...document.querySelectorAll("[aria-live], [role=log], [role=status], output")]
            .filter((e) => e.ariaLive !== "off" && e.querySelector(".answer .md")
                && !e.querySelector(".answer").closest("[aria-busy=true]"))
            .map((e) => e.outerHTML.slice(0, 200))"""
        assert await chat.page.value(loud) == []
        status = "document.querySelector('#status')"
        assert await chat.page.value(f"[{status}.role, {status}.ariaLive]") == ["status", "polite"]
        gate.open()
        await chat.page.see("#status", "Done")


async def test_everything_can_be_reached_by_keyboard(browser: Browser) -> None:
    async with opened(browser, researcher()) as (_, chat):
        await chat.ask()
        await chat.settled()
        await chat.page.until("document.querySelector('#sessions a.session')")
        wanted = """[...document.querySelectorAll("a[href], button, textarea, summary, select")]
            .filter((e) => e.checkVisibility() && !e.disabled).length"""
        count = int(await chat.page.value(wanted))
        await chat.page.value("window.reached = new Set()")
        for _ in range(count + 5):
            await chat.page.keyboard("Tab")
            await chat.page.value("reached.add(document.activeElement) && 0")
        missed = """[...document.querySelectorAll("a[href], button, textarea, summary, select")]
            .filter((e) => e.checkVisibility() && !e.disabled && !reached.has(e))
            .map((e) => e.outerHTML.slice(0, 100))"""
        assert await chat.page.value(missed) == []
