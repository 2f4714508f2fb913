"""Shows an answer while it comes, keeps it whole, and copes with a stream that breaks."""

from __future__ import annotations

import asyncio
import sys

from headrace import Agent
from headrace.errors import RunFailed


async def answer(agent: Agent, question: str) -> str:
    pieces: list[str] = []
    try:
        async for chunk in agent.run_stream(question):
            pieces.append(chunk.content)
            print(chunk.content, end="", flush=True)
            if chunk.finish_reason == "length":
                pieces.append(" [cut]")
    except RunFailed as error:
        # What came is worth showing, as long as it is marked as not complete.
        return f"{''.join(pieces)}\n[Error: Stream interrupted] {error}"
    finally:
        print()
    return "".join(pieces)


async def main() -> None:
    question = " ".join(sys.argv[1:]) or "How does Headrace cancel a run?"
    text = await answer(Agent(name="guide"), question)
    print(f"--- collected {len(text)} characters in {len(text.split())} words")


if __name__ == "__main__":
    asyncio.run(main())
