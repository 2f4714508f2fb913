"""The chat page's conversations: side bar, switching, deleting; a question asked again or anew."""

from __future__ import annotations

from typing import Any

from headrace import Agent
from headrace.testing import Gate, ScriptedModel, Step
from tests.server.pages.chat_page import ChatPage, opened
from tests.server.reading import asked, started
from tests.support.chromium import Browser


def teller(*answers: str | list[str | Gate]) -> Agent:
    return Agent("teller", ScriptedModel([Step(text=answer) for answer in answers]))


async def kept(chat: ChatPage) -> list[tuple[str, str]]:
    """The conversation as the server has it: who said what."""
    _, told = await asked(f"{chat.url}/v1/sessions/{await chat.session()}")
    return [
        (message["role"], "".join(part.get("text", "") for part in message["content"]))
        for message in told["messages"]
    ]


async def listed_by_server(chat: ChatPage) -> list[Any]:
    _, told = await asked(f"{chat.url}/v1/sessions")
    return list(told["sessions"])


async def titles(chat: ChatPage) -> list[str]:
    return [title.strip() for title in await chat.page.texts("#sessions a.session")]


async def open_title(chat: ChatPage) -> str:
    return await chat.said_of("#sessions a.session[aria-current]")


async def listed(chat: ChatPage, count: int) -> None:
    await chat.page.until(f"document.querySelectorAll('#sessions a.session').length === {count}")


async def delete(chat: ChatPage, index: int) -> None:
    """Ask for it, and say that it is meant."""
    button = f"#sessions .delete-session >> nth={index}"
    await chat.page.hover(f"#sessions li >> nth={index}")
    await chat.page.click(button)
    await chat.page.until("document.querySelector('.delete-session[data-sure=true]')")
    await chat.page.click(button)


async def test_a_conversation_goes_on(browser: Browser) -> None:
    async with opened(browser, teller("One.", "Two.")) as (_, chat):
        await chat.ask("First?")
        await chat.settled()
        session = await chat.session()
        assert session.startswith("chat-")
        await chat.ask("Second?")
        await chat.settled(turns=2)
        assert await chat.session() == session
        assert await chat.questions() == ["First?", "Second?"]
        assert await chat.answers() == ["One.", "Two."]
        assert await kept(chat) == [
            ("user", "First?"), ("assistant", "One."), ("user", "Second?"), ("assistant", "Two."),
        ]  # fmt: skip


async def test_conversations_are_in_the_side_bar_last_used_first(browser: Browser) -> None:
    async with opened(browser, teller("One.", "Two.", "Three.")) as (_, chat):
        await chat.ask("About cats")
        await chat.settled()
        await listed(chat, 1)
        first = await chat.session()
        await chat.page.click("#new")
        await chat.page.until("document.querySelectorAll('article.turn').length === 0")
        assert await chat.page.count(".suggestion") == 3
        assert await chat.page.value("document.activeElement.id") == "input"
        await chat.ask("About dogs")
        await chat.settled()
        await listed(chat, 2)
        assert await titles(chat) == ["About dogs", "About cats"]
        assert await open_title(chat) == "About dogs"
        await chat.page.click("#sessions a.session >> nth=1")
        await chat.page.see("article.turn", "About cats")
        assert (await chat.answers(), await chat.session()) == (["One."], first)
        assert await open_title(chat) == "About cats"
        await chat.ask("More")
        await chat.settled(turns=2)
        await chat.page.until(
            "document.querySelector('#sessions a.session').textContent.includes('About cats')"
        )


async def test_of_a_long_conversation_the_last_turns_are_shown_first(browser: Browser) -> None:
    count = 25
    agent = teller(*[f"Answer {n}." for n in range(count)])
    async with opened(browser, agent) as (server, chat):
        for n in range(count):
            run = await started(server.url, f"Question {n}?", session="chat-of-many-turns")
            await server.runtime.wait(run)
        await chat.page.goto(f"{chat.url}/#s=chat-of-many-turns")
        await chat.page.reload()
        await chat.settled(turns=20)
        assert await chat.answer() == f"Answer {count - 1}."
        await chat.page.click("#earlier")
        await chat.settled(turns=count)
        assert await chat.questions() == [f"Question {n}?" for n in range(count)]
        assert await chat.page.count("#earlier") == 0


async def test_back_leads_to_the_conversation_before(browser: Browser) -> None:
    async with opened(browser, teller("One.", "Two.")) as (_, chat):
        await chat.ask("About cats")
        await chat.settled()
        await chat.page.click("#new")
        await chat.ask("About dogs")
        await chat.settled()
        await chat.page.click("#sessions a.session >> nth=1")
        await chat.page.see("article.turn", "About cats")
        await chat.page.value("history.back()")
        await chat.page.see("article.turn", "About dogs")
        assert await chat.answers() == ["Two."]


async def test_a_conversation_is_left_while_it_is_answered(browser: Browser) -> None:
    gate = Gate()
    async with opened(browser, teller(["Half ", gate, "and half."], "Two.")) as (server, chat):
        await chat.ask("Slow?")
        await chat.shows("Half")
        await chat.page.click("#new")
        await chat.page.until("document.querySelectorAll('article.turn').length === 0")
        assert not await chat.page.visible("#stop")
        await chat.ask("Quick?")
        await chat.settled()
        assert await chat.answers() == ["Two."]
        gate.open()
        await chat.page.click("#sessions a.session:not([aria-current])")
        await chat.page.see("article.turn", "Slow?")
        await chat.settled()
        assert await chat.answers() == ["Half and half."]
        assert len(await server.runtime.store.runs()) == 2


async def test_a_conversation_is_deleted(browser: Browser) -> None:
    async with opened(browser, teller("One.", "Two.")) as (_, chat):
        for question in ("About cats", "About dogs"):
            await chat.page.click("#new")
            await chat.ask(question)
            await chat.settled()
        await listed(chat, 2)
        await delete(chat, 1)
        await listed(chat, 1)
        assert await titles(chat) == ["About dogs"]
        assert await chat.answers() == ["Two."]  # the open one is still there
        await delete(chat, 0)
        await listed(chat, 0)
        await chat.page.until("document.querySelectorAll('.suggestion').length === 3")
        assert await listed_by_server(chat) == []


async def test_to_delete_is_asked_twice_and_can_be_left(browser: Browser) -> None:
    async with opened(browser, teller("One.")) as (_, chat):
        await chat.ask("About cats")
        await chat.settled()
        await listed(chat, 1)
        await chat.page.hover("#sessions li")
        await chat.page.click("#sessions .delete-session")
        await chat.page.until("document.querySelector('.delete-session[data-sure=true]')")
        await chat.page.click("#input")
        await chat.page.until("!document.querySelector('.delete-session[data-sure=true]')")
        assert len(await listed_by_server(chat)) == 1


async def test_an_address_that_leads_to_no_conversation_is_a_new_one(browser: Browser) -> None:
    errors = ["status of 404"]
    async with opened(browser, teller("One."), errors=errors) as (_, chat):
        await chat.page.goto(f"{chat.url}/#s=chat-AAAAAAAAAAAAAAAA")
        await chat.page.reload()
        await chat.page.until("document.querySelectorAll('.suggestion').length === 3")
        await chat.ask("First?")
        await chat.settled()
        assert await chat.answers() == ["One."]


async def test_retry_puts_another_answer_in_place(browser: Browser) -> None:
    async with opened(browser, teller("One.", "Wrong.", "Right.")) as (_, chat):
        await chat.ask("First?")
        await chat.settled()
        await chat.ask("Second?")
        await chat.settled(turns=2)
        await chat.page.click("article.turn:last-of-type button.retry")
        await chat.shows("Right.")
        await chat.settled(turns=2)
        assert await chat.answers() == ["One.", "Right."]
        assert await chat.questions() == ["First?", "Second?"]
        there = [
            ("user", "First?"), ("assistant", "One."), ("user", "Second?"), ("assistant", "Right."),
        ]  # fmt: skip
        assert await kept(chat) == there
        await chat.page.reload()
        await chat.settled(turns=2)
        assert await chat.answers() == ["One.", "Right."]


async def test_a_reload_in_mid_retry_shows_the_new_answer_alone(browser: Browser) -> None:
    gate = Gate()
    async with opened(browser, teller("Wrong.", ["Ri", gate, "ght."])) as (_, chat):
        await chat.ask("First?")
        await chat.settled()
        await chat.page.click("button.retry")
        await chat.shows("Ri")
        await chat.page.reload()
        await chat.shows("Ri")
        assert (await chat.questions(), await chat.answers()) == (["First?"], ["Ri"])
        gate.open()
        await chat.settled()
        assert (await chat.questions(), await chat.answers()) == (["First?"], ["Right."])
        assert await kept(chat) == [("user", "First?"), ("assistant", "Right.")]


async def test_an_edited_question_replaces_what_came_after_it(browser: Browser) -> None:
    async with opened(browser, teller("One.", "Two.", "Uno.")) as (_, chat):
        await chat.ask("First?")
        await chat.settled()
        await chat.ask("Second?")
        await chat.settled(turns=2)
        field = "article.turn:first-of-type textarea"
        await chat.page.hover("article.turn:first-of-type .question")
        await chat.page.click("article.turn:first-of-type button.edit")
        await chat.page.until(f"document.querySelector('{field}')?.value === 'First?'")
        await chat.page.press(field, "Escape")
        await chat.page.until(f"!document.querySelector('{field}')")
        assert await chat.questions() == ["First?", "Second?"]
        await chat.page.hover("article.turn:first-of-type .question")
        await chat.page.click("article.turn:first-of-type button.edit")
        await chat.page.fill(field, "Erste?")
        await chat.page.press(field, "Enter")
        await chat.shows("Uno.")
        await chat.settled()
        assert (await chat.questions(), await chat.answers()) == (["Erste?"], ["Uno."])
        assert await kept(chat) == [("user", "Erste?"), ("assistant", "Uno.")]


async def test_what_is_said_while_it_answers_steers_the_run(browser: Browser) -> None:
    gate = Gate()
    async with opened(browser, teller(["Half ", gate, "and half."], "As you like.")) as (
        server,
        chat,
    ):
        await chat.ask("Slow?")
        await chat.shows("Half")
        await chat.page.fill("#input", "Be quick")
        await chat.page.click("#send")
        await chat.page.see("article.turn:last-of-type", "Be quick")
        gate.open()
        await chat.settled()
        assert len(await server.runtime.store.runs()) == 1
        assert "As you like." in await chat.answer()
