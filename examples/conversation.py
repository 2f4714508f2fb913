"""A conversation that is remembered: the newest messages as they are, older ones in a summary.

python examples/conversation.py
"""

import asyncio

from headrace import ConversationalAgent, ModelRequest, resolve_model
from headrace.agents.memory import summary
from headrace.events import Complete, Thought, Token, Warn
from headrace.models.model import Model
from headrace.testing import ScriptedModel, Step

TURNS = (
    "Hello, my name is Ada.",
    "I want to see the mill. When is it open?",
    "And what does it cost?",
    "Do you still know my name?",
)


def model() -> Model:
    """The model that the environment offers; for the embedded one, a script that reads memories."""
    found = resolve_model()
    return ScriptedModel([answer] * 20) if found.provider == "demo" else found


def answer(request: ModelRequest) -> Step:
    """What the script says: it knows nothing but what it is shown."""
    *before, last = request.messages
    shown = " ".join(message.text for message in before)
    if "memory of a conversation" in shown:
        return say("Ada wants to see the mill, which is open from ten to five.")
    if "my name?" in last.text:
        return say("Your name is Ada." if "Ada" in shown else "No, I have forgotten it.")
    if "cost" in last.text:
        return say("Nothing at all." if "mill" in shown + last.text else "What does?")
    return say("It is open from ten to five." if "mill" in last.text else "Hello Ada!")


def say(text: str) -> Step:
    """It comes word by word."""
    return Step([f"{word} " for word in text.split()], delay=0.02)


async def main() -> None:
    agent = ConversationalAgent(
        "guide",
        model(),
        "You are the guide of an old mill. Answer in one sentence.",
        memory=summary(keep=2, every=2, show=True),
    )
    talk = agent.conversation("ada")
    for question in TURNS:
        print(f"\n> {question}")
        said: type | None = None
        async with talk.start(question) as run:
            async for event in run.events():
                match event:
                    case Thought() | Token():
                        if type(event) is not said:
                            print("💭 " if isinstance(event, Thought) else "💡 ", end="")
                        print(event.content, end="", flush=True)
                    case Warn():
                        print(f"⚠ {event.message}")
                    case Complete():
                        print(f"\n[{event.usage.total} tokens]")
                said = type(event)
    print(f"\n{len(talk.messages)} messages are kept.")


if __name__ == "__main__":
    asyncio.run(main())
