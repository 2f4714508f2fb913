"""A run's page in a real browser: its waterfall, its replay, its events."""

from __future__ import annotations

import asyncio
from time import time

import pytest
from msgspec.structs import replace

from headrace import Agent, RetryPolicy, Runtime, tool
from headrace.runs.fold import fold
from headrace.runs.stores.memory import MemoryStore
from headrace.runs.stores.record import RunRecord
from headrace.runs.stores.store import Store
from headrace.testing import Gate, ScriptedModel, Step
from tests.promises.story import NEWS, PIECES, Counting, held, researcher
from tests.server.asking import MISSING, speaker
from tests.server.pages.dashboard_page import DashboardPage, looking
from tests.server.serving import Served, serving
from tests.support.chromium import Browser

EVIL = (
    "<img src=x onerror='document.title=1'><script>document.title=2</script>"
    "<a href='javascript:document.title=3'>x</a>\n  <b>&amp;</b><style>*{display:none}</style>"
)


@tool
def leak(query: str) -> str:
    """Give something back that is not to be trusted.

    Args:
        query: Anything.
    """
    return EVIL


async def ran(server: Served, agent: str) -> str:
    """A run of this agent that has ended."""
    run = await server.runtime.submit(agent, "What news?")
    await server.runtime.wait(run.id)
    return run.id


async def slowly(agent: Agent, apart: float) -> tuple[Store, str]:
    """A run whose events lie so many seconds apart: a replay has states that can be waited for."""
    async with Runtime("memory:") as runtime:
        run = await runtime.submit(agent, "What news?")
        await run.result()
        events = await runtime.store.read(run.id, 0)
    begin = time() - apart * len(events)
    slow = [replace(event, at=begin + apart * n) for n, event in enumerate(events)]
    store = MemoryStore()
    await store.create(RunRecord(run.id, agent.name, run.record.model, begin))
    await store.end(run.id, 0, slow)
    return store, run.id


async def seek(seen: DashboardPage, value: str) -> None:
    """Move the scrubber."""
    await seen.page.value(
        f"""(() => {{ const scrubber = document.querySelector(".scrubber");
        scrubber.value = {value};
        scrubber.dispatchEvent(new Event("input", {{ bubbles: true }})); }})()"""
    )


async def test_it_shows_steps_tools_figures_and_events(browser: Browser) -> None:
    async with serving([researcher()]) as server, looking(browser, server.url) as seen:
        run = await server.runtime.submit("researcher", "What news?", session="a talk")
        await server.runtime.wait(run.id)
        await seen.open_run(run.id)
        await seen.ended()
        page = seen.page
        labels = [label.strip() for label in await page.texts("#waterfall .bar-label")]
        assert labels == ["Step 1", "search", "Step 2"]
        kinds = "[...document.querySelectorAll('#waterfall > li')].map((bar) => bar.dataset.kind)"
        assert await page.value(kinds) == ["step", "tool", "step"]
        inside = "document.querySelectorAll('#waterfall .track .part.token').length"
        assert await page.value(inside) == 2
        await page.see("#waterfall li", "first token after")
        facts = " ".join((await page.text(".facts")).split())
        for words in ("scripted:scripted", "Steps, calls2, 1", "Tokens in60", "Tokens out14"):
            assert words in facts
        await page.see(".run-head", "complete")
        assert await seen.replayed() == NEWS
        assert await page.text("#replay-reasoning") == "I should search."
        (line,) = await page.texts("#replay-tools li")
        assert line == 'search({"query":"AI news"}) → Results for: AI news'
        talk = f"{server.url}/#s=a%20talk"
        assert await page.value("document.querySelector('.facts a').href") == talk
        events = await server.runtime.store.read(run.id, 0)
        (last,) = await page.texts("#events > li:last-child .seq")
        assert last == str(events[-1].seq)
        await page.see('#events [data-type="thought"]', "2 pieces")


async def test_events_are_filtered_and_opened(browser: Browser) -> None:
    async with serving([researcher()]) as server, looking(browser, server.url) as seen:
        await seen.open_run(await ran(server, "researcher"))
        await seen.ended()
        await seen.choose("#event-type", "tool_end")
        await seen.page.until("document.querySelectorAll('#events > li').length === 1")
        await seen.page.click("#events summary")
        await seen.page.see("#events pre", '"output": "Results for: AI news"')
        await seen.choose("#event-type", "")
        await seen.page.until("document.querySelectorAll('#events > li').length > 5")


async def test_a_live_run_grows_and_is_stopped(browser: Browser) -> None:
    gate, never = Gate(), Gate()
    agent = Agent("held", ScriptedModel([Step(text=["Half ", gate, "more ", never])]))
    async with serving([agent]) as server, looking(browser, server.url) as seen:
        run = await server.runtime.submit("held", "Wait")
        await seen.open_run(run.id)
        await seen.page.see("#replay-text", "Half ")
        assert await seen.page.text("#waterfall .bar-time") == "…"
        gate.open()
        await seen.page.see("#replay-text", "Half more ")
        length = "document.querySelector('.facts').textContent"
        before = await seen.page.value(length)
        await seen.page.until(f"{length} !== {before!r}")  # its time goes on
        await seen.page.click(".run-head .stop-run")
        await seen.ended("cancelled")
        await seen.page.see("#marks", "Cancelled: stopped on the dashboard")
        assert await seen.page.count(".run-head .stop-run") == 0
        assert await seen.replayed() == "Half more "


async def test_the_replay_ends_with_what_the_log_folds_to(browser: Browser) -> None:
    lost = Step(text=["Lost ", "words"], finish_reason=None)
    found = Step(text=["Found ", "other ", "words"], reasoning=["Hm"])
    agent = Agent("lossy", ScriptedModel([lost, found], retry=RetryPolicy(base=0.0)))
    store, run_id = await slowly(agent, 0.5)
    async with serving([agent], store=store) as server, looking(browser, server.url) as seen:
        text = fold(await server.runtime.store.read(run_id, 0)).text
        await seen.open_run(run_id)
        await seen.ended()
        assert await seen.replayed() == text == "Found other words"
        await seek(seen, "0")
        assert await seen.replayed() == ""
        moments = """new Promise((resolve) => {
          const pane = document.querySelector("#replay-text"), seen = [];
          new MutationObserver(() => seen.push(pane.textContent)).observe(
            pane, { childList: true, characterData: true, subtree: true });
          document.querySelector('[data-speed="2"]').click();
          document.querySelector(".play").click();
          const wait = setInterval(() => {
            if (document.querySelector("#replay").dataset.over !== "true") return;
            clearInterval(wait);
            setTimeout(() => resolve(seen), 0);
          }, 20);
        })"""
        shown = await seen.page.value(moments)
        there = [state.startswith("Lost ") for state in shown]
        assert any(there)  # it was there, and went
        assert not any(there[there.index(False, there.index(True)) :])
        assert shown[-1] == text
        await seen.page.see(".play", "Play")
        assert await seen.page.text(".moment") != ""
        # To the end at once.
        await seek(seen, "0")
        await seen.page.click('[data-speed="max"]')
        await seen.page.click(".play")
        await seen.page.see("#replay-text", text)
        await seen.page.until("document.querySelector('.play').textContent === 'Play'")


async def test_it_is_paused_and_goes_on(browser: Browser) -> None:
    step = Step(text=[f"{n} " for n in range(100)])
    agent = Agent("long", ScriptedModel([step]))
    store, run_id = await slowly(agent, 0.5)
    async with serving([agent], store=store) as server, looking(browser, server.url) as seen:
        await seen.open_run(run_id)
        await seen.ended()
        await seen.page.click(".play")
        await seen.page.see("#replay-text", "0 1 2 ")
        await seen.page.click(".play")
        await seen.page.until("document.querySelector('.play').textContent === 'Play'")
        paused = await seen.replayed()
        assert "99" not in paused
        place = "document.querySelector('.track .here').style.left"
        assert await seen.page.value(place) not in ("0%", "100%")
        # A bar leads to its own moment.
        await seen.page.click("#waterfall .bar-label")
        assert await seen.replayed() == ""
        await seek(seen, "1e9")
        assert await seen.replayed() == "".join(step.text)  # type: ignore[arg-type]


async def test_a_failed_run_says_why(browser: Browser) -> None:
    agent = Agent("broken", ScriptedModel([]))
    async with serving([agent]) as server, looking(browser, server.url) as seen:
        await seen.open_run(await ran(server, "broken"))
        await seen.ended("error")
        await seen.page.see("#why", "usage: The script has 0 steps")
        await seen.page.see("#marks", "usage: The script has 0 steps")


async def test_a_run_that_is_not_there(browser: Browser) -> None:
    errors = ["status of 404"]
    async with serving([speaker()]) as server, looking(browser, server.url, errors=errors) as seen:
        await seen.open_run(MISSING)
        await seen.page.see(".problem", MISSING)
        assert await seen.page.count("#waterfall, #replay, #events") == 0


async def test_what_the_model_says_is_text_wherever_it_stands(browser: Browser) -> None:
    first = Step(text=[EVIL], reasoning=[EVIL], tool_calls=[("leak", {"query": EVIL})])
    agent = Agent("evil", ScriptedModel([first, Step(text=[EVIL])]), tools=[leak])
    async with serving([agent]) as server, looking(browser, server.url) as seen:
        run = await server.runtime.submit("evil", EVIL)
        await server.runtime.wait(run.id)
        await seen.lists(run.id, "<img src=x", where="#recent")
        await seen.open_run(run.id)
        await seen.ended()
        assert await seen.replayed() == EVIL + EVIL
        await seen.page.value(
            "document.querySelectorAll('details').forEach((each) => (each.open = true))"
        )
        opened = "[...document.querySelectorAll('#events pre')].map((pre) => pre.textContent)"
        await seen.page.until(f"{opened}.some((text) => text.includes('<script>'))")
        assert (
            await seen.page.count("main img, main b, main script, main style, main a[href^=java]")
            == 0
        )
        assert await seen.page.value("document.title") == f"{run.id} · Headrace"


@pytest.mark.slow
async def test_a_long_run_is_shown_without_a_standstill(browser: Browser) -> None:
    agent = Agent("counting", Counting(50_000))
    async with serving([agent]) as server, looking(browser, server.url) as seen:
        run_id = await ran(server, "counting")
        await seen.page.trace()
        await seen.open_run(run_id)
        await seen.ended()
        # On a processor: what else the machine does is not the page's.
        longest = max(task.busy for task in await seen.page.tasks())
        assert longest < 1000 * await seen.page.slowness()
        assert len(await seen.replayed()) == 50_000
        assert await seen.page.count("#events > li") < 20


async def test_going_from_run_to_run_mixes_nothing(browser: Browser) -> None:
    model, gate = held("Half ")
    async with (
        serving([Agent("held", model), researcher()]) as server,
        looking(browser, server.url) as seen,
    ):
        told = await ran(server, "researcher")
        run = await server.runtime.submit("held", "Wait")
        await seen.open_run(told)
        await seen.ended()
        await seen.open_run(run.id)
        await seen.page.see("#replay-text", "Half ")
        assert await seen.page.count("#waterfall > li") == 1
        await seen.open_run(told)
        gate.open()
        await server.runtime.wait(run.id)
        await seen.ended()
        await asyncio.sleep(0)
        assert await seen.replayed() == "".join(PIECES)


async def test_what_is_short_is_seen_also_at_the_very_end(browser: Browser) -> None:
    async with serving([researcher()]) as server, looking(browser, server.url) as seen:
        await seen.open_run(await ran(server, "researcher"))
        await seen.ended()
        outside = """[...document.querySelectorAll(".track > *")].filter((part) => {
            const [own, track] = [part, part.parentElement].map((e) => e.getBoundingClientRect());
            return own.width < 1 || own.left > track.right - 1;
        }).length"""
        assert await seen.page.count(".track > *") > 5
        assert await seen.page.value(outside) == 0
