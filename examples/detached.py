"""Starts a run, leaves it, and comes back: the answer is whole, and nothing is shown twice."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from headrace import Agent, Runtime
from headrace.events import Event, Token


def show(batch: list[Event]) -> None:
    print("".join(e.content for e in batch if isinstance(e, Token)), end="", flush=True)


async def main() -> None:
    question = " ".join(sys.argv[1:]) or "How does Headrace cancel a run?"
    agent = Agent(name="guide", instructions="Be brief.")
    with tempfile.TemporaryDirectory() as folder:
        async with Runtime(f"sqlite:///{Path(folder) / 'runs.db'}", agents=[agent]) as runtime:
            run = await runtime.submit(agent, question, session="first talk")
            after = 0
            async for batch in await runtime.attach(run.id):
                show(batch)
                after = batch[-1].seq
                if after > 5:
                    break  # the page is closed; the run goes on
            print(f"\n--- left after event {after}, back again ---")
            async for batch in await runtime.attach(run.id, after):
                show(batch)
            response = await run.result()
            print(f"\n[{response.finish_reason}, {response.usage.total} tokens, run {run.id}]")


if __name__ == "__main__":
    asyncio.run(main())
