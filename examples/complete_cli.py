"""A whole command-line agent: a dispatcher, lines for tools, and the time at the end."""

from __future__ import annotations

import asyncio
import sys

from headrace import Agent, EventDispatcher, Response, tool
from headrace.events import Error, Event, Token, ToolEnd, ToolStart


@tool(read_only=True)
async def search(query: str) -> str:
    """Search for information."""
    await asyncio.sleep(0.05)
    return f"Found three pages about {query}."


def show(event: Event, running: set[str]) -> None:
    """Print one event. A set of calls, not a flag: several tools may run at once."""
    match event:
        case Token():
            print(event.content, end="", flush=True)
        case ToolStart():
            running.add(event.call_id)
            print(f"\n\n… Executing: {event.name} ({len(running)} running)")
        case ToolEnd():
            running.discard(event.call_id)
            mark = "✗ Failed" if event.error else "✓ Complete"
            print(f"{mark}: {event.name} ({event.duration_ms:.0f} ms)\n")
        case Error():
            print(f"\n{event.message}", file=sys.stderr)


async def main() -> None:
    question = " ".join(sys.argv[1:]) or "Search for Rust programming and tell me about it"
    dispatcher = EventDispatcher()
    agent = Agent(instructions="Be helpful.", tools=[search], dispatcher=dispatcher)
    receiver = dispatcher.subscribe()

    async def answer() -> Response:
        try:
            return await agent.run(question)
        finally:
            await dispatcher.drain()  # everything is told …
            dispatcher.close()  # … and the listener's loop ends, whatever happened

    answering = asyncio.create_task(answer())
    print("Agent:")
    running: set[str] = set()
    async for event in receiver:
        show(event, running)
    response = await answering
    print(f"\n\n---\nCompleted in {response.metrics.duration_ms:.0f} ms")


if __name__ == "__main__":
    asyncio.run(main())
