"""What the laws of a store write into it: records, logs, an event of each kind, odd text."""

from __future__ import annotations

from typing import Any

from headrace import events as e
from headrace.events import Event
from headrace.messages import (
    File,
    Image,
    Message,
    Opaque,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from headrace.runs.stores.record import RunRecord
from headrace.usage import Metrics, Receipt, Timing, Usage

EPOCH = 1_700_000_000.0
"""When the samples happen, Unix seconds: long ago."""

ODD_TEXTS = (
    "",
    " ",
    "\x00",
    "a\x00b",
    "\u2028\u2029\x85",
    "\r\n\t\x1b[31m",
    "\ufeff",
    "\U0001f926\U0001f3fc\u200d\u2642\ufe0f",
    "\U0001f926",
    "e\u0301",
    "\u202eabc",
    "\uffff\U0010ffff",
    '"\\"\\u0000],[{}',
    "'; DROP TABLE events; --",
    "%s {0} $1 ?",
)
"""Text that has broken stores: controls, line ends, joined and lone emoji, quotes, JSON, SQL."""

MIB = 1024 * 1024

USAGE = Usage(input=12, output=7, cached=3, reasoning=2, exact=False)

METRICS = Metrics(10.5, 1234.25, 3, 9, 5.6, 1.5, 2.5)

EVERY_MESSAGE = (
    Message.system("Be brief."),
    Message.user("Look:", Image(data=bytes(range(256))), Image(url="https://example.org/x.png")),
    Message.user(File(name="a.pdf", data=b"%PDF"), File(file_id="f1")),
    Message.assistant(Reasoning("hm"), Text("\x00\u2028\U0001f926"), ToolCall("c1", "look", "{")),
    Message.assistant(Opaque("anthropic", '{"signature": "\\u00e9"}')),
    Message.tool(ToolResult("c1", "look", "found"), ToolResult("c2", "look", "no", True)),
)
"""Messages with a part of each kind."""


def run_record(run_id: str = "run_1", **fields: Any) -> RunRecord:
    """A live run's record, made at `EPOCH` unless told otherwise."""
    given: dict[str, Any] = {
        "agent": "helper",
        "model": "scripted:one",
        "created_at": EPOCH,
    } | fields
    return RunRecord(id=run_id, **given)


def full_record() -> RunRecord:
    """A record whose every field that a caller may give differs from its default."""
    return RunRecord(
        id="Run-1_" + "x" * 58,
        agent="a/b \U0001f926",
        model="openai:gpt-5-mini",
        created_at=EPOCH + 0.123456,
        host="other",
        user="someone@example.org",
        session="a session's name",
        parent="run_0",
        title="'quoted' \u2028 \x00",
        spec=bytes(range(256)),
        idempotency_key="key 1",
        fingerprint="f" * 64,
        owner="runtime_1",
        lease_until=EPOCH * 2 + 0.5,
        recoveries=2,
    )


def tokens(first: int, last: int, text: str = "x") -> list[Event]:
    """Tokens with the seqs `first` to `last`."""
    return [e.Token(seq, EPOCH + seq / 8, "", text, seq - 1) for seq in range(first, last + 1)]


def complete(seq: int, reason: e.FinishReason = "stop") -> Event:
    """A good end."""
    return e.Complete(seq, EPOCH + seq / 8, "", reason, USAGE, METRICS)


def failed(seq: int) -> Event:
    """A bad end."""
    return e.Error(seq, EPOCH + seq / 8, "", "stream_truncated", "It broke.", True, METRICS, USAGE)


def cancelled(seq: int) -> Event:
    """The end that someone asked for."""
    receipt = Receipt("so far", {"c1": "running"}, 1.5)
    return e.Cancelled(seq, EPOCH + seq / 8, "", "enough", USAGE, METRICS, receipt)


def every_event() -> list[Event]:
    """One event of each kind, in the order of `headrace.events.AnyEvent`, the terminal ones last.

    No run looks like this; a store does not mind.
    """
    value = {"q": ["\x00", None, 1.5, True, {"": 2**53}]}
    kinds: list[tuple[type[Event], tuple[object, ...]]] = [
        (e.RunStart, ("run_1", "helper", "scripted:one", "s1", "run_0")),
        (e.StepStart, (1, "scripted:one")),
        (e.Thought, ("hm",)),
        (e.Token, ("word ", 0)),
        (e.ToolArgs, ("c1", "look", '{"q": ')),
        (e.StepEnd, (1, "tool_calls", USAGE, Timing(2.5, 1.5), EVERY_MESSAGE[3], "scripted:two")),
        (e.ToolStart, ("c1", "look", value)),
        (e.ToolProgress, ("c1", "half")),
        (e.ToolEnd, ("c1", "look", "found", 12.5, "outcome unknown")),
        (e.AgentStart, ("researcher", "find it")),
        (e.AgentEnd, ("researcher", "found", 3.5, "it broke")),
        (e.Partial, (value,)),
        (e.ApprovalNeeded, ("c1", "look", "not JSON {")),
        (e.Approval, ("c1", False, "someone", "no")),
        (e.Input, ("and now?",)),
        (e.Retract, (3, "stream_truncated")),
        (e.Warn, ("slow", "It is slow.")),
        (e.Answer, ("word ",)),
        (e.Complete, ("stop", USAGE, METRICS, value)),
        (e.Error, ("internal", "It broke.", False, METRICS, None)),
        (e.Cancelled, ("enough", USAGE, METRICS, Receipt("so far", {"c1": "waiting"}, None))),
    ]
    return [
        kind(seq, EPOCH + seq / 8, "router/researcher" if seq % 2 else "", *fields)
        for seq, (kind, fields) in enumerate(kinds, start=1)
    ]
