"""AG-UI's wire as a strict reader sees it: what must be open, what is whole, what it folds to.

Written from the rules of `@ag-ui/client` 1.0 (its `verifyEvents` and `defaultApplyEvents`), for
thousands of generated logs; `test_ag_ui_client.py` asks that client itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from headrace.events import Cancelled, Complete, Error, Event, FinishReason, StepStart, ToolArgs
from headrace.protocols.ag_ui.encode import NOT_RUN
from headrace.runs.fold import fold
from headrace.usage import Metrics, Receipt, Usage
from tests.strategies import logs

Json = dict[str, Any]

USAGE = Usage(7, 5, 3, 2, exact=False)
METRICS = Metrics(12.5, 100.0, 3, 9)
REASONS: list[FinishReason] = ["stop", "length", "content_filter", "max_steps", "tool_calls"]


@st.composite
def whole(draw: DrawFn) -> list[Event]:
    """A log with any end, at any place: what it leaves open the encoder has to close."""
    events = draw(logs(ended=False))
    events = events[: draw(st.integers(1, len(events)) | st.just(len(events)))]
    seq, at = len(events) + 1, events[-1].at
    end: st.SearchStrategy[Event] = st.one_of(
        st.builds(
            Complete,
            st.just(seq),
            st.just(at),
            st.just(""),
            st.sampled_from(REASONS),
            st.just(USAGE),
            st.just(METRICS),
            st.none() | st.just({"a": 1}),
        ),
        st.just(Error(seq, at, "", "stream_truncated", "It broke.", True, METRICS)),
        st.just(Error(seq, at, "", "internal", "Ours.", False, METRICS, USAGE)),
        st.just(Cancelled(seq, at, "", "enough", USAGE, METRICS, Receipt())),
    )
    return [*events, draw(end)]


_OPENS = {
    "STEP_STARTED": ("step", "stepName"),
    "TEXT_MESSAGE_START": ("text", "messageId"),
    "REASONING_START": ("span", "messageId"),
    "REASONING_MESSAGE_START": ("reasoning", "messageId"),
    "TOOL_CALL_START": ("call", "toolCallId"),
    "SUBAGENT_STARTED": ("agent", "subagentRunId"),
}
_NEEDS = {
    "TEXT_MESSAGE_CONTENT": ("text", "messageId"),
    "REASONING_MESSAGE_CONTENT": ("reasoning", "messageId"),
    "TOOL_CALL_ARGS": ("call", "toolCallId"),
}
_CLOSES = {
    "STEP_FINISHED": ("step", "stepName"),
    "TEXT_MESSAGE_END": ("text", "messageId"),
    "REASONING_END": ("span", "messageId"),
    "REASONING_MESSAGE_END": ("reasoning", "messageId"),
    "TOOL_CALL_END": ("call", "toolCallId"),
    "SUBAGENT_FINISHED": ("agent", "subagentRunId"),
    "SUBAGENT_ERROR": ("agent", "subagentRunId"),
}
_ENDS = ("RUN_FINISHED", "RUN_ERROR")


@dataclass
class Read:
    """What a reader has."""

    open: set[tuple[str, str]] = field(default_factory=set)
    messages: list[Json] = field(default_factory=list)
    ends: list[Json] = field(default_factory=list)
    calls: set[str] = field(default_factory=set)


def frames(data: bytes) -> list[Json]:
    """The events of a stream: each a single line of JSON."""
    assert data.endswith(b"\n\n") or not data
    found = []
    for block in data.decode().split("\n\n")[:-1]:
        assert block.startswith("data: {")
        assert "\n" not in block
        assert "\r" not in block
        found.append(json.loads(block[6:]))
    return found


def read(data: bytes) -> Read:
    """Read a whole stream, and check that every event may stand where it does."""
    reader = Read()
    for number, event in enumerate(frames(data)):
        kind = event["type"]
        assert not reader.ends, f"{kind} after the end"
        assert (kind == "RUN_STARTED") == (number == 0) or kind == "RUN_ERROR"
        _pairs(reader.open, event)
        _apply(reader, event)
        if kind in _ENDS:
            assert not reader.open
            reader.ends.append(event)
    return reader


def _pairs(open: set[tuple[str, str]], event: Json) -> None:
    kind = event["type"]
    for table in (_OPENS, _NEEDS, _CLOSES):
        if kind in table:
            what, name = table[kind]
            key = (what, event[name])
            assert (key in open) == (table is not _OPENS), f"{kind} {key}"
            if table is _NEEDS:
                assert event["delta"]
            elif table is _OPENS:
                open.add(key)
            else:
                open.remove(key)


def _apply(reader: Read, event: Json) -> None:
    messages = reader.messages
    match event["type"]:
        case "TEXT_MESSAGE_START" | "REASONING_MESSAGE_START":
            message = _found(messages, event["messageId"], event["role"])
            message.setdefault("content", "")
        case "TEXT_MESSAGE_CONTENT" | "REASONING_MESSAGE_CONTENT":
            (message,) = [m for m in messages if m["id"] == event["messageId"]]
            message["content"] += event["delta"]
        case "TOOL_CALL_START":
            assert event["toolCallId"] not in reader.calls
            reader.calls.add(event["toolCallId"])
            message = _found(messages, event["parentMessageId"], "assistant")
            function = {"name": event["toolCallName"], "arguments": ""}
            calls = message.setdefault("toolCalls", [])
            calls.append({"id": event["toolCallId"], "function": function})
        case "TOOL_CALL_ARGS":
            (call,) = [c for c in _calls(messages) if c["id"] == event["toolCallId"]]
            call["function"]["arguments"] += event["delta"]
        case "TOOL_CALL_RESULT":
            assert all(message["id"] != event["messageId"] for message in messages)
            messages.append({**event, "id": event["messageId"]})
        case "ACTIVITY_SNAPSHOT":
            (at,) = [i for i, m in enumerate(messages) if m["id"] == event["messageId"]]
            messages[at] = {**event, "id": event["messageId"], "role": "activity"}


def _found(messages: list[Json], id: str, role: str) -> Json:
    for message in messages:
        if message["id"] == id:
            assert message["role"] == role
            return message
    messages.append({"id": id, "role": role})
    return messages[-1]


def _calls(messages: list[Json]) -> list[Json]:
    return [call for m in messages if m["role"] == "assistant" for call in m.get("toolCalls", [])]


def text(messages: list[Json], role: str = "assistant") -> str:
    """All text of the messages of a role."""
    return "".join(m.get("content", "") for m in messages if m["role"] == role)


def calls(messages: list[Json]) -> list[tuple[str, str, str]]:
    """Of each call that ran: name, arguments, result."""
    results = {m["toolCallId"]: m["content"] for m in messages if m["role"] == "tool"}
    assert set(results) == {call["id"] for call in _calls(messages)}, "a call has no result"
    functions = [(call["function"], results[call["id"]]) for call in _calls(messages)]
    return [(f["name"], f["arguments"], r) for f, r in functions if r != NOT_RUN]


def expected_calls(events: list[Event]) -> list[tuple[str, str, str]]:
    """The same of a log: arguments are the pieces that the model wrote, where it wrote any."""
    found = []
    for tool in fold(events).tools:
        if tool.agent:
            continue
        pieces = _pieces(events, tool.call_id, tool.seq)
        result = tool.output if tool.error is None else tool.error
        arguments = pieces or json.dumps(tool.input, ensure_ascii=False, separators=(",", ":"))
        found.append((tool.name, arguments, NOT_RUN if result is None else result))
    return [call for call in found if call[2] != NOT_RUN]


def _pieces(events: list[Event], call_id: str, seq: int) -> str:
    """The arguments of a call that began at `seq`: written since the step before it began."""
    begun = max(e.seq for e in events if isinstance(e, StepStart) and not e.agent and e.seq < seq)
    written = [e for e in events if isinstance(e, ToolArgs) and begun < e.seq < seq]
    return "".join(e.delta for e in written if e.call_id == call_id and not e.agent)


def usage(told: Json) -> Usage:
    """Our own usage, out of what an end tells."""
    return Usage(**told["usage"])
