"""The page at `/`, in a real browser on a real server."""

from __future__ import annotations

import asyncio
import shlex
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import headrace
from headrace import Agent, events
from headrace.runs.fold import fold
from headrace.testing import Gate, ScriptedModel, Step
from headrace.wire.sse_decoder import SSEDecoder
from tests.promises.story import NEWS, PIECES, held, researcher
from tests.server.serving import Served, serving
from tests.support.chromium import Page, chromium_page

PAGES = Path(headrace.__file__).parent / "server" / "pages"


@asynccontextmanager
async def opened(
    agent: Agent, tokens: dict[str, str] | None = None
) -> AsyncGenerator[tuple[Served, Page]]:
    """A server of this agent and its page, which in the end has nothing to complain of."""
    async with serving([agent], tokens=tokens) as server, chromium_page() as page:
        await page.goto(server.url)
        yield server, page
        complaints = await page.complaints()
        # The browser itself says in the console what the page says to the person.
        assert [told for told in complaints if tokens is None or "401" not in told] == []


async def ask(page: Page, question: str = "What news?") -> None:
    await page.fill("#input", question)
    await page.press("#input", "Enter")


async def test_an_answer_with_reasoning_and_tools() -> None:
    async with opened(researcher()) as (server, page):
        await ask(page)
        await page.see("#status", "Done")
        assert await page.text("#answer") == NEWS
        assert await page.text("#reasoning") == "I should search."
        assert await page.visible("#reasoning")
        assert await page.text("#tools li") == 'search({"query":"AI news"}) → Results for: AI news'
        assert "First token after " in await page.text("#status")
        (run,) = await server.runtime.store.runs()
        assert await page.value("location.hash") == f"#{run.id}"
        assert not await page.visible("#token")


async def test_the_answer_is_text_whatever_it_says() -> None:
    evil = "<img src=x onerror='document.title=1'><script>document.title=2</script>\n  <b>&amp;"
    step = Step(text=[evil], reasoning=[evil])
    agent = Agent(name="evil", model=ScriptedModel([step]))
    async with opened(agent) as (_, page):
        await ask(page)
        await page.see("#status", "Done")
        assert await page.text("#answer") == evil
        assert await page.value("document.querySelectorAll('img, b').length") == 0
        assert await page.value("document.title") == "Headrace"


async def test_a_reload_shows_the_same_run_and_goes_on_with_it() -> None:
    model, gate = held("Half ", more="and half.")
    async with opened(Agent(name="held", model=model)) as (server, page):
        await ask(page)
        await page.see("#answer", "Half ")
        await page.reload()
        await page.see("#answer", "Half ")
        assert await page.text("#answer") == "Half "
        gate.open()
        await page.see("#status", "Done")
        assert await page.text("#answer") == "Half and half."
        await page.reload()
        await page.see("#status", "Done")
        assert await page.text("#answer") == "Half and half."
        assert len(await server.runtime.store.runs()) == 1


async def test_stop_cancels_the_run_and_keeps_the_text() -> None:
    model, _ = held("Half ")
    async with opened(Agent(name="held", model=model)) as (server, page):
        await ask(page)
        await page.see("#answer", "Half ")
        await page.click("#stop")
        await page.see("#status", "Stopped: stopped on the page")
        assert await page.text("#answer") == "Half "
        (run,) = await server.runtime.store.runs()
        assert run.status == "cancelled"
        assert await page.value("document.querySelector('#stop').disabled")
        assert not await page.value("document.querySelector('#send').disabled")


async def test_a_closed_page_leaves_the_run_alone() -> None:
    model, gate = held("Half ")
    async with opened(Agent(name="held", model=model)) as (server, page):
        await ask(page)
        await page.see("#answer", "Half ")
        await page.goto("about:blank")
        (run,) = await server.runtime.store.runs()
        gate.open()
        await server.runtime.wait(run.id)
        state = await server.runtime.snapshot(run.id)
        assert (state.status, state.text) == ("complete", "Half  more")


async def test_a_withdrawn_text_goes_from_the_page() -> None:
    gate = Gate()
    lost = Step(text=["Lost words", gate], finish_reason=None)
    agent = Agent(name="lossy", model=ScriptedModel([lost, Step(text=["Found words"])]))
    async with opened(agent) as (_, page):
        await ask(page)
        await page.see("#answer", "Lost words")
        gate.open()
        await page.see("#status", "Done")
        assert await page.text("#answer") == "Found words"


async def test_a_token_is_asked_for_when_the_server_wants_one() -> None:
    token = "t" * 40
    async with opened(researcher(), {"ann": token}) as (_, page):
        await ask(page)
        import asyncio

        await asyncio.sleep(2)
        print(await page.text("body"), await page.complaints())
        await page.see("#status", "by a token")
        assert await page.visible("#token")
        assert await page.value("document.activeElement.id") == "token"
        await page.fill("#token", token)
        await page.press("#token", "Enter")
        await page.see("#status", "Done")
        assert await page.text("#answer") == "".join(PIECES)
        await page.reload()
        await page.see("#status", "Done")
        assert await page.text("#answer") == NEWS
        assert token not in await page.text("body")


async def test_every_field_and_button_has_a_name() -> None:
    async with opened(researcher()) as (_, page):
        nameless = """[...document.querySelectorAll("input, button, section, ul")].filter(
            (e) => !(e.labels?.length || e.textContent.trim() && e.tagName === "BUTTON"
                || e.getAttribute("aria-label") || e.getAttribute("aria-labelledby")))"""
        assert await page.value(f"{nameless}.length") == 0
        assert await page.value("document.activeElement.id") == "input"


async def test_the_lines_for_a_terminal_work() -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is needed (Debian: apt install curl).")
    async with opened(Agent(name="one", model=ScriptedModel([Step(text=["Well."])] * 3))) as (
        _,
        page,
    ):
        await ask(page)
        await page.see("#status", "Done")
        plain, started, watched = [
            await printed(*shlex.split(line)) for line in (await page.text("#curl")).split("\n\n")
        ]
    assert plain == "Well."
    for told in (started, watched):
        frames = SSEDecoder().feed(told.encode())
        state = fold(events.decode(frame.data) for frame in frames)
        assert (state.status, state.text) == ("complete", "Well.")


async def printed(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, "-sS", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_the_page_is_small() -> None:
    lines = [
        len((PAGES / f"index.{kind}").read_text().splitlines()) for kind in ("html", "js", "css")
    ]
    assert sum(lines) <= 210
