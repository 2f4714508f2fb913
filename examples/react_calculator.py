"""A model without tool calling works out 123 * 456: its thoughts, actions and answer as they come.

With a key (or a model that is named in LLM_PROVIDER) a real model answers; without one, a script.
"""

from __future__ import annotations

import asyncio
import operator
import sys
from collections.abc import AsyncGenerator

from headrace import ReActAgent, resolve_model, tool
from headrace.events import Complete, Thought, Token, ToolEnd, ToolProgress, ToolStart
from headrace.models.model import Model
from headrace.testing import ScriptedModel, Step

OPERATORS = {"*": operator.mul, "+": operator.add, "-": operator.sub}
SCRIPT = (
    "Thought: I have to multiply, and my calculator does that.\nAction: calculator\n"
    'Action Input: {"left": 123, "sign": "*", "right": 456}\n',
    "Thought: The calculator told me.\nFinal Answer: 123 * 456 is 56088.",
)


@tool
async def calculator(left: int, sign: str, right: int) -> AsyncGenerator[str]:
    """Work out a sum of two whole numbers.

    Args:
        left: The first number.
        sign: One of *, + and -.
        right: The second number.
    """
    yield f"working out {left} {sign} {right}"
    yield str(OPERATORS[sign](left, right))


def model() -> Model:
    """The model that the environment offers; the embedded one plays a script."""
    found = resolve_model()
    if found.provider != "demo":
        return found
    return ScriptedModel(
        Step([text[i : i + 5] for i in range(0, len(text), 5)], delay=0.01) for text in SCRIPT
    )


async def main() -> None:
    question = " ".join(sys.argv[1:]) or "What is 123 * 456?"
    agent = ReActAgent("mathematician", model(), tools=[calculator], max_steps=6)
    said: type | None = None
    async with agent.start(question) as run:
        async for event in run.events():
            match event:
                case Thought() | Token():
                    if type(event) is not said:
                        print("\n🤔 " if isinstance(event, Thought) else "\n💡 ", end="")
                    print(event.content, end="", flush=True)
                case ToolStart():
                    print(f"\n🔧 {event.name} {event.input}")
                case ToolProgress():
                    print(f"   … {event.content}")
                case ToolEnd():
                    print(f"{'✗' if event.error else '✓'} {event.output}", end="")
                case Complete():
                    print(f"\n[{event.finish_reason}, {event.usage.total} tokens]")
            said = type(event)


if __name__ == "__main__":
    asyncio.run(main())
