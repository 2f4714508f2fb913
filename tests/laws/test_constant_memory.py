"""A stream of 200,000 chunks takes the memory of its text, however it is read (law 9)."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from headrace import Agent
from headrace.providers.openai_chat.client import OpenAIChat
from tests.providers.chat_bodies import STOP, chunk
from tests.support.loopback import Loopback, Script, stream

CHUNKS = 200_000
WORD = "word "
TEXT = len(WORD) * CHUNKS
BLOCK = chunk(WORD) * 1000
ALLOWED = TEXT + 2 * 1024 * 1024


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
async def long_answer() -> AsyncIterator[Agent]:
    """An agent whose model says 200,000 words as fast as they are read."""
    short: Script = stream(chunk("warm"), STOP)
    long: Script = stream(*[BLOCK] * (CHUNKS // 1000), STOP)
    async with Loopback(short, long) as server:
        agent = Agent(model=OpenAIChat("tiny", base_url=server.url))
        await agent.run("x")  # so that nothing is imported while it is measured
        yield agent


async def test_chunks_that_are_read_as_they_come() -> None:
    chars = 0
    async with long_answer() as agent, measured() as memory:
        async for piece in agent.run_stream("x"):
            chars += len(piece.content)
    print("AS THEY COME", memory.peak, TEXT)
    assert chars == TEXT
    assert memory.peak <= ALLOWED


async def test_a_slow_reader_of_a_fast_model() -> None:
    chars = 0
    async with long_answer() as agent, measured() as memory:
        async for piece in agent.run_stream("x"):
            chars += len(piece.content)
            if chars <= 100 * len(WORD):
                await asyncio.sleep(0.02)  # the model is done before it is through
    print("SLOW", memory.peak, TEXT)
    assert chars == TEXT
    assert memory.peak <= ALLOWED
