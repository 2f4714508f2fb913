"""Reads a UI message stream as a page does: a strict schema, a message, and what it says."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from msgspec import Struct, to_builtins
from msgspec.structs import replace

from headrace import events as e
from headrace.protocols.ai_sdk.parts import MALFORMED
from headrace.runs.fold import fold
from headrace.runs.policies import join_deltas
from headrace.usage import Metrics, Receipt, Usage
from headrace.wire.sse_decoder import SSEDecoder
from tests.strategies import JSON, TEXT, logs

_CALL = "toolCallId toolName providerExecuted dynamic title"
FIELDS = {
    name: frozenset(fields.split())
    for name, fields in {
        "start": "messageId messageMetadata",
        "start-step": "",
        "finish-step": "",
        "reset-step": "",
        "text-start": "id providerMetadata",
        "text-delta": "id delta providerMetadata",
        "text-end": "id providerMetadata",
        "reasoning-start": "id providerMetadata",
        "reasoning-delta": "id delta providerMetadata",
        "reasoning-end": "id providerMetadata",
        "tool-input-start": _CALL,
        "tool-input-delta": "toolCallId inputTextDelta",
        "tool-input-available": f"{_CALL} input providerMetadata",
        "tool-input-error": f"{_CALL} input providerMetadata errorText",
        "tool-approval-request": "approvalId toolCallId",
        "tool-output-available": "toolCallId output providerExecuted dynamic preliminary",
        "tool-output-error": "toolCallId errorText providerExecuted dynamic",
        "tool-output-denied": "toolCallId",
        "finish": "finishReason messageMetadata",
        "message-metadata": "messageMetadata",
        "error": "errorText",
        "abort": "",
        "data": "id data transient",
    }.items()
}
"""What `ai@6.0.0` takes, and ``reset-step`` of 7: its schemas are strict."""

REASONS = {"stop", "length", "content-filter", "tool-calls", "error", "other"}


class Shown(Struct):
    """What a run comes to.

    Attributes:
        tools: Id, name, input, output and error of each call that a tool got, as they began.
        end: The finish reason, None while there is none.
        error: What the page says of an error.
    """

    text: str
    reasoning: str
    tools: list[tuple[str, str, Any, str | None, str | None]]
    end: str | None
    usage: Any
    model: str
    error: str | None = None


def read(data: bytes) -> list[dict[str, Any]]:
    """The parts of a stream, each checked; ``[DONE]`` is the last one's type where it came."""
    decoder = SSEDecoder()
    found = []
    for event in decoder.feed(data):
        assert (event.event, event.id) == ("message", "")
        found.append({"type": "[DONE]"} if event.data == "[DONE]" else json.loads(event.data))
    assert data.endswith(b"\n\n") or not data
    for part in found[:-1]:
        check(part)
    if found and found[-1]["type"] != "[DONE]":
        check(found[-1])
    return found


def check(part: dict[str, Any]) -> None:
    """Whether the strictest reader takes this part."""
    kind = part["type"]
    fields = FIELDS["data" if kind.startswith("data-") else kind]
    assert part.keys() - {"type"} <= fields, part
    for name in part.keys() & {"id", "delta", "toolCallId", "toolName", "errorText", "messageId"}:
        assert isinstance(part[name], str), part
    assert part.get("finishReason", "stop") in REASONS


class Page:
    """The message that `processUIMessageStream` makes of parts, and its complaints."""

    def __init__(self) -> None:
        self.parts: list[dict[str, Any]] = []
        self.metadata: dict[str, Any] = {}
        self.error: str | None = None
        self.passing: list[dict[str, Any]] = []
        self.done = self.in_step = False
        self.open: dict[str, dict[str, Any]] = {}
        self.inputs: dict[str, str] = {}

    def take(self, part: dict[str, Any]) -> None:
        """The next part."""
        assert not self.done, "something follows the end"
        kind = part["type"]
        name, _, what = kind.partition("-")
        if name in ("text", "reasoning"):
            self._text(name, what, part)
        elif name == "tool":
            assert not (self.open and what.startswith("input")), "text is open while a call comes"
            self._tool(what, part)
        elif name == "data":
            (self.passing if part.get("transient") else self.parts).append(part)
        else:
            self._frame(kind, part)

    def _text(self, name: str, what: str, part: dict[str, Any]) -> None:
        key = f"{name} {part['id']}"
        if what == "start":
            assert not self.open
            assert self.in_step
            self.open[key] = {"type": name, "text": "", "state": "streaming"}
            self.parts.append(self.open[key])
        elif what == "delta":
            self.open[key]["text"] += part["delta"]
        else:
            self.open.pop(key)["state"] = "done"

    def _tool(self, what: str, part: dict[str, Any]) -> None:
        call_id = part["toolCallId"]
        if what == "input-delta":
            self.inputs[call_id] += part["inputTextDelta"]
            return
        found = [p for p in self.parts if p.get("toolCallId") == call_id]
        if not what.startswith("input"):
            assert found, f"no call {call_id!r}"
            found[-1]["state"] = {"approval-request": "approval-requested"}.get(what, what)
            found[-1]["preliminary"] = part.get("preliminary", False)
            found[-1] |= {k: part[k] for k in ("output", "errorText") if k in part}
            return
        if what == "input-start":
            self.inputs[call_id] = ""
        here = [p for p in found if any(p is q for q in self._this_step())]
        if not here:
            here = [{"type": "dynamic-tool", "toolCallId": call_id}]
            self.parts += here
        state = {"input-start": "input-streaming", "input-error": "output-error"}.get(what, what)
        here[0] |= {"toolName": part["toolName"], "state": state, "input": part.get("input")}
        if "errorText" in part:
            here[0]["errorText"] = part["errorText"]
        if "providerMetadata" in part:
            here[0]["callProviderMetadata"] = part["providerMetadata"]

    def _frame(self, kind: str, part: dict[str, Any]) -> None:
        self.metadata |= part.get("messageMetadata", {})
        if kind == "start-step":
            assert not self.in_step
            self.in_step = True
            self.parts.append({"type": "step-start"})
        elif kind == "finish-step":
            assert self.in_step
            assert not self.open
            self.in_step = False
        elif kind == "reset-step":
            del self.parts[len(self.parts) - len(self._this_step()) :]
        elif kind in ("finish", "abort", "error"):
            assert not self.in_step
            assert not self.open
            self.error = part.get("errorText", self.error)
        elif kind == "[DONE]":
            assert not self.in_step
            assert not self.open
            self.done = True

    def _this_step(self) -> list[dict[str, Any]]:
        last = [i for i, p in enumerate(self.parts) if p["type"] == "step-start"]
        return self.parts[last[-1] + 1 if last else 0 :]

    def shown(self) -> Shown:
        """What the message says."""
        return shown(self.parts, self.metadata, self.error)


def page_of(data: bytes) -> Page:
    """The page after this stream."""
    page = Page()
    for part in read(data):
        page.take(part)
    return page


def standing(parts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was not withdrawn: the JavaScript of the encoder's page, in Python."""
    kept: list[dict[str, Any]] = []
    for part in parts:
        if part["type"] != "data-retract":
            kept.append(part)
            continue
        left = part["data"]["steps"]
        while kept and (kept[-1]["type"] != "step-start" or left):
            left -= kept.pop()["type"] == "step-start"
    return kept


def shown(parts: Iterable[dict[str, Any]], metadata: dict[str, Any], error: str | None) -> Shown:
    """What a message says."""
    kept = standing(parts)
    return Shown(
        "".join(part["text"] for part in kept if part["type"] == "text"),
        "".join(part["text"] for part in kept if part["type"] == "reasoning"),
        _tools(kept),
        metadata.get("finishReason"),
        metadata.get("usage"),
        metadata.get("model", ""),
        error,
    )


def _tools(parts: list[dict[str, Any]]) -> list[tuple[str, str, Any, str | None, str | None]]:
    found = []
    for part in parts:
        told = part.get("callProviderMetadata") or part.get("resultProviderMetadata")
        if part["type"] != "dynamic-tool" or told is None:
            continue
        output = error = None
        if part["state"] == "output-available" and not part.get("preliminary"):
            output = part["output"]
        elif part["state"] == "output-error" and part["errorText"] != MALFORMED:
            error = part["errorText"]
        call = (part["toolCallId"], part["toolName"], part.get("input"), output, error)
        found.append((told["headrace"]["seq"], call))
    return [call for _, call in sorted(found, key=lambda pair: int(pair[0]))]


def wanted(events: Sequence[e.Event]) -> Shown:
    """What the log folds to."""
    state = fold(events)
    ended = isinstance(events[-1], e.TERMINAL)
    return Shown(
        state.text,
        state.reasoning,
        [
            (
                tool.call_id,
                tool.name,
                tool.input,
                tool.output if not tool.error else None,
                tool.error,
            )
            for tool in state.tools
            if not tool.agent
        ],
        state.finish_reason,
        to_builtins(state.usage) if ended else None,
        state.model,
        state.error_message,
    )


def unfinished(page: Page) -> list[str]:
    """Calls whose arguments never came to an end."""
    return [p["toolCallId"] for p in page.parts if p.get("state") == "input-streaming"]


@st.composite
def runs(draw: DrawFn) -> list[e.Event]:
    """A log with any ids, names and inputs, and any end, none among them."""
    events = [_dressed(event, *draw(_DRESSES)) for event in draw(logs())]
    end = draw(st.sampled_from(["complete", "complete", "error", "cancelled", "none"]))
    if end == "complete":
        reason = draw(st.sampled_from(["stop", "length", "content_filter", "max_steps"]))
        return [*events[:-1], replace(events[-1], finish_reason=reason)]
    events = events[: draw(st.integers(1, len(events) - 2))]
    seq = len(events) + 1
    if end == "error":
        usage = draw(st.none() | st.just(Usage(5, 6)))
        events.append(e.Error(seq, 2000.0, "", "rate_limited", draw(TEXT), True, Metrics(), usage))
    elif end == "cancelled":
        events.append(e.Cancelled(seq, 2000.0, "", "left", Usage(3, 4), Metrics(), Receipt()))
    return events


_ODD = st.sampled_from([{"__proto__": {"a": 1}}, {"constructor": {"prototype": 1}}, "no { JSON"])
_DRESSES = st.tuples(st.shared(TEXT, key="name"), JSON | _ODD)


def _dressed(event: e.Event, name: str, value: Any) -> e.Event:
    """The event with odd words in it."""
    changes = {}
    if hasattr(event, "call_id"):
        changes["call_id"] = f"{name}\n\ndata: {event.call_id}"
    if getattr(event, "name", "") == "look":
        changes["name"] = name
    if isinstance(event, e.ToolStart):
        changes["input"] = value
    return replace(event, **changes) if changes else event


@st.composite
def batches(draw: DrawFn, events: Sequence[e.Event]) -> list[list[e.Event]]:
    """The log in any batches, in which neighbouring deltas may be joined."""
    found: list[list[e.Event]] = []
    left = list(events)
    while left:
        size = draw(st.integers(1, len(left)))
        batch, left = left[:size], left[size:]
        found.append(join_deltas(batch) if draw(st.booleans()) else batch)
    return found


def same_inputs(left: Shown, right: Shown) -> bool:
    """Equal, where what the client refuses to read may come as its JSON text."""
    pairs = zip(left.tools, right.tools, strict=False)
    for index, (got, want) in enumerate(pairs):
        if isinstance(got[2], str) and not isinstance(want[2], str):
            left.tools[index] = (*got[:2], json.loads(got[2]), *got[3:])
    return left == right
