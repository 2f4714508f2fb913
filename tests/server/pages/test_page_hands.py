"""The chat page in a person's hands: keys, scrolling, small screens, other addresses, tokens."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from headrace import Agent
from headrace.server import app
from headrace.testing import Gate, ScriptedModel, Step
from tests.promises.story import NEWS, held, researcher
from tests.server.hosting import hosting
from tests.server.pages.chat_page import LAST, UNAUTHORIZED, even, opened, visit
from tests.support.chromium import Browser

PARAGRAPHS = [f"Paragraph {n} of a long answer, which goes on for a while.\n\n" for n in range(120)]

SCROLLER = """(() => {
  for (let e = document.querySelector("article.turn"); e; e = e.parentElement)
    if (e.scrollHeight > e.clientHeight + 50 && /auto|scroll/.test(getComputedStyle(e).overflowY))
      return e;
  return document.scrollingElement;
})()"""

TO_END = f"((e) => e.scrollHeight - e.clientHeight - e.scrollTop)({SCROLLER})"


async def test_keys(browser: Browser) -> None:
    model, _ = held("Half ")
    model.steps.insert(0, Step(text="One."))
    async with opened(browser, Agent("held", model)) as (_, chat):
        page = chat.page
        await page.until("document.activeElement.id === 'input'")
        await page.keyboard("Enter")  # nothing is nothing
        await page.write("One line")
        await page.keyboard("Shift+Enter")
        await page.write("and another")
        assert await page.count("article.turn") == 0
        await page.keyboard("Enter")
        await chat.settled()
        assert await chat.questions() == ["One line\nand another"]
        assert await page.value("document.querySelector('#input').value") == ""
        assert await page.value("document.activeElement.id") == "input"
        await page.write("Two")
        await page.keyboard("Enter")
        await chat.shows("Half")
        await page.keyboard("Escape")
        await chat.settled(turns=2, state="cancelled")
        await page.keyboard("ArrowUp")
        await page.until("document.activeElement.matches('article.turn textarea')")
        assert await page.value("document.activeElement.value") == "Two"


async def test_enter_that_ends_a_composition_sends_nothing(browser: Browser) -> None:
    """As who writes Japanese or Chinese presses it to take a word (UI Events, 5.7)."""
    async with opened(browser, researcher()) as (_, chat):
        await chat.page.fill("#input", "無理")
        await chat.page.value("""document.querySelector("#input").dispatchEvent(new KeyboardEvent(
            "keydown", { key: "Enter", isComposing: true, bubbles: true, cancelable: true }))""")
        assert await chat.page.count("article.turn") == 0
        await chat.page.press("#input", "Enter")
        await chat.settled()
        assert await chat.questions() == ["無理"]


async def test_it_follows_the_answer_until_the_reader_scrolls_up(browser: Browser) -> None:
    gates = [Gate(), Gate()]
    step = Step(text=[*PARAGRAPHS[:40], gates[0], *PARAGRAPHS[40:80], gates[1], *PARAGRAPHS[80:]])
    async with opened(browser, Agent("writer", ScriptedModel([step]))) as (_, chat):
        page = chat.page
        await chat.ask()
        await chat.shows("Paragraph 39 ")
        await page.until(f"{TO_END} < 40")
        await page.hover(f"{LAST} .md p >> nth=39")
        await page.value("""["scroll", "scrollend"].forEach((kind) =>
            addEventListener(kind, () => { window.lastly = kind; }, true))""")
        await page.wheel(-600)
        await page.until(f"{TO_END} > 300 && lastly === 'scrollend'")
        top = f"{SCROLLER}.scrollTop"
        at = await page.value(top)
        gates[0].open()
        await chat.shows("Paragraph 79 ")
        assert abs(await page.value(top) - at) <= 2
        await page.click("#to-end")
        await page.until(f"{TO_END} < 40")
        await page.until("!document.querySelector('#to-end')")
        gates[1].open()
        await chat.settled()
        await page.until(f"{TO_END} < 40")


@pytest.mark.slow
async def test_a_narrow_screen(browser: Browser) -> None:
    said = [
        "```\n" + "x = 1; " * 40 + "\n```\n\n",
        "| " + " | ".join(f"column {n}" for n in range(12)) + " |\n" + "|---" * 12 + "|\n",
        "| " + " | ".join("a value" for _ in range(12)) + " |\n\n",
        "W" * 300,
    ]
    agent = Agent("wide", ScriptedModel([Step(text=said)]))
    small = {"viewport": {"width": 360, "height": 640}}
    async with opened(browser, agent, options=small) as (_, chat):
        page = chat.page
        fits = "document.documentElement.scrollWidth <= 360"
        await page.until("document.querySelectorAll('.suggestion').length === 3")
        assert await page.value(fits)
        assert not await page.visible("#new")
        await chat.ask("Q" * 200)
        await chat.settled()
        assert await page.value(fits)
        await page.click("#menu")
        await page.until("document.querySelectorAll('#sessions a.session').length === 1")
        await page.until("document.querySelector('#new').checkVisibility()")
        assert await page.value(fits)
        await page.click("#new")
        await page.until("document.querySelectorAll('article.turn').length === 0")
        await page.until(
            "!document.querySelector('#new').checkVisibility({ visibilityProperty: true })"
        )
        assert await page.visible("#input")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_theme_follows_the_system(browser: Browser, scheme: str) -> None:
    async with opened(browser, researcher(), options={"colorScheme": scheme}) as (_, chat):
        await chat.page.until("document.querySelectorAll('.suggestion').length === 3")
        light = """(property) => {
          const canvas = document.createElement("canvas").getContext("2d");
          canvas.fillStyle = getComputedStyle(document.body)[property];
          canvas.fillRect(0, 0, 1, 1);
          return canvas.getImageData(0, 0, 1, 1).data.slice(0, 3).reduce((a, b) => a + b) / 765;
        }"""
        back, text = [
            await chat.page.value(f"({light})('{name}')") for name in ("backgroundColor", "color")
        ]
        assert (back > 0.8 and text < 0.3) if scheme == "light" else (back < 0.2 and text > 0.7)


async def test_nothing_moves_for_who_wants_it_still(browser: Browser) -> None:
    model, _ = held("Half ")
    moving = """document.getAnimations().filter((one) => one.playState === "running"
        && one.effect.getComputedTiming().iterations === Infinity).length"""
    still = {"reducedMotion": "reduce"}
    async with opened(browser, Agent("held", model), options=still) as (_, chat):
        await chat.ask()
        await chat.shows("Half")
        assert await chat.page.value(moving) == 0


async def test_on_paper_stands_the_whole_conversation(browser: Browser) -> None:
    agent = Agent("writer", ScriptedModel([Step(text=PARAGRAPHS)]))
    async with opened(browser, agent) as (_, chat):
        await chat.ask()
        await chat.settled()
        cut = """((e) => e.scrollHeight > e.clientHeight + 50)(
            document.querySelector("#conversation"))"""
        assert await chat.page.value(cut)
        await chat.page.print()
        assert not await chat.page.value(cut)
        assert await chat.page.value("document.body.scrollHeight") > 3000
        assert not await chat.page.visible("#ask")


async def test_colours_that_say_something_stay_in_high_contrast(browser: Browser) -> None:
    async with opened(browser, researcher(), options={"forcedColors": "active"}) as (_, chat):
        await chat.ask()
        await chat.settled()
        await chat.page.goto(f"{chat.url}/dashboard#run={await chat.run_id()}")
        await chat.page.until("document.querySelector('#waterfall .part.tool')")
        back = "getComputedStyle(document.querySelector('.bar .part.{}')).backgroundColor"
        tool, wait = [await chat.page.value(back.format(kind)) for kind in ("tool", "wait")]
        page = await chat.page.value("getComputedStyle(document.body).backgroundColor")
        assert len({tool, wait, page}) == 3


async def test_below_a_path_of_another_application(browser: Browser) -> None:
    headrace_app = app([researcher()])
    host = Starlette(routes=[Mount("/ai", headrace_app)], lifespan=headrace_app.lifespan)
    async with hosting(host) as url, visit(browser, f"{url}/ai") as chat:
        await chat.ask()
        await chat.settled()
        assert even(await chat.answer()) == NEWS
        await chat.page.reload()
        await chat.settled()
        assert even(await chat.answer()) == NEWS
        await chat.page.click("header a[href*=dashboard]")
        await chat.page.until("location.pathname === '/ai/dashboard'")


async def test_a_token_is_asked_for_when_the_server_wants_one(browser: Browser) -> None:
    token = "t" * 40
    tokens = {"ann": token}
    async with opened(browser, researcher(), errors=[UNAUTHORIZED], tokens=tokens) as (_, chat):
        page = chat.page
        await page.until("document.querySelector('#token')?.checkVisibility()")
        await page.until("document.activeElement.id === 'token'")
        await page.fill("#token", "wrong" * 10)
        await page.press("#token", "Enter")
        await page.until("document.querySelector('form#sign-in').textContent.match(/token/i)")
        await page.until("document.querySelector('#token')?.checkVisibility()")
        await page.fill("#token", token)
        await page.press("#token", "Enter")
        await page.until("!document.querySelector('#token')?.checkVisibility()")
        kept = "location.href + JSON.stringify(localStorage) + document.cookie"
        assert token not in str(await page.value(kept))
        await chat.ask()
        await chat.settled()
        assert even(await chat.answer()) == NEWS
        await page.complaints()
        await page.reload()
        await chat.settled()
        assert even(await chat.answer()) == NEWS
        assert token not in str(await page.value("document.documentElement.outerHTML"))
        assert token not in str(await page.value("location.href"))
        assert await page.complaints() == []  # it is known in this tab from the first request on


async def test_without_a_token_nobody_is_asked_for_one(browser: Browser) -> None:
    async with opened(browser, researcher()) as (_, chat):
        await chat.ask()
        await chat.settled()
        assert not await chat.page.value("document.querySelector('#token')?.checkVisibility()")
