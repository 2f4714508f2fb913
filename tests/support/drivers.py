"""Drivers for runs: what an agent would write, without one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from headrace.events import Event, StepEnd, StepStart, Token, ToolEnd, ToolStart
from headrace.messages import Message
from headrace.runs.run import Driver, Outcome, Run, RunInfo
from headrace.runs.writer import Writer
from headrace.testing.laws import check_events
from headrace.usage import Timing, Usage
from tests.support.loop import leftovers

DONE = Outcome("stop", (Message.user("Hi"), Message.assistant("Hello")))
INFO = RunInfo("bot", "scripted:one")

Act = Callable[[Writer], Awaitable[object]]


def say(writer: Writer, *pieces: str) -> None:
    """Write pieces of the answer, all in one step."""
    for piece in pieces:
        token = writer.put(Token, "", piece, writer.meter.chunks)
        writer.account([piece], token.at)


def begin_step(writer: Writer) -> None:
    writer.put(StepStart, "", 1, "scripted:one")


def end_step(writer: Writer, reason: str = "stop") -> None:
    message = Message.assistant(str(writer.text))
    writer.put(StepEnd, "", 1, reason, Usage(3, 2), Timing(1000.0, 5.0), message)


def begin_tool(writer: Writer, call_id: str = "c1") -> None:
    writer.put(ToolStart, "", call_id, "look", {})


def end_tool(writer: Writer, call_id: str = "c1", error: str | None = None) -> None:
    writer.put(ToolEnd, "", call_id, "look", "found", 1.0, error)


async def hello(writer: Writer) -> Outcome:
    """A whole, good run."""
    begin_step(writer)
    say(writer, "Hel", "lo")
    end_step(writer)
    return DONE


def open_ended(act: Act) -> Driver:
    """Begins a step and a tool, says a word, then does `act` and leaves all open."""

    async def driver(writer: Writer) -> Outcome:
        begin_step(writer)
        say(writer, "so f")
        begin_tool(writer)
        await act(writer)
        return DONE

    return driver


async def for_ever(_: Writer) -> None:
    await asyncio.get_running_loop().create_future()


def run_of(driver: Driver, *, deadline: float | None = 900.0, private: bool = False) -> Run:
    return Run(driver, INFO, deadline=deadline, private=private)


async def log_of(run: Run) -> list[Event]:
    """All events of a run, checked against the laws; nothing is left in the loop."""
    events = [event async for event in run.events()]
    await asyncio.sleep(0)
    check_events(events)
    assert run.ended
    assert not leftovers()
    return events


async def read_text(run: Run) -> list[str]:
    return [piece async for piece in run.text()]
