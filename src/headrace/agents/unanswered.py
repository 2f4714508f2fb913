"""Calls that nobody answered, in a conversation that goes back to a model: pure.

A turn that was cut at its token limit, filtered or stopped may hold calls that never ran (law 4).
They are part of what was said, and a provider refuses a call without a result.
"""

from __future__ import annotations

from collections.abc import Sequence

from headrace.messages import Message, ToolResult

NOT_RUN = "The call was not run: the turn that asked for it was cut."
"""What the model is told of such a call."""


def answered(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The conversation with a result for every call."""
    found: list[Message] = []
    for place, message in enumerate(messages):
        found.append(message)
        if message.tool_calls and (missing := _missing(message, messages[place + 1 :])):
            found.append(Message.tool(*missing))
    return tuple(found)


def _missing(message: Message, following: Sequence[Message]) -> list[ToolResult]:
    results = set()
    for each in following:
        if each.role != "tool":
            break
        results |= {part.call_id for part in each.content if isinstance(part, ToolResult)}
    return [
        ToolResult(call.id, call.name, NOT_RUN, is_error=True)
        for call in message.tool_calls
        if call.id not in results
    ]
