"""Runs with tiny drivers, for tests of what can be seen of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from headrace.errors import StreamTruncated
from headrace.events import Token, ToolEnd, ToolStart
from headrace.runs.run import Outcome, Run, RunInfo
from headrace.runs.writer import Writer

Body = Callable[[Writer], Awaitable[None]]


def run_of(body: Body, **options: Any) -> Run:
    """A run that does `body` and ends well."""

    async def driver(writer: Writer) -> Outcome:
        await body(writer)
        return Outcome("stop", ())

    return Run(driver, RunInfo("t", "m"), **options)


def say(writer: Writer, *pieces: str, agent: str = "") -> None:
    """Write pieces of text as one batch."""
    at, seq = writer.now(), writer.next_seq
    tokens = [Token(seq + i, at, agent, piece, i) for i, piece in enumerate(pieces)]
    writer.write(tokens)
    if not agent:
        writer.account(pieces, at)


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
