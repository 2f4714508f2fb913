"""A model that is shown what an agent remembers of its conversation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.agents.memory import Memory
from headrace.agents.memory.call import SummaryCall
from headrace.agents.memory.summaries import Missing, Summary, without_shown
from headrace.agents.memory.window import tokens_of, tokens_of_tools
from headrace.messages import Message
from headrace.models.deltas import (
    Delta,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    UsageDelta,
)
from headrace.models.estimate import CHARS_PER_TOKEN, estimate
from headrace.models.model import Model
from headrace.models.request import ModelRequest
from headrace.models.stream import Attempt
from headrace.models.wrapped import WrappedAttempt, WrappedModel
from headrace.usage import Usage

MOST_OFF = 4.0
"""How far an estimate of tokens is believed to be off, either way."""


@dataclass
class _Learned:
    """What one run has learned; the same for all models that it asks.

    Attributes:
        scale: Counted tokens over estimated ones.
        summarises: Whether summaries are made: one that has failed is not asked for again, as
            each try would hold the run up.
    """

    scale: float = 1.0
    summarises: bool = True


class MemoryModel(WrappedModel):
    """Asks another model with what a memory recalls; made anew for each run.

    Args:
        model: The other one.
        memory: What it is shown.
    """

    def __init__(self, model: Model, memory: Memory) -> None:
        super().__init__(model)
        self.memory = memory
        self._learned = _Learned()

    def rewrite(self, request: ModelRequest) -> ModelRequest:
        """The request with what is remembered."""
        recalled = tuple(self.memory.recall(self._said(request), self._learned.scale))
        return ModelRequest(recalled, request.tools, request.options)

    def reader(self, request: ModelRequest) -> UsageReader:
        """Reads what was used."""
        asked = self.rewrite(request)
        return UsageReader(self, asked, Usage(), told_less=asked.messages != request.messages)

    async def open(self, request: ModelRequest) -> Attempt:  # type: ignore[override]  # or two calls
        """Ask the other model; before that for a summary, where one is due."""
        memory = self.memory
        if isinstance(memory, Summary) and self._learned.summarises:
            missing = memory.missing(self._said(request))
            if missing is not None:
                return _SummaryFirst(self, memory, missing, request)
        return self.ask(request, None)

    def ask(self, request: ModelRequest, spent: Usage | None) -> WrappedAttempt:
        """Ask the other model.

        Args:
            request: What was asked of this one.
            spent: What the summary before took.
        """
        asked = self.rewrite(request)
        less = spent is not None or asked.messages != request.messages
        reader = UsageReader(self, asked, spent or Usage(), told_less=less)
        return WrappedAttempt(self, self.wrapped.stream(asked), reader)

    def counted(self, asked: ModelRequest, usage: Usage) -> None:
        """The provider has said how many tokens a request had."""
        guess = sum(map(tokens_of, asked.messages)) + tokens_of_tools(asked.tools)
        if usage.exact and usage.input and guess:
            self._learned.scale = min(MOST_OFF, max(1 / MOST_OFF, usage.input / guess))

    def _said(self, request: ModelRequest) -> tuple[Message, ...]:
        """The conversation, without summaries that were shown in it."""
        if isinstance(self.memory, Summary) and self.memory.show:
            return tuple(map(without_shown, request.messages))
        return request.messages

    def give_up(self) -> None:
        """A summary has failed: this run makes no more."""
        self._learned.summarises = False


class UsageReader:
    """Passes an answer on, and sees to it that its usage is that of what was really asked.

    Args:
        model: Learns how many tokens the request had.
        asked: What the other model was asked.
        spent: What a summary took in the same step.
        told_less: Whether the step's own estimate, of the whole conversation, would be wrong.
    """

    def __init__(
        self, model: MemoryModel, asked: ModelRequest, spent: Usage, *, told_less: bool
    ) -> None:
        self._model = model
        self._asked = asked
        self._spent = spent
        self._estimates = told_less
        self._input = estimate(asked, 0).input if told_less else 0
        self._said = 0
        self._reasoned = 0

    def feed(self, deltas: Sequence[Delta]) -> list[Delta]:
        """The same deltas, with the usage so far."""
        given: list[Delta] = []
        for delta in deltas:
            if isinstance(delta, UsageDelta):
                self._estimates = False
                self._model.counted(self._asked, delta.usage)
                delta = UsageDelta(self._spent + delta.usage)
            elif self._estimates:
                self._count(delta)
            given.append(delta)
        # In front: a call that comes last in a batch may begin early.
        return [UsageDelta(self._usage()), *given] if self._estimates and given else given

    def close(self) -> list[Delta]:
        """Nothing is held back."""
        return []

    def _count(self, delta: Delta) -> None:
        match delta:
            case TextDelta():
                self._said += len(delta.content)
            case ReasoningDelta():
                self._said += len(delta.content)
                self._reasoned += len(delta.content)
            case ToolCallDelta():
                self._said += len(delta.arguments)

    def _usage(self) -> Usage:
        said, reasoned = self._said // CHARS_PER_TOKEN, self._reasoned // CHARS_PER_TOKEN
        return self._spent + Usage(self._input, said, 0, reasoned, exact=False)


class _SummaryFirst:
    """A summary, then the answer."""

    def __init__(
        self, model: MemoryModel, memory: Summary, missing: Missing, request: ModelRequest
    ) -> None:
        self._model = model
        self._memory = memory
        self._missing = missing
        self._request = request
        self._call = SummaryCall(memory, missing, model.wrapped)
        self._answer: WrappedAttempt | None = None

    async def read(self) -> list[Delta]:
        """The next deltas of whichever it is."""
        if self._answer is not None:
            return await self._answer.read()
        deltas = await self._call.read()
        if self._call.over:
            if self._call.text:
                self._memory.learn(self._missing, self._call.text)
            else:
                self._model.give_up()
            self._answer = self._model.ask(self._request, self._call.usage)
        return deltas

    async def close(self) -> None:
        """Close what is open."""
        await self._call.close()
        if self._answer is not None:
            await self._answer.close()
