"""How hard a model shall think: `reasoning_effort` in the words of the Messages API. Pure."""

from __future__ import annotations

import re
from typing import Any

from headrace.errors import UsageError

# Tokens to think with at most, for models that are given a budget; at least 1,024
# (API reference, "Building with extended thinking").
_BUDGETS = {"low": 2048, "medium": 8192, "high": 16384, "xhigh": 24000, "max": 24000}
_LEAST = 1024

# Models from before adaptive thinking (docs, "Effort", list of supported models).
_OLDER = re.compile(r"claude-(?:3-|(?:opus|sonnet|haiku)-4(?:-[015])?(?:$|[-@]20\d{6}))")


def is_older(model: str) -> bool:
    """Whether a Claude model is from before adaptive thinking (4.5 and before).

    These alone go on with an answer that the request ends in; newer ones refuse it with 400
    (docs, "Errors", prefill).
    """
    return _OLDER.search(model) is not None


def reasoning_fields(effort: str, model: str, max_tokens: int) -> dict[str, Any]:
    """The request's fields for an effort.

    Newer Claude models decide themselves how long to think and take the effort as a word
    (``thinking: adaptive`` with ``output_config.effort``); older ones, and other servers' models,
    are given a budget of tokens, never more than three quarters of `max_tokens`.

    Args:
        effort: ``none``, ``low``, ``medium``, ``high``, ``xhigh`` or ``max``.
        model: The model's name.
        max_tokens: The bound of all generated tokens, thinking included.

    Raises:
        UsageError: for another word, or a bound that leaves no room to think.
    """
    if effort == "none":
        return {"thinking": {"type": "disabled"}}
    if effort not in _BUDGETS:
        raise UsageError(
            f"Anthropic knows no reasoning_effort {effort!r}.",
            hint=f"Use none, {', '.join(_BUDGETS)}.",
        )
    if "claude" in model and not is_older(model):
        # Without `display` the newest models think in silence.
        thinking = {"type": "adaptive", "display": "summarized"}
        return {"thinking": thinking, "output_config": {"effort": effort}}
    budget = min(_BUDGETS[effort], max_tokens * 3 // 4)
    if budget < _LEAST:
        raise UsageError(
            f"max_tokens={max_tokens} leaves no room to think.",
            hint=f"Raise it to {_LEAST * 4 // 3 + 1} or more, or leave reasoning_effort out.",
        )
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}
