"""A network: an editor asks two researchers at the same time, then a writer takes over.

With a key (or a model that is named in LLM_PROVIDER) a real model answers; without one, scripts.
"""

from __future__ import annotations

import asyncio
import re
import sys

from headrace import Agent, Network, resolve_model
from headrace.events import AgentEnd, AgentStart, Token
from headrace.models.model import Model
from headrace.testing import ScriptedModel, Step

QUESTION = "Why do mills have a headrace?"
HISTORY = "Mills have had headraces since Roman times: at Barbegal one aqueduct fed sixteen wheels."
PHYSICS = "A level channel keeps the water high, so that all of its fall is spent on the wheel."


def said(text: str) -> Step:
    """A text in the pieces in which a model would write it."""
    return Step(text=re.findall(r"\S+\s*", text), delay=0.005)


SCRIPTS = {
    "editor": [
        Step(
            tool_calls=[
                ("historian", {"task": "Since when do mills have headraces?"}),
                ("physicist", {"task": "What does a headrace do for a wheel?"}),
            ]
        ),
        Step(tool_calls=[("transfer_to_writer", {"task": "Two sentences for a plaque."})]),
    ],
    "historian": [said(HISTORY)],
    "physicist": [said(PHYSICS)],
    "writer": [said("Since the Romans, millers have led the water level to the wheel.")],
}


def model(name: str) -> Model:
    """The model that the environment offers; the embedded one plays the agent's script."""
    found = resolve_model()
    return ScriptedModel(SCRIPTS[name]) if found.provider == "demo" else found


def newsroom() -> Network:
    """An editor who asks two, and hands over to a third."""

    def agent(name: str, description: str) -> Agent:
        return Agent(name, model(name), "Be brief.", description=description)

    return Network(
        "editor",
        model("editor"),
        "Ask your researchers, all at once. Then hand over to the writer.",
        agents=[agent("historian", "Knows history."), agent("physicist", "Knows how things work.")],
        handoffs=[agent("writer", "Writes the final text.")],
    )


async def main() -> None:
    async with newsroom().start(" ".join(sys.argv[1:]) or QUESTION) as run:
        async for event in run.events():
            match event:
                case AgentStart():
                    print(f"→ {event.name}: {event.task}")
                case AgentEnd() if event.agent:
                    print(f"{'✗' if event.error else '←'} {event.name}: {event.output}")
                case Token(agent=""):  # the run's own answer, whoever speaks
                    print(event.content, end="", flush=True)
        response = await run.result()
    print(f"\n[{response.finish_reason}, {response.usage.total} tokens]")


if __name__ == "__main__":
    asyncio.run(main())
