"""What the end of a run says of it: in our words, and in AG-UI's."""

from __future__ import annotations

from typing import Any

from headrace.events import Cancelled, Complete, Error
from headrace.usage import Usage


def our_words(
    finish_reason: str, usage: Usage | None, event: Complete | Error | Cancelled
) -> dict[str, Any]:
    """What every terminal event tells, in our own words."""
    return {"finish_reason": finish_reason, "usage": usage, "metrics": event.metrics}


def token_usage(usage: Usage) -> list[dict[str, int]]:
    """As AG-UI's `TokenUsage`: totals, and the parts of them that were told.

    One entry without a model's name, for the sum may be of several models.
    """
    counts = {
        "inputTokens": usage.input,
        "outputTokens": usage.output,
        "totalTokens": usage.total,
    }
    parts = {"cachedInputTokens": usage.cached, "reasoningTokens": usage.reasoning}
    return [counts | {name: count for name, count in parts.items() if count}]
