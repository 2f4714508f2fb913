"""Prints an answer as it comes, and says at the end how it went."""

from __future__ import annotations

import asyncio
import sys

from headrace import Agent


async def main() -> None:
    question = " ".join(sys.argv[1:]) or "How does Headrace cancel a run?"
    agent = Agent(name="guide", instructions="Be brief.")
    async for chunk in agent.run_stream(question):
        print(chunk.content, end="", flush=True)
        if chunk.is_final and chunk.metadata:
            print(f"\n[{chunk.finish_reason}, {chunk.metadata['tokens']} tokens]")


if __name__ == "__main__":
    asyncio.run(main())
