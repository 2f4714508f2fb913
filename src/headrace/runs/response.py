"""`Response`: a finished run in one value."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from headrace.events import FinishReason
from headrace.messages import Message
from headrace.usage import Metrics, Usage


class Response(Struct, frozen=True):
    """What a run gave.

    Attributes:
        content: The answer's text: every `token` that still stands, joined.
        output: The structured output, or `content` without one.
        finish_reason: Why it ended: ``stop``, ``length``, ``content_filter``, ``max_steps``.
        usage: The sum over all model calls.
        metrics: How it felt.
        messages: The conversation, input first: give it as `history` to go on.
        run_id: The run.
        model: The model's name: of a fallback's models the one that answered last.
    """

    content: str
    output: Any
    finish_reason: FinishReason
    usage: Usage
    metrics: Metrics
    messages: tuple[Message, ...]
    run_id: str = ""
    model: str = ""

    def __str__(self) -> str:
        return self.content
