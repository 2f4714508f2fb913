"""What a view says of the run in `script.py`, in one shape for all views."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from headrace import Response, StreamChunk, fold
from headrace.events import Answer, Event
from headrace.messages import ToolCall, ToolResult
from headrace.models.assembler import Turn
from headrace.usage import Usage
from tests.laws.script import CALLS, TEXT, THOUGHT, USAGE

ORDER = [call.id for call in CALLS]


@dataclass(frozen=True)
class Seen:
    """What a view says of the run; None where it has no such thing."""

    text: str
    finish_reason: str | None = None
    usage: Usage | None = None
    tools: list[str] | None = None
    failed: list[str] | None = None
    reasoning: str | None = None

    def says(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


WHOLE = Seen(TEXT, "stop", USAGE, ORDER, ["c"], THOUGHT)


def expected(seen: Seen) -> dict[str, Any]:
    whole = WHOLE.says()
    return {name: whole[name] for name in seen.says()}


def of_response(response: Response) -> Seen:
    assert response.output == response.content == str(response)
    asked = [call.id for message in response.messages for call in message.tool_calls]
    parts = [part for message in response.messages for part in message.content]
    results = [part for part in parts if isinstance(part, ToolResult)]
    assert [result.call_id for result in results] == asked
    failed = [result.call_id for result in results if result.is_error]
    return Seen(response.content, response.finish_reason, response.usage, asked, failed)


def of_events(events: Iterable[Event]) -> Seen:
    events = list(events)
    state = fold(events)
    assert [e.content for e in events if isinstance(e, Answer)] == [state.text]
    tools = [tool.call_id for tool in state.tools]
    failed = [tool.call_id for tool in state.tools if tool.error is not None]
    return Seen(state.text, state.finish_reason, state.usage, tools, failed, state.reasoning)


def of_chunks(chunks: Iterable[StreamChunk]) -> Seen:
    chunks = list(chunks)
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert [chunk.is_final for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    final = chunks[-1].metadata or {}
    asked: list[ToolCall] = [
        call for chunk in chunks for call in (chunk.metadata or {}).get("tool_calls", ())
    ]
    assert final["tokens"] == final["usage"].total
    said = "".join(chunk.content for chunk in chunks)
    return Seen(said, chunks[-1].finish_reason, final["usage"], [call.id for call in asked])


def of_turn(turn: Turn) -> Seen:
    asked = [call.id for call in turn.tool_calls]
    return Seen(turn.text, turn.finish_reason, turn.usage, asked, None, turn.reasoning)


def of_chat(chunks: list[StreamChunk]) -> Seen:
    """A model's own chunks: they have no room for calls."""
    seen = of_chunks(chunks)
    return Seen(seen.text, seen.finish_reason, seen.usage)
