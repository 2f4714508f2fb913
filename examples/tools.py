"""An agent with tools of each kind; its run is shown event by event."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator

from headrace import Agent, RunContext, tool
from headrace.errors import ToolError
from headrace.events import Token, ToolEnd, ToolProgress, ToolStart

PRICES = {"pump": 240.0, "wheel": 1900.0}


@tool(read_only=True)
def price(article: str) -> float:
    """Tell the price of an article in euros. A plain function runs in a thread."""
    if article not in PRICES:
        raise ToolError(f"There is no {article}. There are: {', '.join(PRICES)}.")
    return PRICES[article]


@tool(timeout=5)
async def order(context: RunContext, article: str, count: int = 1) -> AsyncGenerator[str]:
    """Order an article. What a generator yields is progress; the last value is the result."""
    yield f"asking the store for {count} of {article}"
    await asyncio.sleep(0)
    yield f"ordered {count} of {article} for {context.context.get('customer', 'nobody')}"


async def main() -> None:
    question = " ".join(sys.argv[1:]) or 'Tell the price of a "wheel" and order one.'
    agent = Agent(name="shop", tools=[price, order])
    async with agent.start(question, context={"customer": "K-17"}) as run:
        async for event in run.events():
            match event:
                case Token():
                    print(event.content, end="", flush=True)
                case ToolStart():
                    print(f"\n… {event.name} {event.input}")
                case ToolProgress():
                    print(f"  {event.content}")
                case ToolEnd():
                    print(f"{'✗' if event.error else '✓'} {event.name} → {event.output}")
        response = await run.result()
    print(f"\n[{response.finish_reason}, {response.usage.total} tokens]")


if __name__ == "__main__":
    asyncio.run(main())
