"""The chat page when it is loaded again, loses the network, is closed, or is open twice."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from headrace import Agent
from headrace.testing import Gate, ScriptedModel, Step
from tests.promises.story import held
from tests.server.pages.chat_page import LAST, NETWORK, SAID, ChatPage, foreign, opened, visit
from tests.server.serving import Served, serving, until
from tests.support.chromium import Browser
from tests.support.cutting_proxy import CuttingProxy

WORDS = [f"word{n} " for n in range(60)]
TEXT = "".join(WORDS).strip()

WATCH = f"""(() => {{
  window.flickers = [];
  let before = "";
  new MutationObserver(() => {{
    const answer = document.querySelector("{LAST}");
    const text = answer ? {SAID}(answer) : "";
    if (!text.startsWith(before)) flickers.push([before, text]);
    before = text;
  }}).observe(document.body, {{ subtree: true, childList: true, characterData: true }});
}})()"""
"""From now on each text of the last answer must begin with the one before it."""


def in_parts(*gates: Gate) -> Agent:
    """Says `WORDS`, with the gates at equal distances between them."""
    size = len(WORDS) // (len(gates) + 1)
    script: list[str | Gate] = []
    for number, gate in enumerate(gates):
        script += [*WORDS[number * size : (number + 1) * size], gate]
    rest = WORDS[len(gates) * size :]
    return Agent("teller", ScriptedModel([Step(text=[*script, *rest]), Step(text="Again.")]))


@asynccontextmanager
async def behind_a_proxy(
    browser: Browser, agent: Agent, *cuts: int
) -> AsyncGenerator[tuple[Served, CuttingProxy, ChatPage]]:
    async with serving([agent], retry_ms=20) as server, CuttingProxy(server.url, cuts) as proxy:
        async with visit(browser, proxy.url, errors=[NETWORK]) as chat:
            yield server, proxy, chat


async def test_a_reload_in_mid_answer_goes_on_where_it_was(browser: Browser) -> None:
    one, two = Gate(), Gate()
    async with opened(browser, in_parts(one, two)) as (server, chat):
        await chat.ask("Count")
        await chat.shows("word19")
        await chat.page.reload()
        await chat.shows("word19")
        assert await chat.answer() == "".join(WORDS[:20]).strip()
        assert await chat.questions() == ["Count"]
        assert await chat.page.visible("#stop")
        await chat.page.value(WATCH)
        one.open()
        await chat.shows("word39")
        await chat.page.reload()
        await chat.shows("word39")
        two.open()
        await chat.settled()
        assert await chat.answer() == TEXT
        assert await chat.questions() == ["Count"]
        assert len(await server.runtime.store.runs()) == 1


async def test_a_reload_after_the_end_shows_the_same(browser: Browser) -> None:
    gate = Gate()
    gate.open()
    async with opened(browser, in_parts(gate)) as (_, chat):
        await chat.ask("Count")
        await chat.settled()
        run = await chat.run_id()
        await chat.page.reload()
        await chat.settled()
        assert (await chat.answers(), await chat.questions()) == ([TEXT], ["Count"])
        assert await chat.run_id() == run


async def test_a_lost_connection_is_told_and_nothing_flickers(browser: Browser) -> None:
    gate = Gate()
    async with behind_a_proxy(browser, in_parts(gate)) as (_, proxy, chat):
        await chat.ask("Count")
        await chat.shows("word29")
        await chat.page.value(WATCH)
        await chat.context.offline()
        proxy.cut()
        await chat.page.see("#status", "connection was lost")
        assert await chat.answer() == "".join(WORDS[:30]).strip()
        gate.open()
        await chat.context.offline(False)
        await chat.settled()
        assert await chat.answer() == TEXT
        assert await chat.page.value("flickers") == []
        await chat.page.see("#status", "Done")


@pytest.mark.slow
async def test_a_connection_that_is_cut_again_and_again(browser: Browser) -> None:
    gate = Gate()
    cuts = [0, 150, 700, 1500]
    async with behind_a_proxy(browser, in_parts(gate), *cuts) as (server, proxy, chat):
        await chat.page.value(WATCH)
        gate.open()
        await chat.ask("Count")
        await chat.settled()
        assert not proxy.cuts
        assert await chat.answer() == TEXT
        assert await chat.page.value("flickers") == []
        assert len(await server.runtime.store.runs()) == 1
        assert await chat.questions() == ["Count"]


async def test_stop_cancels_the_run_and_keeps_the_text(browser: Browser) -> None:
    async with opened(browser, in_parts(Gate())) as (server, chat):
        await chat.ask()
        await chat.shows("word29")
        await chat.page.click("#stop")
        await chat.settled(state="cancelled")
        await chat.page.see("#status", "Stopped")
        assert await chat.answer() == "".join(WORDS[:30]).strip()
        assert (await server.runtime.snapshot(await chat.run_id())).status == "cancelled"
        assert not await chat.page.visible("#stop")
        await chat.ask("And again?")
        await chat.settled(turns=2)
        assert await chat.answer() == "Again."


async def test_a_reload_after_a_stop_shows_what_was_shown(browser: Browser) -> None:
    async with opened(browser, in_parts(Gate())) as (_, chat):
        await chat.ask("Count")
        await chat.shows("word29")
        await chat.page.click("#stop")
        await chat.settled(state="cancelled")
        await chat.page.reload()
        await chat.settled(state="cancelled")
        await chat.shows("word29")
        assert await chat.questions() == ["Count"]
        assert await chat.answers() == ["".join(WORDS[:30]).strip()]


async def test_a_question_that_is_sent_without_a_network(browser: Browser) -> None:
    gate = Gate()
    gate.open()
    async with behind_a_proxy(browser, in_parts(gate)) as (server, _, chat):
        await chat.page.until("document.querySelectorAll('.suggestion').length === 3")
        await chat.context.offline()
        await chat.ask("Count")
        await chat.page.see("#status", "connection was lost")
        assert await chat.questions() == ["Count"]
        await chat.context.offline(False)
        await chat.settled()
        assert await chat.answers() == [TEXT]
        assert len(await server.runtime.store.runs()) == 1


async def test_a_closed_page_leaves_the_run_alone(browser: Browser) -> None:
    model, gate = held("Half ", more="and half.")
    async with opened(browser, Agent("held", model)) as (server, chat):
        await chat.ask()
        await chat.shows("Half")
        await chat.page.goto("about:blank")
        (run,) = await server.runtime.store.runs()
        gate.open()
        await server.runtime.wait(run.id)
        state = await server.runtime.snapshot(run.id)
        assert (state.status, state.text) == ("complete", "Half and half.")


async def test_two_tabs_on_one_run(browser: Browser) -> None:
    one, two = Gate(), Gate()
    async with opened(browser, in_parts(one, two)) as (server, chat):
        await chat.ask("Count")
        await chat.shows("word19")
        other = ChatPage(await chat.context.page(), chat.url)
        await other.page.goto(str(await chat.page.value("location.href")))
        await other.shows("word19")
        for tab in (chat, other):
            await tab.page.value(WATCH)
        one.open()
        for tab in (chat, other):
            await tab.shows("word39")
        two.open()
        for tab in (chat, other):
            await tab.settled()
            assert await tab.answers() == [TEXT]
            assert await tab.page.value("flickers") == []
        assert await other.page.complaints() == []
        assert len(await server.runtime.store.runs()) == 1


async def test_the_other_tab_learns_of_a_new_run_and_of_its_stop(browser: Browser) -> None:
    model, _ = held("Half ")
    model.steps.insert(0, Step(text="One."))
    async with opened(browser, Agent("held", model)) as (_, chat):
        await chat.ask("First")
        await chat.settled()
        other = ChatPage(await chat.context.page(), chat.url)
        await other.page.goto(str(await chat.page.value("location.href")))
        await other.settled()
        await chat.ask("Second")
        await other.shows("Half")
        assert await other.questions() == ["First", "Second"]
        await other.page.click("#stop")
        for tab in (chat, other):
            await tab.settled(turns=2, state="cancelled")
            assert await tab.answers() == ["One.", "Half"]
        assert await other.page.complaints() == []


async def test_another_machine_learns_of_a_new_run_when_someone_looks(browser: Browser) -> None:
    model, gate = held("Half ", more="and half.")
    model.steps.insert(0, Step(text="One."))
    async with opened(browser, Agent("held", model)) as (server, chat):
        await chat.ask("First")
        await chat.settled()
        async with visit(browser, server.url) as other:
            await other.page.goto(str(await chat.page.value("location.href")))
            await other.page.reload()
            await other.settled()
            await chat.ask("Second")
            await chat.shows("Half")
            await other.page.value("dispatchEvent(new Event('focus'))")
            await other.shows("Half")
            gate.open()
            await other.settled(turns=2)
            assert await other.answers() == ["One.", "Half and half."]
            assert await other.questions() == ["First", "Second"]


async def test_a_tab_that_was_left_open_asks_no_one_in_the_end(browser: Browser) -> None:
    """Once the answer is there, its connection is closed."""
    gate = Gate()
    gate.open()
    async with opened(browser, in_parts(gate)) as (server, chat):
        await chat.ask()
        await chat.settled()
        await until(lambda: not server.app.service.watchers)
        assert await foreign(chat.context, server.url) == []
