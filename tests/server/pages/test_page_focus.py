"""Where the focus and the reader's place go when what they were at goes away."""

from __future__ import annotations

from headrace import Agent, tool
from headrace.testing import Gate, ScriptedModel, Step
from tests.promises.story import held, researcher
from tests.server.pages.chat_page import opened
from tests.support.chromium import Browser, Page

AT = "document.activeElement.id || document.activeElement.className"
TO_END = """((e) => e.scrollHeight - e.clientHeight - e.scrollTop)(
    document.querySelector('#conversation'))"""
TOUCH = {"viewport": {"width": 360, "height": 640}, "hasTouch": True, "isMobile": True}


async def press_at(page: Page, selector: str) -> None:
    """As who gets there by the Tab key and presses Enter."""
    await page.value(f"document.querySelector('{selector}').focus()")
    await page.keyboard("Enter")


async def test_who_decides_about_calls_goes_from_one_to_the_next(browser: Browser) -> None:
    @tool(approval=True)
    def pay(to: str) -> str:
        """Pay."""
        return f"paid {to}"

    calls = [("pay", {"to": name}) for name in ("ann", "bob")]
    model = ScriptedModel([Step(tool_calls=calls), Step("Paid.")])
    async with opened(browser, Agent("payer", model, tools=[pay])) as (_, chat):
        page = chat.page
        await chat.ask()
        await page.until("document.querySelectorAll('.approve').length === 2")
        await press_at(page, ".approve")
        await page.until("document.querySelectorAll('.approve').length === 1")
        assert await page.value("document.activeElement.matches('.approve')")
        await page.keyboard("Enter")
        await chat.settled()
        assert await page.value(AT) == "input"


async def test_a_button_that_goes_leaves_the_focus_where_one_writes(browser: Browser) -> None:
    model, _ = held("Half ")
    model.steps.append(Step(text="Whole."))
    async with opened(browser, Agent("held", model)) as (_, chat):
        page = chat.page
        await chat.ask()
        await chat.shows("Half")
        await press_at(page, "#stop")
        await chat.settled(state="cancelled")
        assert await page.value(AT) == "input"
        await press_at(page, ".retry")
        await chat.settled()
        assert await page.value(AT) == "input"
        await press_at(page, ".edit")
        await page.until("document.activeElement.matches('.edit-question textarea')")
        await page.keyboard("Escape")
        await page.until("!document.querySelector('.edit-question')")
        assert await page.value(AT) == "input"


async def test_no_keyboard_opens_by_itself_on_a_phone(browser: Browser) -> None:
    async with opened(browser, researcher(), options=TOUCH) as (_, chat):
        page = chat.page
        await page.until("document.querySelectorAll('.suggestion').length === 3")
        await page.click(".suggestion")
        await chat.settled()
        assert await page.value(AT) != "input"


async def escape(page: Page, where: str, *, composing: bool) -> None:
    """Press it, as within a word of an input method or without, until the page is drawn."""
    init = f'{{ key: "Escape", isComposing: {str(composing).lower()}, bubbles: true }}'
    await page.value(
        f"document.querySelector('{where}').dispatchEvent(new KeyboardEvent('keydown', {init}))"
    )
    await page.until(
        "new Promise((told) => requestAnimationFrame(() => setTimeout(told, 0, true)))"
    )


async def test_escape_in_a_composition_does_not_stop_the_answer(browser: Browser) -> None:
    """Input methods close their candidates with it (UI Events, 5.7)."""
    model, _ = held("Half ")
    async with opened(browser, Agent("held", model)) as (_, chat):
        await chat.ask()
        await chat.shows("Half")
        await escape(chat.page, "#input", composing=True)
        assert not await chat.page.value("document.querySelector('#stop').disabled")
        await escape(chat.page, "#input", composing=False)
        await chat.settled(state="cancelled")


async def test_escape_in_a_composition_does_not_leave_an_edit(browser: Browser) -> None:
    async with opened(browser, researcher()) as (_, chat):
        await chat.ask()
        await chat.settled()
        await chat.page.keyboard("ArrowUp")
        await chat.page.until("document.querySelector('.edit-question')")
        await escape(chat.page, ".edit-question textarea", composing=True)
        assert await chat.page.count(".edit-question") == 1
        await escape(chat.page, ".edit-question textarea", composing=False)
        assert await chat.page.count(".edit-question") == 0


async def test_the_end_stays_in_view_while_the_field_grows(browser: Browser) -> None:
    said = "".join(f"Paragraph {n}.\n\n" for n in range(60))
    async with opened(browser, Agent("writer", ScriptedModel([Step(text=said)]))) as (_, chat):
        page = chat.page
        await chat.ask()
        await chat.settled()
        await page.until(f"{TO_END} < 2")
        height = "document.querySelector('#conversation').clientHeight"
        before = await page.value(height)
        await page.fill("#input", "\n".join("abcdefgh"))
        assert await page.value(height) < before - 50
        await page.until(f"{TO_END} < 2")
        assert await page.count("#to-end") == 0


async def test_a_long_paste_is_not_measured(browser: Browser) -> None:
    """Each measure lays all of it out once more, at every key."""
    async with opened(browser, researcher()) as (_, chat):
        page = chat.page
        await page.fill("#input", "short")
        low = await page.value("document.querySelector('#input').offsetHeight")
        await page.value("""{
            const own = Object.getOwnPropertyDescriptor(Element.prototype, "scrollHeight");
            window.measured = 0;
            Object.defineProperty(document.querySelector("#input"), "scrollHeight", {
                get() { window.measured += 1; return own.get.call(this); } });
        }""")
        await page.fill("#input", "a line of it\n" * 1000)
        assert await page.value("document.querySelector('#input').offsetHeight") > low + 100
        assert await page.value("window.measured") == 0
        await page.fill("#input", "short")
        assert await page.value("document.querySelector('#input').offsetHeight") == low
        assert await page.value("window.measured") == 1


async def test_a_suggestion_that_is_pressed_twice_is_asked_once(browser: Browser) -> None:
    gate = Gate()
    agent = Agent("held", ScriptedModel([Step(text=[gate, "Once."])]))
    async with opened(browser, agent) as (_, chat):
        page = chat.page
        await page.until("document.querySelectorAll('.suggestion').length === 3")
        await page.value("""{
            const button = document.querySelector(".suggestion");
            button.click();
            button.click();
        }""")
        gate.open()
        await chat.settled()
        assert await chat.answers() == ["Once."]
        assert await page.value("document.querySelector('#input').value") == ""
