"""How much a Gemini model shall think, and whether it shows it.

Source: ai.google.dev, "Gemini thinking". From Gemini 3 on a level is told, before it a budget of
tokens; the budgets are those that Google's OpenAI-compatible endpoint takes for the same words.
"""

from __future__ import annotations

import re
from typing import Any

from headrace.errors import UsageError

_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
_LEVELS = ("minimal", "low", "medium", "high", "xhigh")

_NO_THOUGHTS = re.compile(r"gemini-(?:1\.|2\.0|.*-(?:image|tts|live)\b)|(?!gemini-)")


def is_gemini_3(model: str) -> bool:
    """Whether it is Gemini 3 or later; an alias such as ``gemini-flash-latest`` is."""
    return re.match(r"gemini-(?![12]\.)", _bare(model)) is not None


def thinking_config(model: str, effort: str | None) -> dict[str, Any] | None:
    """`thinkingConfig` for a model and an effort; None where the model shows no thoughts.

    Raises:
        UsageError: for an effort that the model does not have.
    """
    if effort is None:
        return None if _NO_THOUGHTS.match(_bare(model)) else {"includeThoughts": True}
    word = effort.strip().lower()
    if is_gemini_3(model):
        if word not in _LEVELS:
            raise _unknown(effort, model, _LEVELS)
        return {"includeThoughts": True, "thinkingLevel": word}
    if word not in _BUDGETS:
        raise _unknown(effort, model, tuple(_BUDGETS))
    return {"includeThoughts": word != "none", "thinkingBudget": _BUDGETS[word]}


def _bare(model: str) -> str:
    return model.rpartition("/")[2]


def _unknown(effort: str, model: str, known: tuple[str, ...]) -> UsageError:
    return UsageError(
        f"{model} has no reasoning_effort {effort!r}.", hint=f"It has: {', '.join(known)}."
    )
