"""What the chat page makes of what it did not do itself: other tabs, other agents, other hands."""

from __future__ import annotations

from headrace import Agent
from headrace.messages import Message
from headrace.testing import ScriptedModel, Step
from tests.promises.story import held, researcher
from tests.server.pages.chat_page import LAST, ChatPage, opened
from tests.support.chromium import Browser, Page

NOT_FOUND = "status of 404"
CONFLICT = "status of 409"


async def delete_first(page: Page) -> None:
    """Delete the first conversation of the side bar, and say that it is meant."""
    await page.hover("#sessions li")
    await page.click(".delete-session")
    await page.until("document.querySelector('.delete-session[data-sure=true]')")
    await page.click(".delete-session")


async def agent_is(chat: ChatPage, name: str) -> None:
    await chat.page.until(f"document.querySelector('#agent')?.value === '{name}'")


async def test_a_conversation_that_another_tab_deletes_is_gone_here_too(browser: Browser) -> None:
    """Else one goes on in it, and the model knows nothing of what stands above."""
    async with opened(browser, researcher(), errors=[NOT_FOUND]) as (_, chat):
        await chat.ask()
        await chat.settled()
        await chat.page.until("document.querySelectorAll('#sessions li').length === 1")
        other = await chat.context.page()
        await other.goto(f"{chat.url}/")
        await other.until("document.querySelectorAll('#sessions li').length === 1")
        await delete_first(other)
        await chat.page.see("#status", "This conversation is gone.")
        assert await chat.page.count("article.turn") == 0
        assert await chat.page.count("#sessions li") == 0


async def test_a_conversation_goes_on_with_the_agent_that_answered_last(browser: Browser) -> None:
    agents = [
        Agent(name, ScriptedModel([Step(text=f"I am {name}.")] * 3)) for name in ("ann", "bob")
    ]
    async with opened(browser, *agents) as (_, chat):
        await chat.page.until("document.querySelector('#agent')")
        await chat.page.choose("#agent", "bob")
        await chat.ask("Who are you?")
        await chat.settled()
        await chat.page.reload()
        await chat.settled()
        await agent_is(chat, "bob")
        before = await chat.run_id()
        await chat.page.click(".retry")
        await chat.page.until(
            f"!['', '{before}'].includes(document.querySelector('{LAST}').dataset.run)"
        )
        await chat.settled()
        assert await chat.answers() == ["I am bob."]
        await chat.page.choose("#agent", "ann")
        await chat.ask("And you?")
        await chat.settled(turns=2)
        assert await chat.answers() == ["I am bob.", "I am ann."]
        await chat.page.reload()
        await chat.settled(turns=2)
        await agent_is(chat, "ann")


async def test_who_answered_another_conversation_is_not_asked_in_this_one(
    browser: Browser,
) -> None:
    agents = [
        Agent(name, ScriptedModel([Step(text=f"I am {name}.")] * 2)) for name in ("ann", "bob")
    ]
    async with opened(browser, *agents) as (_, chat):
        await chat.ask("Who are you?")
        await chat.settled()
        await chat.page.click("#new")
        await chat.page.until("document.querySelectorAll('article.turn').length === 0")
        await chat.page.choose("#agent", "bob")
        await chat.ask("And you?")
        await chat.settled()
        assert await chat.answer() == "I am bob."
        await chat.page.until("document.querySelectorAll('#sessions li').length === 2")
        await chat.page.click("#sessions a.session:not([aria-current])")
        await chat.page.see("article.turn", "Who are you?")
        await chat.settled()
        await agent_is(chat, "ann")
        await chat.ask("Still you?")
        await chat.settled(turns=2)
        assert await chat.answer() == "I am ann."


async def test_what_is_being_answered_is_not_deleted(browser: Browser) -> None:
    model, gate = held("Half ", more="and half.")
    async with opened(browser, Agent("held", model), errors=[CONFLICT]) as (_, chat):
        await chat.ask()
        await chat.shows("Half")
        await chat.page.until("document.querySelectorAll('#sessions li').length === 1")
        await delete_first(chat.page)
        await chat.page.see("#status", "Not deleted: an answer is coming.")
        assert await chat.page.count("#sessions li") == 1
        gate.open()
        await chat.settled()
        assert await chat.answer() == "Half and half."


async def test_an_answer_without_a_question_shows_none(browser: Browser) -> None:
    """As where a program has begun the session with the model's own words."""
    async with opened(browser, researcher()) as (server, chat):
        await server.runtime.store.append_session("greeting", 0, [Message.assistant("Welcome.")])
        await chat.page.goto(f"{chat.url}/#s=greeting")
        await chat.page.reload()
        await chat.settled()
        assert await chat.answers() == ["Welcome."]
        assert await chat.page.count(".question, .edit") == 0
