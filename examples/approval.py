"""A person in the loop: a payment over 100 waits until someone approves it, or changes it.

In a terminal you are asked: y, n, or another amount. Elsewhere the example says 80 for you.
"""

from __future__ import annotations

import asyncio
import sys

from headrace import Agent, resolve_model, tool
from headrace.events import Approval, ApprovalNeeded, Token, ToolEnd
from headrace.models.model import Model
from headrace.testing import ScriptedModel, Step


@tool(approval=lambda amount: amount > 100)
def pay(to: str, amount: int) -> str:
    """Pay an amount in euros.

    Args:
        to: Who gets it.
        amount: Whole euros.
    """
    return f"paid {amount} to {to}"


SCRIPT = [
    Step(
        tool_calls=[("pay", {"to": "baker", "amount": 20}), ("pay", {"to": "smith", "amount": 300})]
    ),
    Step("Both are dealt with."),
]


def model() -> Model:
    """The model that the environment offers; the embedded one plays a script."""
    found = resolve_model()
    return ScriptedModel(SCRIPT) if found.provider == "demo" else found


async def ask(event: ApprovalNeeded) -> str:
    """What the person says."""
    question = f"? {event.name} {event.input} (y, n, or an amount) "
    if sys.stdin.isatty():
        return (await asyncio.to_thread(input, question)).strip()
    print(f"{question}80")
    return "80"


async def main() -> None:
    """Show the run, and decide."""
    agent = Agent("cashier", model(), "Pay what you are asked to pay.", tools=[pay])
    asked = " ".join(sys.argv[1:]) or "Pay 20 to the baker and 300 to the smith."
    async with agent.start(asked) as run:
        async for event in run.events():
            match event:
                case ApprovalNeeded():
                    said = await ask(event)
                    edited = {**event.input, "amount": int(said)} if said.isdigit() else None
                    yes = said == "y" or edited is not None
                    run.decide(event.call_id, yes, by="you", input=edited)
                case Approval():
                    print("✓ approved" if event.approved else "✗ denied", event.input or "")
                case ToolEnd():
                    print("→", event.error or event.output)
                case Token():
                    print(event.content, end="", flush=True)
    print(f"\n[{run.check().finish_reason}]")


if __name__ == "__main__":
    asyncio.run(main())
