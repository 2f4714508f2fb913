"""The fields that chunks and whole answers have in common.

Source: OpenAI API reference, "The chat completion object" and "The chat completion chunk object".

What Headrace tells beyond that wire stands in one more field, ``headrace``, of the delta or the
message: the run's finish reason word for word, and the results of its tools. The SDKs keep fields
that they do not know, and fold this one as they fold the rest.
"""

from __future__ import annotations

from typing import Any

import msgspec

from headrace.events import FinishReason
from headrace.usage import Usage

_CUT = "length"


def finish_reason(reason: FinishReason) -> str:
    """The wire's word for a run's finish reason.

    ``max_steps`` is ``length``: of the wire's words it alone says that the answer was cut short.
    """
    return reason if reason in ("stop", "length", "tool_calls", "content_filter") else _CUT


def usage_fields(usage: Usage) -> dict[str, Any]:
    """The ``usage`` object; counts that were estimated are marked in it as not exact."""
    fields: dict[str, Any] = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }
    return fields if usage.exact else fields | {"headrace": {"exact": False}}


def call_fields(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    """A tool call."""
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def result_fields(index: int, call_id: str, output: str, error: str | None) -> dict[str, Any]:
    """What a tool gave back, for ``headrace.tool_results``.

    The SDK for Python folds a list only where its entries have an ``index``, and wants these in
    the order of their arrival (openai-python, ``lib/streaming/_deltas.py``).
    """
    failed = error is not None
    content = output if error is None else error
    return {"index": index, "tool_call_id": call_id, "content": content, "is_error": failed}


def arguments_text(input: Any) -> str:
    """A call's arguments as text, from the `input` of its `tool_start`."""
    return input if isinstance(input, str) else msgspec.json.encode(input).decode()
