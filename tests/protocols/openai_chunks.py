"""A reader of chat completion streams that shares nothing with the encoder, for tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from headrace.events import Event, Retract, Token, ToolArgs, ToolStart
from headrace.protocols.openai_chat.encode import OpenAIChatEncoder


@dataclass
class Seen:
    """What a client folds a stream to."""

    text: str = ""
    reasoning: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    finish: str | None = None
    verbatim: str | None = None
    usage: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    done: bool = False
    chunks: list[dict[str, Any]] = field(default_factory=list)


def frames(data: bytes) -> list[str]:
    """The data of each frame, where every frame is one line of it and a blank one."""
    assert data.endswith(b"\n\n") or not data
    found = data.decode().split("\n\n")[:-1]
    assert all(frame.startswith("data: ") for frame in found)
    # Readers that split at every line end of Unicode see the same frames.
    assert [line for line in data.decode().splitlines() if line] == found
    return [frame.removeprefix("data: ") for frame in found]


def read(data: bytes) -> Seen:
    """Fold a whole stream; nothing may follow its end."""
    seen = Seen()
    for frame in frames(data):
        assert not seen.done
        assert seen.error is None
        if frame == "[DONE]":
            seen.done = True
            continue
        value = json.loads(frame)
        if "error" in value:
            seen.error = value["error"]
            continue
        seen.chunks.append(value)
        if not value["choices"]:
            seen.usage = value["usage"]
            continue
        [choice] = value["choices"]
        assert seen.finish is None
        _take(seen, choice["delta"])
        seen.finish = choice["finish_reason"]
    return seen


def _take(seen: Seen, delta: dict[str, Any]) -> None:
    seen.text += delta.get("content", "")
    seen.reasoning += delta.get("reasoning_content", "")
    for entry in delta.get("tool_calls", ()):
        if entry["index"] == len(seen.calls):
            assert entry["type"] == "function"
            seen.calls.append({"id": entry["id"], "arguments": "", **entry["function"]})
        else:
            seen.calls[entry["index"]]["arguments"] += entry["function"]["arguments"]
    extra = delta.get("headrace", {})
    for result in extra.get("tool_results", ()):
        assert result["index"] == len(seen.results)
        seen.results.append(result)
    seen.verbatim = extra.get("finish_reason", seen.verbatim)


def encoded(events: Sequence[Event], **options: Any) -> bytes:
    """The whole stream of these events, as one batch."""
    return OpenAIChatEncoder(**options).encode(events)


def taken_back(events: Sequence[Event]) -> bool:
    """Whether this log withdraws text or a call of the root agent."""
    return any(
        isinstance(event, Token | ToolArgs | ToolStart)
        and not event.agent
        and retract.since <= event.seq < retract.seq
        for retract in events
        if isinstance(retract, Retract) and not retract.agent
        for event in events
    )


@st.composite
def batches(draw: DrawFn, events: Sequence[Event]) -> list[list[Event]]:
    """The events, cut anywhere."""
    cuts = sorted(draw(st.lists(st.integers(0, len(events)), max_size=6)))
    return [
        list(events[start:end]) for start, end in zip([0, *cuts], [*cuts, len(events)], strict=True)
    ]
