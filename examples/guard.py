"""Guards: a secret never shown, an answer ended, an answer taken back; and a budget for it all.

With a key (or a model that is named in LLM_PROVIDER) a real model answers; without one, a script.
"""

from __future__ import annotations

import asyncio
import sys

from headrace import Agent, resolve_model
from headrace.agents.budgets import Budget
from headrace.agents.guards import Guard, Said, Withdraw, block, redact
from headrace.events import Complete, Error, Retract, StepEnd, Token, Warn
from headrace.models.model import Model
from headrace.testing import ScriptedModel, Step

QUESTION = "Which key does the pump house use, and who keeps it?"
SCRIPT = (
    Step(text=["Fool, look ", "it up."]),
    Step(text=["The key is wh", "eel-4", "711, kept by ", "ada@mill.", "example, I think."]),
)


def luhn(digits: str) -> bool:
    """Whether the digits are a card's number, by its check digit."""
    numbers = [int(digit) for digit in digits if digit.isdigit()][::-1]
    return sum(numbers[0::2] + [sum(divmod(2 * n, 10)) for n in numbers[1::2]]) % 10 == 0


def polite(said: Said) -> Withdraw | None:
    """Looks back at each answer when it is whole."""
    if "fool" in said.text.lower():
        return Withdraw("It was rude.", hint="Answer politely.")
    return None


GUARDS: list[Guard] = [
    redact(r"wheel-\d+"),
    redact(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", "[email]"),
    redact(r"\b(?:\d[ -]?){12,18}\d\b", "[card]", only=luhn),
    block(r"(?i)drop table", "Nobody drops tables here."),
    polite,
]


def model() -> Model:
    """The model that the environment offers; the embedded one plays a script."""
    found = resolve_model()
    return ScriptedModel(SCRIPT) if found.provider == "demo" else found


async def main() -> None:
    budget = Budget(tokens=20_000, seconds=120)
    agent = Agent(name="clerk", model=model(), guards=GUARDS, budget=budget)
    question = " ".join(sys.argv[1:]) or QUESTION
    async with agent.start(question) as run:
        async for event in run.events():
            match event:
                case Token():
                    print(event.content, end="", flush=True)
                case Warn():
                    print(f"\n({event.message})")
                case Retract():
                    print("(Forget that.)")
                case StepEnd():
                    print()
                case Complete():
                    print(f"[{event.finish_reason}, {event.usage.total} tokens]")
                case Error():
                    print(f"[{event.code}: {event.message}]")


if __name__ == "__main__":
    asyncio.run(main())
