"""The dashboard's first page in a real browser: live runs, charts, recent runs."""

from __future__ import annotations

import asyncio
import shlex
import shutil

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from headrace import Agent
from headrace.server import Settings, app
from headrace.testing import Gate, ScriptedModel, Step
from tests.promises.story import held, researcher
from tests.server.asking import ALICE, BOB, TOKENS, speaker
from tests.server.hosting import hosting
from tests.server.pages.chat_page import NETWORK, UNAUTHORIZED
from tests.server.pages.dashboard_page import UNKNOWN, DashboardPage, looking
from tests.server.serving import Served, serving
from tests.support.chromium import Browser
from tests.support.cutting_proxy import CuttingProxy

FORBIDDEN = "status of 403"
"""What the browser itself says in the console of a request that was refused."""


def lossy() -> Agent:
    """Loses what it said, once, and says something else."""
    lost = Step(text=["Lost words"], finish_reason=None)
    return Agent("lossy", ScriptedModel([lost, Step(text=["Found words"])]))


def broken() -> Agent:
    """Has no script, and fails."""
    return Agent("broken", ScriptedModel([]))


def named(model: str, provider: str, scripted: ScriptedModel) -> Agent:
    """An agent of this name, on a model that is called so."""
    scripted.provider, scripted.model = provider, model
    return Agent(model, scripted)


PLAIN = """document.querySelector('[data-chart="{}"] .values b').textContent"""
"""The first value of a chart's caption."""


async def done(server: Served, *agents: str) -> list[str]:
    """Runs of these agents that have ended."""
    runs = [await server.runtime.submit(name, "What news?") for name in agents]
    for run in runs:
        await server.runtime.wait(run.id)
    return [run.id for run in runs]


async def test_a_live_run_shows_up_and_is_stopped_from_the_table(browser: Browser) -> None:
    model, _ = held("Half ", "and ")
    async with serving([Agent("held", model)]) as server, looking(browser, server.url) as seen:
        await seen.is_live()
        run = await server.runtime.submit("held", "Wait")
        await seen.lists(run.id, "held")
        await seen.lists(run.id, "answering")
        cells = await seen.page.texts(f'#runs tr[data-run="{run.id}"] td')
        assert cells[:4] == [run.id, "held", "scripted:scripted", ""]
        tokens = f"document.querySelector('#runs tr[data-run=\"{run.id}\"] td:nth-child(7)')"
        await seen.page.until(f"{tokens}.textContent === '2'")
        await seen.page.see("#live", "1")
        await seen.page.click(f'#runs tr[data-run="{run.id}"] .stop-run')
        await seen.page.until(f"!document.querySelector('#runs [data-run=\"{run.id}\"]')")
        await seen.page.see("#live", "0")
        state = await server.runtime.snapshot(run.id)
        assert (state.status, state.cancel_reason) == ("cancelled", "stopped on the dashboard")
        await seen.lists(run.id, "cancelled", where="#recent")


async def test_a_run_grows_old_while_nothing_happens(browser: Browser) -> None:
    silent = Agent("silent", ScriptedModel([Step(text=[Gate()])]))
    async with serving([silent]) as server, looking(browser, server.url) as seen:
        run = await server.runtime.submit("silent", "Wait")
        await seen.lists(run.id, "waiting")
        row = f"document.querySelector('#runs > tr[data-run=\"{run.id}\"]').textContent"
        age = f"Number({row}.match(/waiting(\\d+) s/)?.[1])"
        await seen.page.until(f"{age} >= 2")
        before = await seen.page.value(age)
        await seen.page.until(f"{age} > {before}")


async def test_the_charts_tell_what_happened(browser: Browser) -> None:
    agents = [researcher(), lossy(), broken()]
    async with serving(agents) as server, looking(browser, server.url) as seen:
        await done(server, "researcher", "lossy", "broken")
        await seen.tells("errors", "usage", "1")
        await seen.tells("retries", "withdrawn: stream_truncated", "1")
        await seen.page.see("#errors-per-minute", "1")
        for chart in ("ttft", "gap"):
            told = await seen.caption(chart)
            assert set(told) == {"p50", "p95", "p99"}
            assert UNKNOWN not in told.values(), told
        # As a table the numbers stand there for those who cannot see lines.
        await seen.page.click('[data-chart="errors"] .as-table summary')
        await seen.page.see('[data-chart="errors"] tbody', "1")
        assert await seen.page.texts('[data-chart="errors"] th[scope="col"]') == ["Time", "usage"]
        # Each chart is drawn, too.
        assert await seen.page.count("figure.chart canvas") == 6
        assert await seen.page.count("figure.chart figcaption h3") == 6
        await seen.page.see("#recent", "What news?")


async def test_a_model_or_a_provider_of_many(browser: Browser) -> None:
    agents = [
        speaker(),
        named("two", "elsewhere", ScriptedModel([])),
        named("three", "elsewhere", ScriptedModel([Step(text=["Hello"])])),
    ]
    async with serving(agents) as server, looking(browser, server.url) as seen:
        await done(server, "bot", "two", "three")
        await seen.tells("errors", "usage", "1")
        of = "[...document.querySelectorAll('#by-model option')].map((o) => o.textContent)"
        assert await seen.page.value(of) == [
            "all models",
            "all of elsewhere",
            "elsewhere:three",
            "elsewhere:two",
            "scripted:scripted",
        ]
        await seen.choose("#by-model", '["model","scripted:scripted"]')
        await seen.page.see('[data-chart="errors"] .values', "None.")
        await seen.choose("#by-model", '["model","elsewhere:two"]')
        await seen.tells("errors", "usage", "1")
        assert await seen.caption("ttft") == dict.fromkeys(("p50", "p95", "p99"), UNKNOWN)
        await seen.choose("#by-model", '["provider","elsewhere"]')
        await seen.page.until(f"{PLAIN.format('ttft')} !== '{UNKNOWN}'")
        await seen.tells("errors", "usage", "1")
        await seen.choose("#range", "300")
        await seen.tells("errors", "usage", "1")


async def test_what_ran_before_the_page_was_opened_is_there(browser: Browser) -> None:
    async with serving([researcher(), broken()]) as server:
        ids = await done(server, "researcher", "broken")
        async with looking(browser, server.url) as seen:
            await seen.tells("errors", "usage", "1")
            for run_id in ids:
                await seen.lists(run_id, where="#recent")
            await seen.page.click(f'#recent [data-run="{ids[0]}"] a')
            await seen.ended()
            assert await seen.page.value("document.title") == f"{ids[0]} · Headrace"
            await seen.page.click(".back a")
            await seen.is_live()
            assert await seen.page.value("document.title") == "Headrace dashboard"


async def test_an_empty_server_says_how_to_make_something_happen(browser: Browser) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is needed (Debian: apt install curl).")
    async with serving([speaker()]) as server, looking(browser, server.url) as seen:
        await seen.page.see("#empty", "Nothing has run here yet")
        assert await seen.page.count("figure.chart") == 0
        send, curl = (await seen.page.text("#empty pre")).splitlines()
        assert send.startswith(f"headrace send {server.url} ")
        process = await asyncio.create_subprocess_exec(
            *shlex.split(curl), "-sS", stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert out == b"Hello"
        (run,) = await server.runtime.store.runs()
        await seen.lists(run.id, "complete", where="#recent")
        await seen.page.until("!document.querySelector('#empty')")


async def test_a_token_is_asked_for(browser: Browser) -> None:
    settings = Settings(operators=("alice",))
    async with serving([speaker()], tokens=TOKENS, settings=settings) as server:
        async with looking(browser, server.url, errors=[UNAUTHORIZED]) as seen:
            await seen.page.see("#sign-in", "knows its people by a token")
            await seen.page.fill("#token", "wrong")
            await seen.page.press("#token", "Enter")
            await seen.page.see("#sign-in", "does not know this token")
            await sign_in(seen, ALICE)
            await seen.is_live()
            await seen.page.reload()
            await seen.is_live()
            assert ALICE not in await seen.page.value("document.documentElement.outerHTML")


async def test_who_is_no_operator_sees_why_and_his_own_runs(browser: Browser) -> None:
    model, _ = held("Half ")
    errors = [UNAUTHORIZED, FORBIDDEN]
    async with serving([Agent("held", model), speaker()], tokens=TOKENS) as server:
        other = await server.runtime.submit("bot", "Hers", user="alice")
        run = await server.runtime.submit("held", "Wait", user="bob")
        async with looking(browser, server.url, errors=errors) as seen:
            await sign_in(seen, BOB)
            await seen.page.see(".problem", "for its operators")
            await seen.page.see(".problem", "--operator USER")
            assert await seen.page.count("#numbers, #charts, #runs") == 0
            await seen.lists(run.id, "running", where="#recent")
            assert await seen.page.count(f'#recent [data-run="{other.id}"]') == 0
            await seen.page.click(f'#recent [data-run="{run.id}"] .stop-run')
            end = await server.runtime.wait(run.id)
            assert type(end).__name__ == "Cancelled"


async def test_an_operator_sees_and_stops_another_users_run(browser: Browser) -> None:
    model, _ = held("Half ")
    settings = Settings(operators=("alice",))
    async with serving([Agent("held", model)], tokens=TOKENS, settings=settings) as server:
        run = await server.runtime.submit("held", "Wait", user="bob")
        async with looking(browser, server.url, errors=[UNAUTHORIZED]) as seen:
            await sign_in(seen, ALICE)
            await seen.lists(run.id, "bob")
            await seen.page.click("#runs .run-link")
            await seen.page.see("#replay-text", "Half ")
            await seen.page.click(".run-head .stop-run")
            await seen.ended("cancelled")
            await seen.page.see("#why", "stopped on the dashboard")


async def test_a_lost_connection_is_told_and_made_again(browser: Browser) -> None:
    gate = Gate()
    agent = Agent("held", ScriptedModel([Step(text=["Half ", gate, "more"])]))
    async with serving([agent]) as server, CuttingProxy(server.url) as proxy:
        async with looking(browser, proxy.url, errors=[NETWORK]) as seen:
            await seen.is_live()
            run = await server.runtime.submit("held", "Wait")
            await seen.lists(run.id, "answering")
            await seen.page.context.offline()
            assert proxy.cut() == 1
            await seen.page.see("#status", "The connection was lost. Trying again")
            await seen.lists(run.id)  # what was known still stands there
            gate.open()
            await seen.page.context.offline(False)
            await seen.is_live()
            await seen.lists(run.id, "complete", where="#recent")
            await seen.page.until(f"!document.querySelector('#runs [data-run=\"{run.id}\"]')")


async def test_it_works_below_a_path(browser: Browser) -> None:
    headrace_app = app([speaker()])
    host = Starlette(routes=[Mount("/ai", app=headrace_app)], lifespan=headrace_app.lifespan)
    async with hosting(host) as url, looking(browser, f"{url}/ai") as seen:
        await seen.is_live()
        send = (await seen.page.text("#empty pre")).splitlines()[0]
        assert f"{url}/ai " in send
        run = await headrace_app.service.runtime.submit("bot", "Hi")
        await seen.lists(run.id, where="#recent")
        await seen.page.click(f'#recent [data-run="{run.id}"] a')
        await seen.ended()
        assert await seen.page.value("location.pathname") == "/ai/dashboard"
        await seen.page.click("nav a:not([aria-current])")
        await seen.page.until("location.pathname === '/ai/'")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_a_narrow_screen(browser: Browser, scheme: str) -> None:
    model, _ = held("Half ")
    options = {"viewport": {"width": 360, "height": 740}, "colorScheme": scheme}
    agents = [Agent("held", model), researcher()]
    async with serving(agents) as server, looking(browser, server.url, **options) as seen:
        run = await server.runtime.submit("held", "Wait")
        (told,) = await done(server, "researcher")
        await seen.lists(run.id, "answering")
        await seen.lists(told, where="#recent")
        width = "document.documentElement.scrollWidth"
        assert await seen.page.value(width) <= 360
        plot = "document.querySelector('.plot canvas').getBoundingClientRect().width"
        assert 200 < await seen.page.value(plot) <= 360
        back = "getComputedStyle(document.body).backgroundColor"
        assert (await seen.page.value(back) == "rgb(255, 255, 255)") == (scheme == "light")
        await seen.open_run(told)
        await seen.ended()
        assert await seen.page.value(width) <= 360


async def test_the_page_is_drawn_before_anything_comes(browser: Browser) -> None:
    async with serving([speaker()]) as server:
        context = await browser.context()
        page = await context.page()
        await context.hold("/v1/")
        await page.goto(f"{server.url}/dashboard")
        await page.see("h1", "Headrace")
        await page.see("#status", "Asking the server")
        assert await page.visible("#status")
        await context.release()
        await page.see("#status", "Live")
        await context.close()


async def sign_in(seen: DashboardPage, token: str) -> None:
    await seen.page.fill("#token", token)
    await seen.page.press("#token", "Enter")
