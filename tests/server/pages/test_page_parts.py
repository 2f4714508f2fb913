"""What the chat page shows of runs that only other agents than ours write: parts of every kind."""

from __future__ import annotations

from headrace import Agent, tool
from headrace import events as e
from headrace.runs.writer import Writer
from headrace.testing import Gate, ScriptedModel, Step
from tests.server.pages.chat_page import LAST, ChatPage, opened
from tests.server.pages.written_agent import Written, ask_person, begin_looker, end_looker, say
from tests.support.chromium import Browser


async def kinds_of(chat: ChatPage) -> list[str]:
    script = f"""[...document.querySelector('{LAST}').children].map((part) => part.classList[0])"""
    return [str(kind) for kind in await chat.page.value(script)]


async def test_a_call_that_waits_for_a_person(browser: Browser) -> None:
    """Two agents' calls of one id: each card decides about its own."""
    paid: list[str] = []

    @tool(approval=True)
    async def pay(to: str) -> str:
        """Pay."""
        paid.append(to)
        return f"paid {to}"

    below = [
        Agent(
            name,
            ScriptedModel([Step(tool_calls=[("pay", {"to": name})]), Step("Well.")]),
            tools=[pay],
            description="Pays.",
        ).as_tool()
        for name in ("baker", "smith")
    ]
    calls = [(name, {"task": "Pay."}) for name in ("baker", "smith")]
    boss = Agent("boss", ScriptedModel([Step(tool_calls=calls), Step("Hello")]), tools=below)
    async with opened(browser, boss) as (server, chat):
        await chat.ask()
        cards = f"{LAST} .approval"
        await chat.page.until(f"document.querySelectorAll('{cards}').length === 2")
        first = await chat.page.text(f"{cards} >> nth=0")
        assert "pay" in first
        assert "baker" in first
        await chat.context.requests()
        await chat.page.click(f"{cards} >> nth=0 >> button.approve")
        await chat.page.until(f"document.querySelector('{cards}').dataset.state === 'approved'")
        await chat.page.click(f"{cards} >> nth=1 >> button.deny")
        await chat.settled()
        run = f"{server.url}/v1/runs/{await chat.run_id()}"
        asked = [one.url for one in await chat.context.requests() if one.method == "POST"]
        assert asked == [f"{run}/approvals/call_1"] * 2
        assert paid == ["baker"]
        texts = await chat.page.texts(cards)
        assert ["Approved" in texts[0], "Denied" in texts[1]] == [True, True]
        assert await chat.page.count(f"{cards} button") == 0
        assert await chat.page.count(f"{cards} pre") == 0  # decided, it is one line


async def test_what_others_decide_is_shown(browser: Browser) -> None:
    gate = Gate()

    async def act(writer: Writer) -> None:
        ask_person(writer, "c1", "c2")
        await gate.pass_through()
        writer.put(e.Approval, "", "c2", False, "ann", "not that one")
        say(writer, "", "Hello")

    async with opened(browser, Written(act)) as (server, chat):
        await chat.ask()
        cards = f"{LAST} .approval"
        await chat.page.until(f"document.querySelectorAll('{cards}').length === 2")
        await server.runtime.decide(await chat.run_id(), "c1", True, by="ann")
        await chat.page.until(f"document.querySelector('{cards}').dataset.state === 'approved'")
        gate.open()
        await chat.settled()
        approved, denied = await chat.page.texts(cards)
        assert "Approved by ann" in approved
        assert "Denied by ann: not that one" in denied


async def test_a_sub_agent_stands_in_a_box_of_its_own(browser: Browser) -> None:
    gate = Gate()

    async def act(writer: Writer) -> None:
        say(writer, "", "I ask ")
        begin_looker(writer)
        await gate.pass_through()
        end_looker(writer)
        say(writer, "", "Hello")

    async with opened(browser, Written(act)) as (server, chat):
        await chat.ask()
        await chat.page.see(f"{LAST} .agent", "I am looking")
        assert "looker" in await chat.page.text(f"{LAST} .agent")
        assert "Look for it" in await chat.page.text(f"{LAST} .agent")
        gate.open()
        await chat.settled()
        assert (await server.runtime.snapshot(await chat.run_id())).text == "I ask Hello"
        assert await chat.answer() == "I ask Hello"
        assert (await kinds_of(chat))[:3] == ["md", "agent", "md"]


async def test_a_warning_and_what_was_said_into_it_have_their_places(browser: Browser) -> None:
    """The warning where it came; a person's words before the step that has read them."""

    async def act(writer: Writer) -> None:
        say(writer, "", "One")
        writer.put(e.Warn, "", "odd", "That was odd.")
        writer.put(e.Input, "", "Go on")
        say(writer, "", "Two")

    async with opened(browser, Written(act)) as (_, chat):
        await chat.ask()
        await chat.settled()
        assert (await kinds_of(chat))[:4] == ["md", "warning", "md", "said"]
        assert await chat.page.text(f"{LAST} .warning") == "That was odd."
        assert await chat.answer() == "One Two"
