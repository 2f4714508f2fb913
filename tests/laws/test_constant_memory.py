"""A stream of 200,000 chunks takes the memory of its text, not of its chunks (law 9).

Everything that is traced counts, the server's own buffers too: it shares the process.
"""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from headrace import Agent
from headrace.providers.openai_chat.client import OpenAIChat
from tests.providers.chat_bodies import STOP, chunk
from tests.support.loopback import Loopback, stream

CHUNKS = 200_000
WORD = "word "
TEXT = len(WORD) * CHUNKS
BLOCK = chunk(WORD) * 1000
BUFFERS = 2 * 1024 * 1024
"""Bytes on their way: sockets' buffers, and the batches made of them. (All events kept: 20 MB.)"""


class Passed(asyncio.Event):
    """A place in a script that the server passes without a wait, and tells of."""

    def __init__(self) -> None:
        super().__init__()
        self.there = asyncio.Event()

    async def wait(self) -> Literal[True]:
        self.there.set()
        return True


@dataclass
class Memory:
    """Bytes above what there was before, at the highest."""

    peak: int = 0


@asynccontextmanager
async def measured() -> AsyncIterator[Memory]:
    """What is traced inside."""
    memory = Memory()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        yield memory
        memory.peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@asynccontextmanager
async def long_answer(passed: Passed) -> AsyncIterator[Agent]:
    """An agent whose model says 200,000 words as fast as the client takes them."""
    short = stream(chunk("warm"), STOP)
    long = stream(*[BLOCK] * (CHUNKS // 1000), passed, STOP)
    async with Loopback(short, long) as server:
        agent = Agent(model=OpenAIChat("tiny", base_url=server.url))
        await agent.run("x")  # so that nothing is imported while it is measured
        yield agent


async def test_chunks_that_are_read_as_they_come() -> None:
    chars = pieces = 0
    async with long_answer(Passed()) as agent, measured() as memory:
        async for piece in agent.run_stream("x"):
            chars += len(piece.content)
            pieces += 1
    assert chars == TEXT
    assert pieces > CHUNKS // 2  # they were not joined: the reader kept pace
    # The answer, the step's message, and whichever of them is just being joined.
    assert memory.peak <= 3 * TEXT + BUFFERS


async def test_a_fast_model_with_a_reader_that_waits_until_it_is_done() -> None:
    chars = pieces = 0
    passed = Passed()
    async with long_answer(passed) as agent, measured() as memory:
        async for piece in agent.run_stream("x"):
            chars += len(piece.content)
            pieces += 1
            await passed.there.wait()
    assert chars == TEXT
    assert pieces < CHUNKS // 2  # what waited was joined
    assert memory.peak <= 4 * TEXT + BUFFERS  # besides, the unread text
