"""A model whose answers pass an agent's guards."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

from headrace.agents.guards import JudgeGuard, Withdraw
from headrace.agents.guards.before import Before
from headrace.agents.guards.reader import GuardReader, sentence
from headrace.agents.guards.watch import StreamGuard
from headrace.messages import Message
from headrace.models.deltas import Delta, Failure, Finish, TextDelta, UsageDelta
from headrace.models.model import BaseModel, Model
from headrace.models.react.reader import UNREADABLE
from headrace.models.request import ModelRequest
from headrace.models.retry import NO_RETRY
from headrace.models.stream import truncated
from headrace.models.wrapped import WrappedModel
from headrace.usage import Usage

MAX_AGAIN = 2
"""Times that a step is asked again after a guard has withdrawn its answer."""


class GuardedModel(WrappedModel):
    """Asks another model, and lets through what the guards let through.

    Args:
        model: The other one, as the agent reads it.
        guards: In their order.
        json_text: Whether the answer's text is JSON.
        before: What the agent has said in the run so far.
    """

    def __init__(
        self,
        model: Model,
        guards: Sequence[StreamGuard | JudgeGuard],
        *,
        json_text: bool = False,
        before: Before | None = None,
    ) -> None:
        super().__init__(model)
        self.guards = tuple(guards)
        self._json_text = json_text
        self._before = Before() if before is None else before
        self._hints: tuple[Message, ...] = ()

    def rewrite(self, request: ModelRequest) -> ModelRequest:
        """The request, with what guards have said of the answers before."""
        messages = (*request.messages, *self._hints)
        return ModelRequest(messages, request.tools, request.options)

    def reader(self, request: ModelRequest) -> GuardReader:
        """A fresh reader."""
        return GuardReader(
            self.guards,
            json_text=self._json_text,
            again=self._again,
            before=self._before,
            tools=frozenset([UNREADABLE, *(tool.name for tool in request.tools)]),
        )

    def _again(self, verdict: Withdraw) -> Model | None:
        """Whom to ask after an answer was withdrawn; None where that was often enough."""
        if verdict.instead:
            return _Saying(self.provider, self.name, verdict.instead)
        if len(self._hints) >= MAX_AGAIN:
            return None
        other = copy(self)
        why = f"{sentence(verdict.reason)} {verdict.hint}".rstrip()
        told = f"Your last answer was withdrawn: {why}"
        other._hints = (*self._hints, Message.user(told))
        return other


class _Saying(BaseModel):
    """Gives one answer that is fixed."""

    def __init__(self, provider: str, name: str, text: str) -> None:
        super().__init__(provider, "", retry=NO_RETRY)
        self._name = name
        self._text = text

    @property
    def name(self) -> str:
        """The model's in whose place it speaks."""
        return self._name

    async def open(self, request: ModelRequest) -> _Fixed:
        """Say it."""
        return _Fixed([TextDelta(self._text), UsageDelta(Usage()), Finish("content_filter")])


class _Fixed:
    def __init__(self, deltas: list[Delta]) -> None:
        self._deltas = deltas

    async def read(self) -> list[Delta]:
        deltas, self._deltas = self._deltas, []
        return deltas or [Failure(truncated("guard"))]

    async def close(self) -> None:
        return
