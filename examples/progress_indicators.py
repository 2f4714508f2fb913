"""A spinner while an agent thinks, a bar while its tool works, then the answer's text."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from itertools import cycle

from headrace import Agent, resolve_model, tool
from headrace.events import Complete, StepStart, Thought, Token, ToolEnd, ToolProgress, ToolStart
from headrace.models.model import Model
from headrace.testing import ScriptedModel, Step

WIDTH = 20
SCRIPT = (
    Step(reasoning=["I have ", "to look ", "first."], tool_calls=[("survey", {"pages": 5})]),
    Step(["All five pages ", "are about ", "water."], delay=0.02),
)


@tool
async def survey(pages: int) -> AsyncGenerator[str]:
    """Look through so many pages of the handbook."""
    for page in range(1, pages + 1):
        await asyncio.sleep(0.01)
        yield f"{page}/{pages}"
    yield "Each page is about water."


def model() -> Model:
    """The model that the environment offers; the embedded one plays a script."""
    found = resolve_model()
    return ScriptedModel(SCRIPT) if found.provider == "demo" else found


def bar(progress: str) -> str:
    """Progress as ``3/5``, drawn; other progress as it is."""
    done, _, total = progress.partition("/")
    if not (done.isdigit() and total.isdigit() and int(total)):
        return progress
    full = WIDTH * int(done) // int(total)
    return f"[{'#' * full}{'-' * (WIDTH - full)}] {100 * int(done) // int(total)} %"


def show(line: str, end: str = "") -> None:
    """Draw over the line that stands there; it never goes into a pipe with the answer."""
    print(f"\r\x1b[K{line}", end=end, file=sys.stderr, flush=True)


async def main() -> None:
    question = " ".join(sys.argv[1:]) or "What are the five pages of the handbook about?"
    agent = Agent("surveyor", model(), tools=[survey])
    spinner = cycle("|/-\\")
    async with agent.start(question) as run:
        async for event in run.events():
            match event:
                case StepStart() | Thought():
                    show(f"{next(spinner)} thinking")
                case ToolStart():
                    show(f"{next(spinner)} {event.name}")
                case ToolProgress():
                    show(f"{next(spinner)} {bar(event.content)}")
                case ToolEnd():
                    mark = "✗" if event.error else "✓"
                    show(f"{mark} {event.name} ({event.duration_ms:.0f} ms)", end="\n")
                case Token():
                    if event.index == 0:
                        show("")
                    print(event.content, end="", flush=True)
                case Complete():
                    print()
                    show(f"✓ done in {event.metrics.duration_ms:.0f} ms", end="\n")


if __name__ == "__main__":
    asyncio.run(main())
