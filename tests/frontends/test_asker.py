"""The person at a terminal is asked about calls that wait."""

from __future__ import annotations

import asyncio
import os
import pty
from collections.abc import Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from headrace import Agent, Runtime, tool
from headrace.events import Approval, ApprovalNeeded, Event
from headrace.frontends.asker import Asker
from headrace.frontends.viewing import show
from headrace.runtime.handle import DetachedRun
from headrace.testing import ScriptedModel, Step
from tests.runtime.orphans import of
from tests.server.serving import until

pytestmark = pytest.mark.anyio


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A terminal: the person's end, and the program's."""
    person, program = pty.openpty()
    yield person, program
    os.close(person)
    os.close(program)


@asynccontextmanager
async def asked(paid: list[int], *amounts: int) -> Any:
    """A run that asks about these payments, and what happens in it."""

    @tool(approval=True)
    async def pay(amount: int) -> str:
        """Pay."""
        paid.append(amount)
        return f"paid {amount}"

    calls = [("pay", {"amount": amount}) for amount in amounts]
    agent = Agent("payer", ScriptedModel([Step(tool_calls=calls), Step("Done.")]), tools=[pay])
    async with Runtime() as runtime:
        yield await runtime.submit(agent, "Pay.")


async def shown(run: DetachedRun, asker: Asker) -> list[Event]:
    """Show the run to its end."""
    async with asyncio.timeout(5):
        await show(run, asker)
    return [event async for event in run.events()]


@pytest.mark.parametrize(
    ("answer", "approved"), [("y", True), ("YES", True), ("n", False), ("maybe\nno", False)]
)
async def test_y_approves_and_n_denies(
    answer: str, approved: bool, terminal: tuple[int, int]
) -> None:
    person, program = terminal
    paid: list[int] = []
    async with asked(paid, 5) as run:
        asker = Asker(run, pytest.fail, program)
        showing = asyncio.create_task(shown(run, asker))
        await until(lambda: asker.question)
        assert asker.question == 'May pay run with {"amount":5}? y/n, then Enter'
        for line in answer.split("\n"):
            os.write(person, f"{line}\n".encode())
            await asyncio.sleep(0.01)  # the terminal gives a line at a time
        events = await showing
    (approval,) = of(events, Approval)
    assert (approval.approved, approval.by) == (approved, "terminal")
    assert paid == ([5] if approved else [])
    assert asker.question == ""


async def test_one_after_the_other_and_not_by_what_was_typed_before(
    terminal: tuple[int, int],
) -> None:
    person, program = terminal
    os.write(person, b"y\ny\n")
    paid: list[int] = []
    async with asked(paid, 1, 2) as run:
        asker = Asker(run, pytest.fail, program)
        showing = asyncio.create_task(shown(run, asker))
        await until(lambda: '"amount":1' in asker.question)
        os.write(person, b"n\n")
        await until(lambda: '"amount":2' in asker.question)
        assert paid == []
        os.write(person, b"y\n")
        await showing
    assert paid == [2]


async def test_a_question_that_another_answers_is_asked_no_more(
    terminal: tuple[int, int],
) -> None:
    paid: list[int] = []
    async with asked(paid, 5) as run:
        asker = Asker(run, pytest.fail, terminal[1])
        showing = asyncio.create_task(shown(run, asker))
        await until(lambda: asker.question)
        await run.decide("call_1", True)
        await showing
    assert (asker.question, paid) == ("", [5])


async def test_without_a_terminal_it_tells_how_to_decide() -> None:
    lines: list[str] = []
    async with asked([], 5) as run:
        asker = Asker(run, lines.append)
        asker._terminal = None  # standard input is a terminal where a person runs the tests
        showing = asyncio.create_task(shown(run, asker))
        await until(lambda: lines)
        assert asker.question == ""
        await run.decide("call_1", False)
        events = await showing
    assert lines == [f"pay waits for a person: headrace approve {run.id} call_1"]
    assert len(of(events, ApprovalNeeded)) == 1
