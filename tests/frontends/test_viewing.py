"""A live run on screens: a hostile scripted model, two tools at once, a screen that breaks."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Sequence

import pytest
from rich.console import Console

from headrace.agents.agent import Agent
from headrace.events import Event, Token
from headrace.frontends.plain import PlainScreen
from headrace.frontends.terminal import TerminalScreen
from headrace.frontends.viewing import show
from headrace.providers.scripted import Gate, ScriptedModel, Step
from headrace.tools.tool import tool
from tests.frontends.little_terminal import LittleTerminal

EVIL = "\x1b]0;owned\x07\x9b2J\u202e"


@tool
def look(where: str) -> str:
    """Look somewhere.

    Args:
        where: A place.
    """
    return EVIL + where


@tool
def fail(why: str) -> str:
    """Fail.

    Args:
        why: The reason.
    """
    raise RuntimeError(EVIL + why)


async def test_a_run_of_a_hostile_model_in_a_terminal_and_in_a_pipe() -> None:
    model = ScriptedModel(
        [
            Step(
                text=["I *look", f"*{EVIL[0]}", f"{EVIL[1:]}.\n"],
                reasoning=f"Hm{EVIL}",
                tool_calls=[("look", {"where": "here"}), ("fail", {"why": "no"})],
            ),
            Step(text=f"Done{EVIL}\n"),
        ]
    )
    raw, out, err = io.StringIO(), io.StringIO(), io.StringIO()
    console = Console(file=raw, force_terminal=True, color_system=None, width=80, height=24)
    with model:
        async with Agent(model=model, tools=[look, fail]).start("go") as run:
            await show(run, TerminalScreen(console), PlainScreen(out, err))
            text = (await run.result()).content
    terminal = LittleTerminal()
    terminal.feed(raw.getvalue())
    shown = re.sub(r"\([0-9.]+ ms\)", "(N ms)", terminal.text)
    safe = "␛]0;owned␇�2J�"
    assert shown.startswith(f"  Hm{safe}\n\nI look{safe}.\n\n")
    assert "✓ look (N ms)\n" in shown
    assert f"✗ fail (N ms): RuntimeError: {safe}no\n" in shown
    assert f"\n\nDone{safe}\n\n" in shown
    assert out.getvalue() == text.replace(EVIL, safe)
    assert err.getvalue() == ""


class Breaking:
    """A screen whose output is gone."""

    closed = False

    def add(self, batch: Sequence[Event]) -> None:
        if any(isinstance(event, Token) for event in batch):
            raise BrokenPipeError

    def tick(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


async def test_a_screen_that_breaks_ends_the_showing_and_closes_all() -> None:
    model = ScriptedModel([Step(text=["one", Gate()])])
    first, second = Breaking(), Breaking()
    run = Agent(model=model).start("go")
    with pytest.raises(BrokenPipeError):
        async with run:
            await show(run, first, second)
    assert first.closed
    assert second.closed
    assert run.ended
    assert model.open_streams == 0


async def test_screens_tick_while_nothing_comes() -> None:
    gate = Gate()
    ticked = asyncio.Event()

    class Ticking(Breaking):
        def add(self, batch: Sequence[Event]) -> None:
            pass

        def tick(self) -> None:
            ticked.set()

    async with Agent(model=ScriptedModel([Step(text=["one", gate, "two"])])).start("go") as run:
        showing = asyncio.create_task(show(run, Ticking()))
        async with asyncio.timeout(10):
            await gate.reached.wait()
            await ticked.wait()
            gate.open()
            await showing
