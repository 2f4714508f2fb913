"""The chat page is quick: drawn before the server has told it anything, smooth in a long answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise

import pytest

from headrace import Agent
from headrace.testing import ScriptedModel, Step
from tests.promises.story import NEWS, researcher
from tests.server.pages.chat_page import LAST, ChatPage, even, opened, state_of, visit
from tests.server.reading import started
from tests.server.serving import serving
from tests.support.chromium import Browser

PIECES = 2000

CHARACTERS = 12 * 1024

LONG_TASK = 100.0
"""Milliseconds in which a page answers nobody and nobody minds (W3C Long Tasks begins at 50)."""

IN_ONE_GO = 2 * LONG_TASK
"""The same, where a page that was just opened draws a whole long answer in one task."""

ONE_SHOT = """(async (shown, text) => {
  const load = (name) => import(new URL(`assets/${name}`, document.baseURI).href);
  const { Markdown } = await load("markdown/markdown.js");
  const { h, render } = await load("vendor/preact.js");
  const place = document.createElement("div");
  render(h(Markdown, { text, live: false }), place);
  return [document.querySelector(shown).innerHTML, place.querySelector(".md").innerHTML];
})"""
"""What the page has come to piece by piece, and the same text rendered in one go."""


def section(number: int) -> tuple[str, str]:
    """A part of a long answer: as Markdown, and the words that a reader sees of it."""
    markdown = (
        f"## Part {number}\n\n"
        f"Water *runs* down **hill {number}**, and `wheel_{number}` turns; see\n"
        f"[the race](https://example.org/{number}).\n\n"
        f"- first {number}\n- second {number}\n  - deeper {number}\n\n"
        f"| name | turns |\n|---|---|\n| wheel {number} | {number * 7} |\n\n"
        f"```python\ndef turn_{number}(water):\n    return water * {number}\n```\n\n"
        f"> Said {number} times.\n\n"
    )
    words = (
        f"Part {number} Water runs down hill {number}, and wheel_{number} turns; see the race. "
        f"first {number} second {number} deeper {number} name turns wheel {number} {number * 7} "
        f"def turn_{number}(water): return water * {number} Said {number} times."
    )
    return markdown, words


def long_answer() -> tuple[str, str]:
    """An answer of `CHARACTERS`, and the words that a reader sees of it."""
    text, words = "", list[str]()
    while len(text) < CHARACTERS:
        markdown, seen = section(len(words) + 1)
        text += markdown
        words.append(seen)
    return text, " ".join(words)


def in_pieces(text: str, pieces: int = PIECES) -> list[str]:
    """A text in pieces of one length."""
    cuts = [len(text) * n // pieces for n in range(pieces + 1)]
    return [text[a:b] for a, b in pairwise(cuts)]


def one_block(line: Callable[[int], str], before: str = "", after: str = "") -> str:
    """`CHARACTERS` of which nothing is finished before the end."""
    lines = [before]
    while sum(map(len, lines)) < CHARACTERS:
        lines.append(line(len(lines)))
    return "".join([*lines, after])


SHAPES = {
    "all kinds": long_answer()[0],
    "one block of code": one_block("let a{0} = f({0});\n".format, "```js\n", "```\n"),
    "one list": one_block("- item *{0}* with `code` in it\n  - and one below\n".format),
    "one table": one_block("| row {0} | **a** | b |\n".format, "| x | y | z |\n|---|---|---|\n"),
    "one paragraph": one_block("Words *number* {0} and **more** of them. ".format),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "pieces"),
    [(shape, PIECES if shape == "all kinds" else PIECES // 4) for shape in SHAPES],
    ids=list(SHAPES),
)
async def test_a_long_answer_never_holds_the_page_up(
    browser: Browser, shape: str, pieces: int
) -> None:
    step = Step(text=in_pieces(SHAPES[shape], pieces), delay=0.001)
    async with opened(browser, Agent("writer", ScriptedModel([step]))) as (server, chat):
        page = chat.page
        await page.until("document.querySelectorAll('.suggestion').length === 3")
        await page.trace()
        await chat.ask("Tell me all of it")
        await page.until(f"window.first = document.querySelector('{LAST} .md > *')")
        await chat.settled()
        await not_held_up(chat)
        state = await state_of(server, chat)
        assert state.text == SHAPES[shape]
        assert state.metrics is not None
        assert state.metrics.chunks == pieces
        assert await page.value(f"first === document.querySelector('{LAST} .md > *')")
        await shows_whole(chat, state.text)
        # Once more, all of it in one go.
        await page.trace()
        await page.reload()
        await chat.settled()
        await not_held_up(chat, IN_ONE_GO)
        await shows_whole(chat, state.text)


async def not_held_up(chat: ChatPage, most: float = LONG_TASK) -> None:
    """No task since `trace` was too long on a processor: what else the machine does is not its.

    On a slow machine as much longer as it is slower: no page could do anything about that.
    """
    longest = max(task.busy for task in await chat.page.tasks())
    slowness = await chat.page.slowness()
    assert 0 < longest <= most * slowness, (longest, slowness)


async def shows_whole(chat: ChatPage, text: str) -> None:
    """What came piece by piece is what comes of the text in one go."""
    script = f"{ONE_SHOT}({json.dumps(f'{LAST} .md')}, {json.dumps(text)})"
    piecewise, at_once = await chat.page.value(script)
    assert piecewise == at_once


async def test_a_long_answer_that_comes_at_once_is_whole(browser: Browser) -> None:
    """By words that know nothing of how Markdown is rendered."""
    text, words = long_answer()
    agent = Agent("writer", ScriptedModel([Step(text=in_pieces(text))]))
    async with opened(browser, agent) as (_, chat):
        await chat.page.trace()
        await chat.ask("Tell me all of it")
        await chat.settled()
        await not_held_up(chat)
        await shows_whole(chat, text)
        assert "".join((await chat.answer()).split()) == "".join(words.split())


@pytest.mark.slow
async def test_a_long_conversation_never_holds_the_page_up(browser: Browser) -> None:
    text, count = SHAPES["all kinds"], 10
    model = ScriptedModel([Step(text=in_pieces(text, 50)) for _ in range(count)])
    async with opened(browser, Agent("writer", model)) as (server, chat):
        for n in range(count):
            run = await started(server.url, f"Question {n}?", session="chat-of-long-answers")
            await server.runtime.wait(run)
        await chat.page.goto(f"{chat.url}/#s=chat-of-long-answers")
        await chat.page.trace()
        await chat.page.reload()
        await chat.settled(turns=count)
        await not_held_up(chat, IN_ONE_GO)
        assert await chat.questions() == [f"Question {n}?" for n in range(count)]
        assert len(set(await chat.answers())) == 1
        await shows_whole(chat, text)


async def test_a_page_that_holds_itself_up_is_found_out(browser: Browser) -> None:
    async with opened(browser, researcher()) as (_, chat):
        await chat.page.trace()
        await chat.page.value("""new Promise((told) => setTimeout(() => {
            for (let n = 0, late = performance.now() + 400; performance.now() < late; n += 1);
            told(1);
        }))""")
        tasks = await chat.page.tasks()
        assert max(task.wall for task in tasks) >= 400
        assert max(task.busy for task in tasks) > LONG_TASK


async def test_it_is_drawn_before_the_server_has_told_it_anything(browser: Browser) -> None:
    async with serving([researcher()]) as server:
        async with visit(browser, server.url) as chat:
            page = chat.page
            await chat.context.hold("/v1/")
            await page.reload()
            await page.until("performance.getEntriesByName('first-contentful-paint').length === 1")
            assert await chat.context.held() > 0
            assert await page.visible("#input")
            assert await page.visible("header")
            await page.until("document.activeElement.id === 'input'")
            await page.write("What news?")
            assert await page.value("document.querySelector('#input').value") == "What news?"
            await chat.context.release()
            await page.keyboard("Enter")
            await chat.settled()
            assert even(await chat.answer()) == NEWS


async def test_nothing_of_what_it_loads_is_waited_for_by_a_stream(browser: Browser) -> None:
    """What comes before the first question: its own files and short answers, no open stream."""
    async with opened(browser, researcher()) as (server, chat):
        await chat.page.until("document.querySelectorAll('.suggestion').length === 3")
        asked = await chat.context.requests()
        assert not [request for request in asked if request.url.endswith("/events")]
        assert server.app.service.watchers == 0
        kinds = {request.kind for request in asked}
        assert kinds <= {"document", "script", "stylesheet", "fetch", "other"}
