"""A model for tests: it follows a script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.errors import ProviderError, UsageError
from headrace.events import FinishReason
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
from headrace.models.retry import NO_RETRY, RetryPolicy
from headrace.models.stream import truncated
from headrace.usage import Usage


class Gate:
    """A place in a script where the model waits for the test.

    The test awaits `reached.wait()`, looks at what it wants to see, and calls `open()`.
    """

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    def open(self) -> None:
        """Let the model go on."""
        self.opened.set()

    async def pass_through(self) -> None:
        """Tell that the gate is reached, and wait until it is open."""
        self.reached.set()
        await self.opened.wait()


Pieces = str | Sequence[str | Gate]
"""A text as one piece, or pieces with gates between them."""

Arguments = Mapping[str, Any] | str | Sequence[str]
"""A call's arguments: an object, JSON text (or what claims to be), or that text in pieces."""

Batches = Sequence[list[Delta] | Gate]
"""Raw batches of deltas, with gates between them."""


@dataclass(frozen=True)
class Step:
    """One answer of the model.

    Attributes:
        text: The answer's text.
        reasoning: Comes before the text.
        tool_calls: Name and arguments of each call; their ids are ``call_1``, ``call_2``… over
            the whole script.
        usage: What the provider tells, or None for nothing.
        finish_reason: ``stop`` by default, ``tool_calls`` with calls; None ends the transport
            without an end, as a cut connection does.
        error: Fails with this instead of finishing.
        delay: Seconds before each piece.
    """

    text: Pieces = ()
    reasoning: Pieces = ()
    tool_calls: Sequence[tuple[str, Arguments]] = ()
    usage: Usage | None = None
    finish_reason: FinishReason | None = "stop"
    error: ProviderError | None = None
    delay: float = 0.0


Answer = Step | Batches
"""What a step of a script may be, or what a function of the request may give."""


class ScriptedModel(BaseModel):
    """Answers by a script, a step for each request, and remembers the requests.

    As a context manager it checks at the end that the whole script was asked for.

    Args:
        steps: The answers, in order: a `Step`, batches of deltas, or a function of the request.
        retry: None by default, so that an error in the script is the run's error.
        options: As for `BaseModel`.

    Attributes:
        requests: What was asked, in order.
        open_streams: Answers begun and not closed again.
    """

    def __init__(
        self,
        steps: Iterable[Answer | Callable[[ModelRequest], Answer]] = (),
        *,
        retry: RetryPolicy = NO_RETRY,
        **options: Any,
    ) -> None:
        super().__init__("scripted", "scripted", retry=retry, **options)
        self.steps = list(steps)
        self.requests: list[ModelRequest] = []
        self.open_streams = 0
        self._calls = 0

    async def open(self, request: ModelRequest) -> _ScriptedAttempt:
        """Take the next step.

        Raises:
            UsageError: the script is over.
        """
        self.requests.append(request)
        number = len(self.requests)
        if number > len(self.steps):
            raise UsageError(
                f"The script has {len(self.steps)} steps, and this is request {number}.",
                hint="Add a step, or look why the model is asked again.",
            )
        step = self.steps[number - 1]
        answer = step(request) if callable(step) else step
        delay = answer.delay if isinstance(answer, Step) else 0.0
        batches = self._batches(answer) if isinstance(answer, Step) else list(answer)
        self.open_streams += 1
        return _ScriptedAttempt(self, batches, delay)

    def assert_consumed(self) -> None:
        """Check that each step was asked for, and nothing more.

        Raises:
            AssertionError: names the steps left over, or the requests too many.
        """
        asked, there = len(self.requests), len(self.steps)
        if asked < there:
            left = ", ".join(f"{i}: {self.steps[i - 1]!r}" for i in range(asked + 1, there + 1))
            raise AssertionError(f"{there - asked} of {there} steps were not asked for: {left}")
        if asked > there:
            raise AssertionError(f"{asked} requests were made, the script has {there} steps")

    def __enter__(self) -> ScriptedModel:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.assert_consumed()

    def _batches(self, step: Step) -> list[list[Delta] | Gate]:
        batches: list[list[Delta] | Gate] = []
        for kind, said in ((ReasoningDelta, step.reasoning), (TextDelta, step.text)):
            for piece in [said] if isinstance(said, str) else said:
                batches.append(piece if isinstance(piece, Gate) else [kind(piece)])
        for index, (name, arguments) in enumerate(step.tool_calls):
            self._calls += 1
            for piece in _argument_pieces(arguments):
                batches.append([ToolCallDelta(index, f"call_{self._calls}", name, piece)])
        return [*batches, _end(step)]


def _argument_pieces(arguments: Arguments) -> Sequence[str]:
    if isinstance(arguments, str):
        return [arguments]
    if isinstance(arguments, Mapping):
        return [json.dumps(arguments, ensure_ascii=False)]
    return arguments


def _end(step: Step) -> list[Delta]:
    end: list[Delta] = [] if step.usage is None else [UsageDelta(step.usage)]
    if step.error is not None:
        return [*end, Failure(step.error)]
    if step.finish_reason is None:
        return end
    calls_end = step.tool_calls and step.finish_reason == "stop"
    return [*end, Finish("tool_calls" if calls_end else step.finish_reason, "scripted")]


class _ScriptedAttempt:
    """One answer on its way."""

    def __init__(
        self, model: ScriptedModel, batches: Sequence[list[Delta] | Gate], delay: float
    ) -> None:
        self._model = model
        self._batches = iter(batches)
        self._delay = delay
        self._open = True

    async def read(self) -> list[Delta]:
        await asyncio.sleep(self._delay)
        for batch in self._batches:
            if not isinstance(batch, Gate):
                return batch
            await batch.pass_through()
        return [Failure(truncated("scripted"))]

    async def close(self) -> None:
        if self._open:
            self._open = False
            self._model.open_streams -= 1
