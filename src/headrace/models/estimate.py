"""What a model call took, where nobody tells: an estimate, marked as one."""

from __future__ import annotations

from headrace.messages import Message
from headrace.models.request import ModelRequest
from headrace.usage import Usage

CHARS_PER_TOKEN = 4
"""For estimates only: about right for English text in the tokenizers of 2023 to 2026."""


def estimate(request: ModelRequest, said: int, reasoning: int = 0) -> Usage:
    """The usage of a call by its characters, `exact` false.

    Args:
        request: What was asked.
        said: Characters that came back: text, reasoning and calls.
        reasoning: Those of them that were reasoning.
    """
    asked = sum(_chars(message) for message in request.messages)
    return Usage(
        asked // CHARS_PER_TOKEN,
        said // CHARS_PER_TOKEN,
        0,
        reasoning // CHARS_PER_TOKEN,
        exact=False,
    )


def _chars(message: Message) -> int:
    return sum(
        len(getattr(part, "text", "")) + len(getattr(part, "output", ""))
        for part in message.content
    )
