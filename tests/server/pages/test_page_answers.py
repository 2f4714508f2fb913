"""The chat page from the first visit to the answer, whatever the answer is made of."""

from __future__ import annotations

import re

import pytest

from headrace import Agent, tool
from headrace.errors import ProviderError
from headrace.models.deltas import Finish, ToolCallDelta
from headrace.providers.demo.model import DemoModel
from headrace.providers.demo.tools import DEMO_TOOLS
from headrace.providers.scripted import Batches
from headrace.testing import Gate, ScriptedModel, Step
from headrace.tools.context import RunContext
from tests.promises.story import NEWS, held, researcher
from tests.server.pages.chat_page import LAST, even, opened, state_of
from tests.server.reading import started
from tests.support.chromium import Browser


async def test_the_first_visit_invites(browser: Browser) -> None:
    async with opened(browser, researcher()) as (_, chat):
        page = chat.page
        await page.until("document.querySelectorAll('.suggestion').length === 3")
        await page.see("#model", "scripted")
        assert await page.value("document.activeElement.id") == "input"
        assert not await page.visible("#stop")
        assert await page.count("article.turn") == 0


async def test_the_header_says_which_model_answers_and_why(browser: Browser) -> None:
    """And lets one choose where there is a choice."""
    why = "it was named"
    two = [Agent(name, ScriptedModel([Step(text=f"I am {name}.")])) for name in ("ann", "bob")]
    async with opened(browser, *two, why=why) as (_, chat):
        await chat.page.see("#model", "scripted")
        await chat.page.see("#model", why)
        await chat.page.choose("#agent", "bob")
        await chat.ask("Who are you?")
        await chat.settled()
        assert await chat.answer() == "I am bob."
        assert why not in await chat.page.text("#model")  # that was ann's


@pytest.mark.slow
async def test_each_suggestion_shows_something_on_the_embedded_model(browser: Browser) -> None:
    agent = Agent(name="demo", model=DemoModel(speed=0), tools=DEMO_TOOLS)
    shown = list[tuple[int, int, int]]()
    async with opened(browser, agent) as (server, chat):
        page = chat.page
        for number in (1, 2, 3):
            await page.until("document.querySelectorAll('.suggestion').length === 3")
            await page.click(f".suggestion >> nth={number - 1}")
            await chat.settled()
            tools = await page.count(f"{LAST} .tool")
            thoughts = await page.count(f"{LAST} details.reasoning")
            shown.append((thoughts, tools, len((await state_of(server, chat)).text)))
            assert len(await chat.answer()) > 20
            await page.click("#new")
    assert max(thoughts for thoughts, _, _ in shown) > 0
    assert max(tools for _, tools, _ in shown) >= 2
    assert max(chars for _, _, chars in shown) > 2000


async def test_an_answer_with_reasoning_and_a_tool(browser: Browser) -> None:
    async with opened(browser, researcher()) as (server, chat):
        page = chat.page
        await chat.ask("What news?")
        await chat.settled()
        await page.see("#status", "Done")
        assert await chat.questions() == ["What news?"]
        state = await state_of(server, chat)
        assert (even(await chat.answer()), state.text) == (NEWS, NEWS)
        # In the order in which it came: thought, said, called, said.
        kinds = """[...document.querySelectorAll('section.answer :is(.reasoning, .md, .tool)')]
            .map((part) => part.classList[0])"""
        assert await page.value(kinds) == ["reasoning", "md", "tool", "md"]
        assert re.search(r"Thought for \d[\d.]* m?s", await page.text(f"{LAST} .reasoning summary"))
        assert not await page.value(f"document.querySelector('{LAST} .reasoning').open")
        assert "I should search." in await page.text(f"{LAST} .reasoning")
        assert await chat.said_of(f"{LAST} .tool-name") == "search"
        assert "AI news" in await page.text(f"{LAST} .tool-args")
        assert "Results for: AI news" in await page.text(f"{LAST} .tool-output")
        assert re.search(r"\d", await page.text(f"{LAST} .tool-time"))
        assert await page.value(f"document.querySelector('{LAST} .tool').dataset.state") == "done"


async def test_the_figures_stand_quietly_under_the_answer(browser: Browser) -> None:
    async with opened(browser, researcher()) as (server, chat):
        await chat.ask()
        await chat.settled()
        await chat.page.until(f"document.querySelector('{LAST} .figures')?.textContent")
        figures = await chat.said_of(f"{LAST} .figures")
        assert re.search(r"\d+(\.\d+)? m?s", figures), figures
        assert "tokens/s" in figures
        link = await chat.page.value(f"document.querySelector('{LAST} .figures a').href")
        assert link == f"{server.url}/dashboard#run={await chat.run_id()}"
        await chat.page.reload()  # now the server is asked for them
        await chat.page.until(
            f"document.querySelector('{LAST} .figures')?.textContent.includes('tokens/s')"
        )
        assert await chat.said_of(f"{LAST} .figures") == figures


async def test_an_answer_that_was_cut_says_so(browser: Browser) -> None:
    model = ScriptedModel([Step(text="Well, ", finish_reason="length")])
    async with opened(browser, Agent("short", model)) as (_, chat):
        await chat.ask()
        await chat.settled()
        assert "cut at its longest" in await chat.page.text(f"{LAST} .figures")


async def test_the_status_tells_how_far_it_is(browser: Browser) -> None:
    first, second = Gate(), Gate()
    model = ScriptedModel([Step(text=[first, "Half ", second, "and half."])])
    async with opened(browser, Agent("held", model)) as (_, chat):
        page = chat.page
        await chat.ask()
        await page.see("#status", "Waiting for the first token")
        await first.reached.wait()
        first.open()
        await page.see("#status", "Answering")
        await chat.shows("Half")
        assert await page.value(f"document.querySelector('{LAST}').dataset.state") == "running"
        assert await page.value(f"document.querySelector('{LAST}').ariaBusy") == "true"
        assert await page.visible("#stop")
        second.open()
        await page.see("#status", "Done")
        assert await chat.answer() == "Half and half."
        assert await page.value(f"document.querySelector('{LAST}').ariaBusy") != "true"
        assert not await page.visible("#stop")


async def test_a_tool_call_is_shown_from_its_first_character_on(browser: Browser) -> None:
    half, start, progress = Gate(), Gate(), Gate()

    @tool
    async def dig(where: str, context: RunContext) -> str:
        """Dig.

        Args:
            where: A place.
            context: What tells of progress.
        """
        await start.pass_through()
        context.progress("10 cm deep")
        await progress.pass_through()
        return f"A pot, in {where}"

    call: Batches = [
        [ToolCallDelta(0, "call_1", "dig", '{"where": "the ')],
        half,
        [ToolCallDelta(0, "call_1", "dig", 'garden"}')],
        [Finish("tool_calls", "tool_calls")],
    ]
    model = ScriptedModel([call, Step(text="Found a pot.")])
    async with opened(browser, Agent("digger", model, tools=[dig])) as (_, chat):
        page, card = chat.page, f"document.querySelector('{LAST} .tool')"
        await chat.ask()
        await page.see(f"{LAST} .tool-args", "the ")
        assert "garden" not in await page.text(f"{LAST} .tool")
        half.open()
        await start.reached.wait()
        await page.see(f"{LAST} .tool-args", "garden")
        assert await page.value(f"{card}.dataset.state") == "running"
        start.open()
        await page.see(f"{LAST} .tool-progress", "10 cm deep")
        assert await page.value(f"{card}.dataset.state") == "running"
        progress.open()
        await page.see(f"{LAST} .tool-output", "A pot, in the garden")
        await chat.settled()
        assert await page.value(f"{card}.dataset.state") == "done"
        assert await page.count(f"{LAST} .tool") == 1


async def test_two_tools_at_once_one_of_which_fails(browser: Browser) -> None:
    gates = {"alpha": Gate(), "beta": Gate()}

    @tool
    async def alpha() -> str:
        """Look in one place."""
        await gates["alpha"].pass_through()
        return "gold"

    @tool
    async def beta() -> str:
        """Look in another place."""
        await gates["beta"].pass_through()
        raise ValueError("the shovel broke")

    both = Step(tool_calls=[("alpha", {}), ("beta", {})])
    model = ScriptedModel([both, Step(text="Gold, and a broken shovel.")])
    async with opened(browser, Agent("digger", model, tools=[alpha, beta])) as (_, chat):
        states = f"[...document.querySelectorAll('{LAST} .tool')].map((card) => card.dataset.state)"
        await chat.ask()
        for gate in gates.values():
            await gate.reached.wait()
        await chat.page.until(f"{states}.join() === 'running,running'")
        gates["beta"].open()
        await chat.page.until(f"{states}.join() === 'running,error'")
        gates["alpha"].open()
        await chat.settled()
        assert await chat.page.value(states) == ["done", "error"]
        good, bad = await chat.page.texts(f"{LAST} .tool")
        assert "gold" in good
        assert "shovel broke" in bad


async def test_a_withdrawn_text_goes_from_the_page(browser: Browser) -> None:
    gate = Gate()
    lost = Step(text=["Lost words", gate], finish_reason=None)
    agent = Agent("lossy", ScriptedModel([lost, Step(text=["Found words"])]))
    async with opened(browser, agent) as (_, chat):
        await chat.ask()
        await chat.shows("Lost words")
        gate.open()
        await chat.settled()
        assert await chat.answer() == "Found words"


async def test_an_error_is_told_with_what_can_be_done(browser: Browser) -> None:
    error = ProviderError("The model is tired.", hint="Let it sleep.")
    model = ScriptedModel([Step(text=["Well, "], error=error), Step(text="Well rested.")])
    async with opened(browser, Agent("tired", model)) as (_, chat):
        page = chat.page
        await chat.ask("Are you there?")
        await chat.settled(state="error")
        await page.see("#status", "Failed")
        problem = await page.text(f"{LAST} .problem, article.turn .problem")
        assert "The model is tired." in problem
        assert await chat.answer() == "Well,"
        await page.click("button.retry")
        await chat.settled()
        assert await chat.answer() == "Well rested."
        assert await chat.questions() == ["Are you there?"]
        assert await page.count(".problem") == 0


async def test_what_the_server_refuses_is_told_and_can_be_tried_again(browser: Browser) -> None:
    model, gate = held("Half ", more="and half.")
    model.steps.append(Step(text="Now."))
    agent = Agent("held", model)
    async with opened(browser, agent, errors=["status of 429"], live_runs=1) as (server, chat):
        other = await started(server.url, "First")
        await gate.reached.wait()
        await chat.ask("Second")
        await chat.page.until("document.querySelector('.problem')")
        assert "run" in await chat.page.text(".problem")
        gate.open()
        await server.runtime.wait(other)
        await chat.page.click("button.retry")
        await chat.settled()
        assert await chat.answer() == "Now."
        assert await chat.questions() == ["Second"]


async def test_markdown_is_rendered_and_code_can_be_copied(browser: Browser) -> None:
    said = "# Title\n\nSome *text*.\n\n```python\nprint('one')\n```\n\n"
    said += "| a | b |\n|---|---|\n| 1 | 2 |\n"
    agent = Agent("writer", ScriptedModel([Step(text=[*said])]))
    permissions = {"permissions": ["clipboard-read", "clipboard-write"]}
    async with opened(browser, agent, options=permissions) as (_, chat):
        page = chat.page
        await chat.ask()
        await chat.settled()
        assert await page.text(f"{LAST} .md em") == "text"
        assert await page.count(f"{LAST} .md table td") == 2
        await page.hover(f"{LAST} pre")
        await page.click(f"{LAST} button.copy-code")
        await page.until(
            "navigator.clipboard.readText().then((t) => t.trim() === \"print('one')\")"
        )
        await page.click(f"{LAST} button.copy-answer")
        await page.until("navigator.clipboard.readText().then((t) => t.includes('# Title'))")


async def test_a_question_is_text_whatever_it_says(browser: Browser) -> None:
    evil = "<img src=x onerror='document.title=1'> **not bold**\n  second line"
    async with opened(browser, researcher()) as (_, chat):
        await chat.page.fill("#input", evil)
        await chat.page.press("#input", "Enter")
        await chat.settled()
        assert await chat.questions() == [evil]
        assert await chat.page.count(".question img, .question strong") == 0
        spaces = "getComputedStyle(document.querySelector('.question')).whiteSpace"
        lines = """document.querySelector('.question').innerText.split("\\n").length"""
        assert await chat.page.value(lines) >= 2, await chat.page.value(spaces)
