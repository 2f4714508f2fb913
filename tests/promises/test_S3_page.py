"""What users of agents_sdk know, on the pages of the server."""

from __future__ import annotations

from headrace import Agent, tool
from headrace.testing import Gate, ScriptedModel, Step
from tests.promises.story import NEWS, research, search
from tests.server.pages.chat_page import LAST, even, opened
from tests.support.chromium import chromium_browser

EVENT_SOURCE = """new Promise((resolve) => {
  let text = "";
  const source = new EventSource("api/chat/stream?message=News");
  source.addEventListener("token", ({ data }) => { text += data; });
  source.addEventListener("done", () => { source.close(); resolve(text); });
})"""


async def test_S3_9_the_page_and_an_event_source_in_it_give_the_same_answer() -> None:
    model = research()
    model.steps *= 2
    agent = Agent("researcher", model, tools=[search])
    async with chromium_browser() as browser, opened(browser, agent) as (_, chat):
        await chat.ask("News")
        await chat.settled()
        assert even(await chat.answer()) == NEWS
        assert await chat.page.value(EVENT_SOURCE) == NEWS


async def test_S3_17_a_tools_card_stands_for_the_text_until_every_tool_has_ended() -> None:
    gates = {"alpha": Gate(), "beta": Gate()}

    @tool
    async def alpha() -> str:
        """Look in one place."""
        await gates["alpha"].pass_through()
        return "a"

    @tool
    async def beta() -> str:
        """Look in another place."""
        await gates["beta"].pass_through()
        return "b"

    both = Step(text="Let me look.", tool_calls=[("alpha", {}), ("beta", {})])
    agent = Agent("bot", ScriptedModel([both, Step(text="Found.")]), tools=[alpha, beta])
    states = f"[...document.querySelectorAll('{LAST} .tool')].map((e) => e.dataset.state).join()"
    async with chromium_browser() as browser, opened(browser, agent) as (_, chat):
        await chat.ask()
        for gate in gates.values():
            await gate.reached.wait()
        await chat.page.until(f"{states} === 'running,running'")
        assert await chat.answer() == "Let me look."
        gates["alpha"].open()
        await chat.page.until(f"{states} === 'done,running'")
        assert await chat.answer() == "Let me look."
        gates["beta"].open()
        await chat.settled()
        assert await chat.page.value(states) == "done,done"
        assert await chat.answer() == "Let me look. Found."
