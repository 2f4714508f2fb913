"""`Response`: a finished run in one value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from msgspec import Struct

from headrace.events import FinishReason
from headrace.messages import Message
from headrace.usage import Metrics, Usage

if TYPE_CHECKING:  # only type checkers know its default before Python 3.13
    from typing_extensions import TypeVar

    Out = TypeVar("Out", default=Any)
else:
    from typing import TypeVar

    Out = TypeVar("Out")


class Response(Struct, Generic[Out], frozen=True):
    """What a run gave.

    Attributes:
        content: The answer's text: every `token` that still stands, joined.
        output: The structured output, an instance of the agent's `output_type` where that is
            known, else its JSON value; `content` without one.
        finish_reason: Why it ended: ``stop``, ``length``, ``content_filter``, ``max_steps``.
        usage: The sum over all model calls.
        metrics: How it felt.
        messages: The conversation, input first: give it as `history` to go on.
        run_id: The run.
        model: The model's name: of a fallback's models the one that answered last.
    """

    content: str
    output: Out
    finish_reason: FinishReason
    usage: Usage
    metrics: Metrics
    messages: tuple[Message, ...]
    run_id: str = ""
    model: str = ""

    def __str__(self) -> str:
        return self.content
