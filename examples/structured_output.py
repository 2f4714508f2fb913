"""An answer of a type: shown while it is written, checked, and given as an object."""

from __future__ import annotations

import asyncio
import sys

from pydantic import BaseModel, Field

from headrace import Agent
from headrace.events import Partial, Retract


class Trip(BaseModel):
    """A journey that someone wants to make."""

    city: str = Field(description="Where to.")
    days: int = Field(description="How long.", ge=1)
    wishes: list[str] = Field(description="What to do there.")


async def main() -> None:
    asked = " ".join(sys.argv[1:]) or 'I want 3 days in "Rome", for "long walks" and good food.'
    agent = Agent(name="planner", output_type=Trip, instructions="Take down the wish.")
    async with agent.start(asked) as run:
        async for event in run.events():
            match event:
                case Partial():  # what has come of the answer so far; never of a wrong type
                    print(f"… {event.value}")
                case Retract():  # the answer did not fit the type: the model is asked again
                    print(f"✗ {event.reason}")
        trip: Trip = (await run.result()).output
    print(f"✓ {trip.days} days in {trip.city}: {', '.join(trip.wishes)}")


if __name__ == "__main__":
    asyncio.run(main())
