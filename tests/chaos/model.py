"""A model that decides from the conversation alone, so that whoever takes a run up goes on rightly.

An answer has three steps: text and two calls, text and one call, text. Nothing is remembered
between calls of the model, as with a real provider.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import takewhile
from random import Random

from headrace.agents.agent import Agent
from headrace.messages import Message, ToolResult
from headrace.models.deltas import (
    Delta,
    Failure,
    Finish,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    UsageDelta,
)
from headrace.models.model import BaseModel
from headrace.models.request import ModelRequest
from headrace.models.stream import truncated
from headrace.tools.tool import AnyTool, tool
from headrace.usage import Usage
from tests.chaos.effects import Effects

STEPS = 3
OUTCOME_UNKNOWN = "outcome unknown"
FAT = "-" * 8000
"""A piece of a long answer: enough of them that a viewer who comes late gets pieces joined."""


class ChaosModel(BaseModel):
    """Answers ``key`` or ``key words`` (``fat`` in the words makes it long).

    Args:
        pace: Seconds that a piece takes, on average.
        pieces: Pieces of text in a step.
    """

    def __init__(self, *, pace: float = 0.0, pieces: int = 10) -> None:
        super().__init__("chaos", "chaos")
        self._pace = pace
        self._pieces = pieces

    async def open(self, request: ModelRequest) -> _Attempt:
        asked, said = _since_the_question(request.messages)
        step = 1 + sum(message.role == "assistant" for message in said)
        return _Attempt(_step(asked, step, said, self._pieces), self._pace, Random())  # noqa: S311


def text_of(asked: str, pieces: int = 10) -> str:
    """What the run must answer, all steps."""
    return "".join("".join(_words(asked, step, pieces)) for step in range(1, STEPS + 1))


def call_ids(asked: str) -> tuple[str, ...]:
    """The calls of the run, in their order."""
    key = asked.split()[0]
    return (f"{key}-note-1", f"{key}-charge-1", f"{key}-note-2")


def agent_of(effects: Effects, model: ChaosModel, name: str = "chaos") -> Agent:
    """The agent, whose tools leave their traces in `effects`."""
    return Agent(name, model, tools=tools_of(effects))


def tools_of(effects: Effects) -> list[AnyTool]:
    """`note` may run twice, `charge` may not; both do their work at once and then take a while."""

    @tool(idempotent=True)
    async def note(call: str) -> str:
        """Write something down."""
        effects.add("note", call)
        await asyncio.sleep(effects.pace())
        return f"noted {call}"

    @tool
    async def charge(call: str) -> str:
        """Take money."""
        effects.add("charge", call)
        await asyncio.sleep(effects.pace())
        return f"charged {call}"

    return [note, charge]


def _since_the_question(messages: Sequence[Message]) -> tuple[str, list[Message]]:
    """What the person asked last, and what was said since."""
    said = list(takewhile(lambda message: message.role != "user", reversed(messages)))
    return messages[len(messages) - len(said) - 1].text, said[::-1]


def _words(asked: str, step: int, pieces: int) -> list[str]:
    key, *more = asked.split()
    tail = FAT if "fat" in more else ""
    return [f"{key}/{step}.{piece}{tail} " for piece in range(pieces)]


def _step(asked: str, step: int, said: list[Message], pieces: int) -> list[list[Delta]]:
    """Batches of one step, one or two deltas each."""
    wrong = _wrong_results(asked, step, said)
    words = [wrong] if wrong else _words(asked, step, pieces)
    batches: list[list[Delta]] = [[ReasoningDelta("hm ")], [ReasoningDelta(f"step {step}")]]
    batches += [[TextDelta(word)] for word in words[:-2]]
    batches.append([TextDelta(word) for word in words[-2:]])
    for index, call_id in enumerate(_calls_of(asked, step)):
        name, arguments = call_id.split("-")[-2], f'{{"call": "{call_id}"}}'
        batches += [
            [ToolCallDelta(index, call_id, name, part)] for part in (arguments[:6], arguments[6:])
        ]
    usage = UsageDelta(Usage(100 * step, pieces))
    return [*batches, [usage, Finish("tool_calls" if step < STEPS else "stop", "chaos")]]


def _calls_of(asked: str, step: int) -> tuple[str, ...]:
    ids = call_ids(asked)
    return {1: ids[:2], 2: ids[2:]}.get(step, ())


def _wrong_results(asked: str, step: int, said: list[Message]) -> str:
    """What is wrong with the results of the step before: then it is the answer's text."""
    if step == 1:
        return ""
    results = [part for part in said[-1].content if isinstance(part, ToolResult)]
    expected = _calls_of(asked, step - 1)
    if tuple(result.call_id for result in results) != expected:
        return f"WRONG: step {step} was given {said[-1]!r}"
    for result in results:
        unknown = result.is_error and result.output == OUTCOME_UNKNOWN
        if result.output != _output(result.call_id) and not (unknown and result.name == "charge"):
            return f"WRONG: {result!r}"
    return ""


def _output(call_id: str) -> str:
    done = "charged" if call_id.split("-")[-2] == "charge" else "noted"
    return f"{done} {call_id}"


class _Attempt:
    """One answer on its way, a piece after a while."""

    def __init__(self, batches: list[list[Delta]], pace: float, random: Random) -> None:
        self._batches = iter(batches)
        self._pace = pace
        self._random = random

    async def read(self) -> list[Delta]:
        # At no pace at all the loop still turns once a piece.
        await asyncio.sleep(self._pace and self._random.uniform(0, 2 * self._pace))
        return next(self._batches, [Failure(truncated("chaos"))])

    async def close(self) -> None:
        self._batches = iter(())
