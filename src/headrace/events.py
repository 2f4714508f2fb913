"""The whole vocabulary of a run, on one page.

A run is an ordered log of these events. `seq` starts at 1 and has no gaps (law 1); the last
event is `complete`, `error` or `cancelled` and there is exactly one of them (law 2); starts and
ends pair (law 4). Everything that anyone sees of a run is made from this log.

Each event is a frozen `msgspec.Struct` tagged by `type`; `encode` and `decode` are its JSON
form, `schema` the JSON Schema of all.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

from headrace.errors import UsageError
from headrace.messages import Message
from headrace.usage import Metrics, Receipt, Timing, Usage

FinishReason = Literal[
    "stop", "length", "tool_calls", "content_filter", "max_steps", "error", "cancelled"
]


class Event(Struct, frozen=True, gc=False, tag_field="type", omit_defaults=True):
    """What all events share.

    Attributes:
        seq: Position in the run's log, from 1, without gaps.
        at: Unix seconds, never falling within a run.
        agent: Path of the agent that speaks: ``""`` the root, ``router/researcher`` below it.
    """

    seq: int
    at: float
    agent: str


class RunStart(Event, frozen=True, gc=False, tag="run_start"):
    """The first event."""

    run_id: str
    agent_name: str
    model: str
    session: str | None = None
    parent: str | None = None


class StepStart(Event, frozen=True, gc=False, tag="step_start"):
    """A model call begins; `step` counts from 1."""

    step: int
    model: str


class Thought(Event, frozen=True, gc=False, tag="thought"):
    """A piece of reasoning."""

    content: str


class Token(Event, frozen=True, gc=False, tag="token"):
    """A piece of the answer's text; `index` counts from 0 within the step."""

    content: str
    index: int


class ToolArgs(Event, frozen=True, gc=False, tag="tool_args"):
    """A piece of a call's arguments, while the model writes them."""

    call_id: str
    name: str
    delta: str


class StepEnd(Event, frozen=True, gc=False, tag="step_end"):
    """The model call ended; `message` is what goes back next turn.

    `model` is who answered, where `step_start` names several (a fallback), or where another agent
    has taken the conversation over; else empty.
    """

    step: int
    finish_reason: FinishReason
    usage: Usage
    timing: Timing
    message: Message
    model: str = ""


class ToolStart(Event, frozen=True, gc=False, tag="tool_start"):
    """A call is taken up; `input` is its arguments, or their raw text if it is not valid JSON."""

    call_id: str
    name: str
    input: Any


class ToolProgress(Event, frozen=True, gc=False, tag="tool_progress"):
    """A running tool says how it is doing."""

    call_id: str
    content: str


class ToolEnd(Event, frozen=True, gc=False, tag="tool_end"):
    """A call is over: `output` is its result as text; `error` says what failed, if it did."""

    call_id: str
    name: str
    output: str
    duration_ms: float
    error: str | None = None


class AgentStart(Event, frozen=True, gc=False, tag="agent_start"):
    """A sub-agent begins a task; or one takes the conversation over, under the path of the last."""

    name: str
    task: str


class AgentEnd(Event, frozen=True, gc=False, tag="agent_end"):
    """A sub-agent ended."""

    name: str
    output: str
    duration_ms: float
    error: str | None = None


class Partial(Event, frozen=True, gc=False, tag="partial"):
    """A structured output so far."""

    value: Any


class ApprovalNeeded(Event, frozen=True, gc=False, tag="approval_needed"):
    """A call waits for a person."""

    call_id: str
    name: str
    input: Any


class Approval(Event, frozen=True, gc=False, tag="approval"):
    """A person decided about a call; `input` is what it runs with, where they changed that."""

    call_id: str
    approved: bool
    by: str | None = None
    reason: str | None = None
    input: Any = None


class Input(Event, frozen=True, gc=False, tag="input"):
    """A person's message into a live run."""

    content: str


class Retract(Event, frozen=True, gc=False, tag="retract"):
    """The same agent's text, reasoning and calls from seq `since` on are withdrawn (law 10).

    `since` follows a structural event (a `step_start`), never a delta: neighbouring deltas may
    have been joined for a viewer, and no one can withdraw half of a joined one.
    """

    since: int
    reason: str


class Warn(Event, frozen=True, gc=False, tag="warning"):
    """Something that a person may want to know; the run goes on."""

    code: str
    message: str


class Answer(Event, frozen=True, gc=False, tag="answer"):
    """The final answer, whole: what all `token` events that still stand fold to."""

    content: str


class Complete(Event, frozen=True, gc=False, tag="complete"):
    """The run ended well. Terminal."""

    finish_reason: FinishReason
    usage: Usage
    metrics: Metrics
    output: Any = None


class Error(Event, frozen=True, gc=False, tag="error"):
    """The run failed. Terminal. `code` is a `HeadraceError.code`."""

    code: str
    message: str
    retryable: bool
    metrics: Metrics
    usage: Usage | None = None


class Cancelled(Event, frozen=True, gc=False, tag="cancelled"):
    """The run was cancelled; what had been generated is kept. Terminal."""

    reason: str
    usage: Usage
    metrics: Metrics
    receipt: Receipt


AnyEvent = (
    RunStart
    | StepStart
    | Thought
    | Token
    | ToolArgs
    | StepEnd
    | ToolStart
    | ToolProgress
    | ToolEnd
    | AgentStart
    | AgentEnd
    | Partial
    | ApprovalNeeded
    | Approval
    | Input
    | Retract
    | Warn
    | Answer
    | Complete
    | Error
    | Cancelled
)
"""Every event there is: match on it and a type checker tells which ones you forgot."""

Delta = Thought | Token | ToolArgs
"""Events that a lagging viewer may get joined; all others are structural (law 6)."""

TERMINAL = (Complete, Error, Cancelled)

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AnyEvent)


def encode(event: Event) -> bytes:
    """The event's JSON, in one line."""
    return _encoder.encode(event)


def decode(data: bytes | str) -> AnyEvent:
    """Read one event's JSON.

    Unknown fields are skipped, so that an older reader follows a newer writer.

    Raises:
        msgspec.DecodeError: when it is not JSON, or not an event.
    """
    try:
        event: AnyEvent = _decoder.decode(data)
    except UsageError as error:  # a part that refuses its own fields, such as an empty Image
        raise msgspec.ValidationError(error.message) from error
    return event


def type_of(event: Event) -> str:
    """The event's `type` word, such as ``token``."""
    tag = event.__struct_config__.tag
    return str(tag)


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of all events."""
    body = msgspec.json.schema(AnyEvent)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Headrace event",
        **body,
    }
