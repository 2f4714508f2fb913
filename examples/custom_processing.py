"""Does something of its own with each piece: counts words, tells every ten, replies at the end."""

from __future__ import annotations

import asyncio
import sys

from headrace import Agent

EVERY = 10


class WordCount:
    """Counts words over pieces that may end in the middle of one."""

    def __init__(self) -> None:
        self.words = 0
        self._inside = False

    def add(self, text: str) -> bool:
        """Take a piece; true when another ten words are full."""
        before = self.words // EVERY
        for char in text:
            if char.isspace():
                self._inside = False
            elif not self._inside:
                self._inside = True
                self.words += 1
        return self.words // EVERY > before


async def reply(text: str) -> None:
    """Stands for whatever takes the whole answer: a mail, a database, a chat."""
    print(f"\nReply: {len(text)} characters, {len(text.split())} words")


async def main() -> None:
    question = " ".join(sys.argv[1:]) or "How does Headrace cancel a run?"
    agent = Agent(name="guide")
    count = WordCount()

    async def process(piece: str) -> None:
        print(piece, end="", flush=True)
        if count.add(piece):
            print(f"\n[Progress: {count.words} words]", file=sys.stderr)

    # What `process` raises would stop the run and come out here.
    response = await agent.run_callback(question, process)
    await reply(response.content)


if __name__ == "__main__":
    asyncio.run(main())
