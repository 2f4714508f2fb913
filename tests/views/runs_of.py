"""Runs with tiny drivers, for tests of what can be seen of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from headrace.errors import StreamTruncated
from headrace.events import AgentEnd, AgentStart, StepEnd, StepStart, Token, ToolEnd, ToolStart
from headrace.messages import Message
from headrace.runs.run import Outcome, Run, RunInfo
from headrace.runs.writer import Writer
from headrace.usage import Timing, Usage

Body = Callable[[Writer], Awaitable[None]]


def run_of(body: Body, **options: Any) -> Run:
    """A run that does `body` within one step and ends well."""

    async def driver(writer: Writer) -> Outcome:
        writer.put(StepStart, "", 1, "m")
        await body(writer)
        end_step(writer)
        return Outcome("stop", ())

    return Run(driver, RunInfo("t", "m"), **options)


def end_step(writer: Writer, agent: str = "") -> None:
    """Write a step's end."""
    writer.put(StepEnd, agent, 1, "stop", Usage(), Timing(1.0), Message.assistant(""))


def say(writer: Writer, *pieces: str) -> None:
    """Write pieces of text as one batch."""
    at, seq, index = writer.now(), writer.next_seq, writer.meter.chunks
    writer.write([Token(seq + i, at, "", piece, index + i) for i, piece in enumerate(pieces)])
    writer.account(pieces, at)


def say_below(writer: Writer, agent: str, piece: str) -> None:
    """Write a whole turn of a sub-agent."""
    writer.put(AgentStart, agent, agent, "help")
    writer.put(StepStart, agent, 1, "m")
    writer.put(Token, agent, piece, 0)
    end_step(writer, agent)
    writer.put(AgentEnd, agent, agent, piece, 1.0)


def use_tool(writer: Writer, call_id: str) -> None:
    """Write a whole tool call."""
    writer.put(ToolStart, "", call_id, "look", {})
    writer.put(ToolEnd, "", call_id, "look", "found", 1.0)


def saying(*pieces: str, private: bool = False) -> Run:
    """A run that says these pieces, each one in its own turn of the loop."""

    async def body(writer: Writer) -> None:
        for piece in pieces:
            say(writer, piece)
            await asyncio.sleep(0)

    return run_of(body, private=private)


def cut_after(*pieces: str) -> Run:
    """A run that is cut off after these pieces."""

    async def body(writer: Writer) -> None:
        say(writer, *pieces)
        raise StreamTruncated("t: the stream ended before the answer did.")

    return run_of(body)


class Endless:
    """A run that says pieces for ever, until it is cancelled."""

    def __init__(self, *, private: bool = False) -> None:
        self.said = 0
        self.stopped = asyncio.Event()
        self.run = run_of(self._body, private=private)

    async def _body(self, writer: Writer) -> None:
        try:
            while True:
                say(writer, f"{self.said} ")
                self.said += 1
                await asyncio.sleep(0)
        finally:
            self.stopped.set()


async def settle(turns: int = 20) -> None:
    """Let every task go as far as it can without time or input."""
    for _ in range(turns):
        await asyncio.sleep(0)
